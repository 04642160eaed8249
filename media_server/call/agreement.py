"""Which words of a transcript under way will stay: those on which two in a row agree. Pure.

LocalAgreement-2 (Liu, Spanakis & Niehues 2020, https://arxiv.org/abs/2005.11185).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Agreement"]

_MARKS = ".,:;!?…-–\"'"


class Agreement:
    """Push the transcripts of a growing piece of sound, one after the other."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._before = [_bare(w) for w in words]

    def push(self, words: Sequence[str]) -> int:
        """How many leading words the transcript before this one had too; marks and capitals do not count."""
        now = [_bare(w) for w in words]
        pairs = zip(self._before, now, strict=False)
        agreed = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(self._before), len(now)))
        self._before = now
        return agreed


def _bare(word: str) -> str:
    return word.strip(_MARKS).lower()
