"""`serve` and `doctor`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_server import logs
from media_server.cli.options import command, settings, settings_options
from media_server.config import Settings
from media_server.errors import MediaServerError
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
        type=Path,
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
    serve.add_argument("--port", type=int, help="port to listen on (8080); 0 takes a free one")
    serve.add_argument(
        "--open",
        action="store_true",
        default=None,
        help="allow other addresses than loopback although nobody has to show a key",
    )
    serve.add_argument(
        "--tls",
        metavar="auto|CERT,KEY",
        help="HTTPS, which browsers want for a microphone on other machines; auto makes a certificate for this one",
    )
    serve.add_argument("--max-calls", type=int, help="calls at once (32)")
    serve.add_argument("--log-format", choices=["auto", "human", "json"], help="auto: human on a terminal, else json")
    serve.add_argument("--log-level", choices=["debug", "info", "warning", "error"], help="(info)")
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
    os.umask(0o077)  # whatever it writes is nobody else's to read
    chosen = settings(args)
    logs.configure(chosen.log_format, chosen.log_level)
    asyncio.run(_serve_until_stopped(chosen))
    return 0


async def _serve_until_stopped(settings: Settings) -> None:
    from media_server.server import running_server

    stop, stop_now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        (stop_now if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    started = time.monotonic()
    try:
        async with running_server(settings) as server:
            print(f"Loading the models of the pack {settings.pack!r} …", flush=True)
            ready = asyncio.create_task(server.ready(settings.engine_start_timeout_s))
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([ready, stopped], return_when=asyncio.FIRST_COMPLETED)
                if ready.done():
                    ready.result()
                    # what is there now stays: looking through it for garbage would stop all sound for 0.1 s each time
                    gc.collect()
                    gc.freeze()
                    print(
                        f"Ready after {time.monotonic() - started:.1f} s: open {server.url} and speak. Ctrl-C stops.",
                        flush=True,
                    )
                    if server.notice:
                        print(server.notice, flush=True)
                await stopped
                await _drain(server, settings.drain_s, stop_now)
            finally:
                for task in (ready, stopped):
                    task.cancel()
            print("Stopping …", flush=True)
    except TimeoutError:
        raise MediaServerError(
            "not_ready", f"The models were not loaded within {settings.engine_start_timeout_s:.0f} s."
        ) from None
    except OSError as e:
        raise MediaServerError(
            "no_address", f"Cannot listen on {settings.host}:{settings.port}: {e.strerror or e}."
        ) from e


async def _drain(server: Server, drain_s: float, stop_now: asyncio.Event) -> None:
    """Let calls end by themselves, unless somebody is in a hurry."""
    if drain_s and (calls := len(server.sessions)):
        print(f"Waiting for {calls} call(s), {drain_s:g} s at most. Once more to stop at once.", flush=True)
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
    print("All is well." if not bad else f"{bad} thing(s) to mend.")
    return 1 if bad else 0
