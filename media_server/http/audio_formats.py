"""Forms in which synthesized speech is sent: raw, or encoded as it is made."""

from __future__ import annotations

import asyncio
import io
from typing import Any, Literal, Protocol

import av
import numpy as np

from media_server.audio import CALL_RATE_HZ, Resampler, Samples, frame_of

__all__ = ["Encoder", "StreamedFormat", "new_encoder"]

StreamedFormat = Literal["pcm", "mp3", "opus", "aac", "flac"]
CODECS: dict[str, tuple[str, str, str, int]] = {
    "mp3": ("mp3", "libmp3lame", "audio/mpeg", 24_000),
    "opus": ("ogg", "libopus", "audio/ogg", 48_000),
    "aac": ("adts", "aac", "audio/aac", 24_000),
    "flac": ("flac", "flac", "audio/flac", 24_000),
}
"""Container, codec, content type, and the rate in Hz where none is asked for, by format."""


class Encoder(Protocol):
    """`push` samples at 48 kHz and take bytes; `finish` gives the rest."""

    content_type: str
    rate_hz: int

    async def push(self, samples: Samples) -> bytes: ...

    async def finish(self) -> bytes: ...


def new_encoder(form: StreamedFormat, rate_hz: int) -> Encoder:
    """An encoder for one piece of speech.

    Args:
        rate_hz: of the sound in it; Opus has a rate of its own.
    """
    return _Pcm(rate_hz) if form == "pcm" else _Encoded(form, rate_hz)


class _Pcm:
    """Raw int16 samples, mono."""

    content_type = "audio/pcm"

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._resampler = Resampler(rate_hz)

    async def push(self, samples: Samples) -> bytes:
        return self._resampler.push(frame_of(samples, CALL_RATE_HZ)).tobytes()

    async def finish(self) -> bytes:
        return self._resampler.push(None).tobytes()


class _Encoded:
    """A file that FFmpeg writes; encoding is work, and done in a thread."""

    def __init__(self, form: str, rate_hz: int) -> None:
        container, codec, self.content_type, usual_hz = CODECS[form]
        self.rate_hz = usual_hz if form == "opus" else rate_hz or usual_hz
        self._file = io.BytesIO()
        self._file.seekable = lambda: False  # type: ignore[method-assign]
        self._container = av.open(self._file, "w", format=container)
        # PyAV's types do not tell which kind of stream a codec makes
        self._stream: Any = self._container.add_stream(codec, rate=self.rate_hz, layout="mono")

    async def push(self, samples: Samples) -> bytes:
        return await asyncio.to_thread(self._encode, samples)

    async def finish(self) -> bytes:
        return await asyncio.to_thread(self._close)

    def _encode(self, samples: Samples) -> bytes:
        if len(samples):
            frame = frame_of(np.ascontiguousarray(samples), CALL_RATE_HZ)
            frame.pts = None
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        return self._taken()

    def _close(self) -> bytes:
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._taken()

    def _taken(self) -> bytes:
        """What was written since this was last asked."""
        written = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return written
