"""Ordinals as each language writes them, and Roman numerals. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import is_ordinal
from media_server.spoken.language import Language
from media_server.spoken.numbers import ordinal
from media_server.spoken.rules.calendar import german_ending
from media_server.spoken.rules.nouns import is_feminine

__all__ = ["ordinals", "roman"]

_WRITTEN = {
    "es": r"(?P<n>\d{1,4})(?:\.?(?P<m>[ºo°]|er|ero|do|to|mo|vo|no)(?!\w)|\.?(?P<f>[ªa]|ra|da|ta|ma|va|na)(?!\w))",
    "fr": r"(?P<n>\d{1,4})(?:(?P<m>er|e|è|ème|eme|ième|nd|d)s?(?!\w)|(?P<f>re|ère|nde|de)s?(?!\w))",
    "it": r"(?P<n>\d{1,4})(?:(?P<m>[º°])(?![\wC])|(?P<f>ª)(?!\w))",  # "il 1°"
    "pt": r"(?P<n>\d{1,4})(?:\.?(?P<m>[ºo°])(?![\wC])|\.?(?P<f>[ªa])(?!\w))",
    "nl": r"(?P<n>\d{1,4})(?P<m>e|ste|de)(?!\w)",
    "tr": r"(?P<n>\d{1,4})['’]?(?P<m>(?:[iıuü]?n)?c[iıuü](?=\w{0,8}\b))",
}
_DOTTED = re.compile(
    r"(?<![\w.,/-])(\d{1,4})\.(?=[ \u00a0\n]|\Z"
    r"|(?P<listed>,[ \u00a0]\d{1,4}\.(?:,|[ \u00a0](?:und|oder|ve|veya)[ \u00a0]\d)))"
)
_ROMAN = re.compile(
    r"(?<![\w.-])(?P<before>[^\W\d_][\w’'-]{0,30})(?P<gap>\.?[ \u00a0])"
    r"(?P<roman>(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?P<dot>\.?)(?![\w-]|['’](?!s\b))"
)
_ROMAN_BEFORE = re.compile(
    r"(?<![\w.-])(?P<roman>(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3}))(?P<mark>\.|e|ème|er|º|ª|de)?"
    r"(?=(?:[ \u00a0](?:et|y|und|and|e|en|ve|ou|o|bis|au|à|al|a)[ \u00a0]"
    r"(?:(?:il|lo|el|la|le|o|a|de|het|das|der|dem|den|the|du|au|al|zum)[ \u00a0])?[IVX]{1,6}(?:\.|e|ème|º|ª|de)?)?"
    r"[ \u00a0](?P<noun>[^\W\d_]{3,30}|yy|s(?=\.)))"
)
_FRENCH = re.compile(r"(?<![\w-])(?P<roman>[IVX]{2,6}|(?<=le )[VX]|(?<=au )[VX])(?:e|ème)(?!\w)")
"""`le XIXe`."""
_SMALL = re.compile(
    r"(?<![\w.-])(?P<before>[^\W\d_]{3,20})[ \u00a0](?P<roman>i{2,3}|i?v|vi{1,3}|i?x|xi{1,3}|xi?v|xvi{1,3})(?![\w’'-])"
)
"""`Scene iv`."""
_CONJUNCTIONS = frozenset(("et", "y", "und", "and", "e", "en", "ve", "ou", "o", "to", "bis", "al", "à", "a"))
_NAMES = re.compile(r"(?P<title>[^\W\d_]{3,14})[ \u00a0](?:[^\W\d_a-zà-ÿ][^\W\d_]{1,20}[ \u00a0]){0,2}$")
_FIRST_OF_TWO = re.compile(r"(\w+)[ \u00a0][IVXLCDM]+[ \u00a0]$")
_QUEENS = frozenset(
    (
        "elisabeth",
        "elizabeth",
        "katharina",
        "viktoria",
        "victoria",
        "margarethe",
        "margaretha",
        "beatrix",
        "wilhelmina",
        "isabel",
        "elisabetta",
        "élisabeth",
        "maría",
        "maria",
        "vittoria",
        "caterina",
        "catalina",
        "catarina",
    )
)
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def ordinals(edits: Edits, language: Language) -> None:
    """Say ordinals in words where the phonemizer does not know the way in which they are written."""
    if language.code in ("de", "tr"):
        for m in _DOTTED.finditer(edits.text):
            if edits.free(*m.span()) and (m["listed"] or is_ordinal(edits.text, m.start(), m.end(), language)):
                ending = _german_ending(edits.text, m.start(), m.end(), language) if language.code == "de" else ""
                edits.match(m, ordinal(int(m[1]), language, ending=ending))
    if pattern := _pattern(language):
        for m in pattern.finditer(edits.text):
            n = int(m["n"])
            feminine = "f" in m.re.groupindex and m["f"] is not None
            said = ordinal(n, language, feminine)
            before_noun = re.match(
                r"[ \u00a0](?!de[l ]|y |o |en |a )[a-zñáéíóú]{3,}", edits.text[m.end() : m.end() + 12]
            )
            if language.code == "es" and m["m"] and (m["m"] == "er" or before_noun):
                said = re.sub(r"(?<=primer|tercer)o$", "", said)
            if (language.code == "fr" and m["m"] in ("nd", "d")) or (feminine and n == 2 and language.code == "fr"):
                said = "seconde" if feminine else "second"
            edits.match(m, said)


@cache
def _pattern(language: Language) -> re.Pattern[str] | None:
    written = _WRITTEN.get(language.code)
    return re.compile(r"(?<![\w.,/-])" + written) if written else None


def roman(edits: Edits, language: Language) -> None:
    """Say Roman numerals: ordinals of rulers, numbers of chapters, wars and centuries."""
    nouns, rulers = language.listed("roman_nouns"), language.listed("rulers")
    for m in _ROMAN.finditer(edits.text):
        numeral, before = m["roman"], m["before"]
        if not numeral or not edits.free(*m.span("roman")):
            continue
        n = _value(numeral)
        start, end = m.span("roman")
        behind = edits.text[m.end() : m.end() + 3].lstrip()[:1]
        stops = m["dot"] and not (language.code in ("de", "tr") and behind.islower())
        end = m.end() if m["dot"] and not stops else end
        paired = before.lower() in _CONJUNCTIONS and _FIRST_OF_TWO.search(
            edits.text[max(0, m.start() - 40) : m.start()]
        )
        if (before.lower() in nouns and not (len(before) == 1 and before.isupper())) or (
            paired and paired[1].lower() in nouns
        ):
            edits.put(start, end, str(n))
        elif m["gap"][0] != "." and (before in rulers or _is_titled(edits.text, m.start(), language)):
            if (
                numeral == "I"
                and language.code == "en"
                and re.match(r"[ \u00a0][a-z]", edits.text[m.end() :])
                and not re.match(r"[ \u00a0](?:of|was|is|and|in|died|ruled|became|had|to|the)\b", edits.text[m.end() :])
            ):
                continue
            edits.put(start, end, _regnal(n, language, before.lower() in _QUEENS))
        elif (
            len(numeral) > 1
            and n <= 40
            and before[0].isupper()
            and not before.isupper()
            and not m["gap"].startswith(".")
            and set(numeral) <= set("IVX")
        ):
            edits.put(start, end, str(n))
    for m in _SMALL.finditer(edits.text) if language.code in ("en", "de", "nl") else ():
        if m["before"].lower() in nouns | language.listed("numbered"):
            edits.match(m, str(_value(m["roman"].upper())), "roman")
    for m in _FRENCH.finditer(edits.text) if language.code == "fr" else ():
        edits.match(m, ordinal(_value(m["roman"]), language))
    for m in _ROMAN_BEFORE.finditer(edits.text):
        ranked = m["noun"].lower() in language.listed("roman_nouns_after")
        # a Turkish sultan's numeral stands before his name
        ranked |= language.code == "tr" and m["mark"] == "." and m["noun"][0].isupper()
        if m["roman"] and ranked and edits.free(*m.span("roman")):
            feminine = m["noun"].lower() in language.listed("roman_feminine")
            end = m.end("mark") if m["mark"] else m.end("roman")
            ending = _german_ending(edits.text, m.start(), end, language) if language.code == "de" else ""
            edits.put(m.start("roman"), end, ordinal(_value(m["roman"]), language, feminine, ending))


def _is_titled(text: str, at: int, language: Language) -> bool:
    """Whether a title such as *king* stands before a name, or before the names that go with it."""
    before = _NAMES.search(text[max(0, at - 60) : at])
    return before is not None and before["title"].lower() in language.listed("ruler_titles")


def _german_ending(text: str, start: int, end: int, language: Language) -> str:
    """What a German ordinal ends in, by the words before it and the noun behind it."""
    ending = german_ending(text, start)
    noun = re.match(r"[ \u00a0](?:(?:und|oder|bis)[ \u00a0]\d{1,2}\.[ \u00a0])?([A-ZÄÖÜ]\w*)", text[end : end + 60])
    if ending != "r" or noun is None or noun[1] in language.months:
        return ending
    if noun[1] in language.listed("neuter"):
        return "s"
    return "" if is_feminine(noun[1], "de") else "r"


def _regnal(n: int, language: Language, feminine: bool) -> str:
    """The numeral behind a ruler's name as it is said."""
    match language.code:
        case "en":
            return f"the {ordinal(n, language)}"
        case "de":
            return f"{'die' if feminine else 'der'} {ordinal(n, language)}"
        case "nl":
            return f"de {ordinal(n, language)}"
        case "fr":
            return ordinal(1, language, feminine) if n == 1 else str(n)
        case "es" | "pt":
            return ordinal(n, language, feminine) if n <= 10 else str(n)
        case _:
            return ordinal(n, language, feminine)


def _value(numeral: str) -> int:
    values = [_VALUES[c] for c in numeral]
    return sum(-v if v < max(values[i + 1 :], default=0) else v for i, v in enumerate(values))
