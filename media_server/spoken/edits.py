"""Replacements of stretches of a text by what is said for them, and the words that come of it. Pure.

Rules look at the whole text and each takes the stretches that it understands; what one has taken, later ones leave
alone. Since every replacement knows its place, each written word keeps its own piece of speech.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, insort

from media_server.spoken.symbols import without_symbols

__all__ = ["Edits"]

_WORD = re.compile(r"\S+")


class Edits:
    """A text, and what is said in place of some of its stretches.

    Args:
        text: in Unicode's composed form.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._taken = bytearray(len(text))
        self._edits: list[tuple[int, int, str]] = []

    def free(self, start: int, end: int) -> bool:
        """Whether no rule has taken anything of a stretch."""
        return not any(self._taken[start:end])

    def take(self, start: int, end: int) -> None:
        """Keep a stretch as it is written from later rules."""
        self._taken[start:end] = b"\1" * (end - start)

    def put(self, start: int, end: int, said: str) -> None:
        """Say something in place of a stretch, which was free. Of several words each gets its share."""
        self.take(start, end)
        written = [(start + m.start(), start + m.end()) for m in _WORD.finditer(self.text[start:end])] or [(start, end)]
        if len(written) == 1:
            insort(self._edits, (*written[0], said))
            return
        words = said.split()
        for i, (first, last) in enumerate(written):
            left = len(written) - 1 - i
            share = 0 if len(words) <= left else 1 if left else len(words)
            insort(self._edits, (first, last, " ".join(words[:share])))
            words = words[share:]

    def lead(self, at: int, said: str) -> None:
        """Say something before what begins at a place."""
        insort(self._edits, (at, at, said + " "))

    def match(self, found: re.Match[str], said: str | None, group: int | str = 0) -> None:
        """Say something in place of what a pattern found, if that is free and there is something to say."""
        start, end = found.span(group)
        if said is not None and self.free(start, end):
            self.put(start, end, said)

    def words(self) -> list[str]:
        """What is said for each of the text's words, in order."""
        return [self._said(*m.span()) for m in _WORD.finditer(self.text)]

    def _said(self, start: int, end: int) -> str:
        i = max(0, bisect_left(self._edits, (start, -1, "")) - 1)
        parts: list[str] = []
        at = start
        while i < len(self._edits) and self._edits[i][0] < end:
            first, last, said = self._edits[i]
            i += 1
            if last <= start and first < start:
                continue
            if first >= at:
                parts.append(without_symbols(self.text[at:first]))
            if first >= start:
                parts.append(said)
            at = max(at, last)
        if at < end:
            parts.append(without_symbols(self.text[at:end]))
        return _joined(parts)


def _joined(parts: list[str]) -> str:
    """The parts with a space where two letters or digits meet."""
    out = ""
    for part in parts:
        apart = out and part and _sounds(out[-1]) and _sounds(part[0])
        out += f" {part}" if apart else part
    return " ".join(out.split())


def _sounds(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
