"""`calls`, `agents` and `tokens`: commands that ask a running server."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from media_server.cli.options import command, server_options
from media_server.cli.parser import number, seconds
from media_server.errors import MediaServerError
from media_server.plain import plain

__all__ = ["add"]


def add(commands: Any) -> None:
    calls = command(
        commands, "calls", "list call records, or show one", "List call records, the newest first, or show one."
    )
    server_options(calls)
    calls.add_argument("id", nargs="?", help="of a call: what was said and done in it")
    calls.add_argument("--agent", help="only with this one")
    calls.add_argument("--status", choices=["queued", "active", "completed", "failed"], help="only in this state")
    calls.add_argument(
        "--limit", type=number("the count of calls", 1, 200), default=20, metavar="N", help="how many (%(default)s)"
    )
    calls.set_defaults(run=_calls)

    agents = command(commands, "agents", "list the agents of a server", "List the agents of a server.")
    server_options(agents)
    agents.set_defaults(run=_agents)

    tokens = command(commands, "tokens", "make a token for one call", "Make a token for one call and print it.")
    server_options(tokens)
    tokens.add_argument("agent", help="with whom")
    tokens.add_argument(
        "--kind", choices=["webrtc", "chat"], default="webrtc", help="a call by voice, or in writing (%(default)s)"
    )
    tokens.add_argument(
        "--ttl",
        type=seconds("a lifetime", 3600),
        default=60,
        metavar="S",
        help="how long it is good (%(default)s)",
    )
    tokens.add_argument("--metadata", default="{}", metavar="JSON", help="an object that the page cannot change")
    tokens.set_defaults(run=_tokens)


def _agents(args: argparse.Namespace) -> int:
    from media_server.client import understood

    answer = asyncio.run(_ask(args, "GET", "/v1/agents"))
    with understood(args.url):
        names = [str(agent["name"]) for agent in answer["agents"]]
    for name in names:
        print(plain(name))
    return 0


def _tokens(args: argparse.Namespace) -> int:
    from media_server.client import create_token

    try:
        metadata = json.loads(args.metadata)
    except ValueError as e:
        raise MediaServerError("bad_option", f"--metadata is not valid JSON: {e}.") from e
    if not isinstance(metadata, dict):
        raise MediaServerError(
            "bad_option", f'--metadata is a JSON object, like {{"contact": "ann"}}, not {args.metadata}.'
        )
    options = {"key": args.key, "kind": args.kind, "ttl_s": args.ttl, "metadata": metadata, "verify": not args.insecure}
    made = asyncio.run(create_token(args.url, args.agent, **options))
    print(made.token)
    if args.kind == "webrtc":
        page = f"{args.url.rstrip('/')}/?agent={quote(args.agent)}&token={quote(made.token)}"
        print(f"Open this page within {made.expires_in_s:g} s: {page}", file=sys.stderr)
    return 0


def _calls(args: argparse.Namespace) -> int:
    from media_server.client import understood

    if args.id:
        record = asyncio.run(_ask(args, "GET", f"/v1/calls/{quote(args.id, safe='')}"))
        with understood(args.url):
            lines = [_line(record), *_said(record)]
    else:
        query = {k: v for k, v in (("agent", args.agent), ("status", args.status), ("limit", str(args.limit))) if v}
        answer = asyncio.run(_ask(args, "GET", "/v1/calls", params=query))
        with understood(args.url):
            lines = [_line(record) for record in answer["calls"]]
    for line in lines:
        print(line)
    return 0


def _said(record: dict[str, Any]) -> Iterator[str]:
    for said in sorted([*record["transcript"], *record["tools"]], key=lambda s: float(s["at_s"])):
        if "name" in said:
            what = json.dumps(said.get("result", said.get("error")), ensure_ascii=False)
            given = json.dumps(said.get("arguments", {}), ensure_ascii=False)
            yield plain(f"{said['at_s']:8.1f}  tool   {said['name']} {given} → {what}")
        else:
            who = "caller" if said["role"] == "user" else "agent"
            text = plain(said["text"]).replace("\n", f"\n{'':17}")
            yield f"{said['at_s']:8.1f}  {who:<6} {text}{' …' if said.get('interrupted') else ''}"


def _line(record: dict[str, Any]) -> str:
    lasted = "" if record["duration_s"] is None else f"{record['duration_s']:.1f} s"
    began = record["started_at"][:19].replace("T", " ")
    ended = f"{record['status']:<9} {record['end_reason'] or '':<16}"
    return f"{record['id']}  {began}  {lasted:>8}  {ended} {record['agent']}"


async def _ask(args: argparse.Namespace, method: str, path: str, **options: Any) -> Any:
    from media_server.client import ask

    return await ask(args.url, method, path, key=args.key, verify=not args.insecure, **options)
