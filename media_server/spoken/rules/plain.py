"""Numbers by themselves: no marks between thousands, long ones and those with leading zeros digit by digit. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import digits, plain_number, year

__all__ = ["numbers", "scientific"]

_LONG = re.compile(r"(?<![\w.,'’])(?<!\d[ \u00a0])(?:\d{7,40}|0\d{2,40})(?!\w|[.,]\d)")
_THOUSANDS = re.compile(r"(?<![\w.,])(?<!\d )[1-9]\d{0,2}(?: \d{3}){0,4} 000(?!\w|[.,]\d| \d)")
"""Thousands apart, in the one form that is surely a single number."""
_UNDERSCORED = re.compile(r"(?<![\w.,])\d{1,3}(?:_\d{3})+(?!\w)")
_POINT_FIRST = re.compile(r"(?<![^\s(\[\"'“„«])\.(\d{1,12})(?![\w.])")
_SCIENTIFIC = re.compile(r"(?<![\w.,])(\d{1,3}(?:[.,]\d{1,12})?)[eE](?P<sign>[+−-]?)(\d{1,3})(?!\w)")


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w])(?P<number>{language.number})(?!\w)")


@cache
def _years(language: Language) -> re.Pattern[str] | None:
    cues = "|".join([*map(re.escape, language.months), *language.listed("year_cues")])
    months = "|".join([*map(re.escape, language.months), *language.words("month_abbreviations")])
    links = "|".join(map(re.escape, (w for w in language.listed("range_links") if w.isalpha())))
    return re.compile(
        rf"(?:(?<!\w)(?:(?:{cues}),?|(?:{months})\.?[ \u00a0]\d{{1,2}}(?:st|nd|rd|th)?,?)[ \u00a0]|(?<=\())"
        r"(?P<year>1[1-9]\d\d)(?![\d\w]|[.,-]\d|[ \u00a0]?[%€$£])"
        rf"(?:(?:[ \u00a0]?[-–][ \u00a0]?|[ \u00a0](?:{links})[ \u00a0])(?P<second>1[1-9]\d\d)(?!\w|[.,-]\d))?",
        re.IGNORECASE,
    )


_SPAN_OF_YEARS = re.compile(
    r"(?<![\w.,/$€£-])(?P<year>1[5-9]\d\d)(?P<link>[-–]|[ \u00a0](?:bis|tot)[ \u00a0])"
    r"(?P<second>1[5-9]\d\d|20\d\d|\d\d)(?![\w%$€£/-]|[.,]\d|[ \u00a0]?[%$€£])"
)
"""`1990-1995`, `1939–45`; without a word that tells of years."""
_COUNTED = re.compile(r"[ \u00a0][A-ZÄÖÜ]|[ \u00a0](?:euro|gram|meter|mensen|stuks|keer|kilo)")
"""What is counted rather than dated, in German and Dutch."""
ROUND = 50
"""Where both are multiples of this, it is rather so many of something."""


def _span_of_years(edits: Edits, language: Language) -> None:
    for m in _SPAN_OF_YEARS.finditer(edits.text):
        first, second = int(m["year"]), int(m["second"])
        if m["link"].strip().isalpha() and _COUNTED.match(edits.text, m.end()):
            continue
        if first % 100 < second < 100 or (first < second and (first % ROUND or second % ROUND)):
            edits.match(m, year(first, language), "year")
            if second > 99:
                edits.match(m, year(second, language), "second")


def scientific(edits: Edits, language: Language) -> None:
    """Say numbers in the forms of programs: `6e23`, `1.5e-3`, `1_000_000`."""
    for m in _UNDERSCORED.finditer(edits.text):
        edits.match(m, m[0].replace("_", ""))
    for m in _SCIENTIFIC.finditer(edits.text):
        minus = f"{language.word('minus')} " if m["sign"] in ("-", "−") and m["sign"] else ""
        power = f"{language.word('times')} 10 {language.word('power')} {minus}{m[3]}"
        edits.match(m, f"{plain_number(m[1], language)} {power}")


def numbers(edits: Edits, language: Language) -> None:
    """Leave a number to the phonemizer, in the one form that it reads rightly."""
    for m in _POINT_FIRST.finditer(edits.text):
        edits.match(m, f"0{language.decimal}{m[1]}")
    for m in _THOUSANDS.finditer(edits.text):
        edits.match(m, m[0].replace(" ", ""))
    for m in _LONG.finditer(edits.text):
        if not m[0].endswith("000") or m[0][0] == "0":
            edits.match(m, digits(m[0]))
    if language.code in ("de", "nl", "en") and (pattern := _years(language)):
        for m in pattern.finditer(edits.text):
            if m[0].lower().startswith(("bis ", "tot ")) and _COUNTED.match(edits.text, m.end()):
                continue
            edits.match(m, year(int(m["year"]), language), "year")
            if m["second"]:
                edits.match(m, year(int(m["second"]), language), "second")
        _span_of_years(edits, language)
    for m in _pattern(language).finditer(edits.text):
        said = plain_number(m["number"], language)
        if said != m[0]:
            edits.match(m, said)
