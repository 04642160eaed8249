"""The caller's voice: an async iterator of 16 kHz mono frames with the time at which they were captured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from media_server.audio import MODEL_RATE_HZ, Resampler, Samples

__all__ = ["Frame", "Microphone", "received"]


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples at 16 kHz, shape [n]; `captured_at_s`: when the first of them reached this server, on `clock`."""

    samples: Samples
    captured_at_s: float


class Microphone:
    """Iterate it once, for the length of the call; where one track ends, the next one that is attached goes on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.last_data_s = clock()
        self.muted = False
        self.taps: list[Callable[[Frame], None]] = []
        """Are given every frame that is heard."""
        self._clock = clock
        self._tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()

    def attach(self, track: MediaStreamTrack) -> None:
        """The track that a line brought."""
        self._tracks.put_nowait(track)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            async for samples in received(await self._tracks.get(), MODEL_RATE_HZ):
                self.last_data_s = now = self._clock()
                if len(samples) and not self.muted:
                    frame = Frame(samples, now - len(samples) / MODEL_RATE_HZ)
                    for tap in self.taps:
                        tap(frame)
                    yield frame


async def received(track: MediaStreamTrack, rate_hz: int) -> AsyncIterator[Samples]:
    """Mono samples at `rate_hz`, shape [n], as a remote audio track brings them; ends when the track does."""
    resampler = Resampler(rate_hz)
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, AudioFrame)
        yield resampler.push(frame)
