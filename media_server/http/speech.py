"""`/v1/audio/speech`: the voice by itself, in the form of OpenAI's API, or that of a door whose client asks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import io
import json
import secrets
import tempfile
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.audio import CALL_RATE_HZ, resample
from media_server.call.hurry import with_pauses
from media_server.engines.engines import Engines, Voice
from media_server.engines.messages import AudioChunk
from media_server.errors import ClientError, EngineError
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS
from media_server.http.audio_formats import Encoder, new_encoder
from media_server.http.body import json_body, validated
from media_server.http.door import DOORS, AudioForm
from media_server.http.openapi import operation
from media_server.spoken import clauses_of, speakable

__all__ = ["ENGINES", "check_ready", "id_headers", "is_spoken", "refusals", "routes", "while_wanted"]

ENGINES = web.AppKey("engines", Engines)
MAX_INPUT = 5000
"""Maximum characters of a text that is read out."""
PCM_RATE_HZ = 24_000
"""The rate of raw sound where none is asked for, as OpenAI has it."""
LOOK_AGAIN_S = 0.5
"""Seconds between two looks whether a client that waits for a piece of sound is still there."""
PART = 1 << 18
"""Bytes of a file that are sent at once."""
P = TypeVar("P")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
routes = web.RouteTableDef()


class _SpeechWanted(ForeignModel):
    input: Annotated[str, Field(min_length=1)]
    voice: str = ""
    """Unknown voices fall back to the default, since published programs name other products' voices."""
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    response_format: Literal["wav", "pcm", "mp3", "opus", "aac", "flac"] | None = None
    """WAV where none is asked for, but raw sound in the form of a door."""
    sample_rate: Literal[8000, 16000, 24000, 48000] | None = None
    timestamps: bool = False
    """Server-sent events: the sound in pieces, and when each word is heard."""


_EVENTS = {"text/event-stream": Any}
"""The answer with `timestamps`: each event is JSON of a form of its own."""


class _VoicesWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    language: str = ""
    """Only voices that speak it."""


class _Voice(TypedDict):
    id: str
    name: str
    provider: str
    languages: list[str]


class _Voices(TypedDict):
    success: bool
    voices: list[_Voice]
    total: int


def refusals(handler: Handler) -> Handler:
    """Refusals in the form of OpenAI's API with code and message beside it, or in that of a door whose client asks."""

    @functools.wraps(handler)
    async def refuse(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ClientError as refused:
            if form := _form(request):
                return form.refusal(refused)
            body = {"error": refused.body()["error"], "code": refused.code, "message": refused.message}
            return web.json_response(body, status=refused.status, headers=refused.headers)

    return refuse


def _form(request: web.Request) -> AudioForm | None:
    """The form that the client wants, where it is not OpenAI's."""
    accepted = request.headers.get("Accept")
    return next((d.audio for d in request.app[DOORS] if d.audio and accepted in d.audio.accepts), None)


def id_headers(request: web.Request, request_id: str) -> dict[str, str]:
    """The id of a request as OpenAI's clients and those of doors look for it."""
    names = ["x-request-id", *(door.audio.id_header for door in request.app[DOORS] if door.audio)]
    return dict.fromkeys(names, request_id)


def is_spoken(language: str, wanted: str) -> bool:
    """Whether a voice of this language speaks the wanted one, whatever their regions are; any where it is empty."""
    return not wanted or language.split("-")[0] == wanted.lower().replace("_", "-").split("-")[0]


@routes.get("/v1/audio/voices")
@operation("Voices", scope="call", query=_VoicesWanted, answers={200: _Voices})
async def voices(request: web.Request) -> web.Response:
    await request.app[ACCESS].key(request, "call")
    wanted = validated(_VoicesWanted, dict(request.query)).language
    engines = request.app[ENGINES]
    # the usual voice has no name of its own; it is had by any name that no other one has
    spoken = {v: engines.language(v) for v in ("default", *engines.voices)}
    found = [
        _Voice(id=v, name=v, provider="local", languages=[language])
        for v, language in spoken.items()
        if is_spoken(language, wanted)
    ]
    return web.json_response({"success": True, "voices": found, "total": len(found)})


@routes.post("/v1/audio/speech")
@operation("Text to speech", scope="call", body=_SpeechWanted, answers={200: bytes}, gives="audio/*", also=_EVENTS)
@refusals
async def speech(request: web.Request) -> web.StreamResponse:
    """A WAV file (48 kHz), or raw int16 (`pcm`), MP3, Opus, AAC or FLAC, which are sent while they are made.

    `x-sample-rate` says the rate. Callers' speech goes first.
    """
    await request.app[ACCESS].key(request, "call")
    wanted = await json_body(request, _SpeechWanted)
    if len(wanted.input) > MAX_INPUT:
        raise ClientError("input_too_long", f"input: this has to have at most {MAX_INPUT} characters.")
    engines = request.app[ENGINES]
    check_ready(engines)
    voice = wanted.voice if wanted.voice in engines.voices else ""
    language = engines.language(voice)
    pieces = while_wanted(request, _read_out(engines, wanted.input, language, (voice, wanted.speed)))
    asked = _form(request)
    form = wanted.response_format or ("pcm" if asked else "wav")
    try:
        async with contextlib.aclosing(pieces):
            if form == "wav" and not wanted.timestamps:
                return await _as_file(request, pieces, wanted.sample_rate or CALL_RATE_HZ)
            kind = "pcm" if form == "wav" else form  # events hold no file whose length is known
            usual_hz = (asked.raw_rate_hz if asked else PCM_RATE_HZ) if kind == "pcm" else 0
            encoder = new_encoder(kind, wanted.sample_rate or usual_hz)
            if wanted.timestamps:
                return await _as_events(request, pieces, encoder, kind, len(wanted.input))
            return await _streamed(request, pieces, encoder)
    except EngineError as failed:
        raise ClientError(failed.code, failed.message, status=503) from failed
    except ConnectionResetError:
        return web.Response()  # nobody is there to get it


async def _read_out(engines: Engines, text: str, language: str, voice: Voice) -> AsyncGenerator[AudioChunk, None]:
    """The sound of a text at 48 kHz, piece by piece, as callers leave time for it."""
    for clause in clauses_of(text, language):
        words = speakable(clause, language)
        await asyncio.sleep(0)  # a text may have thousands of clauses with nothing to say in them
        async with engines.synthesize(words, voice, live=False) as chunks:
            async for chunk in chunks:
                yield chunk


async def while_wanted(request: web.Request, pieces: AsyncGenerator[P, None]) -> AsyncGenerator[P, None]:
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


def _head(request: web.Request, content_type: str, rate_hz: int) -> dict[str, str]:
    ids = id_headers(request, f"speech-{secrets.token_hex(6)}")
    return {"Content-Type": content_type, "x-sample-rate": str(rate_hz), **ids}


async def _streamed(
    request: web.Request, pieces: AsyncGenerator[AudioChunk, None], encoder: Encoder
) -> web.StreamResponse:
    """The sound, sent as it is made."""
    response = web.StreamResponse(headers=_head(request, encoder.content_type, encoder.rate_hz))
    try:
        async for piece in pieces:
            if not response.prepared:
                await response.prepare(request)
            if data := await encoder.push(np.frombuffer(piece.samples, np.int16)):
                await response.write(data)
    except EngineError:
        if not response.prepared:
            raise
        # a client must not take what it has for the whole
        if request.transport:
            request.transport.abort()
        return response
    if not response.prepared:
        await response.prepare(request)
    if rest := await encoder.finish():
        await response.write(rest)
    return response


async def _as_events(
    request: web.Request, pieces: AsyncGenerator[AudioChunk, None], encoder: Encoder, form: str, characters: int
) -> web.StreamResponse:
    """Server-sent events: `start`, `audio` and `word` as they are made, `done`, and `[DONE]`."""
    head = _head(request, "text/event-stream", encoder.rate_hz)
    response = web.StreamResponse(headers=head | {"Cache-Control": "no-store"})

    async def send(kind: str, **fields: Any) -> None:
        if not response.prepared:
            await response.prepare(request)
            started = {"request_id": head["x-request-id"], "format": form, "sample_rate": encoder.rate_hz}
            await response.write(f"data: {json.dumps({'type': 'start', **started})}\n\n".encode())
        await response.write(f"data: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode())

    at_s = 0.0
    try:
        async for piece in pieces:
            samples = np.frombuffer(piece.samples, np.int16)
            if data := await encoder.push(samples):
                await send("audio", data=base64.b64encode(data).decode())
            for word in piece.words:
                times = {"start": round(at_s + word.start_s, 3), "end": round(at_s + word.end_s, 3)}
                await send("word", word=word.text, **times)
            at_s += len(samples) / CALL_RATE_HZ
    except EngineError as failed:
        if not response.prepared:
            raise
        await send("error", code=failed.code, error=failed.message)
        return response
    if rest := await encoder.finish():
        await send("audio", data=base64.b64encode(rest).decode())
    await send("done", characters=characters, audio_ms=round(1000 * at_s))
    await response.write(b"data: [DONE]\n\n")
    return response


async def _as_file(request: web.Request, pieces: AsyncGenerator[AudioChunk, None], rate_hz: int) -> web.StreamResponse:
    """A WAV file, which is kept on the disk until its length is known."""
    with tempfile.TemporaryFile() as file:
        with wave.open(file, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(rate_hz)
            async for piece in pieces:
                samples = resample(np.frombuffer(piece.samples, np.int16), CALL_RATE_HZ, rate_hz)
                await asyncio.to_thread(wav.writeframes, samples.tobytes())
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        response = web.StreamResponse(headers=_head(request, "audio/wav", rate_hz))
        response.content_length = length
        await response.prepare(request)
        while part := await asyncio.to_thread(file.read, PART):
            await response.write(part)
        return response


def check_ready(engines: Engines) -> None:
    """Raises `ClientError` (503) as long as the models are being loaded."""
    if not engines.ready:
        raise ClientError("not_ready", "The models are still being loaded.", status=503, headers={"Retry-After": "2"})
