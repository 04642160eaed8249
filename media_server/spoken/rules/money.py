"""Amounts of money: signs and codes before or behind, cents, magnitudes, ranges. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import goes_on
from media_server.spoken.language import Currency, Language
from media_server.spoken.numbers import counted, plain_number
from media_server.spoken.rules.links import range_word

__all__ = ["money"]

_GAP = "[ \u00a0\u202f]?"


@cache
def _patterns(language: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    def one_of(words: list[str]) -> str:
        return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))

    signs = one_of([*language.currencies])
    magnitude = rf"(?:{_GAP}(?P<magnitude>{one_of([*language.words('magnitudes')])})(?P<dot>\.?)(?!\w))?"
    number = language.amount
    if language.decimal == ",":
        # what stands in English marks is met in every language, and the rule for dollars in Spanish America
        number = rf"(?:(?<![\d.,])\d{{1,3}}(?:,\d{{3}})+(?:\.\d{{1,2}})?(?![\d]|[.,]\d)|{number})"
    amount = rf"(?P<amount>{number}(?:[.,][-–—]{{1,2}}(?!\d))?|(?<![\d.,])\.\d\d(?!\d))"
    upto = rf"(?:{_GAP}[-–—]{_GAP}(?:(?:{signs}){_GAP})?(?P<upto>{number}))?"
    negative = "(?:(?<![^\\s(\\[\"'“„«])(?P<negative>[-−–]))?"
    before = rf"(?<![\w$€£]){negative}(?P<sign>{signs}){_GAP}(?P<minus>[-−])?{amount}{upto}{magnitude}"
    after = rf"(?<![\w.,]){amount}(?P<more>\+)?{upto}{magnitude}{_GAP}(?P<sign>{signs})(?!\w)"
    return re.compile(before), re.compile(after)


@cache
def _shared_magnitude(language: Language) -> re.Pattern[str]:
    """`between $1.5 and $2 million`: the magnitude is that of both."""
    signs = "|".join(map(re.escape, sorted(language.currencies, key=len, reverse=True)))
    links = "|".join(w for w in language.listed("range_links") if w.isalpha())
    magnitudes = "|".join(map(re.escape, language.words("magnitudes")))
    return re.compile(
        rf"(?<![\w$€£])(?P<amount>(?P<sign>{signs}){_GAP}(?P<first>{language.number}))(?=[ \u00a0](?:{links})[ \u00a0]"
        rf"(?P=sign){_GAP}{language.number}{_GAP}(?:{magnitudes})(?!\w))"
    )


def money(edits: Edits, language: Language) -> None:
    """Say amounts of money as they are spoken, unit and hundredths."""
    text = edits.text
    for m in _shared_magnitude(language).finditer(text):
        edits.match(m, plain_number(m["first"], language), "amount")
    for m in _PARTED.finditer(text):
        currency = language.currencies.get(m["sign"])
        if currency and currency.part:
            edits.match(m, _amount(f"{m['whole']}{language.decimal}{m['part']}", currency, None, language))
    for pattern in _patterns(language):
        for m in pattern.finditer(text):
            if m["upto"] and _EQUALS.match(text, m.end()):
                _put_difference(edits, m, language)
            if edits.free(*m.span()):
                _put(edits, m, language)
    for m in _ALONE.finditer(text):
        currency = language.currencies.get(m["sign"])
        if currency:
            of = "d’" if m["of"] and currency.unit.many[0] in "aeiou" else f"{m['of'] or ''}"
            edits.match(m, f"{of}{currency.unit.many}")


_EQUALS = re.compile(r"[ \u00a0]?=")
_PARTED = re.compile(r"(?<![\w.,])(?P<whole>\d{1,6})(?P<sign>[€£$])(?P<part>\d\d)(?![\w]|[.,]\d)")
"""`9€99`."""
_ALONE = re.compile(r"(?:(?<=\s)|(?<=\A))(?P<of>d['’])?(?P<sign>[€£¥₺₹])(?=[\s.,;:!?)/]|\Z)")
"""`millones de €`."""
_ADJECTIVE = re.compile(
    r"-(?:a|per|off|an)-|-(?=[a-z])|[ \u00a0](?:bill|bills|note|gift|voucher|coupon|deposit|fee|fine|credit|discount"
    r"|charge|limit|budget|rebate|refund|minimum|investment|donation|ticket|tip|copay|prize|bonus|loan|house|home|car|deal|contract|business|company|project|question|offer|monthly|annual|one-time)\b"
)
"""What an amount is an adjective of in English: `a $20 gift card`."""


def _put(edits: Edits, m: re.Match[str], language: Language) -> None:
    start, end = m.span()
    currency = language.currencies[m["sign"]]
    named = re.match(r"[ \u00a0]?([A-Z]{3})(?!\w)", edits.text[end : end + 5])
    if named and named[1] in language.currencies and not named[1].isdigit() and m["sign"] != named[1]:
        currency, end = language.currencies[named[1]], end + len(named[0])
    minus = f"{language.word('minus')} " if m.groupdict().get("minus") or m.groupdict().get("negative") else ""
    # the full stop behind a magnitude is its own only where the sentence goes on
    if m["dot"] and end == m.end("dot") and not goes_on(edits.text, end, language):
        end -= 1
    magnitude = language.words("magnitudes").get(m["magnitude"] or "")
    if m["upto"]:
        first, last = plain_number(m["amount"], language), _amount(m["upto"], currency, magnitude, language)
        if language.decimal in first and not magnitude:
            first = _amount(m["amount"], currency, None, language)
        said = f"{first} {range_word(edits.text, start, language)} {last}"
    else:
        said = _amount(m["amount"], currency, magnitude, language)
    if m.groupdict().get("more") and not m["upto"]:
        first, last = said.rsplit(" ", 1)
        said = f"{first} {language.word('plus')} {last}"
    if language.code == "en" and (kind := _ADJECTIVE.match(edits.text, end)) and said.endswith(currency.unit.many):
        article = re.search(
            r"\b(?:an?|the|your|my|this|that|each|per)[ \u00a0]$", edits.text[max(0, start - 8) : start]
        )
        if "-" in kind[0] or article:
            said = said.removesuffix(currency.unit.many) + currency.unit.one
            if "-" in kind[0]:
                edits.put(end, end + len(kind[0]), kind[0].replace("-", " "))
    edits.put(start, end, minus + said)


def _put_difference(edits: Edits, m: re.Match[str], language: Language) -> None:
    """Say `$10 - $3 =`, which is no range."""
    currency = language.currencies[m["sign"]]
    if edits.free(*m.span()):
        edits.put(m.start(), m.end("amount"), _amount(m["amount"], currency, None, language))
        less = _amount(m["upto"], currency, None, language)
        edits.put(m.end("amount"), m.end(), f" {language.word('minus')} {less}")


def _amount(written: str, currency: Currency, magnitude: str | None, language: Language) -> str:
    written = re.sub(r"[.,][-–—]+$", "", written)
    if language.decimal == "," and re.fullmatch(r"\d{1,3},\d{3}", written):
        written = written.replace(",", "")  # no currency has thousandths
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
