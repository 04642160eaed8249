"""Which characters of a text are for the voice: letters with their marks, digits, punctuation. Pure."""

from __future__ import annotations

import unicodedata

__all__ = ["without_symbols"]

_SILENT = frozenset(("So", "Sk", "Cs", "Co", "Cn", "Cf", "Me"))
_SAID = frozenset("°©®™℃℉№℠¢^")
"""Symbols that phonemizers know."""
_JOINERS = "\u200c\u200d"
_VARIANTS = frozenset(range(0xFE00, 0xFE10)) | frozenset(range(0xE0100, 0xE01F0))
"""Selectors of a character's look."""
_SUBSCRIPTS = {0x2080 + n: str(n) for n in range(10)}
MAX_MARKS = 4
"""Maximum marks that are said on one letter; more are for the eye."""


def without_symbols(text: str) -> str:
    """Letters, their marks, digits and punctuation; no emoji, and nothing that is invisible.

    Marks stay where they belong to a letter (vowels in Hindi, Thai or Hebrew, decomposed accents), a few of them. So do
    joiners between letters: they change how words are said, in Persian or Malayalam.
    """
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    text = text.translate(_SUBSCRIPTS)
    on_letter, marks = False, 0
    for c in unicodedata.normalize("NFC", text):
        category = unicodedata.category(c)
        if category in ("Mn", "Mc"):
            marks += 1
            if on_letter and marks <= MAX_MARKS and ord(c) not in _VARIANTS:
                out.append(c)
        elif c in _JOINERS:
            if on_letter:
                out.append(c)
        elif category not in _SILENT or c in _SAID:
            out.append(c)
            on_letter, marks = category[0] == "L", 0
        else:
            on_letter = False
    return "".join(out).rstrip(_JOINERS)
