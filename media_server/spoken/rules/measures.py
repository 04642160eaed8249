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
    if language.code != "en" or not m["number"].isdigit():
        return False
    aged = re.search(r"(?:\b(?:the|his|her|their|my|your|our|in|early|mid|late|of)[ \u00a0-]|[\w]-|['’])$", before)
    behind = re.match(
        r"[ \u00a0](?:music|style|fashion|movies?|hits|songs?|pop|rock|theme|party|nostalgia)\b", text[m.end() :]
    )
    return aged is not None or behind is not None


_NO_NOUN = (
    r"(?:and|or|by|of|in|long|wide|tall|deep|thick|high|from|is|are|to|at|on|the|x|per|for|a|an|each|more|less|away|old|ago|"
    r"later|apart|with|than|before|after|left|total|every|into|as|but|if|when|was|were|will|"
    r"can|you|we|it|they|north|south|east|west)"
)
_BEFORE_NOUN = re.compile(
    r"\b(?:an?|the|this|that|each|every|my|your|our|his|her|their)[ \u00a0](?:[\d.,]{1,9} ?[-–] ?)?$", re.IGNORECASE
)
_NOUN = re.compile(rf"[ \u00a0-](?!{_NO_NOUN}\b)[A-Za-z]{{3,}}")


def _describes(text: str, m: re.Match[str], language: Language) -> bool:
    """Whether a measure says in English what kind of thing something is: `a 10-km run`, `a 60 W bulb`."""
    if language.code == "en" and m["gap"] == "-" and re.match(r"-[a-z]", text[m.end() : m.end() + 2]):
        return True  # "a 2-yr-old"
    if language.code != "en" or m["unit"] in ("%", "°") or not _NOUN.match(text, m.end()):
        return False
    return m["gap"] == "-" or _BEFORE_NOUN.search(text[max(0, m.start() - 16) : m.start()]) is not None


_ARTICLE = re.compile(r"\b(?:il|al|dal|del|nel|sul|el)[ \u00a0]$", re.IGNORECASE)
_AMOUNT_BEFORE = re.compile(
    r"(?:[-−%][ \u00a0]?)?(?:[$€£₺][ \u00a0]?)?\d[\d.,]*(?:[ \u00a0]?[-–][ \u00a0]?[$€£₺]?\d[\d.,]*)?\+?"
    r"(?:[ \u00a0](?:bin|milyon|milyar))?[ \u00a0]?[^\s\d/]{0,16}$"
)
_AMOUNT = re.compile(r"\d(?:[ \u00a0][^\W\d_]+)?$")


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(map(re.escape, sorted(language.units, key=len, reverse=True)))
    return re.compile(
        rf"(?:(?<![\w/.])|(?<=\d[xX×])|(?<=[^\W\d]/)(?=10{{1,3}}\D)|(?<=°[CF]/))(?P<number>{language.amount})(?P<plus>\+)?"
        rf"(?P<gap>[ \u00a0\u202f-]?)"
        rf"(?P<unit>{units})(?P<dot>\.?)"
        rf"(?:(?![\w°²³^]|/(?!{_names(language)}|-?\d{{1,3}}[ \u00a0]?°|10{{1,3}}[ \u00a0]?(?:{units})(?!\w))\w)"
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
def _hundredths(language: Language) -> re.Pattern[str]:
    """`5 l/100 km`."""
    units = "|".join(map(re.escape, sorted(language.units, key=len, reverse=True)))
    return re.compile(rf"(?<=[^\W\d_])(?P<slash>[ \u00a0]?/[ \u00a0]?)(?=10{{1,3}}[ \u00a0]?(?:{units})(?!\w))")


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
    units = "|".join(map(re.escape, (u for u in language.units if "/" in u or u[-1] in "²³")))
    return re.compile(rf"(?<![\w/])(?:{units})(?![\w/²³])")


@cache
def _fraction_pattern(language: Language) -> re.Pattern[str]:
    units = "|".join(re.escape(u) for u in sorted(language.units, key=len, reverse=True) if u != "°")
    return re.compile(
        rf"(?P<whole>\d[ \u00a0]?)?(?:\d/\d{{1,2}}|[½⅓⅔¼¾⅛])[ \u00a0]?(?P<unit>{units})(?P<dot>\.?)(?![\w/²³])"
    )


@cache
def _magnitude_pattern(language: Language) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(language.words("magnitude_letters"), key=len, reverse=True)))
    return re.compile(rf"(?<![\w/.])(?P<number>{language.number})(?P<letter>{names})(?!\w)")


_INCHES = re.compile(
    r"(?<![\w.,\"])(?P<n>\d{1,3}(?:[.,]\d{1,2})?|\d{0,2}[ ]?[½¼¾]|(?:\d{1,2}[ -])?\d/(?:2|4|8|16|32))"
    r"(?P<sign>[\"″])(?!\w)"
    r"(?P<noun>[ \u00a0-](?!(?:and|or|by|of|in|long|wide|tall|deep|thick|high|from|is|are|to|at|on|the|x)\b)[a-z]{2,})?"
)


def _inches(edits: Edits, language: Language) -> None:
    """Say `55"`: a quotation mark that closes none."""
    one, _, many = language.word("inch").partition("|")
    for m in _INCHES.finditer(edits.text):
        if m["sign"] == '"' and edits.text.count('"', 0, m.start("sign")) % 2 and not _INCHES.match(edits.text):
            quoted = edits.text[: m.start("sign")].rpartition('"')[0]
            if not quoted or not quoted[-1].isdigit():
                continue
        single = (language.code == "en" and m["noun"]) or m["n"] in ("1", "½", "¼", "¾") or m["n"][:2] in ("1/", "3/")
        edits.match(m, f" {one if single else many or one}", "sign")


def measures(edits: Edits, language: Language) -> None:
    """Say units in full, one or several, and letters that stand for thousands and millions."""
    text = edits.text
    _durations(edits, language)
    _inches(edits, language)
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
        if re.fullmatch(r"0[1-9]", number):
            number = number[1:]  # "2 h 05 min"
        said = noun.one if (is_one(number, language) and not m["plus"]) or _describes(text, m, language) else noun.many
        if unit in language.listed("units_before"):
            more = f" {language.word('plus')}" if m["plus"] else ""
            edits.put(m.start(), end, f"{said} {agreeing(number, False, language)}{more}")
            continue
        if language.code == "tr" and "/" in unit and (name := _each_in_turkish(unit, language)):
            noun = language.units.get(unit.partition("/")[0], noun)
            said = noun.one
            at = _amount_start(text, m.start("unit") + unit.index("/"))
            edits.lead(m.start("number") if at is None else at, name)
        edits.put(*m.span("number"), agreeing(number, noun.feminine, language, said))
        edits.put(m.end("number"), m.start("unit"), "") if m["gap"] == "-" else None
        edits.put(*m.span("plus"), f" {language.word('plus')} ") if m["plus"] else None
        edits.put(m.start("unit"), end, said)
        if m["each"] and m["each"] not in language.words("per"):
            # "10 mg/dL"
            each = language.units[m["each"]].one
            if language.code == "tr":
                _lead(edits, m.end("unit"), m.end("each"), f"{each} başına")
            else:
                edits.put(m.end("unit"), m.end("each"), f" {language.word('each')} {each}")
    for m in _hundredths(language).finditer(text):
        over = language.word("divided") if language.code == "tr" else language.word("each")
        edits.match(m, f" {over} ", "slash")
    for m in _fraction_pattern(language).finditer(text):
        noun = language.units[m["unit"]]
        if edits.free(*m.span("unit")):
            end = m.end() if m["dot"] and goes_on(text, m.end(), language) else m.end("unit")
            edits.put(m.start("unit"), end, noun.many if m["whole"] else _of(noun.one, language))
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


def _of(noun: str, language: Language) -> str:
    """What a part of something is a part of: *trois quarts de litre*, *tre quarti d’ora*."""
    if language.code not in ("es", "fr", "it", "pt"):
        return noun
    elided = language.code in ("fr", "it") and noun[0] in "aeiouhéh"
    return f"d’{noun}" if elided else f"{'di' if language.code == 'it' else 'de'} {noun}"


def _each_in_turkish(unit: str, language: Language) -> str | None:
    """What leads an amount per something: *saatte* of `km/h`, and of `km/s`, as that is written there."""
    names = language.words("per")
    return names.get(unit) or names.get(unit.partition("/")[2])


def _durations(edits: Edits, language: Language) -> None:
    for pattern in _DURATIONS:
        for m in pattern.finditer(edits.text):
            if language.code in ("es", "fr", "pt") and m["min"].isdigit():
                continue  # a time of day
            for unit in pattern.groupindex:
                if m[unit]:
                    number = "".join(c for c in m[unit] if c.isdigit())
                    edits.match(m, counted(str(int(number)), language.units[unit], language), unit)


def _lead(edits: Edits, slash: int, end: int, said: str) -> None:
    """Say for each what an amount is before the amount, as Turkish does: `20 TL/ay` is *ayda 20 lira*."""
    at = _amount_start(edits.text, slash)
    if edits.free(slash, end) and at is not None:
        edits.put(slash, end, "")
        edits.lead(at, said)


def _amount_start(text: str, end: int) -> int | None:
    """Where an amount begins that ends there."""
    start = max(0, end - 50)
    amount = _AMOUNT_BEFORE.search(text[start:end])
    return start + amount.start() if amount else None


def per(edits: Edits, language: Language) -> None:
    """Say what stands behind a slash after an amount: `20 €/h`, `500 MB/s`, `$20/mo`."""
    names = language.words("per")
    whole = language.code == "it"
    for m in _per_pattern(language).finditer(edits.text):
        before = edits.text[max(0, m.start() - 30) : m.start()]
        if edits.free(m.start() - 1, m.start()) and not _AMOUNT.search(before):
            continue  # no amount before it: it may be anything
        name = names.get(m["name"])
        if name is None:
            continue  # what is counted stands before it
        end = m.end()
        dotted = re.match(r"\.\s", edits.text[end : end + 2]) and edits.free(end, end + 1)
        if dotted and goes_on(edits.text, end + 1, language):
            edits.put(end, end + 1, "")  # "$9/mo. or"
        if language.code == "tr":
            _lead(edits, m.start(), m.end(), name)
            continue
        edits.match(m, f" {name}" if whole else f" {language.word('per')} {name}")
    for m in _counted_per(language).finditer(edits.text):
        if language.code == "tr":
            _lead(edits, *m.span("each"), names.get(m["name"], f"{m['name']} başına"))
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
                _lead(edits, *m.span(), f"{m['word']} başına")
            else:
                edits.put(m.start(), m.start() + 1, f" {language.word('per')} ")
