"""Is the caller done? How long a pause must be, from how complete the words so far seem. Pure.

The language model says how likely the turn ends here; what it cannot know is how people pause: after a filler, and
between the groups of a number that they read out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from media_server.agents import TurnTaking
from media_server.agents.numbers import spoken_digits, whole

__all__ = ["completeness", "pause_ms"]

WIDTH = 0.04
"""Width of the step from incomplete to complete, in the model's probability."""
_FILLER = re.compile(r"\b(um+|uh+|er+m?|hmm+|ähm?|euh|ehm?)$|([,:;\-–—…]|\.\.\.)$", re.IGNORECASE)
_DIGIT = re.compile(r"zero|oh|one|two|three|four|five|six|seven|eight|nine|\d", re.IGNORECASE)
READING_OUT = 0.1
"""Completeness while digits are read out, at most: between groups people pause for a second."""
SURE = 0.97
"""Model's probability from which a number counts as complete all the same."""


SMALLEST = 0.01
"""Probability: nobody is surer than that when opinions are joined."""


def completeness(
    text: str, probability: float, complete_at: float, by_sound: float | None = None, numbers: Collection[str] = ()
) -> float:
    """From 0, more will come, to 1, the turn is over.

    Args:
        text: the words so far.
        probability: the model's that the turn ends here.
        complete_at: the probability at which the model is undecided; it differs between models.
        by_sound: a classifier's that the turn is over, by what it sounds like.
        numbers: patterns of numbers that callers may read out.
    """
    text = text.strip()
    if _FILLER.search(text):
        return 0.0
    expected = whole(digits, numbers) if (digits := spoken_digits(text)) and numbers else None
    if expected:
        return 1.0 if expected == "whole" else 0.0
    sure = _logistic((probability - complete_at) / WIDTH)
    if by_sound is not None:
        # two opinions on the same question, of equal weight: their log-odds are averaged
        sure = _logistic((_log_odds(sure) + _log_odds(by_sound)) / 2)
    words = text.rstrip(".?!").split()
    reading_out = len(words) >= 2 and all(_DIGIT.fullmatch(w) for w in words[-2:])
    # the sound of a number tells whether it is over, as its words do not
    return min(sure, READING_OUT) if reading_out and probability < SURE and by_sound is None else sure


def pause_ms(taking: TurnTaking, complete: float) -> float:
    """Silence after which the turn is over."""
    return taking.max_pause_ms - (taking.max_pause_ms - taking.min_pause_ms) * complete


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _log_odds(p: float) -> float:
    p = min(max(p, SMALLEST), 1 - SMALLEST)
    return math.log(p / (1 - p))
