"""The caller's voice: 16 kHz mono sound with the time of its capture, and silence where none comes."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np

from media_server.audio import MODEL_RATE_HZ, Samples

__all__ = ["Frame", "Microphone"]

QUIET_S = 0.5
SILENCE_S = 0.1
"""Length of a piece of silence."""
ON_ITS_WAY_S = 0.06
"""How far silence stays behind the present: sound of that time may still come."""
GAP_S = 0.005
MAX_GAP_S = 10.0
"""More silence than this tells a listener nothing new; the time goes on all the same."""
CHUNK = 512
"""Samples that a listener decides by."""
MAX_S = 20.0
"""Sound that waits for the listener at most; the oldest is dropped."""


@dataclass(slots=True)
class Frame:
    """Samples at 16 kHz, shape [n]; `captured_at_s`: when the first of them was captured, on the microphone's clock.

    Sound that was held up on its way has the time at which it was spoken; silence may have come for that time before.
    There is one for each packet, so it is not frozen: that takes three times as long to make.
    """

    samples: Samples
    captured_at_s: float
    assumed: bool = False
    """Silence in place of sound that did not come, and may still come: the network may only have stalled."""
    packet: bytes | None = None
    """The packet of Opus, of a single frame of 20 ms, that the samples were decoded from; None where it was none."""


class Microphone:
    """A line gives it sound by `push`; iterate it once, for the length of the call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.last_data_s = clock()
        self.muted = False
        self.quiet_s = QUIET_S
        """Seconds without sound after which there is silence; set by the line."""
        self.stall_s = 0.0
        """Seconds without sound up to which that is only assumed; set by lines that know when late sound was said."""
        self.chunk = CHUNK
        """The listener is woken when as many samples have come, a multiple of CHUNK, or for silence; set by it."""
        self.taps: list[Callable[[Frame], None]] = []
        """Are given every frame that is heard, in the order of its arrival."""
        self.aside: Callable[[Frame], None] | None = None
        """Is given what comes while it is muted."""
        self._clock = clock
        self._frames: deque[Frame] = deque()
        self._waiting = 0
        """Samples in these."""
        self._handed_on = 0
        """Samples that the listener has."""
        self._is_ready = False
        """The listener has something to do."""
        self._wanted: asyncio.Future[None] | None = None
        """Is set while the listener waits."""
        self._timer: asyncio.TimerHandle | None = None
        """Wakes it for silence, or earlier."""
        self._pushed_s = 0.0
        self._end_s: float | None = None
        """When the sound or silence so far ends; None before the first sound."""

    def push(
        self,
        samples: Samples,
        captured_at_s: float,
        *,
        continues: bool = False,
        after_loss: bool = False,
        packet: bytes | None = None,
    ) -> None:
        """Take sound, shape [n], that was captured then; a gap before it becomes silence.

        Args:
            continues: there was nothing in the gap: the sound before it goes on.
            after_loss: what was in the gap is lost, rather than silent.
            packet: as in `Frame`.
        """
        self.last_data_s = self._pushed_s = now = self._clock()
        if not len(samples):
            return
        if not now - MAX_S <= captured_at_s <= now:
            captured_at_s = max(now - MAX_S, min(captured_at_s, now))
        if self._end_s is not None and captured_at_s - self._end_s > GAP_S and not continues:
            self._push_silence(captured_at_s, after_loss)
        self._enter(Frame(samples, captured_at_s, packet=packet))

    def pause(self) -> None:
        """The caller's device says that it sends nothing more for now: there is silence at once, and it is certain."""
        self._pushed_s = -math.inf
        self._forget_timer()
        if self._wanted:
            _wake(self._wanted)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        # the listener waits thirty times a second in every call: a task, an event or a timeout would cost more
        loop = asyncio.get_running_loop()
        try:
            while True:
                while not self._is_ready:
                    # the timer of an earlier wait does as well: it looks, and goes on
                    if self._timer is None:
                        wait_s = self._quiet_at_s() - self._clock()
                        if wait_s <= 0:
                            self._fall_silent()
                            continue
                        if wait_s < math.inf:
                            self._timer = loop.call_later(wait_s, self._be_quiet)
                    self._wanted = loop.create_future()
                    try:
                        await self._wanted
                    finally:
                        self._wanted = None
                yield self._joined()
        finally:
            self._forget_timer()

    def _forget_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _be_quiet(self) -> None:
        self._timer = None
        if not self._wanted:
            return
        wait_s = self._quiet_at_s() - self._clock()
        if wait_s > 0:  # sound has come meanwhile, which is not enough for the listener yet
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._be_quiet)
        else:
            _wake(self._wanted)

    def _quiet_at_s(self) -> float:
        """When there is silence, unless sound comes before."""
        if self._end_s is None:
            return math.inf
        silent = self._clock() - self._pushed_s >= self.quiet_s
        return self._end_s + (SILENCE_S + ON_ITS_WAY_S if silent else self.quiet_s)

    def _fall_silent(self) -> None:
        assert self._end_s is not None
        now_s = self._clock()
        # also where the line's patience is shorter than that: silence comes in pieces
        until_s = max(now_s - ON_ITS_WAY_S, self._end_s + SILENCE_S / 10)
        self._push_silence(until_s, now_s - self._pushed_s < self.stall_s)

    def _push_silence(self, until_s: float, assumed: bool) -> None:
        assert self._end_s is not None
        begin_s = max(self._end_s, until_s - MAX_GAP_S)
        self._enter(Frame(np.zeros(round((until_s - begin_s) * MODEL_RATE_HZ), np.int16), begin_s, assumed))

    def _enter(self, frame: Frame) -> None:
        samples = frame.samples
        is_first = self._end_s is None
        self._end_s = max(self._end_s or -MAX_S, frame.captured_at_s + len(samples) / MODEL_RATE_HZ)
        if not len(samples):
            return
        if self.muted:
            if self.aside:
                self.aside(frame)
            return
        for tap in self.taps:
            tap(frame)
        self._frames.append(frame)
        self._waiting += len(samples)
        while self._waiting > MAX_S * MODEL_RATE_HZ:
            self._waiting -= len(self._frames.popleft().samples)
        self._is_ready = self._is_ready or self._handed_on % CHUNK + self._waiting >= self.chunk
        # from the first sound on, silence is due some time
        if (self._is_ready or is_first) and self._wanted:
            _wake(self._wanted)

    def _joined(self) -> Frame:
        """The next frames that follow each other without a gap, as one."""
        first = self._frames.popleft()
        parts, end_s = [first.samples], first.captured_at_s + len(first.samples) / MODEL_RATE_HZ
        while (
            self._frames
            and self._frames[0].assumed == first.assumed
            and abs(self._frames[0].captured_at_s - end_s) <= GAP_S
        ):
            samples = self._frames.popleft().samples
            parts.append(samples)
            end_s += len(samples) / MODEL_RATE_HZ
        samples = np.concatenate(parts) if len(parts) > 1 else first.samples
        self._waiting -= len(samples)
        self._handed_on += len(samples)
        # what comes behind a gap does not wait for more
        self._is_ready = bool(self._frames)
        return Frame(samples, first.captured_at_s, first.assumed)


def _wake(wanted: asyncio.Future[None]) -> None:
    if not wanted.done():
        wanted.set_result(None)
