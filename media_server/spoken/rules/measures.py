"""Numbers with units: in the unit's own case, in agreement. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing, is_one

__all__ = ["measures", "per"]


_PER_WORD = re.compile(r"(?<=\S)/(?P<word>[^\W\d_]{3,20})(?![\w/])")
_AMOUNT = re.compile(r"\d(?:[ \u00a0][^\W\d_]+)?$")


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(map(re.escape, sorted(language.units, key=len, reverse=True)))
    return re.compile(
        rf"(?:(?<![\w/.])|(?<=\d[xX×]))(?P<number>{language.amount})(?P<gap>[ \u00a0\u202f-]?)"
        rf"(?P<unit>{units})(?P<dot>\.?)(?![\w°²³^]|/(?!{_names(language)})\w)"
    )


def _names(language: Language) -> str:
    """A pattern of what stands behind a slash for each one of something."""
    names = "|".join(map(re.escape, sorted(language.words("per"), key=len, reverse=True)))
    return rf"(?:{names})(?!\w)"


def _is_counted(behind: str, language: Language) -> bool:
    """Whether what is behind `3°` is what the ordinal counts."""
    noun = re.match(r"[ \u00a0](?:de[ \u00a0])?([^\W\d_]+)", behind[:40])
    return noun is not None and (noun[1].lower() in language.listed("ordinal_nouns") or noun[1] in language.months)


@cache
def _per_pattern(language: Language) -> re.Pattern[str]:
    return re.compile(rf"(?<=[^\s/])(?P<slash>/)(?P<name>{_names(language)})(?![/²³])")


@cache
def _alone_pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(map(re.escape, (u for u in language.units if "/" in u)))
    return re.compile(rf"(?<![\w/])(?:{units})(?![\w/])")


@cache
def _fraction_pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(re.escape(u) for u in sorted(language.units, key=len, reverse=True) if u.isalpha())
    return re.compile(rf"(?P<whole>\d[ \u00a0]?)?(?:\d/\d{{1,2}}|[½⅓⅔¼¾⅛])[ \u00a0]?(?P<unit>{units})(?!\w)")


@cache
def _magnitude_pattern(language: Language) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(language.words("magnitude_letters"), key=len, reverse=True)))
    return re.compile(rf"(?<![\w/.])(?P<number>{language.number})(?P<letter>{names})(?!\w)")


def measures(edits: Edits, language: Language) -> None:
    """Say units in full, one or several, and letters that stand for thousands and millions."""
    text = edits.text
    for m in _pattern(language).finditer(text):
        number, unit = m["number"], m["unit"]
        if not edits.free(*m.span()) or (unit == "s" and not m["gap"] and number.endswith("0")):
            continue  # the nineties
        if unit == "°" and _is_counted(text[m.end() :], language):
            continue  # "3° piano" is an ordinal
        noun = language.units[unit]
        end = m.end("unit")
        if m["dot"] and goes_on(text, m.end(), language):
            end = m.end()
        said = noun.one if is_one(number, language) else noun.many
        if unit in language.listed("units_before"):
            edits.put(m.start(), end, f"{said} {agreeing(number, False, language)}")
            continue
        edits.put(*m.span("number"), agreeing(number, noun.feminine, language, said))
        edits.put(m.end("number"), m.start("unit"), "") if m["gap"] == "-" else None
        edits.put(m.start("unit"), end, said)
    for m in _fraction_pattern(language).finditer(text):
        noun = language.units[m["unit"]]
        edits.match(m, noun.many if m["whole"] else noun.one, "unit")
    for m in _alone_pattern(language).finditer(text):
        edits.match(m, language.units[m[0]].many)
    letters = language.words("magnitude_letters")
    for m in _magnitude_pattern(language).finditer(text) if letters else ():
        one, _, many = letters[m["letter"]].partition("|")
        few = m["letter"] == "K" and len(m["number"]) < 3
        if edits.free(*m.span()) and m[0] not in language.listed("names") and not few:
            edits.put(
                m.start(),
                m.end(),
                f"{agreeing(m['number'], False, language)} {one if m['number'] == '1' else many or one}",
            )


def per(edits: Edits, language: Language) -> None:
    """Say what stands behind a slash after an amount: `20 €/h`, `500 MB/s`, `$20/mo`."""
    names = language.words("per")
    whole = language.code in ("it", "tr")
    for m in _per_pattern(language).finditer(edits.text):
        before = edits.text[max(0, m.start() - 30) : m.start()]
        if edits.free(m.start() - 1, m.start()) and not _AMOUNT.search(before):
            continue  # no amount before it: it may be anything
        name = names[m["name"]]
        edits.match(m, f" {name}" if whole else f" {language.word('per')} {name}")
    for m in _PER_WORD.finditer(edits.text):
        clock = re.search(r"[ap]\.?m\.?$", edits.text[max(0, m.start() - 4) : m.start()], re.IGNORECASE)
        if not edits.free(m.start() - 1, m.start()) and edits.free(*m.span()) and not clock:
            if language.code == "tr":
                edits.put(*m.span(), f" {m['word']} başına")
            else:
                edits.put(m.start(), m.start() + 1, f" {language.word('per')} ")
