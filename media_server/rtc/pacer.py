"""The one 20 ms clock of a worker, which all calls' outgoing packets leave on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["TICK_S", "Pacer"]

log = logging.getLogger(__name__)

TICK_S = 0.02
STALL_S = 1.0
"""After a delay of more than this, as of a suspended machine, what was missed is not caught up."""


class Pacer:
    """Calls what is added every 20 ms; a tick that comes late is caught up, so that the clock never drifts.

    It stands still while nothing is added.
    """

    def __init__(self) -> None:
        self.encoders = ThreadPoolExecutor(1, "speech-encoder")
        """Encodes what all calls will say, ahead of time."""
        self._ticking: dict[object, Callable[[bool], None]] = {}
        self._began_s = 0.0
        self._ticks = 0
        self._handle: asyncio.TimerHandle | None = None

    def add(self, key: object, tick: Callable[[bool], None]) -> None:
        """Call `tick` from now on, with whether the tick is more than one late."""
        self._ticking[key] = tick
        if self._handle is None:
            loop = asyncio.get_running_loop()
            # at a time at which sockets are read (wires.py), so that the process is woken for both at once
            self._began_s, self._ticks = (loop.time() // TICK_S + 1) * TICK_S, 0
            self._handle = loop.call_at(self._began_s, self._tick)

    def remove(self, key: object) -> None:
        """Do not call it any more."""
        self._ticking.pop(key, None)
        if not self._ticking and self._handle:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        """Give the thread back."""
        self._ticking.clear()
        if self._handle:
            self._handle.cancel()
            self._handle = None
        self.encoders.shutdown(wait=False, cancel_futures=True)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        late_s = loop.time() - (self._began_s + self._ticks * TICK_S)
        if late_s > STALL_S:
            self._began_s += late_s
        for key, tick in list(self._ticking.items()):
            try:
                tick(late_s > TICK_S)
            except Exception:
                # one call's fault must not silence the others
                log.exception("failed to send a call's audio; this call gets no more of it")
                self.remove(key)
        self._ticks += 1
        if self._ticking:
            self._handle = loop.call_at(self._began_s + self._ticks * TICK_S, self._tick)
