"""How loud the two sides of a call are, ten times a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.rtc.microphone import Frame

__all__ = ["LevelMeter"]

EVERY_S = 0.1
FULL_SCALE = 32768.0


class LevelMeter:
    """Tap microphone and speaker with `heard` and `spoken`.

    Args:
        tell: takes the side, its root mean square and its peak, both from 0 to 1.
    """

    def __init__(self, tell: Callable[[Literal["user", "agent"], float, float], None]) -> None:
        self._tell = tell
        self._waiting: dict[Literal["user", "agent"], list[Samples]] = {"user": [], "agent": []}

    def heard(self, frame: Frame) -> None:
        self._take("user", frame.samples, MODEL_RATE_HZ)

    def spoken(self, samples: Samples) -> None:
        self._take("agent", samples, CALL_RATE_HZ)

    def _take(self, who: Literal["user", "agent"], samples: Samples, rate_hz: int) -> None:
        waiting = self._waiting[who]
        waiting.append(samples)
        if sum(map(len, waiting)) < EVERY_S * rate_hz:
            return
        scaled = np.concatenate(waiting).astype(np.float32) / FULL_SCALE
        waiting.clear()
        self._tell(who, float(np.sqrt(np.mean(scaled**2))), float(np.abs(scaled).max()))
