"""Fractions: halves, quarters and the like, alone and behind a whole number. Pure."""

from __future__ import annotations

import re
import unicodedata

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing, plain_number
from media_server.spoken.rules.nouns import is_feminine as feminine_noun
from media_server.spoken.rules.nouns import is_other

__all__ = ["fractions"]

_WRITTEN = re.compile(
    r"(?<![\w./,-])(?:(?P<whole>\d{1,3})[ \u00a0-])?(?P<above>\d{1,2})[/⁄](?P<below>\d{1,2})(?![\w/⁄]|[.,]\d)"
)
_ONE_SIGN = re.compile(r"(?<![\w.,])(?:(?P<whole>\d{1,3})[ \u00a0]?)?(?P<sign>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_HALVES = re.compile(
    r"(?<![\w./,-])(?P<whole>\d{1,3})[ \u00a0]?(?P<half>½|(?<=[ \u00a0])1[/⁄]2)[ \u00a0]"
    r"(?P<noun>[^\W\d_]{1,30})(?![\w'’/])"
)
_HALF_BEFORE = re.compile(
    r"(?<![\w./,-])(?<!\d )(?P<half>½|1[/⁄]2)(?P<gap>[ \u00a0]?)(?P<noun>[^\W\d_]{1,30})(?![\w'’/])"
)
_RATED = re.compile(
    r"(?<![\w./,-])(?P<above>\d{1,3}(?:[.,]\d)?)/(?P<below>\d{1,3})(?![\w/]|[.,]\d)(?=\W{0,2}(?P<word>\w*))"
)
_PAGED = re.compile(
    r"(?<!\w)(?P<word>[^\W\d_]{4,20})[ \u00a0](?P<above>\d{1,4})(?P<slash>/)(?P<below>\d{1,4})(?![\w/]|[.,]\d)"
)
_PRESSURE = re.compile(
    r"(?<![\w./,])\d{2,3}(?P<slash>/)\d{2,3}(?=[ \u00a0]?mm ?Hg\b)"
    r"|(?i:(?<!\w)(?:bp|rr|blood pressure|blutdruck|tension|tensión"
    r"|pressione|pressão|bloeddruk|tansiyon)(?: \w{1,5}| \w{2,7}:|:)?)"
    r"[ ]1\d\d(?P<slash2>/)\d{2,3}(?![\w/])"
)
_OF = frozenset(("del", "des", "dos", "das", "della", "delle", "dei", "van", "der", "den"))
_GERMAN_HALVES = dict.fromkeys(("einen", "einem", "einer", "dem", "den"), "halben") | dict.fromkeys(
    ("der", "die", "das"), "halbe"
)
_ARTICLE = re.compile(r"\b(eine[nmr]?|ein|une?|een|le|la|du|au|de[mnr]?|die|das|het)[ \u00a0]$", re.IGNORECASE)
_BEFORE_ENDINGS = {"çeyrek": "dörtte bir", "yarım": "yarı"}
MARKS, MONTHS = 20, 12
"""What `15/20` is out of: marks of French and Portuguese schools, and no date."""
_SUM_AROUND = re.compile(r"[*×÷^]")


def fractions(edits: Edits, language: Language) -> None:
    """Say fractions in words where the language has them; others are left."""
    _paged(edits, language)
    _ratings(edits, language)
    _put_half_behind(edits, language)
    _put_half_before(edits, language)
    for m in _ONE_SIGN.finditer(edits.text):
        above, _, below = unicodedata.normalize("NFKC", m["sign"]).partition("⁄")
        edits.match(m, _said(m["whole"], int(above), int(below), language))
    for m in _WRITTEN.finditer(edits.text):
        near = edits.text[max(0, m.start() - 2) : m.start()] + edits.text[m.end() : m.end() + 2]
        if int(m["above"]) < int(m["below"]) and not _SUM_AROUND.search(near):
            said = _said(m["whole"], int(m["above"]), int(m["below"]), language)
            ending = language.code == "tr" and not m["whole"] and edits.text[m.end() : m.end() + 1] in ("'", "’")
            edits.match(m, _BEFORE_ENDINGS.get(said or "", said) if ending else said)


def _ratings(edits: Edits, language: Language) -> None:
    """Say *4.5 out of 5*, *5 out of 5*, *8 out of 10 stars*."""
    for m in _RATED.finditer(edits.text):
        above, below = float(m["above"].replace(",", ".")), int(m["below"])
        certain = (
            m["word"].lower() in language.listed("rated")
            or _is_scored(edits.text, m.start("above"), language)
            or not above.is_integer()
            or above == below
            or (below == 100 and above > 1)
            or (below == MARKS and above > (MONTHS if language.table["date_order"] == "mdy" else 1))
        )
        if certain and above <= below and below in (3, 4, 5, 6, 10, 20, 100):
            start, end = m.start("above"), m.end("below")
            if edits.free(start, end) and language.code == "tr":
                edits.put(start, end, f"{below} üzerinden {plain_number(m['above'], language)}")
            elif edits.free(start, end):
                edits.put(start, end, f"{plain_number(m['above'], language)} {language.word('out_of')} {below}")


def _is_scored(text: str, at: int, language: Language) -> bool:
    """Whether the word before a fraction tells that it is points: `scored 9/10`."""
    before = re.search(r"(\w+)[ \u00a0]$", text[max(0, at - 24) : at])
    return before is not None and before[1].lower() in language.listed("score_cues")


def _paged(edits: Edits, language: Language) -> None:
    """Say *page 3 of 10*, and *120 over 80* of a blood pressure."""
    for m in _PAGED.finditer(edits.text):
        if m["word"].lower() in language.listed("numbered") and int(m["above"]) <= int(m["below"]):
            edits.match(m, f" {language.word('of')} ", "slash")
    for m in _PRESSURE.finditer(edits.text):
        edits.match(m, f" {language.word('over')} ", "slash" if m["slash"] else "slash2")


def _said(whole: str | None, above: int, below: int, language: Language) -> str | None:
    """The fraction in words; None where the language has none for it."""
    names = language.words("fractions")
    exact = names.get(f"{above}/{below}")
    if exact is None:
        one, _, many = names.get(str(below), "").partition("|")
        if not one:
            return None
        number = agreeing("1", False, language, one) if above == 1 else str(above)
        exact = str(language.table["fraction"]).format(above=number, below=one if above == 1 else many or one)
    if whole is None:
        return exact
    together = names.get(f"{whole}+{above}/{below}")
    if together:
        return together
    return f"{whole} {language.word('fraction_and')} {names.get(f'+{above}/{below}', exact)}".replace("  ", " ")


def _put_half_behind(edits: Edits, language: Language) -> None:
    """Say *2 heures et demie*, *due ore e mezza*: the half stands behind the noun."""
    forms = language.words("fractions").get("half_behind", "")
    if not forms:
        return
    masculine, _, feminine = forms.partition("|")
    for m in _HALVES.finditer(edits.text):
        if not edits.free(*m.span()):
            continue
        noun, whole = m["noun"], m["whole"]
        unit = language.units.get(noun) or next((u for u in language.units.values() if noun == u.many != u.one), None)
        is_feminine = unit.feminine if unit else feminine_noun(noun, language.code)
        name = (unit.one if whole == "1" else unit.many) if unit else noun
        half = feminine if is_feminine else masculine
        edits.put(*m.span("whole"), agreeing(whole, is_feminine, language, name))
        edits.put(*m.span("half"), "")
        edits.put(*m.span("noun"), f"{name} {half}")


def _put_half_before(edits: Edits, language: Language) -> None:
    """Say *media hora*, *eine halbe Stunde*: half of one is an adjective."""
    forms = language.words("fractions").get("half_before", "")
    if not forms:
        return
    masculine, feminine, *neuter = forms.split("|")
    for m in _HALF_BEFORE.finditer(edits.text):
        noun = m["noun"]
        unit = language.units.get(noun)
        if not edits.free(*m.span()) or (unit is None and language.code == "de" and noun[0].islower()):
            continue
        if unit is None and (is_other(noun.lower(), language) or len(noun) < 3 or noun.lower() in _OF):
            continue
        name = unit.one if unit else noun
        is_feminine = unit.feminine if unit else feminine_noun(noun, language.code)
        half = feminine if is_feminine else masculine
        if neuter and name in language.listed("neuter"):
            half = neuter[0]
        article = _ARTICLE.search(edits.text[max(0, m.start() - 8) : m.start()])
        if article and " " in half:
            half = half.split()[-1]
            if language.code == "de":
                half = _GERMAN_HALVES.get(article[1].lower(), half)
        edits.put(*m.span("half"), half)
        dotted = edits.text[m.end() : m.end() + 1] == "." and unit is not None
        drops = dotted and edits.free(m.end(), m.end() + 1) and goes_on(edits.text, m.end() + 1, language)
        edits.put(m.start("noun"), m.end("noun") + drops, name)
