"""`/v1/voice`: calls over a WebSocket, for programs and networks without WebRTC."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, Json

from media_server.call import Session
from media_server.events import Encoding
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import converse, new_socket
from media_server.rtc import Handset, PcmFormat, SocketLine, SocketWire

__all__ = ["routes"]

LARGEST = 1024 * 1024
routes = web.RouteTableDef()


class _Wanted(BaseModel):
    """How the client sends sound, and how it wants the agent's (mono).

    `session` goes on with a call whose connection was lost, after `received` messages; what came before
    `session.opened` does not count.
    """

    model_config = ConfigDict(extra="forbid")

    agent: str | None = None
    """May be left out with a token, which says it."""
    token: str | None = None
    session: str | None = None
    received: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = 16_000
    channels: Annotated[int, Field(ge=1, le=2)] = 1
    encoding: Encoding = "pcm_s16le"
    voice_rate: Annotated[int, Field(ge=8000, le=48000)] = 24_000
    voice_encoding: Encoding = "pcm_s16le"
    metadata: Json[dict[str, Any]] = {}
    variables: Json[dict[str, str | int | FiniteFloat | bool]] = {}


@routes.get("/v1/voice")
@operation("Talk over a WebSocket", scope="call", query=_Wanted, answers={101: None})
async def voice(request: web.Request) -> web.StreamResponse:
    """Binary messages are sound, both ways; text ones the events and messages of the channel."""
    wanted = validated(_Wanted, dict(request.query))
    socket = new_socket(request, LARGEST)
    sessions = request.app[SESSIONS]

    def new_line(handset: Handset) -> SocketLine:
        microphone = PcmFormat(wanted.sample_rate, wanted.channels, wanted.encoding)
        voice = PcmFormat(wanted.voice_rate, encoding=wanted.voice_encoding)
        return SocketLine(handset, SocketWire(microphone, voice))

    if wanted.session is not None:
        session = sessions.get(wanted.session)
        line = new_line(session.handset)
        line.send(_opened(session))
        session.take(line, wanted.received)
    else:
        sessions.check_room()
        agent, start = await request.app[ACCESS].start(request, wanted.agent, "webrtc")
        session, line = await sessions.open_line(agent, new_line, wanted.metadata, wanted.variables, start)
        line.send(_opened(session))

    async def take_text(text: str) -> None:
        session.receive(text)

    try:
        await socket.prepare(request)
    except BaseException:
        line.gone.set()
        raise
    line.connected.set()
    await converse(socket, line, take_text, line.hear)
    return socket


def _opened(session: Session) -> dict[str, str]:
    return {"type": "session.opened", "session_id": session.id, "call_id": session.call_id}
