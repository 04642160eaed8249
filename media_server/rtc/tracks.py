"""Sound as tracks of aiortc, which callers have."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import AsyncIterator, Awaitable, Callable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from media_server.audio import CALL_RATE_HZ, Resampler, Samples, frame_of
from media_server.rtc.speaker import FRAME, FRAME_S, Speaker

__all__ = ["SpeakerTrack", "received"]

STALL_S = 1.0
_TIME_BASE = fractions.Fraction(1, CALL_RATE_HZ)


class SpeakerTrack(MediaStreamTrack):
    """A speaker's sound on a clock that does not drift.

    Args:
        clock: seconds, on which the frames are handed out.
        sleep: lets that time pass.
    """

    kind = "audio"

    def __init__(
        self,
        speaker: Speaker,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._speaker = speaker
        self._clock, self._sleep = clock, sleep
        self._frames = 0
        self._started_s: float | None = None

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = self._clock()
        if self._started_s is None:
            self._started_s = now
        wait_s = self._started_s + self._frames * FRAME_S - now
        if wait_s > 0:
            await self._sleep(wait_s)
        elif wait_s < -STALL_S:
            # after a suspended machine nobody wants to hear the past at once
            self._started_s -= wait_s
        elif wait_s < -FRAME_S:
            self._speaker.late_frames += 1
        frame = frame_of(self._speaker.take(), CALL_RATE_HZ)
        frame.pts, frame.time_base = self._frames * FRAME, _TIME_BASE
        self._frames += 1
        return frame


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
