"""The command line: argument parsing, and calls of what does the work."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from media_server import __version__, logs
from media_server.config import Settings, load_settings
from media_server.errors import MediaServerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from media_server.server import Server
    from media_server.store import Keys, Outbox, Scope

__all__ = ["main"]

T = TypeVar("T")

DESCRIPTION = """\
A voice server that needs no cloud: callers speak to it from a browser, local models answer by voice.

  media-server serve                                start it, then open http://127.0.0.1:8080
  media-server serve agents/                        with your own agents: docs/agents.md
  media-server doctor                               what will run where, and what is missing
  media-server keys create NAME                     from the first key on nobody gets in without
  media-server call --wav in.wav --out out.wav      call it without a browser
"""
SERVE = """\
Start the server with the models of a pack (default: the starter pack that comes with it).

Settings come from media_server.toml in this folder, if there is one, then from the environment
(MEDIA_SERVER_PORT=9000 …), then from these options. Stop it with Ctrl-C: calls are hung up properly.
"""
CALL = """\
Place a call, speak a recording, print what happens and write the agent's answer to a file.

The recording may be of any format and rate. The call ends when the agent has been silent for a while after it.
"""


WEBHOOKS = """\
Messages that could not be delivered are tried again for more than a day. Then they are dead: listed, and kept for
a week.
"""
KEYS = """\
Keys are for programs: a backend that starts calls or mints tokens for its pages.

As long as there is none, the server is open to whoever reaches it, and listens on this machine only. From the first key
on, every call needs a key, a token, or an agent that allows the page's origin.
"""


def main(argv: list[str] | None = None) -> None:
    """Entry point of `media-server`. Exit status: 0 well, 1 not, 2 wrong usage."""
    args = _parser().parse_args(argv)
    try:
        sys.exit(args.run(args))
    except MediaServerError as e:
        sys.exit(f"media-server: {e.message}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="media-server", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"media-server {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = _command(commands, "serve", "start the server", SERVE)
    _settings_options(serve)
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

    doctor = _command(
        commands,
        "doctor",
        "check this machine, the libraries and the models",
        "Check what the server needs, and say how to mend what is missing.",
    )
    _settings_options(doctor)
    doctor.set_defaults(run=_doctor)

    _key_commands(commands)
    _webhook_commands(commands)

    call = _command(commands, "call", "place a call without a browser", CALL)
    call.add_argument("--wav", type=Path, required=True, help="what the caller says")
    call.add_argument("--out", type=Path, help="where the agent's voice is written, as WAV")
    call.add_argument("--url", default="http://127.0.0.1:8080", help="of the server (%(default)s)")
    call.add_argument("--agent", default="assistant", help="whom to call (%(default)s)")
    call.add_argument("--key", default="", help="an API key or a token, where the server asks for one")
    call.add_argument("--insecure", action="store_true", help="take any certificate, also one the server made itself")
    call.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    call.add_argument(
        "--silence",
        type=float,
        default=2.5,
        metavar="S",
        help="hang up after this many seconds of nothing (%(default)s)",
    )
    call.add_argument(
        "--timeout",
        type=float,
        default=120,
        metavar="S",
        help="hang up after this many seconds in any case (%(default)s)",
    )
    call.set_defaults(run=_call)
    return parser


def _key_commands(commands: Any) -> None:
    keys = _command(commands, "keys", "create, list and revoke API keys", KEYS)
    actions = keys.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = _command(actions, "create", "make a key; its secret is shown this once", "Make a key and print it.")
    create.add_argument("name", help="what it is for")
    create.add_argument(
        "--scope",
        action="append",
        choices=["call", "admin"],
        help="call: start calls and mint tokens (default); admin: everything; may be given twice",
    )
    create.add_argument("--agent", action="append", metavar="NAME", help="only for this agent; may be repeated")
    create.add_argument(
        "--origin", action="append", metavar="ORIGIN", help="pages that may use it, like https://*.site.com; repeatable"
    )
    create.add_argument("--tenant", default="", help="whose agents and calls it is for (the operator's)")
    create.add_argument("--per-minute", type=int, metavar="N", help="calls and tokens in a minute")
    create.add_argument(
        "--credit", type=float, metavar="X", help="what calls may cost, by their agents' price_per_minute"
    )
    create.set_defaults(run=_keys_create)
    credit = _command(actions, "credit", "add to what calls may cost", "Add to the credit of a key.")
    credit.add_argument("id", help="as listed")
    credit.add_argument("amount", type=float)
    credit.set_defaults(run=_keys_credit)
    listing = _command(actions, "list", "list all keys, without their secrets", "List all keys.")
    listing.set_defaults(run=_keys_list)
    revoke = _command(actions, "revoke", "have a key open nothing any more", "Revoke a key and the tokens it minted.")
    revoke.add_argument("id", help="as listed")
    revoke.set_defaults(run=_keys_revoke)
    for action in (create, credit, listing, revoke):
        action.add_argument("--config", type=Path, metavar="FILE", help="settings (media_server.toml)")
        action.add_argument("--database", metavar="URL", help="(sqlite:///media_server.sqlite)")


def _webhook_commands(commands: Any) -> None:
    webhooks = _command(commands, "webhooks", "list deliveries of webhooks, and try dead ones again", WEBHOOKS)
    actions = webhooks.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _command(actions, "list", "the newest deliveries", "List deliveries, the newest first.")
    listing.add_argument("--state", choices=["pending", "delivered", "dead"], help="only these")
    listing.set_defaults(run=_webhooks_list)
    retry = _command(actions, "retry", "try dead deliveries again", "Try a dead delivery again, or all.")
    retry.add_argument("id", nargs="?", help="as listed; all where none is given")
    retry.set_defaults(run=_webhooks_retry)
    for action in (listing, retry):
        action.add_argument("--config", type=Path, metavar="FILE", help="settings (media_server.toml)")
        action.add_argument("--database", metavar="URL", help="(sqlite:///media_server.sqlite)")


def _command(commands: Any, name: str, short: str, long: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=short, description=long, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _settings_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (media_server.toml)")
    parser.add_argument("--pack", help="model pack (starter)")
    parser.add_argument("--models-dir", type=Path, metavar="DIR", help="where packs are (models)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="auto: CUDA where a library can use it")
    parser.add_argument("--threads", type=int, help="per engine; 0 takes the number of cores")


def _settings(args: argparse.Namespace) -> Settings:
    options = {k: v for k, v in vars(args).items() if k in Settings.model_fields}
    return load_settings(args.config, **options)


def _serve(args: argparse.Namespace) -> int:
    settings = _settings(args)
    logs.configure(settings.log_format, settings.log_level)
    asyncio.run(_serve_until_stopped(settings))
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
                    print(
                        f"Ready after {time.monotonic() - started:.1f} s: open {server.url} and speak. Ctrl-C stops.",
                        flush=True,
                    )
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
    draining = asyncio.create_task(server.drain(drain_s))
    hurried = asyncio.create_task(stop_now.wait())
    try:
        await asyncio.wait([draining, hurried], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (draining, hurried):
            task.cancel()


def _doctor(args: argparse.Namespace) -> int:
    from media_server.doctor import examine

    findings = examine(_settings(args))
    marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
    for f in findings:
        print(f"{marks[f.level]}  {f.text}")
        if f.remedy:
            print(f"      → {f.remedy}")
    bad = sum(f.level == "bad" for f in findings)
    print("All is well." if not bad else f"{bad} thing(s) to mend.")
    return 1 if bad else 0


def _keys_create(args: argparse.Namespace) -> int:
    from media_server.agents.origins import check_pattern

    if args.per_minute is not None and args.per_minute < 1:
        raise MediaServerError("bad_option", "--per-minute has to be 1 or more.")
    try:
        for origin in args.origin or ():
            check_pattern(origin)
    except ValueError as e:
        raise MediaServerError("bad_option", f"--origin: {e}.") from e
    scopes: tuple[Scope, ...] = tuple(args.scope or ("call",))
    secret, key = asyncio.run(
        _with_keys(
            args, lambda keys: keys.create(args.name, scopes, args.agent, args.origin, args.per_minute, args.tenant)
        )
    )
    print(secret)
    print(f"This is key {key.id}. Keep it now: only its hash is stored.", file=sys.stderr)
    return 0


def _keys_credit(args: argparse.Namespace) -> int:
    now = asyncio.run(_with_keys(args, lambda k: k.add_credit(args.id, args.amount)))
    if now is None:
        raise MediaServerError("unknown_key", f"There is no key {args.id!r}; media-server keys list shows them.")
    print(f"{args.id} has a credit of {now:g}.")
    return 0


def _keys_list(args: argparse.Namespace) -> int:
    keys = asyncio.run(_with_keys(args, lambda k: k.all()))
    for key in keys:
        made = time.strftime("%Y-%m-%d", time.localtime(key.created_at))
        state = "revoked" if key.revoked_at else "good"
        limits = {
            "tenant": key.tenant or None,
            "agents": key.agents,
            "origins": key.origins,
            "per minute": key.per_minute,
            "credit": None if key.credit is None else round(key.credit, 4),
        }
        given = {k: " ".join(v) if isinstance(v, tuple) else v for k, v in limits.items() if v is not None}
        only = "  ".join(f"{k}: {v}" for k, v in given.items())
        print(f"{key.id}  {state:<8} {made}  {'+'.join(key.scopes):<10} {key.name}  {only}".rstrip())
    if not keys:
        print("There are no keys: the server is open to whoever reaches it.")
    return 0


def _keys_revoke(args: argparse.Namespace) -> int:
    if not asyncio.run(_with_keys(args, lambda k: k.revoke(args.id))):
        raise MediaServerError("unknown_key", f"There is no key {args.id!r}; media-server keys list shows them.")
    print(f"{args.id} is revoked.")
    return 0


def _webhooks_list(args: argparse.Namespace) -> int:
    deliveries = asyncio.run(_with_outbox(args, lambda outbox: outbox.all(args.state)))
    for d in deliveries:
        line = f"{d.message_id}  {d.state:<9} {d.attempts:>2}x  {d.type:<16} {d.call_id}  {d.url}  {d.error or ''}"
        print(line.rstrip())
    if not deliveries:
        print("There are none.")
    return 0


def _webhooks_retry(args: argparse.Namespace) -> int:
    count = asyncio.run(_with_outbox(args, lambda outbox: outbox.retry(args.id)))
    if args.id and not count:
        raise MediaServerError("unknown_delivery", f"There is no dead delivery {args.id!r}.")
    print(f"{count} will be tried again within a minute.")
    return 0


async def _with_outbox(args: argparse.Namespace, ask: Callable[[Outbox], Awaitable[T]]) -> T:
    from media_server.store import Database, Outbox

    async with Database.open(_settings(args).database) as database:
        return await ask(Outbox(database, "", []))


async def _with_keys(args: argparse.Namespace, ask: Callable[[Keys], Awaitable[T]]) -> T:
    from media_server.store import Database, Keys

    async with Database.open(_settings(args).database) as database:
        return await ask(Keys(database))


def _call(args: argparse.Namespace) -> int:
    return asyncio.run(_place_call(args))


async def _place_call(args: argparse.Namespace) -> int:
    import aiohttp

    from media_server.audio import CALL_RATE_HZ, read_wav, write_wav
    from media_server.caller import Caller

    try:
        samples = read_wav(args.wav, CALL_RATE_HZ)
    except (OSError, ValueError) as e:
        raise MediaServerError("bad_recording", f"Cannot read {args.wav}: {e}.") from e
    try:
        on_event = _print_json if args.json else _print_event
        async with Caller(args.url, args.agent, auth=args.key, verify=not args.insecure, on_event=on_event) as caller:
            await caller.wait_for("call.started")
            playback = caller.speak(samples)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(args.timeout):
                    await playback.finished.wait()
                    await _silence(caller, args.silence)
            caller.send(type="call.end")
            with contextlib.suppress(TimeoutError):
                await caller.wait_for("call.ended", timeout_s=3)
            recording = caller.recording()
    except aiohttp.ClientConnectionError as e:
        raise MediaServerError(
            "no_server", f"Nobody answers at {args.url}. Is the server running (media-server serve)?"
        ) from e
    except TimeoutError as e:
        raise MediaServerError("no_connection", f"No media connection to {args.url} came about; is UDP blocked?") from e
    if args.out:
        write_wav(args.out, recording, CALL_RATE_HZ)
    return 0 if any(e["type"] == "agent.speech_stopped" for e in caller.events) else 1


async def _silence(caller: Any, silence_s: float) -> None:
    """Return when nothing has happened for `silence_s` while the agent only listens."""
    while True:
        count = len(caller.events)
        state = next((e["state"] for e in reversed(caller.events) if e["type"] == "state.changed"), "")
        await asyncio.sleep(silence_s)
        if state == "listening" and len(caller.events) == count:
            return


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event, ensure_ascii=False), flush=True)


def _print_event(event: dict[str, Any]) -> None:
    hidden = ("type", "call_id", "seq", "time")
    fields = "  ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in event.items() if k not in hidden)
    print(f"{event['time']:8.3f}  {event['type']:<22} {fields}", flush=True)


if __name__ == "__main__":
    main()
