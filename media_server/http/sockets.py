"""WebSockets: opening one, pacing what comes over it, and carrying messages between it and a call's line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from media_server.complexity import MAX_VALUES, values_in
from media_server.errors import ClientError
from media_server.jsonable import sound
from media_server.rtc import SocketLine
from media_server.tasks import first_of

__all__ = ["PacedSocket", "converse", "new_socket", "until_first"]

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
LOST = (None, WSCloseCode.ABNORMAL_CLOSURE)
"""How sockets close whose client did not say so."""
LAST_S = 3.0
"""Seconds for a client to take what is sent last."""


PER_S = 600.0
"""Messages a second that a client may send for long: sound comes in 50 to 400 …"""
AT_ONCE = 3000.0
"""… and at once, after its network stood still."""
EMPTY = 30.0
"""How many messages an empty one counts for: nobody has a reason to send it."""
TURN_S = 0.004
"""Time on the event loop after which others have their turn."""
SEND_AWAY_S = 0.3
"""Seconds for a client that floods the server to be told so."""


class PacedSocket(web.WebSocketResponse):
    """A WebSocket whose messages are counted, also empty ones, pings and pongs, and which lets others have their turn.

    One that sends too many is closed with the code 1008; one that sends too large a message, or one with too many
    values, with 1009; one that sends text that is not UTF-8, with 1007.
    """

    def __init__(self, largest: int, heartbeat_s: float) -> None:
        # compression would let a few bytes become a message of any size, and saves nothing: sound does not shrink
        # text stays bytes until its values are counted: decoding 14 MB that are refused anyway takes 14 ms
        super().__init__(heartbeat=heartbeat_s, max_msg_size=largest, compress=False, autoping=False, decode_text=False)
        self._clock = asyncio.get_running_loop().time
        self._allowance, self._counted_s = AT_ONCE, self._clock()
        self._turn_s = self._counted_s
        self._heard = asyncio.Event()
        """Set by whatever comes."""
        self.sent_away = False
        """Whether the client sent more than can be borne."""

    async def receive(self, timeout: float | None = None) -> WSMessage:
        while True:
            message: WSMessage = await super().receive(timeout)
            self._heard.set()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return message
            if not self._in_time(message):
                await self._send_away(WSCloseCode.POLICY_VIOLATION, "too many messages")
                return WSMessage(WSMsgType.CLOSED, None, None)
            if (now := self._clock()) - self._turn_s > TURN_S:
                await asyncio.sleep(0)
                now = self._clock()
            self._turn_s = now if now - self._turn_s > TURN_S else self._turn_s
            if message.type is WSMsgType.PING:
                await self.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                return await self._text(message.data)
            elif message.type is not WSMsgType.PONG:
                return message

    async def _text(self, data: bytes) -> WSMessage:
        """The message with its text; one that has too many values, or is no UTF-8, closes the connection."""
        if values_in(data) > MAX_VALUES:
            await self._send_away(WSCloseCode.MESSAGE_TOO_BIG, "too many values in a message")
            return WSMessage(WSMsgType.CLOSED, None, None)
        try:
            return WSMessage(WSMsgType.TEXT, data.decode(), "")
        except UnicodeDecodeError:
            await self.close(code=WSCloseCode.INVALID_TEXT, message=b"text that is not UTF-8")
            return WSMessage(WSMsgType.CLOSED, None, None)

    async def send_str(self, data: str, compress: int | None = None) -> None:
        try:
            await super().send_str(data, compress)
        except UnicodeEncodeError:  # half a surrogate of somebody's, which must not end the connection
            await super().send_str(sound(data), compress)

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        closed = await super().close(code=code, message=message, drain=drain)
        if failed := self.exception():
            # aiohttp keeps it, and it what its frames held, the last message too: a circle, until Python looks for it
            failed.__traceback__ = None
        return closed

    async def answers(self, within_s: float) -> bool:
        """Whether the client answers a ping in time; somebody has to be receiving meanwhile."""
        self._heard.clear()
        try:
            async with asyncio.timeout(within_s):
                await self.ping()
                await self._heard.wait()
        except (TimeoutError, ConnectionError):
            return False
        return not self.closed

    def _on_data_received(self) -> None:
        # aiohttp starts its heartbeat anew even after the close, and what a flood left would wait for it in memory
        if not self.closed:
            super()._on_data_received()

    def _in_time(self, message: WSMessage) -> bool:
        """Whether one more can be borne."""
        now = self._clock()
        self._allowance = min(AT_ONCE, self._allowance + (now - self._counted_s) * PER_S) - (
            1 if message.data else EMPTY
        )
        self._counted_s = now
        return self._allowance > 0

    async def _send_away(self, code: WSCloseCode, why: str) -> None:
        self.sent_away = True
        log.warning("a client sent more over its WebSocket than can be borne, and was sent away: %s", why)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(SEND_AWAY_S):
                await self.close(code=code, message=why.encode())


def new_socket(request: web.Request, largest: int, heartbeat_s: float = HEARTBEAT_S) -> PacedSocket:
    """A WebSocket for this request, to be prepared; messages may have `largest` bytes.

    Raises:
        ClientError: `no_websocket`: the request asks for none.
    """
    socket = PacedSocket(largest, heartbeat_s)
    if not socket.can_prepare(request):
        raise ClientError("no_websocket", "This address needs a WebSocket connection.")
    return socket


async def until_first(*parts: Coroutine[Any, Any, object]) -> None:
    """Run them side by side until one is done, or fails; the others are cancelled then.

    Raises:
        Exception: what one of them raised, unless it is that the client is gone.
    """
    await first_of(*(_while_connected(part) for part in parts))


async def _while_connected(part: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(ConnectionError):
        await part


async def converse(
    socket: PacedSocket,
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
        line.closed_by_peer = socket.sent_away or (reading.done() and socket.close_code not in LOST)
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
