"""The word between the ends of a range, which the word before it decides: *between 5 and 10*. Pure."""

from __future__ import annotations

import re

from media_server.spoken.language import Language

__all__ = ["range_word"]

_BEFORE = re.compile(r"([^\W\d_]+)[ \u00a0]$")


def range_word(text: str, start: int, language: Language) -> str:
    """What is said for the dash of a range that begins at `start`."""
    before = _BEFORE.search(text[max(0, start - 20) : start])
    found = language.words("range_words").get(before[1].lower()) if before else None
    return found or language.word("to")
