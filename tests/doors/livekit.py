"""Programs that talk over LiveKit's wire: PyPI's `livekit` in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from media_server.call import Session
from media_server.doors.livekit.line import RoomLine
from media_server.rtc import Edge
from media_server.rtc.link import Link
from media_server.server import Server

CLIENT = Path(__file__).parent / "clients" / "livekit_client.py"
Event = dict[str, Any]


def call_of(server: Server) -> tuple[Session, RoomLine]:
    """The one call, and its line."""
    (session,) = server.sessions._by_id.values()
    assert isinstance(session, Session)
    assert isinstance(session.line, RoomLine)
    return session, session.line


async def own_token(server: Server, agent: str = "desk", **more: Any) -> str:
    async with (
        aiohttp.ClientSession(server.url) as http,
        http.post("/v1/tokens", json={"agent": agent, "kind": "livekit", **more}) as response,
    ):
        assert response.status == 201, await response.text()
        return str((await response.json())["token"])


@contextlib.contextmanager
def media_cut() -> Iterator[None]:
    """No packet of any call's sound or data comes or goes, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Edge, "_take_stun", lambda *_: None)
        patch.setattr(Link, "take_media", lambda *_: False)
        patch.setattr(Link, "take_dtls", lambda *_: None)
        patch.setattr(Link, "send", lambda *_: None)
        yield


async def until(what: Callable[[], object], timeout_s: float = 10) -> None:
    """Wait for something that nothing tells of."""
    async with asyncio.timeout(timeout_s):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Program:
    """The program: `do` has it do something, `wait_for` waits for what it tells."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events: list[Event] = []
        self._process = process
        self._changed = asyncio.Event()

    def do(self, what: str, **more: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write((json.dumps({"do": what, **more}) + "\n").encode())

    async def wait_for(
        self, kind: str, where: Callable[[Event], bool] = lambda _: True, *, since: int = 0, timeout_s: float = 30.0
    ) -> Event:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for event in self.events[since:]:
                        assert event["event"] != "failed", event
                        if event["event"] == kind and where(event):
                            return event
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind}: {self.events[-20:]}") from None

    async def data(self, where: Callable[[Event], bool]) -> Event:
        """A message of the server's whose JSON fits."""
        event = await self.wait_for("data", lambda e: where(json.loads(e["text"])))
        return dict(json.loads(event["text"]))

    async def read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            self.events.append(json.loads(line))
            self._changed.set()


class Way:
    """The way of TCP connections to a server, which can be cut; use `way_to`."""

    def __init__(self, host: str, port: int) -> None:
        self.url = ""
        self._to = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Abort all connections; new ones may be made."""
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._to)
        self._writers |= {writer, back}
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._writers -= {writer, back}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def way_to(server: Server) -> AsyncIterator[Way]:
    """A port that leads to the server, while the block runs."""
    url = URL(server.url)
    assert url.host
    assert url.port
    way = Way(url.host, url.port)
    listening = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    way.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield way
    finally:
        listening.close()
        way.cut()


@contextlib.asynccontextmanager
async def program(packages: Path) -> AsyncIterator[Program]:
    """The program, while the block runs."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    running = Program(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
