"""`/v1/voice`: calls over a WebSocket, for programs and networks without WebRTC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, Json

from media_server.errors import ClientError
from media_server.events import Encoding
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.rtc import PcmFormat, SocketLine

__all__ = ["converse", "routes"]

HEARTBEAT_S = 10.0
LARGEST = 1024 * 1024
LAST_S = 3.0
"""For a client to take what is sent last."""
routes = web.RouteTableDef()


class _Wanted(BaseModel):
    """How the client sends sound, and at which rate it wants the agent's (int16, mono)."""

    model_config = ConfigDict(extra="forbid")

    agent: str | None = None
    """May be left out with a token, which says it."""
    token: str | None = None
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = 16_000
    channels: Annotated[int, Field(ge=1, le=2)] = 1
    encoding: Encoding = "pcm_s16le"
    voice_rate: Annotated[int, Field(ge=8000, le=48000)] = 24_000
    metadata: Json[dict[str, Any]] = {}
    variables: Json[dict[str, str | int | float | bool]] = {}


@routes.get("/v1/voice")
@operation("Talk over a WebSocket", scope="call", query=_Wanted, answers={101: None})
async def voice(request: web.Request) -> web.StreamResponse:
    """Binary messages are sound, both ways; text ones the events and messages of the channel."""
    wanted = validated(_Wanted, dict(request.query))
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=LARGEST)
    if not socket.can_prepare(request):
        raise ClientError("no_websocket", "This is a WebSocket; the request is none.")
    sessions = request.app[SESSIONS]
    sessions.check_room()
    if wanted.agent is None:
        agent, start = await request.app[ACCESS].start_call_of_token(request)
    else:
        agent, start = wanted.agent, await request.app[ACCESS].start_call(request, wanted.agent, "webrtc")
    session = await sessions.open_socket(
        agent, lambda clock, _: SocketLine(clock, wanted.voice_rate), wanted.metadata, wanted.variables, start
    )
    session.line.format = PcmFormat(wanted.sample_rate, wanted.channels, wanted.encoding)
    session.line.send({"type": "session.opened", "session_id": session.id, "call_id": session.call_id})

    async def take_text(text: str) -> None:
        session.receive(text)

    try:
        await socket.prepare(request)
    except BaseException:
        session.line.gone.set()
        raise
    session.line.connected.set()
    await converse(socket, session.line, take_text, session.line.hear)
    return socket


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
