"""`/v1/audio`: the recogniser and the voice by themselves, in the form of OpenAI's API."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import tempfile
import wave
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Literal, TypeVar

import numpy as np
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.call.hurry import with_pauses
from media_server.call.language import SpokenLanguage
from media_server.engines.client import Engines, Voice
from media_server.engines.messages import Transcript
from media_server.errors import ClientError, EngineError
from media_server.http.access import ACCESS
from media_server.http.body import json_body
from media_server.http.openapi import operation
from media_server.http.uploads import Upload, Uploads
from media_server.spoken import clauses_of, speakable

__all__ = ["ENGINES", "UPLOADS", "routes"]

ENGINES = web.AppKey("engines", Engines)
UPLOADS = web.AppKey("uploads", Uploads)
PCM_RATE_HZ = 24_000
"""Sample rate of raw sound in the answers."""
LOOK_AGAIN_S = 0.5
"""After which it is looked whether a client that waits for a piece of sound is still there."""
PART = 1 << 18
"""Bytes of a file that are sent at once."""
LANGUAGE = re.compile(r"[a-z]{2,3}")
PIECE_S = 25.0
"""Longest piece of a recording that the recogniser is given at once: live sound waits for no longer one."""
P = TypeVar("P")
routes = web.RouteTableDef()


class _SpeechWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    input: Annotated[str, Field(min_length=1, max_length=4096)]
    voice: str = ""
    """One that there is not is the usual one: published programs name other products' voices."""
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    response_format: Literal["wav", "pcm"] = "wav"


class _Voice(TypedDict):
    id: str
    name: str


class _Voices(TypedDict):
    voices: list[_Voice]


class _Transcription(TypedDict):
    text: str
    duration: float
    language: str


@routes.get("/v1/audio/voices")
@operation("Voices", scope="call", answers={200: _Voices})
async def voices(request: web.Request) -> web.Response:
    await request.app[ACCESS].key(request, "call")
    return web.json_response({"voices": [{"id": v, "name": v} for v in request.app[ENGINES].voices]})


@routes.post("/v1/audio/speech")
@operation("Text to speech", scope="call", body=_SpeechWanted, answers={200: bytes}, gives="audio/*")
async def speech(request: web.Request) -> web.StreamResponse:
    """A WAV file (48 kHz), or raw int16 (`pcm`, 24 kHz), which is sent while it is made. Callers' speech goes first."""
    await request.app[ACCESS].key(request, "call")
    wanted = await json_body(request, _SpeechWanted)
    engines = request.app[ENGINES]
    _check_ready(engines)
    voice = wanted.voice if wanted.voice in engines.voices else ""
    language = engines.language(voice)
    clauses = [speakable(clause, language) for clause in clauses_of(wanted.input, language)]
    pieces = _while_wanted(request, _read_out(engines, clauses, (voice, wanted.speed)))
    try:
        async with contextlib.aclosing(pieces):
            return await (_streamed if wanted.response_format == "pcm" else _as_file)(request, pieces)
    except EngineError as failed:
        raise ClientError(failed.code, failed.message, status=503) from failed
    except ConnectionResetError:
        return web.Response()  # nobody is there to get it


async def _read_out(
    engines: Engines, clauses: Sequence[tuple[tuple[str, str], ...]], voice: Voice
) -> AsyncGenerator[Samples, None]:
    """The sound of a text at 48 kHz, piece by piece, as callers leave time for it."""
    for words in clauses:
        async with engines.synthesize(words, voice, live=False) as chunks:
            async for chunk in chunks:
                yield np.frombuffer(chunk.samples, np.int16)


async def _while_wanted(request: web.Request, pieces: AsyncGenerator[P, None]) -> AsyncGenerator[P, None]:
    """The pieces, as long as the client is there.

    Raises:
        ConnectionResetError: it is gone.
    """
    async with (
        contextlib.aclosing(pieces),
        contextlib.aclosing(with_pauses(pieces, lambda: LOOK_AGAIN_S)) as items,
    ):
        async for piece in items:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError
            if piece is not None:
                yield piece


async def _streamed(request: web.Request, pieces: AsyncGenerator[Samples, None]) -> web.StreamResponse:
    """Raw samples, sent as they are made."""
    response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
    try:
        async for piece in pieces:
            if not response.prepared:
                await response.prepare(request)
            await response.write(resample(piece, CALL_RATE_HZ, PCM_RATE_HZ).tobytes())
    except EngineError:
        if not response.prepared:
            raise
        # a client must not take what it has for the whole
        if request.transport:
            request.transport.abort()
    if not response.prepared:
        await response.prepare(request)
    return response


async def _as_file(request: web.Request, pieces: AsyncGenerator[Samples, None]) -> web.StreamResponse:
    """A WAV file, which is kept on the disk until its length is known."""
    with tempfile.TemporaryFile() as file:
        with wave.open(file, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(CALL_RATE_HZ)
            async for piece in pieces:
                await asyncio.to_thread(wav.writeframes, piece.tobytes())
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        response.content_length = length
        await response.prepare(request)
        while part := await asyncio.to_thread(file.read, PART):
            await response.write(part)
        return response


@routes.post("/v1/audio/transcriptions")
@operation("Speech to text", scope="call", takes="multipart/form-data", body=bytes, answers={200: _Transcription})
async def transcriptions(request: web.Request) -> web.Response:
    """The field `file` is a recording of 25 MB and an hour at most, in a usual form (WAV, MP3, Ogg, FLAC, WebM, MP4 …);
    `language` may be said.
    """
    await request.app[ACCESS].key(request, "call")
    if not request.content_type.startswith("multipart/"):
        raise ClientError("wrong_content_type", "The body has to be multipart/form-data with a file in it.", status=415)
    engines = request.app[ENGINES]
    _check_ready(engines)
    async with request.app[UPLOADS].receive(request) as upload:
        language = upload.fields.get("language") or None
        if language and not LANGUAGE.fullmatch(language):
            raise ClientError("bad_request", "language: has to be two or three small letters, as in ISO 639.")
        pieces = _while_wanted(request, _write_down(engines, upload, language))
        try:
            async with contextlib.aclosing(pieces):
                said = [transcript async for transcript in pieces]
        except EngineError as failed:
            raise ClientError(failed.code, failed.message, status=503) from failed
        except ConnectionResetError:
            return web.Response()  # nobody is there to get it
    spoken = [s for s in said if s.text] or said[:1]
    text, duration = " ".join(s.text for s in spoken), round(upload.duration_s, 3)
    return web.json_response({"text": text, "duration": duration, "language": spoken[-1].language})


async def _write_down(engines: Engines, upload: Upload, language: str | None) -> AsyncGenerator[Transcript, None]:
    """What is said in a recording, piece by piece, as callers leave time for it."""
    spoken = SpokenLanguage()
    async for piece in upload.pieces(PIECE_S):
        length_s = len(piece) / MODEL_RATE_HZ
        hint = language or spoken.hint(length_s)
        transcript = await engines.transcribe(piece, final=True, language=hint, live=False)
        spoken.heard(transcript, length_s, hint)
        yield transcript


def _check_ready(engines: Engines) -> None:
    if not engines.ready:
        raise ClientError("not_ready", "The models are still being loaded.", status=503, headers={"Retry-After": "2"})
