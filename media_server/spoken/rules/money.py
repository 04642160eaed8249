"""Amounts of money: signs and codes before or behind, cents, magnitudes, ranges. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Currency, Language
from media_server.spoken.numbers import counted, plain_number

__all__ = ["money"]

_GAP = "[ \u00a0\u202f]?"


@cache
def _patterns(language: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    def one_of(words: list[str]) -> str:
        return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))

    signs = one_of([*language.currencies])
    magnitude = rf"(?:{_GAP}(?P<magnitude>{one_of([*language.words('magnitudes')])})(?P<dot>\.?)(?!\w))?"
    number = language.amount
    amount = rf"(?P<amount>{number}(?:[.,][-–—]{{1,2}}(?!\d))?|(?<![\d.,])\.\d\d(?!\d))"
    upto = rf"(?:{_GAP}[-–—]{_GAP}(?:{signs})?(?P<upto>{number}))?"
    before = rf"(?<![\w$€£])(?P<sign>{signs}){_GAP}(?P<minus>[-−])?{amount}{upto}{magnitude}"
    after = rf"(?<![\w.,]){amount}{upto}{magnitude}{_GAP}(?P<sign>{signs})(?!\w)"
    return re.compile(before), re.compile(after)


def money(edits: Edits, language: Language) -> None:
    """Say amounts of money as they are spoken, unit and hundredths."""
    text = edits.text
    for pattern in _patterns(language):
        for m in pattern.finditer(text):
            if edits.free(*m.span()):
                _put(edits, m, language)


def _put(edits: Edits, m: re.Match[str], language: Language) -> None:
    start, end = m.span()
    currency = language.currencies[m["sign"]]
    minus = f"{language.word('minus')} " if m.groupdict().get("minus") else ""
    # the full stop behind a magnitude is its own only where the sentence goes on
    if m["dot"] and end == m.end("dot") and not goes_on(edits.text, end, language):
        end -= 1
    magnitude = language.words("magnitudes").get(m["magnitude"] or "")
    if m["upto"]:
        first, last = plain_number(m["amount"], language), _amount(m["upto"], currency, magnitude, language)
        said = f"{first} {language.word('to')} {last}"
    else:
        said = _amount(m["amount"], currency, magnitude, language)
    edits.put(start, end, minus + said)


def _amount(written: str, currency: Currency, magnitude: str | None, language: Language) -> str:
    written = re.sub(r"[.,][-–—]+$", "", written)
    if written.startswith("."):
        written = f"0{language.decimal}{written[1:]}"
    amount = plain_number(written, language)
    whole, _, rest = amount.partition(language.decimal)
    if magnitude:
        one, _, many = magnitude.partition("|")
        singular = amount == "1" or (language.code == "fr" and int(whole) < 2) or not many
        name = one if singular else many
        of = language.table.get("of_magnitude", "") if name not in language.listed("counting_magnitudes") else ""
        unit = currency.unit.many
        if of == "de " and language.code == "fr" and unit[0] in "aeiou":
            of = "d’"
        count = (
            {"de": "eine", "fr": "un", "es": "un", "it": "un", "pt": "um"}.get(language.code) if amount == "1" else None
        )
        if name in language.listed("counting_magnitudes"):
            count = "" if amount == "1" and language.code not in ("en", "de", "nl") else None
        return " ".join(f"{amount if count is None else count} {name} {of}{unit}".split())
    if not rest or currency.part is None or len(rest) > 2:
        return counted(written, currency.unit, language) if not rest else f"{amount} {currency.unit.many}"
    hundredths = int(rest.ljust(2, "0"))
    part = counted(str(hundredths), currency.part, language)
    if not hundredths:
        return counted(whole, currency.unit, language)
    return f"{counted(whole, currency.unit, language)} {language.word('money_and')} {part}" if int(whole) else part
