"""Fractions: halves, quarters and the like, alone and behind a whole number. Pure."""

from __future__ import annotations

import re
import unicodedata

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import agreeing
from media_server.spoken.rules.nouns import is_feminine as feminine_noun

__all__ = ["fractions"]

_WRITTEN = re.compile(
    r"(?<![\w./,-])(?:(?P<whole>\d{1,3})[ \u00a0-])?(?P<above>\d{1,2})[/⁄](?P<below>\d{1,2})(?![\w/⁄]|[.,]\d)"
)
_ONE_SIGN = re.compile(r"(?<![\w.,])(?:(?P<whole>\d{1,3})[ \u00a0]?)?(?P<sign>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_HALVES = re.compile(
    r"(?<![\w./,-])(?P<whole>\d{1,3})[ \u00a0]?(?P<half>½|(?<=[ \u00a0])1[/⁄]2)[ \u00a0]"
    r"(?P<noun>[^\W\d_]{1,30})(?![\w'’/])"
)
_SUM_AROUND = re.compile(r"[=+*×÷^−]")


def fractions(edits: Edits, language: Language) -> None:
    """Say fractions in words where the language has them; others are left."""
    _put_half_behind(edits, language)
    for m in _ONE_SIGN.finditer(edits.text):
        above, _, below = unicodedata.normalize("NFKC", m["sign"]).partition("⁄")
        edits.match(m, _said(m["whole"], int(above), int(below), language))
    for m in _WRITTEN.finditer(edits.text):
        near = edits.text[max(0, m.start() - 2) : m.start()] + edits.text[m.end() : m.end() + 2]
        if int(m["above"]) < int(m["below"]) and not _SUM_AROUND.search(near):
            edits.match(m, _said(m["whole"], int(m["above"]), int(m["below"]), language))


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
        unit = language.units.get(noun)
        is_feminine = unit.feminine if unit else feminine_noun(noun, language.code)
        name = (unit.one if whole == "1" else unit.many) if unit else noun
        half = feminine if is_feminine else masculine
        edits.put(*m.span("whole"), agreeing(whole, is_feminine, language, name))
        edits.put(*m.span("half"), "")
        edits.put(*m.span("noun"), f"{name} {half}")
