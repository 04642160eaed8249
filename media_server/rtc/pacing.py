"""Sound that arrives at any pace, given to a microphone as if it were spoken now."""

from __future__ import annotations

import asyncio
import contextlib
import math
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
TOGETHER_S = 0.01
"""Chunks that come within this time are sent as one."""
MIN_PAUSE_S, MAX_PAUSE_S = 0.1, 1.5
"""A client that sends nothing for this long may have paused; it has paused for certain."""
RHYTHM = 16
"""Gaps between chunks that tell how a client sends."""
LIVE = 8
"""Times in a row that a client sent neither early nor late, after which it is one that sends as it records."""
JITTER_S = 0.3
"""Time in which a client that sends as it records makes up for a chunk that came late."""
DOUBT_S = 0.05
"""How long it is open, after a gap, whether the client had paused or the network stood still …"""
MADE_UP = 0.75
"""… which is so if as large a part of the gap's sound comes in that time, or as much as may wait …"""
STALL_S = 4.0
"""… and the gap was no longer than this."""


class Rhythm:
    """How a client sends its sound, which tells a pause from a client that sends slower than people speak."""

    def __init__(self) -> None:
        self._came_s = -math.inf
        self._length_s = 0.0
        """How much sound came last, at once."""
        self._gaps: deque[float] = deque(maxlen=RHYTHM)
        self._late: deque[tuple[float, float]] = deque()
        """When chunks came, and how long after their last sample was spoken, were they all spoken without a gap."""
        self._live = 0

    @property
    def pause_s(self) -> float:
        """How long a client sends nothing before it has paused: well above the longest of its usual gaps."""
        return min(max(MIN_PAUSE_S, 2 * max(self._gaps, default=0.0)), MAX_PAUSE_S)

    @property
    def is_live(self) -> bool:
        """Whether the client has sent as it records lately, rather than what it had."""
        return self._live >= LIVE

    def continues(self, length_s: float, now_s: float) -> bool:
        """Note sound that comes now; returns whether it goes on from what came before."""
        gap_s, self._came_s = now_s - self._came_s, now_s
        if gap_s < TOGETHER_S:
            self._length_s += length_s
            return True
        # a client that sends a lot at once sends seldom
        continues = gap_s <= min(max(self.pause_s, 2 * self._length_s), MAX_PAUSE_S)
        if continues:
            self._gaps.append(gap_s)
        self._length_s = length_s
        return continues

    def behind(self, late_s: float, now_s: float) -> float:
        """Note how late sound is that goes on from what came before; returns how late all of it was of late."""
        if self._late and now_s - self._late[-1][0] < TOGETHER_S:
            self._late[-1] = (self._late[-1][0], late_s)
        else:
            self._live = self._live + 1 if abs(late_s) <= self._length_s + MIN_PAUSE_S else 0
            self._late.append((now_s, late_s))
        while len(self._late) > 2 and now_s - self._late[0][0] > JITTER_S:
            self._late.popleft()
        behind_s = min(late for _, late in self._late)
        if behind_s <= 0 or len(self._late) < 2:
            return 0.0
        self._late = deque((at_s, late - behind_s) for at_s, late in self._late)
        return behind_s

    def begin_again(self) -> None:
        """What comes next begins a time of its own."""
        self._late.clear()
        self._live = 0


class PacedSound:
    """`push` takes a client's sound and `run` gives it to the microphone, until it is cancelled.

    A client that sends what it had, or faster than people speak, is heard at the pace of speech. What the network held
    up of one that sends as it records is heard at once, and has the time at which it was spoken.

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
        """When the next sample was spoken, or may be heard at the earliest."""
        self._rhythm = Rhythm()
        self._continues = False
        """There was no pause before the sound that waits."""
        self._paused_until_s: float | None = None
        """When the sound that waits begins if the client had paused, while that is open."""
        self._quiet_s = microphone.quiet_s
        """The line's own patience, which is too short for clients that send seldom."""
        self._resampler = Resampler(MODEL_RATE_HZ)
        self._closed = False

    async def push(self, samples: Samples, rate_hz: int) -> None:
        """Take sound, shape [n, channels]; returns when little enough waits for more to be welcome."""
        if not len(samples):
            return
        self._place(len(samples) / rate_hz, self._clock())
        self._chunks.append((samples, rate_hz))
        self._chunks_s += len(samples) / rate_hz
        self._changed.set()
        while self._chunks_s > WAITING_S and not self._closed:
            self._changed.clear()
            await self._changed.wait()

    def _place(self, length_s: float, now_s: float) -> None:
        """Find the time at which sound was spoken that comes now."""
        continues = self._rhythm.continues(length_s, now_s)
        if self._paused_until_s is not None:
            return
        if not self._chunks:
            self._continues = continues
            self._microphone.quiet_s = max(self._quiet_s, self._rhythm.pause_s)
            if not continues:
                # a chunk was spoken before it came: it may be heard at once
                begins_s = max(self._due_s, now_s - length_s)
                if self._rhythm.is_live and now_s - self._due_s <= STALL_S:
                    self._paused_until_s = begins_s
                else:
                    self._due_s = begins_s
                    self._rhythm.begin_again()
                return
        self._due_s += self._rhythm.behind(now_s - (self._due_s + self._chunks_s + length_s), now_s)

    @property
    def _is_made_up(self) -> bool:
        """Whether as much sound came as time has passed since the sound before it, or nearly."""
        return self._chunks_s >= min(MADE_UP * (self._clock() - self._due_s), WAITING_S)

    async def _decide(self, paused_until_s: float) -> None:
        """Find out whether the client had paused before the sound that waits, or the network stood still."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DOUBT_S):
                while not self._is_made_up:
                    self._changed.clear()
                    await self._changed.wait()
        self._continues = self._is_made_up
        if not self._continues:
            self._due_s = paused_until_s
            self._rhythm.begin_again()
        self._paused_until_s = None

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
            if self._paused_until_s is not None:
                await self._decide(self._paused_until_s)
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
            mono = samples[:, 0]
        else:
            mono = self._resampler.push(frame_of(samples, rate_hz))
        self._microphone.push(mono, due_s, continues=self._continues)

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
