"""WebSockets: opening one, and carrying messages between it and a call's line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from media_server.errors import ClientError
from media_server.rtc import SocketLine

__all__ = ["converse", "new_socket", "until_first"]

HEARTBEAT_S = 10.0
LOST = (None, WSCloseCode.ABNORMAL_CLOSURE)
"""How sockets close whose client did not say so."""
LAST_S = 3.0
"""For a client to take what is sent last."""


def new_socket(request: web.Request, largest: int, heartbeat_s: float = HEARTBEAT_S) -> web.WebSocketResponse:
    """A WebSocket for this request, to be prepared; messages may have `largest` bytes.

    Raises:
        ClientError: `no_websocket`: the request asks for none.
    """
    socket = web.WebSocketResponse(heartbeat=heartbeat_s, max_msg_size=largest)
    if not socket.can_prepare(request):
        raise ClientError("no_websocket", "This is a WebSocket; the request is none.")
    return socket


async def until_first(*parts: Coroutine[Any, Any, object]) -> None:
    """Run them side by side until one is done, or fails; the others are cancelled then.

    Raises:
        Exception: what one of them raised, unless it is that the client is gone.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for failed in ended:
        if isinstance(failed, Exception) and not isinstance(failed, ConnectionError):
            raise failed


async def converse(
    socket: web.WebSocketResponse,
    line: SocketLine,
    take_text: Callable[[str], Awaitable[None]],
    take_sound: Callable[[bytes], Awaitable[None]],
    code: Callable[[], int] = lambda: WSCloseCode.OK,
) -> None:
    """Carry messages between a socket and a line until either is gone; then both are, with this code."""

    async def write() -> None:
        while (item := await line.next()) is not None:
            await (socket.send_str(item) if isinstance(item, str) else socket.send_bytes(item))

    async def read() -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await take_text(message.data)
            elif message.type is WSMsgType.BINARY:
                await take_sound(message.data)

    writing, reading = asyncio.ensure_future(write()), asyncio.ensure_future(read())
    try:
        await asyncio.wait([writing, reading], return_when=asyncio.FIRST_COMPLETED)
    finally:
        line.hung_up = reading.done() and socket.close_code not in LOST
        line.gone.set()
        reading.cancel()
        if reading.done():
            writing.cancel()
        await asyncio.wait([reading, writing], timeout=LAST_S)
        writing.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
        await socket.close(code=code())
    for task in (reading, writing):
        failed = None if task.cancelled() else task.exception()
        if failed and not isinstance(failed, ConnectionError):
            raise failed
