"""Cuts a stream of text into clauses to speak: the first one short, so that the voice starts early. Pure."""

from __future__ import annotations

import re

from media_server.call.speakable import ABBREVIATIONS

__all__ = ["ClauseCutter"]

FIRST_CLAUSE = 8
"""Characters from which a comma ends the first clause …"""
LATER_CLAUSE = 40
"""… and a later one; longer clauses sound better."""
LONGEST = 200
"""Where nothing ends a clause, a space after this many characters does."""
WINDOW = 2 * LONGEST
"""In which an end is looked for: to look through all of a long text, again for each clause, would take long."""
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*\s|[。！？]|\n")
_LIST_NUMBER = re.compile(r"(?:.*\n)?\s*\d{1,2}\.", re.DOTALL)
_COMMA = re.compile(r"[,;:—–]\s|[，；：]")


class ClauseCutter:
    """`push` text as it comes and speak what it returns; `flush` at the end."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True

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
            space = self._text.rfind(" ", 0, LONGEST)
            return space + 1 if space > 0 else LONGEST
        return sentence
