"""Ranges of dates, months and times of day: from the one to the other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Language
from media_server.spoken.numbers import ordinal, year
from media_server.spoken.rules.calendar import clock_time, date_said, german_ending, no_measure
from media_server.spoken.rules.links import range_word

__all__ = ["spans"]

_GAP = "[ \u00a0]?"
_DASH = rf"{_GAP}[-–—]{_GAP}"
_PARTS = frozenset(((1, 2), (1, 3), (2, 3), (1, 4), (3, 4)))
CUE_WITHIN = 24
"""Characters before a range in which a word such as *from* tells that it is one."""


@dataclass(frozen=True, slots=True)
class _Date:
    """A date in figures."""

    start: int
    end: int
    day: int
    month: int
    year: int | None
    """None where it is left out."""
    certain: bool
    """Whether it cannot be a fraction."""


def spans(edits: Edits, language: Language) -> None:
    """Say ranges of dates and times as such, in the forms that read like fractions, sums or prices by themselves."""
    for pattern in _date_pairs(language):
        for m in pattern.finditer(edits.text):
            _put_dates(edits, m, language)
    if language.decimal == ",":
        for m in _time_pairs(language).finditer(edits.text):
            _put_times(edits, m, language)
    if language.code == "tr":
        for m in _INFLECTED_TIME.finditer(edits.text):
            edits.match(m, clock_time(int(m["hour"]), int(m["minute"]), language))
    for m in _named_pairs(language).finditer(edits.text):
        edits.match(m, f" {range_word(edits.text, m.start(), language)} ", "dash")
    for m in _month_pairs(language).finditer(edits.text):
        names = {name.lower(): name for name in language.months} | dict(language.words("month_abbreviations"))
        first, last = (names[m[name].lower()] for name in ("first", "last"))
        link = m["link"] or range_word(edits.text, m.start(), language)
        edits.match(m, f"{first} {link} {last}")


_INFLECTED_TIME = re.compile(
    r"(?<![\w.,])(?P<hour>[01]?\d|2[0-4])\.(?P<minute>[0-5]\d)(?=['’](?:[dt][ae]n?|[yn]?[aeıi]|[dt]?[ae]ki)\b)"
)
"""A Turkish time with its ending: `9.00'dan`."""


def _one_of(words: Iterable[str]) -> str:
    """A pattern of any of these, longest first; an underscore stands for a space."""
    found = sorted(words, key=len, reverse=True)
    return "|".join(re.escape(w).replace("_", "[ \u00a0]") for w in found) or "(?!)"


@cache
def _link(language: Language) -> str:
    """A pattern of what stands between the two ends."""
    words = _one_of(language.listed("range_links"))
    return rf"(?P<link>{_DASH}|[ \u00a0](?i:{words})(?:[ \u00a0]|(?<=['’])))"


@cache
def _date_pairs(language: Language) -> tuple[re.Pattern[str], ...]:
    def side(name: str, mark: str, behind: str) -> str:
        return rf"(?P<{name}1>[0-3]?\d){mark}(?P<{name}2>[0-3]?\d)(?:{behind}(?P<{name}y>[12]\d{{3}}|\d\d(?!\d)))?"

    slash = rf"(?<![\w./,-]){side('a', '/', '/')}{_link(language)}{side('b', '/', '/')}(?![\w/]|[.,]\d)"
    dotted = (
        rf"(?<![\w./,-]){side('a', '[.]', '[.]?')}(?P<adot>\.?){_link(language)}"
        rf"{side('b', '[.]', '[.]')}(?P<bdot>\.?)(?![\w/]|[.,]\d)"
    )
    return re.compile(slash), re.compile(dotted)


def _dates_of(m: re.Match[str], language: Language, dotted: bool) -> list[_Date] | None:
    """Both dates of a range; None where they are none."""
    found = []
    for name in "ab":
        first, second = int(m[f"{name}1"]), int(m[f"{name}2"])
        month_first = language.table["date_order"] == "mdy" and not dotted
        month, day = (first, second) if month_first else (second, first)
        if month > 12 >= day:
            month, day = day, month
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        n = int(m[f"{name}y"]) if m[f"{name}y"] else None
        if n is not None and n < 100:
            n += 2000 if n < 70 else 1900
        written = f"{m[f'{name}1']} {m[f'{name}2']}".split()
        rare = max(first, second) > 12 and second not in (16, 32)
        certain = n is not None or first >= second or rare or any(part[0] == "0" for part in written)
        end = m.end(f"{name}y") if m[f"{name}y"] else m.end(f"{name}2")
        found.append(_Date(m.start(f"{name}1"), end, day, month, n, certain))
    return found


def _put_dates(edits: Edits, m: re.Match[str], language: Language) -> None:
    dotted = "adot" in m.re.groupindex
    found = _dates_of(m, language, dotted)
    if found is None or not edits.free(*m.span()):
        return
    first, last = found
    if dotted:
        # "3.5 - 8.5" are decimals
        if not (last.year or (language.code == "de" and m["adot"] and m["bdot"])):
            return
    else:
        cued = _is_cued(edits.text, m.start(), language)
        parts = all((int(m[f"{n}1"]), int(m[f"{n}2"])) in _PARTS for n in "ab")
        if parts or not (cued or first.certain or last.certain):
            return
        if m["link"].strip().lower() in language.listed("conjunctions") and not cued:
            return
    ending = german_ending(edits.text, m.start()) if language.code == "de" else ""
    link = m["link"].strip()
    edits.put(first.start, m.end("adot") if dotted else first.end, _date(first, edits.text, language, ending))
    if link in ("-", "–", "—"):
        edits.put(*m.span("link"), f" {range_word(edits.text, first.start, language)} ")
    end = last.end
    stop = ""
    if dotted and m["bdot"]:
        end = m.end("bdot")
        stop = "" if last.year is None and goes_on(edits.text, end, language) else "."
    ending = "n" if link.endswith(" zum") else ending
    edits.put(last.start, end, _date(last, edits.text, language, ending) + stop)


def _date(date: _Date, text: str, language: Language, ending: str) -> str:
    if language.code != "de":
        return date_said(text, date.start, date.day, date.month, date.year, language)
    day = ordinal(date.day, language, ending=ending)
    n = f" {year(date.year, language)}" if date.year is not None else ""
    return f"{day} {language.months[date.month - 1]}{n}"


def _is_cued(text: str, at: int, language: Language) -> bool:
    words = re.findall(r"[^\W\d_]+", text[max(0, at - CUE_WITHIN) : at].lower())
    cues = language.listed("range_cues") | language.listed("date_cues")
    return bool(words) and (words[-1] in cues or (len(words) > 1 and words[-2] in cues and len(words[-1]) < 4))


@cache
def _time_pairs(language: Language) -> re.Pattern[str]:
    words = _one_of(language.listed("hour_words"))
    cue = rf"(?:(?i:{_one_of(language.listed('hour_cues'))})[ \u00a0])?"

    def side(name: str) -> str:
        word = rf"[ \u00a0]?(?:{words})(?!\w)"
        minutes = rf"\.(?P<{name}m>[0-5]\d)(?P<{name}w>{word})?"
        # "8.30-17 uur"
        minutes = rf"(?:{minutes}|(?P<whole>{word}))" if name == "b" else minutes
        return rf"(?P<{name}>(?P<{name}h>[01]?\d|2[0-4]){minutes})"

    link = rf"(?:{_link(language)}|[ \u00a0](?P<cue>(?i:{_one_of(language.listed('hour_cues'))}))[ \u00a0])"
    # what is behind the second one must not make a price or a measure of it
    return re.compile(rf"(?<![\w.,$€£]){side('a')}{link}{cue}{side('b')}(?![\w/%]|[.,]\d|{no_measure(language)})")


def _put_times(edits: Edits, m: re.Match[str], language: Language) -> None:
    if not edits.free(*m.span("a")) or not edits.free(*m.span("b")):
        return
    if m["whole"] and edits.text[m.end() : m.end() + 1] == "." and goes_on(edits.text, m.end() + 1, language):
        edits.put(m.end(), m.end() + 1, "")  # "8.30-17 u. open"
    for name in "ab":
        edits.put(*m.span(name), clock_time(int(m[f"{name}h"]), int(m[f"{name}m"] or 0), language))
    if m["link"] and m["link"].strip() in ("-", "–", "—"):
        edits.put(*m.span("link"), f" {range_word(edits.text, m.start('a'), language)} ")


@cache
def _named_pairs(language: Language) -> re.Pattern[str]:
    """A dash between dates with a month's name, and between a time's word and the next time."""
    names = [*language.months, *language.words("month_abbreviations")]
    month = rf"(?i:{_one_of(names)})\.?"
    day = r"\d{1,2}(?:st|nd|rd|th|er|\.|[º°ª])?"
    hour = _one_of(w for w in language.listed("hour_words") if len(w) > 1)
    of = r"(?:de[ \u00a0])?"
    before = rf"\d[ \u00a0]{of}{month}(?:,?[ \u00a0]{of}[12]\d{{3}})?|{month}[ \u00a0]{day}(?:,?[ \u00a0][12]\d{{3}})?"
    behind = rf"{day}[ \u00a0]{of}{month}(?!\w)|{month}[ \u00a0]\d"
    weekday = _one_of([*language.weekdays, *language.words("weekday_abbreviations")])
    return re.compile(
        rf"(?:(?<!\w)(?:{before})(?={_DASH}(?:{behind}))|(?<=\d)[ \u00a0]?(?:{hour})(?={_DASH}\d)"
        rf"|(?:(?<=\d)|(?<=\d\.))(?={_DASH}(?:{weekday})\.?,?[ \u00a0](?:\d|{month})))(?P<dash>{_DASH})"
    )


@cache
def _month_pairs(language: Language) -> re.Pattern[str]:
    names = _one_of([*language.months, *language.words("month_abbreviations")])
    # two words that stand for months are so without a dash only where one has a full stop: "may and mar" are none
    links = _one_of(language.listed("range_links") | language.listed("conjunctions"))
    link = rf"(?:{_DASH}|(?:\.|(?=[^.]{{1,24}}\.))[ \u00a0](?P<link>(?i:{links}))[ \u00a0])"
    return re.compile(
        rf"(?<![\w-])(?P<first>(?i:{names}))(?:\.(?={_DASH}))?{link}"
        rf"(?P<last>(?i:{names}))(?:\.(?!\s*\Z))?(?![\w-])"
    )
