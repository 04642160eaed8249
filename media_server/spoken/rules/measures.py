"""Numbers with units: in the unit's own case, in agreement. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing, counted, is_one

__all__ = ["measures", "per"]


_PER_WORD = re.compile(r"(?<=\S)/(?P<word>[^\W\d_]{3,20})(?![\w/])")
_DURATIONS = (
    re.compile(
        r"(?<![\w.,:/-])(?P<h>\d{1,3}[ \u00a0]?h)[ \u00a0]?"
        r"(?P<min>[0-5]?\d(?:[ \u00a0]?m(?:in)?(?!\w)|(?:m|min)(?=\d)|(?<=\d\d)(?![\w:]|[ \u00a0]?[.,]?\d)))"
        r"(?:[ \u00a0]?(?P<s>[0-5]?\d[ \u00a0]?s)(?!\w))?"
    ),
    re.compile(r"(?<![\w.,:/-])(?P<min>\d{1,3}[ \u00a0]?m(?:in)?)[ \u00a0]?(?P<s>[0-5]?\d[ \u00a0]?s)(?!\w)"),
)
"""`1h 30m`, `1h30`, `2m 30s`."""


def _is_decade(text: str, m: re.Match[str], language: Language) -> bool:
    """Whether `90s` are the nineties: in English, behind a word such as *the*."""
    before = text[max(0, m.start() - 8) : m.start()].lower()
    if language.code != "en":
        return False
    aged = re.search(r"(?:\b(?:the|his|her|their|my|your|our|in|early|mid|late|of)[ \u00a0-]|[\w]-|['’])$", before)
    behind = re.match(
        r"[ \u00a0](?:music|style|fashion|movies?|hits|songs?|pop|rock|theme|party|nostalgia)\b", text[m.end() :]
    )
    return aged is not None or behind is not None


_ARTICLE = re.compile(r"\b(?:il|al|del|nel|el)[ \u00a0]$", re.IGNORECASE)
_AMOUNT = re.compile(r"\d(?:[ \u00a0][^\W\d_]+)?$")


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(map(re.escape, sorted(language.units, key=len, reverse=True)))
    return re.compile(
        rf"(?:(?<![\w/.])|(?<=\d[xX×]))(?P<number>{language.amount})(?P<gap>[ \u00a0\u202f-]?)"
        rf"(?P<unit>{units})(?P<dot>\.?)(?:(?![\w°²³^]|/(?!{_names(language)})\w)"
        rf"|(?=/(?P<each>{units})(?!\w|/)))"
    )


def _names(language: Language) -> str:
    """A pattern of what stands behind a slash for each one of something."""
    each = {*language.words("per"), *language.listed("per_nouns")}
    names = "|".join(map(re.escape, sorted(each, key=len, reverse=True)))
    return rf"(?:{names})(?!\w)"


def _is_counted(behind: str, language: Language) -> bool:
    """Whether what is behind `3°` is what the ordinal counts."""
    noun = re.match(r"[ \u00a0](?:de[ \u00a0])?([^\W\d_]+)", behind[:40])
    return noun is not None and (noun[1].lower() in language.listed("ordinal_nouns") or noun[1] in language.months)


@cache
def _per_pattern(language: Language) -> re.Pattern[str]:
    return re.compile(rf"(?<=[^\s/])(?P<slash>/)(?P<name>{_names(language)})(?![/²³])")


@cache
def _counted_per(language: Language) -> re.Pattern[str]:
    """`7 days/week`: what is counted, and for each what."""
    names = {n for pair in language.words("per").items() for n in pair if len(n) > 2 and n.isalpha()}
    names |= language.listed("per_nouns")
    one_of = "|".join(map(re.escape, sorted(names)))
    return re.compile(
        rf"(?<![\w.,])\d{{1,6}}(?:[ \u00a0][^\W\d_]{{2,20}}|[ \u00a0]?[hxX×])"
        rf"(?P<each>(?P<slash>/)(?P<name>{one_of}))(?![\w/])"
    )


@cache
def _alone_pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(map(re.escape, (u for u in language.units if "/" in u)))
    return re.compile(rf"(?<![\w/])(?:{units})(?![\w/])")


@cache
def _fraction_pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(re.escape(u) for u in sorted(language.units, key=len, reverse=True) if u.isalpha())
    return re.compile(
        rf"(?P<whole>\d[ \u00a0]?)?(?:\d/\d{{1,2}}|[½⅓⅔¼¾⅛])[ \u00a0]?(?P<unit>{units})(?P<dot>\.?)(?!\w)"
    )


@cache
def _magnitude_pattern(language: Language) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(language.words("magnitude_letters"), key=len, reverse=True)))
    return re.compile(rf"(?<![\w/.])(?P<number>{language.number})(?P<letter>{names})(?!\w)")


def measures(edits: Edits, language: Language) -> None:
    """Say units in full, one or several, and letters that stand for thousands and millions."""
    text = edits.text
    _durations(edits, language)
    for m in _pattern(language).finditer(text):
        number, unit = m["number"], m["unit"]
        if not edits.free(*m.span()) or (unit == "s" and not m["gap"] and _is_decade(text, m, language)):
            continue
        if unit == "°" and (
            _is_counted(text[m.end() :], language) or _ARTICLE.search(text[max(0, m.start() - 5) : m.start()])
        ):
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
        if m["each"] and m["each"] not in language.words("per"):
            # "10 mg/dL"
            over = language.word("divided") if language.code == "tr" else language.word("each")
            edits.put(m.end("unit"), m.end("each"), f" {over} {language.units[m['each']].one}")
    for m in _fraction_pattern(language).finditer(text):
        noun = language.units[m["unit"]]
        if edits.free(*m.span("unit")):
            end = m.end() if m["dot"] and goes_on(text, m.end(), language) else m.end("unit")
            edits.put(m.start("unit"), end, noun.many if m["whole"] else noun.one)
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


def _durations(edits: Edits, language: Language) -> None:
    for pattern in _DURATIONS:
        for m in pattern.finditer(edits.text):
            if language.code in ("es", "fr", "pt") and m["min"].isdigit():
                continue  # a time of day
            for unit in pattern.groupindex:
                if m[unit]:
                    number = "".join(c for c in m[unit] if c.isdigit())
                    edits.match(m, counted(number, language.units[unit], language), unit)


def per(edits: Edits, language: Language) -> None:
    """Say what stands behind a slash after an amount: `20 €/h`, `500 MB/s`, `$20/mo`."""
    names = language.words("per")
    whole = language.code in ("it", "tr")
    for m in _per_pattern(language).finditer(edits.text):
        before = edits.text[max(0, m.start() - 30) : m.start()]
        if edits.free(m.start() - 1, m.start()) and not _AMOUNT.search(before):
            continue  # no amount before it: it may be anything
        name = names.get(m["name"])
        if name is None:
            continue  # what is counted stands before it
        edits.match(m, f" {name}" if whole else f" {language.word('per')} {name}")
    for m in _counted_per(language).finditer(edits.text):
        if language.code == "tr":
            edits.match(m, f" {m['name']} başına", "each")
        elif language.code == "it":
            name = m["name"]
            said = next((said for said in names.values() if said.split()[-1].split("'")[-1] == name), f"per {name}")
            edits.match(m, f" {said}", "each")
        else:
            edits.match(m, f" {language.word('per')} ", "slash")
    for m in _PER_WORD.finditer(edits.text):
        clock = re.search(r"[ap]\.?m\.?$", edits.text[max(0, m.start() - 4) : m.start()], re.IGNORECASE)
        if not edits.free(m.start() - 1, m.start()) and edits.free(*m.span()) and not clock:
            if language.code == "tr":
                edits.put(*m.span(), f" {m['word']} başına")
            else:
                edits.put(m.start(), m.start() + 1, f" {language.word('per')} ")
