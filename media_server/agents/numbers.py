"""Numbers that callers read out: which are whole, and which go on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal

__all__ = ["check_number", "number_patterns", "spoken_digits", "whole"]

MAX_PATTERN = 200
MAX_DIGITS = 40
"""Maximum digits of a number that is read out."""
_SPOKEN = (
    "zero one two three four five six seven eight nine",
    "null eins zwei drei vier fünf sechs sieben acht neun",
    "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "zéro un deux trois quatre cinq six sept huit neuf",
    "zero uno due tre quattro cinque sei sette otto nove",
    "zero um dois três quatro cinco seis sete oito nove",
    "nul een twee drie vier vijf zes zeven acht negen",
    "sıfır bir iki üç dört beş altı yedi sekiz dokuz",
)
"""The digits from 0 to 9 in English, German, Spanish, French, Italian, Portuguese, Dutch and Turkish."""
_DIGITS = {"oh": "0", "zwo": "2"} | {w: str(i) for words in _SPOKEN for i, w in enumerate(words.split())}
_COSTLY = re.compile(r"\)[*+{]|(?:[*+].*){4}", re.DOTALL)
"""In a regular expression: what may take time without end where it does not match."""
_TIMES = {"double": 2, "triple": 3}


def check_number(pattern: str) -> str:
    """The pattern itself.

    Raises:
        ValueError: it is no regular expression, or no digits alone can match it.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as wrong:
        raise ValueError(f"{pattern!r} is no regular expression: {wrong}") from wrong
    if len(pattern) > MAX_PATTERN or _COSTLY.search(pattern):
        raise ValueError(f"{pattern!r} is too complicated: repeated groups take too long")
    if not _lengths(compiled):
        raise ValueError(f"no number of up to {MAX_DIGITS} digits matches {pattern!r}")
    return pattern


def number_patterns(schemas: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The patterns in JSON Schemas of tools' parameters that numbers can match."""
    for schema in schemas:
        for value in dict(schema.get("properties") or {}).values():
            pattern = value.get("pattern") if isinstance(value, Mapping) else None
            if isinstance(pattern, str) and _is_number(pattern):
                yield pattern


def spoken_digits(text: str) -> str:
    """The digits with which a text ends, as they are read out one by one or in groups: "four two seven", "42 7"."""
    digits = ""
    words = re.sub(r"[^\w\s]", " ", text.lower()).split()
    while words:
        word = words.pop()
        read = word if word.isdecimal() and word.isascii() else _DIGITS.get(word, "")
        if not read:
            break
        if words and words[-1] in _TIMES:
            read *= _TIMES[words.pop()]
        digits = read + digits
    return digits


def whole(digits: str, patterns: Iterable[str]) -> Literal["whole", "begun"] | None:
    """Whether these digits are a number that is expected, or the beginning of one; None where they are neither.

    What may end here or go on counts as neither: other signs have to tell.
    """
    if len(digits) < 2:  # "the small one"
        return None
    ends = goes_on = False
    for compiled in map(re.compile, patterns):
        matches = compiled.fullmatch(digits) is not None
        longer = any(n > len(digits) for n in _lengths(compiled))
        ends = ends or matches
        goes_on = goes_on or (longer and _may_begin(compiled, digits))
    if ends == goes_on:
        return None
    return "whole" if ends else "begun"


def _is_number(pattern: str) -> bool:
    try:
        check_number(pattern)
    except ValueError:
        return False
    return True


@cache
def _lengths(compiled: re.Pattern[str]) -> tuple[int, ...]:
    """The numbers of digits that match, tried with numbers of one digit each."""
    return tuple(n for n in range(1, MAX_DIGITS + 1) if any(compiled.fullmatch(d * n) for d in "0123456789"))


def _may_begin(compiled: re.Pattern[str], digits: str) -> bool:
    """Whether more digits make a number of them."""
    return any(
        compiled.fullmatch(digits + d * (n - len(digits)))
        for n in _lengths(compiled)
        if n > len(digits)
        for d in "0123456789"
    )
