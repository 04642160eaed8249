"""The event loop's longest gap: how long it stood still, of that how much was its own work, and what ran."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

__all__ = ["Pulse"]

log = logging.getLogger(__name__)

TICK_S = 0.02
"""Seconds between two ticks, as between two packets of sound."""
LONG_S = 0.2
"""A gap that is heard, and logged."""
QUIET_S = 10.0
"""Seconds between two such lines."""
FRAMES = 6
"""Innermost functions that are named of what ran."""


class Pulse:
    """`run` it in the loop that it watches. `take_longest` and `observe` are for whoever reports it.

    A thread looks on: it alone can see what runs while the loop stands still.
    """

    def __init__(self) -> None:
        self.observe: Callable[[float], None] = lambda gap_s: None
        """Is called with every gap, in seconds."""
        self._longest_s = self._longest_work_s = 0.0
        self._ticked_s = time.monotonic()
        self._seen = ""
        """What ran when the loop was last seen to stand still."""
        self._told_s = -QUIET_S

    def take_longest(self) -> float:
        """The longest gap since this was last asked, in seconds."""
        longest_s, self._longest_s = max(self._longest_s, time.monotonic() - self._ticked_s - TICK_S), 0.0
        return max(0.0, longest_s)

    def take_longest_work(self) -> float:
        """The most that the loop's thread worked between two ticks since this was last asked, in seconds of CPU.

        What other processes do counts for gaps, and not for this.
        """
        longest_s, self._longest_work_s = self._longest_work_s, 0.0
        return longest_s

    async def run(self) -> None:
        """Watch, for ever."""
        stop = threading.Event()
        thread = threading.Thread(target=self._look_on, args=(threading.get_ident(), stop), name="pulse", daemon=True)
        thread.start()
        self._ticked_s, worked_s = time.monotonic(), time.thread_time()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                now, worked = time.monotonic(), time.thread_time()
                self._note(max(0.0, now - self._ticked_s - TICK_S), worked - worked_s)
                self._ticked_s, worked_s = now, worked
        finally:
            stop.set()

    def _note(self, gap_s: float, work_s: float) -> None:
        self._longest_s = max(self._longest_s, gap_s)
        self._longest_work_s = max(self._longest_work_s, work_s)
        self.observe(gap_s)
        if gap_s > LONG_S and time.monotonic() - self._told_s > QUIET_S:
            self._told_s = time.monotonic()
            log.warning(
                "the event loop stood still for %.2f s, %.2f s of it at work: %s",
                gap_s,
                work_s,
                self._seen or "not seen",
            )
        self._seen = ""

    def _look_on(self, watched: int, stop: threading.Event) -> None:
        while not stop.wait(LONG_S / 2):
            if time.monotonic() - self._ticked_s > LONG_S:
                # no frame may stay behind in a variable of this loop: it would keep all that its functions held
                self._seen = " < ".join(_names(sys._current_frames().get(watched)))


def _names(frame: FrameType | None) -> Iterator[str]:
    """The innermost functions, each with its file and line."""
    for _ in range(FRAMES):
        if frame is None:
            return
        yield f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        frame = frame.f_back
