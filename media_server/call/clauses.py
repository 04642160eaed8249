"""Cuts a stream of text into clauses to speak: the first one short, so that the voice starts early. Pure."""

from __future__ import annotations

import itertools
import re

from media_server.call.speakable import ABBREVIATIONS
from media_server.engines.phrases import Place, cut, opens_phrase, place_before

__all__ = ["ClauseCutter", "clauses_of"]

FIRST_CLAUSE = 8
"""Characters from which a comma ends the first clause …"""
LATER_CLAUSE = 40
"""… and a later one; longer clauses sound better."""
LONGEST = 200
"""Where nothing ends a clause, a space after this many characters does."""
WINDOW = 2 * LONGEST
"""In which an end is looked for: to look through all of a long text, again for each clause, would take long."""
FEW = 3
"""Words that are spoken by themselves where more are long in coming."""
_WORD_END = re.compile(r"(?<=\S)\s|(?<=[\u0e00-\u0eff\u3040-\u9fff])(?=[\u0e00-\u0eff\u3040-\u9fff])")
"""At a space, or between characters of scripts that are written without."""
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*\s|[。！？]|\n")
_LIST_NUMBER = re.compile(r"(?:.*\n)?\s*\d{1,2}\.", re.DOTALL)
_COMMA = re.compile(r"[,;:—–]\s|[，；：]")


class ClauseCutter:
    """`push` text as it comes and speak what it returns; `flush` at the end.

    Args:
        first: whether nothing was said before.
    """

    def __init__(self, first: bool = True) -> None:
        self._text = ""
        self._first = first

    @property
    def waiting(self) -> bool:
        """Whether there is text whose clause has not ended."""
        return bool(self._text.strip())

    def push(self, text: str) -> list[str]:
        """The clauses that are complete now."""
        self._text += text
        out = []
        while (end := self._end()) is not None:
            clause, self._text = self._text[:end].strip(), self._text[end:]
            if clause:
                out.append(clause)
                self._first = False
        return out

    def flush(self) -> list[str]:
        """What is left."""
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []

    def hurry(self) -> list[str]:
        """What there is up to a word's end, if it is a few words; for when the rest is long in coming."""
        ends = [m.start() for m in _WORD_END.finditer(self._text)]
        # what a word such as "to" begins is better said with it
        while len(ends) > FEW and opens_phrase(self._text[ends[-2] : ends[-1]]):
            ends.pop()
        if len(ends) < FEW:
            return []
        clause, self._text = self._text[: ends[-1]].strip(), self._text[ends[-1] :]
        self._first = False
        return [clause]

    def _abbreviates(self, full_stop: int) -> bool:
        """Whether the full stop belongs to its word: `Dr. Smith`, a list's `1. First`."""
        before = self._text[: full_stop + 1]
        word = before[before.rfind(" ") + 1 :].lstrip().lower()
        return word in ABBREVIATIONS or _LIST_NUMBER.fullmatch(before) is not None

    def _end(self) -> int | None:
        """Where the first clause of the text ends; `None` if that cannot be known yet."""
        ends = (m.end() for m in _SENTENCE_END.finditer(self._text, 0, WINDOW) if not self._abbreviates(m.start()))
        sentence = next(ends, None)
        least = FIRST_CLAUSE if self._first else LATER_CLAUSE
        for m in _COMMA.finditer(self._text, 0, sentence or WINDOW):
            if m.start() >= least:
                return m.end()
        if sentence is None and len(self._text) > LONGEST:
            return self._within(LONGEST)
        return sentence

    def _within(self, limit: int) -> int:
        words = [*re.finditer(r"\S+", self._text[: limit + 1])]
        places = [place_before(a.end(), a[0], b[0]) for a, b in itertools.pairwise(words)]
        places = [p for p in places if p.at <= limit] or [Place(limit)]
        return cut(len(self._text) + limit, places, limit)


def clauses_of(text: str, first: bool = True) -> list[str]:
    """The clauses of a text that is there as a whole."""
    cutter = ClauseCutter(first)
    return [*cutter.push(text), *cutter.flush()]
