"""Fractions: halves, quarters and the like, alone and behind a whole number. Pure."""

from __future__ import annotations

import re
import unicodedata

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language

__all__ = ["fractions"]

_WRITTEN = re.compile(
    r"(?<![\w./,-])(?:(?P<whole>\d{1,3})[ \u00a0-])?(?P<above>\d{1,2})[/⁄](?P<below>\d{1,2})(?![\w/⁄]|[.,]\d)"
)
_ONE_SIGN = re.compile(r"(?<![\w.,])(?:(?P<whole>\d{1,3})[ \u00a0]?)?(?P<sign>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_SUM_AROUND = re.compile(r"[=+*×÷^−]")


def fractions(edits: Edits, language: Language) -> None:
    """Say fractions in words where the language has them; others are left."""
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
        exact = str(language.table["fraction"]).format(above=above, below=many or one)
    if whole is None:
        return exact
    return f"{whole} {language.word('fraction_and')} {names.get(f'+{above}/{below}', exact)}".replace("  ", " ")
