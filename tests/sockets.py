"""A client on a WebSocket: keeps what comes, and waits for what is to come."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import aiohttp

__all__ = ["SocketClient", "connected"]


class SocketClient:
    """JSON messages by their `kind_key`, and sound. What a protocol wants done with either is in `took` and `heard`."""

    kind_key = "type"

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.sound = b""
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    async def took(self, message: dict[str, Any]) -> None:
        """A message came."""

    async def heard(self, sound: bytes) -> None:
        """Sound came."""

    async def read(self) -> None:
        try:
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.sound += message.data
                    await self.heard(message.data)
                else:
                    self.messages.append(json.loads(message.data))
                    await self.took(self.messages[-1])
                self._changed.set()
        finally:
            self.closed.set()
            self._changed.set()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m.get(self.kind_key) == kind]

    async def wait_for(self, kind: str, since: int = 0, **fields: Any) -> dict[str, Any]:
        """The first message of a kind with these fields, from the `since`-th on."""
        async with asyncio.timeout(15):
            while True:
                for m in self.messages[since:]:
                    if m.get(self.kind_key) == kind and all(m.get(k) == v for k, v in fields.items()):
                        return m
                self._changed.clear()
                await self._changed.wait()

    async def nth(self, kind: str, n: int) -> None:
        """Wait until so many messages of a kind have come."""
        async with asyncio.timeout(15):
            while len(self.of(kind)) < n:
                self._changed.clear()
                await self._changed.wait()

    async def speak_bytes(self, data: bytes, size: int, second: int) -> int:
        """Send bytes, `size` at a time, `second` of them in one; how many messages it took."""
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        clock = asyncio.get_running_loop().time
        due_s = clock()
        for chunk in chunks:
            await self.socket.send_bytes(chunk)
            due_s += len(chunk) / second  # a microphone does not fall behind, however busy the machine is
            await asyncio.sleep(max(0.0, due_s - clock()))
        return len(chunks)


C = TypeVar("C", bound=SocketClient)


@contextlib.asynccontextmanager
async def connected(kind: type[C], url: str, headers: dict[str, str] | None = None, **query: Any) -> AsyncIterator[C]:
    """A client of this kind, reading."""
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(url, params=query) as socket:
        client = kind(socket)
        reading = asyncio.create_task(client.read())
        try:
            yield client
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            # what the client found wrong is the test's to fail for
            if not reading.cancelled() and (failed := reading.exception()):
                raise failed
