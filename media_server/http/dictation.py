"""`/v1/audio/transcriptions/stream`: what is said in live sound, over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import Annotated, Any, Literal

import numpy as np
from aiohttp import WSMsgType, web
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from media_server.audio import MODEL_RATE_HZ, Resampler, frame_of
from media_server.call.language import SpokenLanguage
from media_server.call.segments import Segment, Segmenter
from media_server.engines.engines import Engines
from media_server.engines.messages import Transcript
from media_server.engines.silero import CHUNK, VoiceActivity, VoiceActivityModel
from media_server.errors import ClientError, EngineError, understood
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sockets import PacedSocket, new_socket, until_first
from media_server.http.speech import ENGINES, check_ready
from media_server.http.transcription import LANGUAGE, words_of
from media_server.rtc import PcmFormat
from media_server.store import Key

__all__ = ["DICTATIONS", "DictationWanted", "Dictations", "dictate", "routes"]

LARGEST = 1024 * 1024
HEARTBEAT_S = 20.0
MOST = 8
"""Maximum sockets at once: calls go first, and have their own limit."""
PARTIAL_S = 0.8
"""New sound in a segment before it is transcribed anew."""
STEP_S = 0.25
"""Sound of a message that is looked at in one go."""
MAX_WAITING = 4
"""Segments that wait to be transcribed; then the client waits."""
routes = web.RouteTableDef()


class Dictations:
    """How many are under way, and the network that hears speech in them."""

    def __init__(self) -> None:
        self.activity = VoiceActivityModel()
        self.count = 0


DICTATIONS = web.AppKey("dictations", Dictations)


class DictationWanted(BaseModel):
    """The form of the sound, and what is spoken in it."""

    model_config = ConfigDict(extra="ignore")

    language: Annotated[str, Field(pattern=rf"^({LANGUAGE.pattern})?$")] = ""
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = MODEL_RATE_HZ
    encoding: Literal["linear16", "mulaw"] = "linear16"
    diarize: bool = False


class _Command(BaseModel):
    type: Literal["finalize", "stop"] = Field(validation_alias=AliasChoices("type", "event"))


@routes.get("/v1/audio/transcriptions/stream")
@operation("Live speech to text: a WebSocket", scope="call", query=DictationWanted, answers={101: None})
async def stream(request: web.Request) -> web.StreamResponse:
    """Binary messages are sound; `finalize` ends a stretch of speech, `stop` the stream.

    It is answered with `ready`, `partial`, `final`, and `done`.
    """
    key = await request.app[ACCESS].key(request, "call")
    wanted = validated(DictationWanted, dict(request.query))
    if wanted.diarize:
        raise ClientError("not_supported", "diarize: speakers are not told apart here.")
    return await dictate(request, wanted, key)


async def dictate(
    request: web.Request, wanted: DictationWanted, key: Key | None, tag: Literal["type", "event"] = "type"
) -> web.WebSocketResponse:
    """Write down what is said on a WebSocket, until the client stops or the key is revoked.

    Args:
        tag: the field of a message that says what it is.

    Raises:
        ClientError: the engines are not ready, or there are too many.
    """
    engines, all_of_them = request.app[ENGINES], request.app[DICTATIONS]
    check_ready(engines)
    if all_of_them.count >= MOST:
        message = "There are as many dictations under way as there may be; try again later."
        raise ClientError("too_many_dictations", message, status=503, headers={"Retry-After": "10"})
    socket = new_socket(request, LARGEST, HEARTBEAT_S)
    all_of_them.count += 1
    try:
        await socket.prepare(request)
        dictation = _Dictation(socket, engines, VoiceActivity(all_of_them.activity), wanted, tag)
        await until_first(dictation.run(), request.app[ACCESS].withdrawn(key))
        await socket.close()
    finally:
        all_of_them.count -= 1
    return socket


class _Dictation:
    """One socket: `run` hears and writes down side by side until the client stops or is gone."""

    def __init__(
        self,
        socket: PacedSocket,
        engines: Engines,
        activity: VoiceActivity,
        wanted: DictationWanted,
        tag: Literal["type", "event"],
    ) -> None:
        self._socket = socket
        self._tag = tag
        self._engines = engines
        self._activity = activity
        self._format = PcmFormat(wanted.sample_rate, 1, "mulaw" if wanted.encoding == "mulaw" else "pcm_s16le")
        self._language = wanted.language or None
        self._resampler = Resampler(MODEL_RATE_HZ)
        self._segmenter = Segmenter()
        self._rest = np.zeros(0, np.int16)
        self._odd = b""
        self._spoken = SpokenLanguage()
        self._segments: deque[Segment] = deque()
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._over = False
        """All sound has come."""

    async def run(self) -> None:
        request_id = f"dictation-{secrets.token_hex(6)}"
        about = {"sample_rate": self._format.rate_hz, "encoding": self._format.encoding, "diarize": False}
        with contextlib.suppress(ConnectionError):
            await self._send("ready", request_id=request_id, model="local", **about)
            hearing = asyncio.ensure_future(self._hear())
            try:
                await self._write_down()
                await hearing
            except EngineError as failed:
                await self._send("error", code=failed.code, error=failed.message)
                return
            finally:
                hearing.cancel()
                await asyncio.wait([hearing])
            seconds = round(self._segmenter.length_s, 3)
            await self._send("done", request_id=request_id, audio_seconds=seconds, billed_minutes=0)

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._socket.send_json({self._tag: kind, **fields})

    async def _hear(self) -> None:
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    await self._push(message.data)
                elif message.type is WSMsgType.TEXT and not await self._obey(message.data):
                    return
                while len(self._segments) > MAX_WAITING:
                    self._taken.clear()
                    await self._taken.wait()
        finally:
            self._add(self._segmenter.finish())
            self._over = True
            self._news.set()

    async def _obey(self, text: str) -> bool:
        """Do what the client wants; whether it goes on."""
        try:
            command = understood(_Command.model_validate_json, text)
        except ClientError as refused:
            await self._send("warning", code=refused.code, error=refused.message)
            return True
        self._add(self._segmenter.finish())
        return command.type != "stop"

    async def _push(self, data: bytes) -> None:
        data = self._odd + data
        whole = len(data) - len(data) % self._format.frame_bytes
        self._odd = data[whole:]
        # a message may hold minutes of sound; others have their turn between its pieces
        size = int(STEP_S * self._format.rate_hz) * self._format.frame_bytes
        for at in range(0, whole, size):
            self._take(data[at : min(at + size, whole)])
            await asyncio.sleep(0)

    def _take(self, data: bytes) -> None:
        frame = frame_of(self._format.decode(data).reshape(-1), self._format.rate_hz)
        waiting = np.concatenate([self._rest, self._resampler.push(frame)])
        while len(waiting) >= CHUNK:
            chunk, waiting = waiting[:CHUNK], waiting[CHUNK:]
            (probability,) = self._activity.probabilities(chunk)
            self._add(self._segmenter.hear(chunk, probability))
        self._rest = waiting
        self._news.set()

    def _add(self, segment: Segment | None) -> None:
        if segment is not None:
            self._segments.append(segment)
            self._news.set()

    async def _write_down(self) -> None:
        shown_s = 0.0
        """The sound up to which the stretch under way was transcribed."""
        while not (self._over and not self._segments):
            if self._segments:
                segment = self._segments.popleft()
                self._taken.set()
                await self._tell(segment)
            elif (now := self._segmenter.under_way) and self._segmenter.length_s - shown_s >= PARTIAL_S:
                shown_s = self._segmenter.length_s
                transcript = await self._transcribe(now, final=False)
                if transcript.text and not self._segments:
                    await self._send("partial", text=transcript.text)
            else:
                self._news.clear()
                await self._news.wait()

    async def _tell(self, segment: Segment) -> None:
        transcript = await self._transcribe(segment, final=True)
        if not transcript.text:
            return
        end_s = segment.start_s + len(segment.samples) / MODEL_RATE_HZ
        times = {"start": round(segment.start_s, 3), "end": round(end_s, 3)}
        about = {"language": transcript.language, "words": words_of(transcript.words, segment.start_s)}
        await self._send("final", text=transcript.text, **times, **about)

    async def _transcribe(self, segment: Segment, final: bool) -> Transcript:
        length_s = len(segment.samples) / MODEL_RATE_HZ
        hint = self._language or self._spoken.hint(length_s)
        samples = segment.samples
        transcript = await self._engines.transcribe(samples, final=final, words=final, language=hint, live=False)
        if final:
            self._spoken.heard(transcript, length_s, hint)
        return transcript
