"""Is the caller done? How long a pause must be, from how complete the words so far seem. Pure.

The language model says how likely the turn ends here; what it cannot know is how people pause: after a filler, and
between the groups of a number that they read out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from media_server.agents import TurnTaking
from media_server.agents.numbers import digit_groups, whole

__all__ = ["completeness", "pause_ms", "told_by_words"]

WIDTH = 0.04
"""Width of the step from incomplete to complete, in the model's probability."""
_FILLER = re.compile(
    r"\b(?:h?um+|uh+m*|ah+m+|er+m?|hmm+|mmm+|[äö]h+m*|euh+|eh+m?|pues|e{3,}|ı{3,}|é{3,}|hã)$"
    r"|(?<!bir )(?<!her )(?<!çok )(?<!hiçbir )(?<!aynı )\bşey$"
    r"|(?:[,:;\-–—…]|\.\.\.)$",
    re.IGNORECASE,
)
"""Sounds and words with which people hold the floor while they think, in the eight languages of the voices."""
READING_OUT = 0.25
"""Completeness while digits are read out, at most: between groups people pause for a second."""
NUMBER_WEIGHT = 0.2
"""What the words count for, beside the sound, where they are digits."""
SURE = 0.97
"""Model's probability from which a number counts as complete all the same."""


SMALLEST = 0.01
"""Probability: nobody is surer than that when opinions are joined."""


def completeness(
    text: str,
    probability: float,
    complete_at: float,
    by_sound: float | None = None,
    numbers: Collection[str] = (),
    known: Collection[str] = (),
    language: str = "",
) -> float:
    """How complete the turn is, from 0, more will come, to 1, it is over.

    Args:
        text: the words so far.
        probability: the model's that the turn ends here.
        complete_at: the probability at which the model is undecided; it differs between models.
        by_sound: a classifier's that the turn is over, by what it sounds like.
        numbers: patterns of numbers that callers may read out.
        known: numbers of several digits that were told or said before.
        language: the one that is spoken, if it is known.
    """
    if (told := told_by_words(text, numbers, known, language)) is not None:
        return told
    groups = digit_groups(text)
    sure = _logistic((probability - complete_at) / WIDTH)
    reading_out = len(groups) >= 2
    if by_sound is not None:
        # two opinions on the same question: their log-odds are averaged, that of the words less where they are digits,
        # of which the sound tells whether they are over
        words = NUMBER_WEIGHT if reading_out else 0.5
        sure = _logistic(words * _log_odds(sure) + (1 - words) * _log_odds(by_sound))
    return min(sure, READING_OUT) if reading_out and probability < SURE and by_sound is None else sure


def told_by_words(
    text: str, numbers: Collection[str] = (), known: Collection[str] = (), language: str = ""
) -> float | None:
    """The completeness of words that end in a filler or a number of known form; None where a model has to tell.

    Args:
        numbers: patterns of numbers that callers may read out.
        known: numbers of several digits that were told or said before.
        language: the one that is spoken, if it is known.
    """
    text = text.strip()
    filler = _FILLER.search(text)
    if filler and not (filler[0].lower() == "um" and language.startswith("pt")):  # which is one there
        return 0.0
    digits = "".join(digit_groups(text))
    expected = whole(digits, numbers, known) if digits and (numbers or known) else None
    return None if expected is None else float(expected == "whole")


def pause_ms(taking: TurnTaking, complete: float) -> float:
    """Silence after which the turn is over."""
    return taking.max_pause_ms - (taking.max_pause_ms - taking.min_pause_ms) * complete


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _log_odds(p: float) -> float:
    p = min(max(p, SMALLEST), 1 - SMALLEST)
    return math.log(p / (1 - p))
