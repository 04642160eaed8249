"""`serve` and `doctor`."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from media_server import logs
from media_server.cli.options import command, settings, settings_options
from media_server.cli.parser import number, path
from media_server.cli.systemd import Notifier
from media_server.cli.welcome import welcome
from media_server.config import Settings
from media_server.counted import counted
from media_server.errors import MediaServerError
from media_server.memory import settle_memory
from media_server.priority import MEDIA, prefer
from media_server.tasks import first_of

if TYPE_CHECKING:
    from media_server.server import Server

__all__ = ["add"]

SERVE = """\
Start the server with the models of a pack (default: the starter pack that comes with it).

Settings come from media_server.toml in this folder, if there is one, then from the environment
(MEDIA_SERVER_PORT=9000 …), then from these options. Stop it with Ctrl-C: calls are hung up properly.
"""


def add(commands: Any) -> None:
    serve = command(commands, "serve", "start the server", SERVE)
    settings_options(serve)
    serve.add_argument(
        "agents_dir",
        type=path,
        nargs="?",
        metavar="AGENTS",
        help="folder with agents as Python and TOML files; without it there is the agent 'assistant'",
    )
    serve.add_argument(
        "--reload",
        action="store_true",
        default=None,
        help="read the agents again when a file is saved; calls go on with the new version from their next turn on",
    )
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument(
        "--port", type=number("a port", 0, 65535), metavar="N", help="port to listen on (8080); 0 takes a free one"
    )
    serve.add_argument(
        "--open",
        action="store_true",
        default=None,
        help="listen on other addresses even without API keys: anyone can call",
    )
    serve.add_argument(
        "--tls",
        metavar="auto|CERT,KEY",
        help="HTTPS, which browsers want for a microphone on other machines; auto makes a certificate for this one",
    )
    serve.add_argument(
        "--max-calls", type=number("the count of calls", 1, 100_000), metavar="N", help="calls at once (32)"
    )
    serve.add_argument("--log-format", choices=["auto", "human", "json"], help="auto: human on a terminal, else json")
    serve.add_argument("--log-level", choices=["debug", "info", "warning", "error"], help="what is logged (info)")
    serve.add_argument(
        "--systemd", action="store_true", help="tell systemd when it is ready, stopping and alive (Type=notify)"
    )
    serve.set_defaults(run=_serve)

    doctor = command(
        commands,
        "doctor",
        "check this machine, the libraries and the models",
        "Check what the server needs, and say how to mend what is missing.",
    )
    settings_options(doctor)
    doctor.set_defaults(run=_doctor)


def _serve(args: argparse.Namespace) -> int:
    chosen = settings(args)
    os.umask(0o077)  # whatever it writes is nobody else's to read
    logs.configure(chosen.log_format, chosen.log_level)
    prefer(MEDIA)
    asyncio.run(_serve_until_stopped(chosen, Notifier.of_systemd() if args.systemd else Notifier("")))
    return 0


async def _serve_until_stopped(settings: Settings, notifier: Notifier) -> None:
    from media_server.server import running_server

    stop, stop_now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        (stop_now if stop.is_set() else stop).set()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, on_signal)
    started = time.monotonic()
    try:
        async with running_server(settings) as server:
            print(f"Loading the models of the pack {settings.pack!r} …", flush=True)
            ready = asyncio.create_task(server.ready(settings.engine_start_timeout_s))
            stopped = asyncio.create_task(stop.wait())
            alive = None
            try:
                await asyncio.wait([ready, stopped], return_when=asyncio.FIRST_COMPLETED)
                if ready.done():
                    ready.result()
                    settle_memory()
                    print(welcome(server, settings, time.monotonic() - started, sys.stdout.isatty()), flush=True)
                    notifier.tell("READY=1", f"STATUS=Serving at {server.url}")
                    alive = asyncio.create_task(notifier.stay_alive())
                await stopped
                notifier.tell("STOPPING=1")
                await _drain(server, settings.drain_s, stop_now)
            finally:
                for task in filter(None, (ready, stopped, alive)):
                    task.cancel()
            print("Stopping …", flush=True)
    except TimeoutError:
        raise MediaServerError(
            "not_ready", f"The models were not loaded within {settings.engine_start_timeout_s:.0f} s."
        ) from None
    except OSError as e:
        if e.filename:  # of a file, and not of an address
            raise
        raise _no_address(settings, e) from e


def _no_address(settings: Settings, failed: OSError) -> MediaServerError:
    where = f"{settings.host}:{settings.port}"
    match failed.errno:
        case errno.EADDRINUSE:
            reason = f"Port {settings.port} is already in use. Stop the other program, or choose another: --port N."
        case errno.EADDRNOTAVAIL:
            reason = f"This machine has no address {settings.host}. --host 127.0.0.1 serves itself, --host 0.0.0.0 all."
        case errno.EACCES:
            reason = f"Port {settings.port} is for privileged programs. Choose one above 1023: --port N."
        case _:
            reason = f"Cannot listen on {where}: {failed.strerror or failed}."
    return MediaServerError("no_address", reason)


async def _drain(server: Server, drain_s: float, stop_now: asyncio.Event) -> None:
    """Let calls end by themselves, unless somebody is in a hurry."""
    if drain_s and (calls := len(server.sessions)):
        print(f"Waiting for {counted(calls, 'call')}, {drain_s:g} s at most. Once more to stop at once.", flush=True)
    await first_of(server.drain(drain_s), stop_now.wait())


def _doctor(args: argparse.Namespace) -> int:
    from media_server.doctor import examine

    findings = examine(settings(args))
    marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
    for f in findings:
        print(f"{marks[f.level]}  {f.text}")
        if f.remedy:
            print(f"      → {f.remedy}")
    bad = sum(f.level == "bad" for f in findings)
    print("All is well." if not bad else f"{counted(bad, 'thing')} to mend.")
    return 1 if bad else 0
