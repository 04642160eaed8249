"""Sound that arrives faster than it is spoken, given to a microphone as if it were spoken now."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from media_server.audio import MODEL_RATE_HZ, Resampler, Samples, frame_of
from media_server.rtc.microphone import Microphone

__all__ = ["PacedSound"]

WAITING_S = 2.0
"""Sound that waits at most; a client that sends more has to wait."""
PIECE_S = 0.1
"""Length of the pieces in which such sound is heard."""
SLACK_S = 0.02


class PacedSound:
    """`push` takes a client's sound and `run` gives it to the microphone, until it is cancelled.

    Args:
        clock: seconds, the same clock as the microphone's.
    """

    def __init__(self, microphone: Microphone, clock: Callable[[], float]) -> None:
        self._microphone = microphone
        self._clock = clock
        self._chunks: deque[tuple[Samples, int]] = deque()
        """Shape [n, channels], and the rate."""
        self._chunks_s = 0.0
        self._changed = asyncio.Event()
        self._due_s = 0.0
        """When the next sample may be heard at the earliest."""
        self._resampler = Resampler(MODEL_RATE_HZ)
        self._closed = False

    async def push(self, samples: Samples, rate_hz: int) -> None:
        """Take sound, shape [n, channels]; returns when little enough waits for more to be welcome."""
        if not len(samples):
            return
        if not self._chunks:
            # a chunk was spoken before it came: it may be heard at once
            self._due_s = max(self._due_s, self._clock() - len(samples) / rate_hz)
        self._chunks.append((samples, rate_hz))
        self._chunks_s += len(samples) / rate_hz
        self._changed.set()
        while self._chunks_s > WAITING_S and not self._closed:
            self._changed.clear()
            await self._changed.wait()

    async def drained(self) -> None:
        """Wait until all that came was heard."""
        while self._chunks and not self._closed:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Hand it on."""
        while True:
            while not self._chunks:
                self._changed.clear()
                await self._changed.wait()
            samples, rate_hz = self._joined()
            n = len(samples)
            if self._due_s + n / rate_hz > self._clock() + SLACK_S:
                # it is ahead of its time: a piece of it when that is over
                n = min(n, int(PIECE_S * rate_hz))
                await asyncio.sleep(max(0.0, self._due_s + n / rate_hz - self._clock()))
            self._hear(samples[:n], rate_hz)
            if len(samples) > n:
                self._chunks[0] = (samples[n:], rate_hz)
            else:
                self._chunks.popleft()
            self._chunks_s = self._chunks_s - n / rate_hz if self._chunks else 0.0
            self._changed.set()

    def close(self) -> None:
        """Nobody hears any more; who waits in `push` or `drained` goes on."""
        self._closed = True
        self._changed.set()

    def _hear(self, samples: Samples, rate_hz: int) -> None:
        due_s, self._due_s = self._due_s, self._due_s + len(samples) / rate_hz
        if rate_hz == MODEL_RATE_HZ and samples.shape[1] == 1:
            self._microphone.push(samples[:, 0], due_s)
        else:
            self._microphone.push(self._resampler.push(frame_of(samples, rate_hz)), due_s)

    def _joined(self) -> tuple[Samples, int]:
        """The first chunk, which shall be no crumb: a client may send sound a sample at a time."""
        (first, rate_hz), parts, n = self._chunks[0], [], 0
        while self._chunks and n < int(PIECE_S * rate_hz):
            samples, its_rate_hz = self._chunks[0]
            if its_rate_hz != rate_hz or samples.shape[1] != first.shape[1]:
                break
            parts.append(samples)
            n += len(samples)
            self._chunks.popleft()
        self._chunks.appendleft((np.concatenate(parts), rate_hz))
        return self._chunks[0]
