"""NextEVI's door: `/ws/voice/{connection_id}`."""

from __future__ import annotations

import asyncio
import io
import wave
from dataclasses import replace
from typing import Annotated

import numpy as np
from aiohttp import WSCloseCode, web
from pydantic import BaseModel, ConfigDict, Field

from media_server.agents import EMOTIONS
from media_server.audio import Samples
from media_server.call import Session
from media_server.doors.nextevi.dialect import AudioInput, EndTurn, NextEvi, SessionSettings
from media_server.errors import ClientError
from media_server.events import SessionUpdate, TurnEnd
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import PacedSocket, converse, new_socket
from media_server.rtc import Handset, PcmFormat, SocketLine, SocketWire
from media_server.store.keys import digest

__all__ = ["routes"]

BARGE_IN_TIMEOUT_S = 1.0
"""Seconds for a client's settings, before the agent says anything."""
PLAYER_S = 0.6
"""Seconds for the SDK to make its player, half a second after its settings; what came before would be lost."""
LEAD_S = 0.3
"""Seconds of sound sent ahead: few, since the SDK does not empty its queue when it is interrupted."""
PACKET_S = 0.1
LARGEST = 15 * 1024 * 1024
MAX_SOUND = 10 * 1024 * 1024
CODES = {
    400: (4400, "INVALID_CONFIG"), 401: (4401, "AUTHENTICATION_FAILED"), 402: (4429, "AUTHENTICATION_FAILED"),
    403: (4403, "AUTHENTICATION_FAILED"), 404: (4404, "CONFIG_NOT_FOUND"), 409: (4429, "CONNECTION_FAILED"),
    429: (4429, "CONNECTION_FAILED"), 503: (4503, "CONNECTION_FAILED"),
}  # fmt: skip
"""The code with which the socket closes, and NextEVI's name, by the HTTP status of our refusals. 4000 and above are
final for its clients."""
OWN_CODES = {
    "unknown_project": "PROJECT_NOT_FOUND", "token_expired": "JWT_TOKEN_EXPIRED", "token_unknown": "JWT_TOKEN_INVALID",
    "token_used": "JWT_TOKEN_INVALID",
}  # fmt: skip
"""The same by our code, where it says more."""
REPLACED = 4409
ENDINGS = {
    "silence": 4408,
    "server_shutdown": WSCloseCode.SERVICE_RESTART,
    "internal_error": WSCloseCode.SERVICE_RESTART,
}
routes = web.RouteTableDef()


class _Named(BaseModel):
    connection_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    config_id: str = ""
    project_id: str = ""


@routes.get("/ws/voice/{connection_id}")
@operation("NextEVI: a WebSocket", scope="call", query=_Wanted, answers={101: None})
async def nextevi(request: web.Request) -> web.StreamResponse:
    """What is refused is said in the socket, since a browser cannot read why an upgrade failed."""
    socket = new_socket(request, LARGEST)
    await socket.prepare(request)
    try:
        name = validated(_Named, {"connection_id": request.match_info["connection_id"]}).connection_id
        session = await _begun_with_same_secret(request, name)
        if session is None:
            session, begun = await _begin(request, name)
            if begun is not None:
                await _Conversation(session, begun).carry(socket)
                return socket
    except ClientError as refused:
        code, kind = CODES.get(refused.status, (4400, "INVALID_CONFIG"))
        await socket.send_json(NextEvi.error(OWN_CODES.get(refused.code, kind), refused.message))
        await socket.close(code=code)
        return socket
    await _Conversation(session, _new_line(session.handset, _dialect(session))).go_on(socket)
    return socket


async def _begun_with_same_secret(request: web.Request, name: str) -> Session | None:
    """The session of this name that began with the key or token which is shown again: a token is used up by then."""
    shown = request.app[ACCESS].credential(request) or ""
    found = request.app[SESSIONS].named(_of_secret(name, shown))
    allowed = shown or not await request.app[ACCESS].closed(request)
    return found if isinstance(found, Session) and allowed else None


async def _begin(request: web.Request, name: str) -> tuple[Session, SocketLine | None]:
    """A new session and its line; without a line one of the same tenant that goes on.

    Names are each tenant's own: another's connection of this name is as if there were none.
    """
    sessions, access = request.app[SESSIONS], request.app[ACCESS]
    wanted = validated(_Wanted, dict(request.query))
    if not sessions.has_named(_of_tenant(name, "")):
        sessions.check_room()  # before a token is used up for nothing
    start = await access.start_call(request, wanted.config_id, "webrtc")
    # its SDK cannot do without a project: a key that is of no tenant takes any
    if wanted.project_id and start.key and start.key.tenant and wanted.project_id != start.key.tenant:
        raise ClientError("unknown_project", f"The key is not for the project {wanted.project_id!r}.", status=403)
    if start.key:
        found = sessions.named(_of_tenant(name, start.key.tenant))
        if isinstance(found, Session):
            access.agent(start.key, found.call.agent.name)
            return found, None
    dialect = NextEvi(name, wanted.config_id, wanted.project_id)
    session, line = await sessions.open_line(
        wanted.config_id, lambda handset: _new_line(handset, dialect), {}, {}, start, dialect
    )
    sessions.name(session, _of_secret(name, access.credential(request) or ""), "")
    if start.key:
        sessions.name(session, _of_tenant(name, start.key.tenant), "")
    return session, line


def _of_secret(name: str, shown: str) -> str:
    return f"nextevi {name} shown {digest(shown)}"


def _of_tenant(name: str, tenant: str) -> str:
    return f"nextevi {name} tenant {tenant}"


def _new_line(handset: Handset, dialect: NextEvi) -> SocketLine:
    form = PcmFormat(dialect.rate_hz)
    return SocketLine(handset, SocketWire(form, form, lead_s=LEAD_S))


def _dialect(session: Session) -> NextEvi:
    assert isinstance(session.dialect, NextEvi)
    return session.dialect


class _Conversation:
    """What a connection's settings and sound do to its line."""

    def __init__(self, session: Session, line: SocketLine) -> None:
        self._session = session
        self._dialect = _dialect(session)
        self._dialect.feels = lambda: bool(session.call.agent.emotions)
        self._line = line
        self._begin = asyncio.get_running_loop().call_later(BARGE_IN_TIMEOUT_S, line.connected.set)
        self._choose_sound(PcmFormat(self._dialect.rate_hz))

    async def carry(self, socket: PacedSocket) -> None:
        """A new call."""
        self._line.send(self._dialect.connected(self._session.call_id))
        await self._converse(socket)

    async def go_on(self, socket: PacedSocket) -> None:
        """A call whose connection was lost."""
        self._line.send(self._dialect.connected(self._session.call_id))
        self._session.take(self._line)
        await self._converse(socket)

    async def _converse(self, socket: PacedSocket) -> None:
        try:
            await converse(socket, self._line, self._take_text, self._take_sound, self._code)
        finally:
            self._begin.cancel()

    def _code(self) -> int:
        return REPLACED if self._session.line is not self._line else ENDINGS.get(self._session.reason, 1000)

    def _choose_sound(self, microphone: PcmFormat) -> None:
        """Whole files, or raw sound."""
        wire = replace(self._line.wire, microphone=microphone)
        if self._dialect.manner == "sdk":
            voice, packed = PcmFormat(self._dialect.rate_hz), self._dialect.packed
            self._line.wire = replace(wire, voice=voice, packet_s=PACKET_S, packed=packed, clip=None)
        else:
            self._line.wire = replace(wire, clip=lambda samples: self._dialect.clip(samples, ""))

    async def _take_sound(self, data: bytes) -> None:
        self._line.connected.set()
        await self._line.hear(data)

    async def _take_text(self, text: str) -> None:
        try:
            message = self._dialect.parse(text)
            match message:
                case SessionSettings():
                    self._settle(message)
                case AudioInput():
                    await self._hear(message)
                case EndTurn():
                    await self._line.heard_all()  # what came before it is part of the turn
                    self._session.receive(text)
                case _ if message.type == "ping":
                    self._line.send(NextEvi.message("pong"))
                case _:
                    self._session.receive(text)
        except ClientError as refused:
            self._line.send(NextEvi.error("INVALID_CONFIG", refused.message))

    def _settle(self, settings: SessionSettings) -> None:
        given = settings.sound.model_dump(include=settings.sound.model_fields_set)
        before = self._line.wire.microphone  # holds for what the settings do not name
        rate_hz, channels = given.get("sample_rate", before.rate_hz), given.get("channels", before.channels)
        self._choose_sound(PcmFormat(rate_hz, channels))
        call = self._session.call
        if settings.emotion_detection:
            wanted = call.agent.emotions or EMOTIONS
            call.update(emotions=wanted if settings.emotion_detection.enabled else ())
        if settings.turn_detection:
            self._dialect.manual = not settings.turn_detection.enabled
            turns = "manual" if self._dialect.manual else "balanced"
            call.receive(SessionUpdate(type="session.update", turns=turns))
        idle = settings.idle_timeout
        if idle and not idle.enabled:
            call.update(idle_s=0.0)
        elif idle:
            warning_s, after_s = idle.bounds(call.agent.idle_s, call.agent.idle_hang_up_s)
            call.update(idle_s=warning_s, idle_prompt="", idle_hang_up_s=after_s)
        if self._dialect.manner == "sdk" and not self._line.connected.is_set():
            # sound of the microphone comes once the player is there, and sets it earlier
            self._begin.cancel()
            self._begin = asyncio.get_running_loop().call_later(PLAYER_S, self._line.connected.set)
        else:
            self._line.connected.set()

    async def _hear(self, message: AudioInput) -> None:
        """Sound in a message: raw, or a whole WAV file."""
        self._line.connected.set()
        data = message.decoded()
        if len(data) > MAX_SOUND:
            raise ClientError("bad_message", "audio_input: more than 10 MB.")
        if not data.startswith(b"RIFF"):
            await self._line.hear(data)
            return
        samples, rate_hz = _wav(data)
        await self._line.hear_samples(samples, rate_hz)
        if self._dialect.manual:
            await self._line.heard_all()
            self._session.call.receive(TurnEnd(type="turn.end"))


def _wav(data: bytes) -> tuple[Samples, int]:
    """Its samples, shape [n, channels], and their rate. Raises `ClientError` where it is none that can be read."""
    try:
        with wave.open(io.BytesIO(data)) as w:
            if w.getsampwidth() != 2 or w.getnchannels() not in (1, 2) or not 8000 <= w.getframerate() <= 48000:
                raise ClientError("bad_message", "audio_input: a WAV file has to be 16 bit, mono or stereo, 8-48 kHz.")
            samples = np.frombuffer(w.readframes(w.getnframes()), "<i2").reshape(-1, w.getnchannels())
            return samples.astype(np.int16), w.getframerate()
    except (wave.Error, EOFError, ValueError) as wrong:
        raise ClientError("bad_message", "audio_input: the WAV file cannot be read.") from wrong
