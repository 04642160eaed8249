"""Text as it can be sent, stored and said: without control characters and halves of characters. Pure."""

from __future__ import annotations

import unicodedata

__all__ = ["plain"]

_NO_TEXT = frozenset(("Cc", "Cs", "Zl", "Zp"))


def plain(text: str) -> str:
    """The text with a space for each character that is none; line feeds and tabs stay."""
    if text.isprintable():
        return text
    return "".join(" " if c not in "\n\t" and unicodedata.category(c) in _NO_TEXT else c for c in text)
