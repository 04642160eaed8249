"""How fast a voice is made on this machine, and so how much of it may be made at once. Pure."""

from __future__ import annotations

__all__ = ["MOST", "Pace"]

FIRST_S = 0.2
"""Seconds within which a listener who hears nothing yet should have the first piece."""
STEP_S = 0.4
"""The longest that others may have to wait for a piece."""
KEPT = 0.7
"""Share of the sound that is left in which the next piece has to be made."""
MIN_FIRST, LEAST, MOST = 12, 30, 300
"""Phonemes: shorter pieces are hard to understand, longer ones are too much for any machine."""
ASIDE = 12
"""Phonemes that would take as long as what each piece costs by itself."""
UNMEASURED_S = 0.004


class Pace:
    """What a phoneme takes to make, as far as it was measured."""

    def __init__(self) -> None:
        self.measured = False
        self._phoneme_s = UNMEASURED_S
        self._sound_s = 0.06

    @property
    def times_real_time(self) -> float:
        """Seconds of sound that are made in a second."""
        return self._sound_s / self._phoneme_s

    def measure(self, phonemes: int, took_s: float, sound_s: float) -> None:
        """Take a piece into account that was made."""
        each_s = took_s / (phonemes + ASIDE)
        if self.measured:
            # a moment in which the machine did something else counts as slow, not as the end
            each_s = min(each_s, 3 * self._phoneme_s)
        share = 0.2 if self.measured else 1.0
        self._phoneme_s += share * (each_s - self._phoneme_s)
        self._sound_s += share * (sound_s / max(1, phonemes) - self._sound_s)
        self.measured = True

    def limit(self, ahead_s: float, live: bool = True) -> int:
        """Phonemes to make at once for a listener who still has `ahead_s` to hear; of a file nobody waits for."""
        if not live:
            spare_s, least = STEP_S, LEAST
        elif ahead_s < FIRST_S / 2:
            spare_s, least = FIRST_S, MIN_FIRST
        else:
            spare_s = min(STEP_S, KEPT * ahead_s)
            least = LEAST if spare_s == STEP_S else MIN_FIRST
        return min(MOST, max(least, int(spare_s / self._phoneme_s) - ASIDE))
