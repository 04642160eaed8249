"""`/v1/audio/transcriptions`: the recogniser by itself, in the form of OpenAI's API."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

from aiohttp import web
from typing_extensions import TypedDict

from media_server.audio import MODEL_RATE_HZ
from media_server.call.language import SpokenLanguage
from media_server.engines.engines import Engines
from media_server.engines.messages import HeardWord, Transcript
from media_server.errors import ClientError, EngineError
from media_server.http.access import ACCESS
from media_server.http.openapi import operation
from media_server.http.speech import ENGINES, check_ready, id_headers, refusals, while_wanted
from media_server.http.uploads import Upload, Uploads

__all__ = ["LANGUAGE", "UPLOADS", "routes", "words_of"]

UPLOADS = web.AppKey("uploads", Uploads)
LANGUAGE = re.compile(r"[a-z]{2,3}")
PIECE_S = 25.0
"""Longest piece of a recording that the recogniser is given at once: live sound waits for no longer one."""
FORMS = ("json", "text", "verbose_json", "srt", "vtt")
routes = web.RouteTableDef()


_TEXTS = {"text/plain": str, "text/vtt": str}


class _Word(TypedDict):
    word: str
    start: float
    end: float


class _Segment(TypedDict):
    id: int
    start: float
    end: float
    text: str


class _Transcription(TypedDict):
    text: str
    duration: float
    language: str
    words: NotRequired[list[_Word]]
    segments: NotRequired[list[_Segment]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is said in a piece of a recording, and where it is, in seconds."""

    start_s: float
    end_s: float
    transcript: Transcript


@routes.post("/v1/audio/transcriptions")
@operation(
    "Speech to text", scope="call", takes="multipart/form-data", body=bytes, answers={200: _Transcription}, also=_TEXTS
)
@refusals
async def transcriptions(request: web.Request) -> web.StreamResponse:
    """The field `file` is a recording of 25 MB and an hour at most, in a usual form (WAV, MP3, Ogg, FLAC, WebM, MP4 …);
    `language` may be said, and `response_format`: `json`, `verbose_json` with words and segments, `text`, `srt`, `vtt`.
    """
    await request.app[ACCESS].key(request, "call")
    if not request.content_type.startswith("multipart/"):
        raise ClientError("wrong_content_type", "The body has to be multipart/form-data with a file in it.", status=415)
    engines = request.app[ENGINES]
    check_ready(engines)
    async with request.app[UPLOADS].receive(request) as upload:
        language = upload.fields.get("language") or None
        if language and not LANGUAGE.fullmatch(language):
            raise ClientError("bad_request", "language: has to be two or three small letters, as in ISO 639.")
        form = upload.fields.get("response_format") or "json"
        if form not in FORMS:
            raise ClientError("bad_request", f"response_format: has to be one of {', '.join(FORMS)}.")
        if upload.fields.get("diarize", "false").lower() == "true":
            raise ClientError("not_supported", "diarize: speakers are not told apart here.")
        pieces = while_wanted(request, _write_down(engines, upload, language, words=form == "verbose_json"))
        try:
            async with contextlib.aclosing(pieces):
                said = [piece async for piece in pieces]
        except EngineError as failed:
            raise ClientError(failed.code, failed.message, status=503) from failed
        except ConnectionResetError:
            return web.Response()  # nobody is there to get it
    head = id_headers(request, f"transcription-{secrets.token_hex(6)}")
    return _answer(head, form, [s for s in said if s.transcript.text], said, round(upload.duration_s, 3))


def _answer(
    head: dict[str, str], form: str, spoken: Sequence[_Piece], said: Sequence[_Piece], duration_s: float
) -> web.Response:
    text = " ".join(s.transcript.text for s in spoken)
    if form in ("text", "srt", "vtt"):
        written = text if form == "text" else _subtitles(spoken, form)
        return web.Response(text=written, content_type="text/vtt" if form == "vtt" else "text/plain", headers=head)
    language = (spoken or said)[-1].transcript.language
    body: dict[str, Any] = {"text": text, "duration": duration_s, "language": language}
    if form == "verbose_json":
        body["task"] = "transcribe"
        body["words"] = [word for s in spoken for word in words_of(s.transcript.words, s.start_s)]
        body["segments"] = [_segment(n, s) for n, s in enumerate(spoken)]
    return web.json_response(body, headers=head)


def words_of(words: Sequence[HeardWord], from_s: float) -> list[_Word]:
    """Words with their times in the whole sound, of which theirs begins at `from_s`."""
    return [_Word(word=w.text, start=round(from_s + w.start_s, 3), end=round(from_s + w.end_s, 3)) for w in words]


def _segment(number: int, piece: _Piece) -> _Segment:
    words = piece.transcript.words
    start_s = piece.start_s + (words[0].start_s if words else 0.0)
    end_s = piece.start_s + words[-1].end_s if words else piece.end_s
    return _Segment(id=number, start=round(start_s, 3), end=round(end_s, 3), text=piece.transcript.text)


def _subtitles(spoken: Sequence[_Piece], form: str) -> str:
    clock: Callable[[float], str] = _srt_time if form == "srt" else lambda s: _srt_time(s).replace(",", ".")
    lines = ["WEBVTT", ""] if form == "vtt" else []
    for n, piece in enumerate(spoken, 1):
        number = [str(n)] if form == "srt" else []
        lines += [*number, f"{clock(piece.start_s)} --> {clock(piece.end_s)}", piece.transcript.text, ""]
    return "\n".join(lines)


def _srt_time(seconds: float) -> str:
    ms = round(1000 * seconds)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


async def _write_down(
    engines: Engines, upload: Upload, language: str | None, words: bool
) -> AsyncGenerator[_Piece, None]:
    """What is said in a recording, piece by piece, as callers leave time for it."""
    spoken = SpokenLanguage()
    at_s = 0.0
    async for piece in upload.pieces(PIECE_S):
        length_s = len(piece) / MODEL_RATE_HZ
        hint = language or spoken.hint(length_s)
        transcript = await engines.transcribe(piece, final=True, words=words, language=hint, live=False)
        spoken.heard(transcript, length_s, hint)
        yield _Piece(at_s, at_s + length_s, transcript)
        at_s += length_s
