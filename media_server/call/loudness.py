"""How loud a caller usually speaks, so that words to somebody else, away from the microphone, can be told. Pure."""

from __future__ import annotations

from collections import deque

import numpy as np

from media_server.audio import MODEL_RATE_HZ, Samples

__all__ = ["UsualLoudness"]

FRAME = MODEL_RATE_HZ // 50
TURNS = 3
"""The caller's last turns; the quietest of them counts, so that who steps back from the microphone is heard again."""
LOUD_SHARE = 90
"""The percentile of a sound's frames that is its loudness: pauses and single bursts do not change it."""


class UsualLoudness:
    """Tell it each turn; sounds are then louder or quieter than those."""

    def __init__(self) -> None:
        self._turns_db: deque[float] = deque(maxlen=TURNS)

    def add(self, turn: Samples) -> None:
        """Something that the caller said to the agent: at 16 kHz, shape [n]."""
        self._turns_db.append(_loudness_db(turn))

    def louder_db(self, sound: Samples) -> float:
        """How much louder a sound is than the caller's turns, negative where it is quieter; 0 before the first one."""
        return _loudness_db(sound) - min(self._turns_db) if self._turns_db else 0.0


def _loudness_db(samples: Samples) -> float:
    whole = len(samples) // FRAME * FRAME
    frames = samples[:whole].reshape(-1, FRAME).astype(np.float32)
    if not len(frames):
        return 0.0
    energies = np.mean(frames**2, axis=1)
    return float(10 * np.log10(max(1.0, np.percentile(energies, LOUD_SHARE))))
