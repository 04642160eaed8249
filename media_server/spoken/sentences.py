"""The whole sentences of a text that a limit may have cut. Pure."""

from __future__ import annotations

import re

from media_server.spoken.ends import WIDE, ends_sentence
from media_server.spoken.language import language_of

__all__ = ["ends_between", "whole_sentences"]

_END = re.compile(rf"[.!?…\u037e]+[\"')\]»”’*_]*(?=\s|\Z)|[{WIDE}][」』”’）)\"*_]*")
_LIST_NUMBER = re.compile(r"(?:^|\n)[^\S\n]*\d{1,3}\Z")
BEHIND = 60
"""Characters behind a full stop that tell whether it ends its sentence."""


def whole_sentences(text: str, voice: str = "en") -> str:
    """The text up to the end of its last whole sentence: "See Dr." is none, nor is the number of a list's item.

    Args:
        voice: the language of the voice by espeak-ng's name.
    """
    for m in reversed([*_END.finditer(text)]):
        if _ends(text, m, voice):
            return text[: m.end()]
    return ""


def ends_between(before: str, after: str, voice: str = "en") -> bool:
    """Whether a sentence ends at the end of `before`, which goes on with `after`."""
    if not before or whole_sentences(before, voice) != before:
        return False
    return after[:1].isspace() or before[-1] in WIDE


def _ends(text: str, m: re.Match[str], voice: str) -> bool:
    if m[0][0] != "." or m[0].startswith(".."):
        return True
    stop = m.start() + 1
    if _LIST_NUMBER.search(text[max(0, m.start() - 40) : m.start()]):
        return False
    closed = text[:stop] + " " * (m.end() - stop) + text[m.end() : m.end() + BEHIND]
    return (
        ends_sentence(closed[max(0, stop - 200) :], stop - max(0, stop - 200), language_of(voice), final=False) is True
    )
