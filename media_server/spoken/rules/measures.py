"""Numbers with units: in the unit's own case, in agreement. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing, is_one

__all__ = ["measures"]


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(map(re.escape, sorted(language.units, key=len, reverse=True)))
    return re.compile(
        rf"(?<![\w/.])(?P<number>{language.number})(?P<gap>[ \u00a0\u202f-]?)"
        rf"(?P<unit>{units})(?P<dot>\.?)(?![\w°²³^]|/\w)"
    )


@cache
def _fraction_pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(re.escape(u) for u in sorted(language.units, key=len, reverse=True) if u.isalpha())
    return re.compile(rf"(?:\d/\d{{1,2}}|[½⅓⅔¼¾⅛])[ \u00a0](?P<unit>{units})(?!\w)")


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
        edits.match(m, language.units[m["unit"]].many, "unit")
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
