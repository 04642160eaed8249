"""`call`, `chat`, `calls`, `agents` and `tokens`: commands that talk to a server that is running."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from media_server.cli.options import command
from media_server.errors import MediaServerError

__all__ = ["add"]

CHAT = """\
Talk with an agent in writing: a line is a turn, an empty one or Ctrl-D ends it. Tools are shown as they are used.
"""

CALL = """\
Place a call, speak a recording, print what happens and write the agent's answer to a file.

The recording may be of any format and rate. The call ends when the agent has been silent for a while after it.
"""


def add(commands: Any) -> None:
    call = command(commands, "call", "place a call without a browser", CALL)
    call.add_argument("--wav", type=Path, required=True, help="what the caller says")
    call.add_argument("--out", type=Path, help="where the agent's voice is written, as WAV")
    _server_options(call)
    call.add_argument("--agent", default="assistant", help="whom to call (%(default)s)")
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

    chat = command(commands, "chat", "talk with an agent in writing", CHAT)
    _server_options(chat)
    chat.add_argument("--agent", default="assistant", help="with whom (%(default)s)")
    chat.set_defaults(run=_chat)

    calls = command(
        commands, "calls", "list call records, or show one", "List call records, the newest first, or show one."
    )
    _server_options(calls)
    calls.add_argument("id", nargs="?", help="of a call: what was said and done in it")
    calls.add_argument("--agent", help="only with this one")
    calls.add_argument("--status", choices=["queued", "active", "completed", "failed"])
    calls.add_argument("--limit", type=int, default=20, help="(%(default)s)")
    calls.set_defaults(run=_calls)

    agents = command(commands, "agents", "list the agents of a server", "List the agents of a server.")
    _server_options(agents)
    agents.set_defaults(run=_agents)

    tokens = command(commands, "tokens", "make a token for one call", "Make a token for one call and print it.")
    _server_options(tokens)
    tokens.add_argument("agent", help="with whom")
    tokens.add_argument("--kind", choices=["webrtc", "chat"], default="webrtc", help="(%(default)s)")
    tokens.add_argument("--ttl", type=float, default=60, metavar="S", help="how long it is good (%(default)s)")
    tokens.add_argument("--metadata", default="{}", help="a JSON object that the page cannot change")
    tokens.set_defaults(run=_tokens)


def _server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the server (%(default)s)")
    parser.add_argument("--key", default="", help="an API key or a token, where the server asks for one")
    parser.add_argument("--insecure", action="store_true", help="take any certificate, also one the server made itself")


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
        caller = Caller(args.url, args.agent, auth=args.key)
        caller.verify = not args.insecure
        caller.on_event = _print_json if args.json else _print_event
        async with caller:
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
    return 0 if caller.of("agent.speech_stopped") else 1


async def _silence(caller: Any, silence_s: float) -> None:
    """Return when nothing has happened for `silence_s` while the agent only listens."""
    while True:
        count = len(caller.events)
        states = caller.of("state.changed")
        await asyncio.sleep(silence_s)
        if states and states[-1]["state"] == "listening" and len(caller.events) == count:
            return


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event, ensure_ascii=False), flush=True)


def _print_event(event: dict[str, Any]) -> None:
    hidden = ("type", "call_id", "seq", "time")
    fields = "  ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in event.items() if k not in hidden)
    match event:
        case {"type": kind, "time": time_s}:
            print(f"{time_s:8.3f}  {kind:<22} {fields}", flush=True)


def _agents(args: argparse.Namespace) -> int:
    for agent in asyncio.run(_ask(args, "GET", "/v1/agents"))["agents"]:
        print(agent["name"])
    return 0


def _tokens(args: argparse.Namespace) -> int:
    from media_server.client import create_token

    try:
        metadata = json.loads(args.metadata)
    except ValueError as e:
        raise MediaServerError("bad_option", f"--metadata is not valid JSON: {e}.") from e
    options = {"key": args.key, "kind": args.kind, "ttl_s": args.ttl, "metadata": metadata, "verify": not args.insecure}
    print(asyncio.run(create_token(args.url, args.agent, **options)).token)
    return 0


def _calls(args: argparse.Namespace) -> int:
    if args.id:
        record = asyncio.run(_ask(args, "GET", f"/v1/calls/{args.id}"))
        print(_line(record))
        for said in sorted([*record["transcript"], *record["tools"]], key=lambda s: float(s["at_s"])):
            if "name" in said:
                what = json.dumps(said.get("result", said.get("error")), ensure_ascii=False)
                given = json.dumps(said.get("arguments", {}), ensure_ascii=False)
                print(f"{said['at_s']:8.1f}  tool   {said['name']} {given} → {what}")
            else:
                who = "caller" if said["role"] == "user" else "agent"
                print(f"{said['at_s']:8.1f}  {who:<6} {said['text']}{' …' if said.get('interrupted') else ''}")
        return 0
    query = {k: v for k, v in (("agent", args.agent), ("status", args.status), ("limit", str(args.limit))) if v}
    for record in asyncio.run(_ask(args, "GET", "/v1/calls", params=query))["calls"]:
        print(_line(record))
    return 0


def _line(record: dict[str, Any]) -> str:
    lasted = "" if record["duration_s"] is None else f"{record['duration_s']:.1f} s"
    began = record["started_at"][:19].replace("T", " ")
    ended = f"{record['status']:<9} {record['end_reason'] or '':<16}"
    return f"{record['id']}  {began}  {lasted:>8}  {ended} {record['agent']}"


async def _ask(args: argparse.Namespace, method: str, path: str, **options: Any) -> Any:
    from media_server.client import ask

    return await ask(args.url, method, path, key=args.key, verify=not args.insecure, **options)


def _chat(args: argparse.Namespace) -> int:
    return asyncio.run(_converse(args))


async def _converse(args: argparse.Namespace) -> int:
    import aiohttp

    headers = {"Authorization": f"Bearer {args.key}"} if args.key else {}
    url = f"{args.url.rstrip('/')}/v1/chat"
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.ws_connect(url, params={"agent": args.agent}, ssl=not args.insecure) as socket,
        ):
            answered = asyncio.Event()
            reading = asyncio.create_task(_type(socket, answered))
            try:
                async for message in socket:
                    event = json.loads(message.data)
                    _print_chat(event)
                    match event:
                        case {"type": "agent.text"}:
                            answered.set()
            finally:
                reading.cancel()
    except aiohttp.WSServerHandshakeError as e:
        reason = f"{url} answered with status {e.status}; is there such an agent, and a key?"
        raise MediaServerError("refused", reason) from e
    except aiohttp.ClientConnectionError as e:
        raise MediaServerError("no_server", f"Nobody answers at {args.url}: {e}.") from e
    return 0


async def _type(socket: Any, answered: asyncio.Event) -> None:
    """What is typed, line by line, each when the one before is answered."""
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        answered.clear()
        await socket.send_json({"type": "text.send", "text": line})
        await answered.wait()
    await socket.send_json({"type": "call.end"})


def _print_chat(event: dict[str, Any]) -> None:
    match event:
        case {"type": "agent.text", "text": text}:
            print(text, flush=True)
        case {"type": "tool.called", "name": name}:
            print(f"  [{name} {json.dumps(event.get('arguments', {}), ensure_ascii=False)}]", flush=True)
        case {"type": "warning" | "error", "message": message}:
            print(f"  [{message}]", flush=True)
        case {"type": "call.ended", "reason": reason}:
            print(f"  [{reason}]", flush=True)
