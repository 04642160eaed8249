"""Chapters and verses of holy books: `John 3:16-18` is no time and no ratio. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import ordinal

__all__ = ["verses"]


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    books = "|".join(map(re.escape, sorted(language.words("books"), key=len, reverse=True)))
    comma = "" if language.decimal == "." else ","
    return re.compile(
        rf"(?<![\w.,])(?:(?P<rank>[1-3])\.?[ \u00a0]?)?(?P<book>{books})\.?[ \u00a0](?P<chapter>\d{{1,3}})"
        rf"(?P<mark>[:{comma}][ ]?)(?P<verse>\d{{1,3}})(?:(?P<dash>[ ]?[-–][ ]?)(?P<last>\d{{1,3}}))?"
        rf"(?![\w:]|[.,]\d|[ \u00a0]?(?:[ap]\.?m\b|Uhr|uur|%|€|\$))"
    )


def verses(edits: Edits, language: Language) -> None:
    """Say the numbers of a chapter and its verses one after the other."""
    for m in _pattern(language).finditer(edits.text) if language.words("books") else ():
        if not edits.free(*m.span()):
            continue
        feminine = language.code in ("es", "it", "pt", "fr")
        if m["rank"]:
            rank = ordinal(int(m["rank"]), language, feminine, "r" if language.code == "de" else "")
            edits.put(m.start(), m.start("book"), f"{rank} ")
        edits.put(m.start("book"), m.start("chapter"), language.words("books")[m["book"]] + " ")
        edits.put(*m.span("mark"), " ")
        if m["dash"]:
            edits.put(*m.span("dash"), f" {language.word('to')} ")
        edits.take(*m.span())
