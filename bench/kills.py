"""What is left of calls when processes die: `python -m bench.kills --servers 100 --hosts 50 --stops 50`.

Servers are killed (SIGKILL) at random moments of chats, engines' processes in the middle of turns, and servers are
stopped in order (SIGTERM) with many calls under way. Afterwards the records are compared with what the clients were
told, and the webhooks with the records: nothing may be missing that was told 20 ms before, and nothing be there twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

from bench.hostile import Attacked, attacked_server

__all__ = ["Told", "kill_hosts", "kill_servers", "stop_servers"]

SECRET = "whsec_" + "A" * 32
TOLD_S = 0.02
"""How long before its death a server must have told something for it to be in the records."""
CALLS = 8
"""Chats under way when a server is killed."""


class Told:
    """What webhooks and clients were told."""

    def __init__(self) -> None:
        self.webhooks: Counter[tuple[str, str]] = Counter()
        """Messages by call and type; a message that comes twice with the same id counts once."""
        self.turns: dict[str, list[tuple[float, str]]] = {}
        """Answers by call, each with the time at which it was told."""
        self._ids: set[str] = set()

    @contextlib.asynccontextmanager
    async def receiver(self) -> AsyncIterator[str]:
        """A receiver of webhooks; its address."""

        async def take(request: web.Request) -> web.Response:
            message = await request.json()
            if request.headers["webhook-id"] not in self._ids:
                self._ids.add(request.headers["webhook-id"])
                self.webhooks[message["data"]["call_id"], message["type"]] += 1
            return web.Response()

        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()

    async def chat(self, url: str) -> None:
        """Say something again and again, until the server is gone."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with (
                aiohttp.ClientSession(url) as http,
                http.ws_connect("/v1/chat", params={"agent": "assistant"}) as socket,
            ):
                call_id = ""
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return
                    event: dict[str, Any] = json.loads(message.data)
                    if event["type"] == "session.opened":
                        call_id = event["call_id"]
                        self.turns[call_id] = []
                        await socket.send_json({"type": "text.send", "text": "hello"})
                    elif event["type"] == "agent.text":
                        self.turns[call_id].append((time.monotonic(), event["text"]))
                    if event["type"] in ("agent.text", "error"):
                        await socket.send_json({"type": "text.send", "text": "what is two plus two"})


def configure(folder: Path, webhook: str) -> None:
    """Settings for the servers of one run."""
    (folder / "media_server.toml").write_text(
        f'max_calls = 40\nserver_name = "one"\n[[webhooks]]\nurl = "{webhook}"\nsecret = "{SECRET}"\n'
        'events = ["call.started", "call.ended"]\n'
    )


async def kill_servers(folder: Path, rounds: int) -> list[str]:
    """Kill a server at a random moment, and again; what is wrong afterwards."""
    told, died = Told(), dict[str, float]()
    async with told.receiver() as webhook:
        configure(folder, webhook)
        for _ in range(rounds):
            async with attacked_server(folder) as server:
                before = set(told.turns)
                chats = [asyncio.create_task(told.chat(server.url)) for _ in range(CALLS)]
                await asyncio.sleep(random.uniform(0.0, 2.5))
                server.process.send_signal(signal.SIGKILL)
                at = time.monotonic()
                await asyncio.gather(*chats)
                died |= dict.fromkeys(set(told.turns) - before, at)
        async with attacked_server(folder):
            await _delivered(folder)
    return _wrong(folder, told, died)


async def kill_hosts(folder: Path, rounds: int) -> list[str]:
    """Kill an engine's process in the middle of turns, one after the other; what is wrong afterwards."""
    told = Told()
    async with told.receiver() as webhook:
        configure(folder, webhook)
        async with attacked_server(folder) as server:
            chats = [asyncio.create_task(told.chat(server.url)) for _ in range(2)]
            for _ in range(rounds):
                turns = sum(len(each) for each in told.turns.values())
                await asyncio.sleep(random.uniform(0.1, 0.6))
                with contextlib.suppress(IndexError, psutil.Error):  # one is just being started again
                    random.choice(server.process.children()).send_signal(signal.SIGKILL)
                async with asyncio.timeout(60):
                    while sum(len(each) for each in told.turns.values()) <= turns:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            for chat in chats:
                chat.cancel()
            await asyncio.gather(*chats, return_exceptions=True)
            await server.settled()
            await _delivered(folder)
    return _wrong(folder, told, dict.fromkeys(told.turns, time.monotonic()))


async def stop_servers(folder: Path, rounds: int, calls: int) -> tuple[int, list[str]]:
    """Stop a server in order with so many calls under way; the ends that were written, and what is wrong."""
    told = Told()
    async with told.receiver() as webhook:
        configure(folder, webhook)
        for _ in range(rounds):
            async with attacked_server(folder) as server:
                before = len(told.turns)
                chats = [asyncio.create_task(told.chat(server.url)) for _ in range(calls)]
                async with asyncio.timeout(60):
                    while len(told.turns) < before + calls:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                await asyncio.sleep(random.uniform(0.0, 0.5))
                server.process.send_signal(signal.SIGTERM)
                await asyncio.gather(*chats)
                await _gone(server)
    with sqlite3.connect(folder / "x.sqlite") as database:
        ends = database.execute("SELECT id, status, end_reason FROM calls").fetchall()
        events = database.execute("SELECT count(*) FROM events WHERE json_extract(event, '$.type') = 'call.ended'")
        written = events.fetchone()[0]
    wrong = [f"{call_id} is {status}: {reason}" for call_id, status, reason in ends if reason != "server_shutdown"]
    return written, wrong


async def _gone(server: Attacked) -> None:
    async with asyncio.timeout(60):
        while server.process.is_running() and server.process.status() != "zombie":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _delivered(folder: Path) -> None:
    """Wait until no webhook waits."""
    await asyncio.sleep(1)  # for the last events to be written
    for _ in range(300):
        with sqlite3.connect(folder / "x.sqlite") as database:
            if not database.execute("SELECT count(*) FROM deliveries WHERE state = 'pending'").fetchone()[0]:
                return
        await asyncio.sleep(0.1)


def _wrong(folder: Path, told: Told, died: dict[str, float]) -> list[str]:
    """What is missing in the records, open in them, or there twice."""
    wrong = []
    with sqlite3.connect(folder / "x.sqlite") as database:
        calls = dict(database.execute("SELECT id, status FROM calls").fetchall())
        rows = database.execute("SELECT call_id, event FROM events ORDER BY id").fetchall()
    events: dict[str, list[dict[str, Any]]] = {}
    for call_id, event in rows:
        events.setdefault(call_id, []).append(json.loads(event))
    for call_id, turns in told.turns.items():
        if calls.get(call_id) not in ("completed", "failed"):
            wrong.append(f"{call_id} is {calls.get(call_id)} in the records")
        kept = [e for e in events.get(call_id, ()) if e["type"] == "agent.text"]
        due = [text for at, text in turns if at < died[call_id] - TOLD_S]
        if [e["text"] for e in kept][: len(due)] != due:
            wrong.append(f"{call_id}: {len(due)} answers were told, {len(kept)} are in the records")
        numbers = [e["seq"] for e in events.get(call_id, ()) if "seq" in e]
        if len(set(numbers)) != len(numbers):
            wrong.append(f"{call_id}: events are in the records twice")
        if sum(e["type"] == "call.ended" for e in events.get(call_id, ())) != 1:
            wrong.append(f"{call_id} does not end once")
    for call_id in calls:
        if told.webhooks[call_id, "call.ended"] != 1:
            wrong.append(f"{call_id}: {told.webhooks[call_id, 'call.ended']} webhooks of its end")
    return wrong


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=5, help="kills of the server (5)")
    parser.add_argument("--hosts", type=int, default=5, help="kills of engines' processes (5)")
    parser.add_argument("--stops", type=int, default=3, help="orderly stops (3)")
    parser.add_argument("--calls", type=int, default=32, help="calls under way at each stop (32)")
    args = parser.parse_args()
    for name, work in (("servers killed", kill_servers), ("hosts killed", kill_hosts)):
        rounds = args.servers if work is kill_servers else args.hosts
        if rounds:
            with tempfile.TemporaryDirectory() as folder:
                wrong = await work(Path(folder), rounds)
            print(f"{rounds} {name}: {len(wrong)} things wrong", *wrong[:20], sep="\n  ", flush=True)
    if args.stops:
        with tempfile.TemporaryDirectory() as folder:
            written, wrong = await stop_servers(Path(folder), args.stops, args.calls)
        print(
            f"{args.stops} stops with {args.calls} calls: {written} ends written", *wrong[:20], sep="\n  ", flush=True
        )


if __name__ == "__main__":
    asyncio.run(main())
