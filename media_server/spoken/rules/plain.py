"""Numbers by themselves: no marks between thousands, long ones and those with leading zeros digit by digit. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import digits, plain_number, year

__all__ = ["numbers"]

_LONG = re.compile(r"(?<![\w.,])(?:\d{7,40}|0\d{2,40})(?!\w|[.,]\d)")


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w])(?P<number>{language.number})(?!\w)")


@cache
def _years(language: Language) -> re.Pattern[str] | None:
    cues = "|".join([*map(re.escape, language.months), *language.listed("year_cues")])
    return re.compile(rf"(?<!\w)(?:{cues}),?[ \u00a0](?P<year>1[1-9]\d\d)(?![\d\w.,]*\d)", re.IGNORECASE)


def numbers(edits: Edits, language: Language) -> None:
    """Leave a number to the phonemizer, in the one form that it reads rightly."""
    for m in _LONG.finditer(edits.text):
        if not m[0].endswith("000") or m[0][0] == "0":
            edits.match(m, digits(m[0]))
    if language.code in ("de", "nl", "en") and (pattern := _years(language)):
        for m in pattern.finditer(edits.text):
            edits.match(m, year(int(m["year"]), language), "year")
    for m in _pattern(language).finditer(edits.text):
        said = plain_number(m["number"], language)
        if said != m[0]:
            edits.match(m, said)
