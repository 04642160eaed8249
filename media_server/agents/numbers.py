"""Numbers that callers read out: which are whole, and which go on. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

__all__ = [
    "check_number",
    "described_numbers",
    "digit_groups",
    "known_numbers",
    "number_patterns",
    "spoken_digits",
    "whole",
]

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
MAX_PATTERNS, MAX_LOOKED_AT = 20, 200
"""Maximum forms that are taken from tools' schemas, and parameters that are looked at for them."""
MAX_WAYS = 1000
"""Maximum ways in which a pattern may be tried on a number; a search that fails tries all of them."""
_ONE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""What stands for one character."""
_OPENING = re.compile(r"\((?:\?(?::|=|!|<=|<!|P?<\w+>))?")
_REPEATED = re.compile(r"(?P<any>[*+])|\{(?P<least>\d*)(?P<to>,)?(?P<most>\d*)\}|(?P<other>[?|])")
_TIMES = {"double": 2, "triple": 3}
MAX_TEXT = 20_000
"""Maximum characters of a text in which numbers are looked for."""
MAX_KNOWN = 1000
_AMOUNT_NAMES = (
    "two three four five six seven eight nine ten eleven twelve",
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "deux trois quatre cinq six sept huit neuf dix onze douze",
    "due tre quattro cinque sei sette otto nove dieci undici dodici",
    "dois três quatro cinco seis sete oito nove dez onze doze",
    "twee drie vier vijf zes zeven acht negen tien elf twaalf",
    "iki üç dört beş altı yedi sekiz dokuz on onbir oniki",
)
_AMOUNTS = {name: str(i) for names in _AMOUNT_NAMES for i, name in enumerate(names.split(), 2)}
_DESCRIBED = re.compile(
    rf"(?<![\w.,])(?P<fewest>\d{{1,2}}|{'|'.join(_AMOUNTS)})"
    rf"(?:[ -]{{0,2}}(?:to|or|bis|oder|a|o|à|ou|tot|of|ila|veya|-|–)[ -]?(?P<most>\d{{1,2}}|{'|'.join(_AMOUNTS)}))?"
    r"[ -]?(?:-?digits?|ziffern|stellige?[nrsm]?|stellen|cifras?|dígitos|chiffres|cifre|algarismos|cijfers?|cijferige?"
    r"|haneli|basamaklı)(?!\w)"
)
_KNOWN = re.compile(r"(?<![\w.,$€£:/-])[0-9](?:[ -]?[0-9]){2,39}(?![\w%$€£:/]|[.,][0-9]|-[0-9])")


def check_number(pattern: str) -> str:
    """The pattern itself.

    Raises:
        ValueError: it is no regular expression, or no digits alone can match it.
    """
    if len(pattern) > MAX_PATTERN or not _is_cheap(pattern):
        raise ValueError(f"{pattern[:MAX_PATTERN]!r} is too complicated: there are too many ways to try it")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as wrong:
        raise ValueError(f"{pattern!r} is no regular expression: {wrong}") from wrong
    if not _lengths(compiled):
        raise ValueError(f"no number of up to {MAX_DIGITS} digits matches {pattern!r}")
    return pattern


def number_patterns(schemas: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The forms of numbers in JSON Schemas of tools' parameters: by pattern, length, range, examples or description."""
    values = (value for schema in schemas for value in dict(schema.get("properties") or {}).items())
    forms = (form for name, value in islice(values, MAX_LOOKED_AT) for form in _forms(str(name), value))
    yield from islice(forms, MAX_PATTERNS)


def _forms(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    pattern = value.get("pattern")
    if isinstance(pattern, str):
        if _is_number(pattern):
            yield pattern
        return
    described = [*described_numbers(f"{value.get('title') or ''} {value.get('description') or ''}")]
    if described:
        yield from described
        return
    examples = value.get("enum") or value.get("examples")
    if isinstance(examples, (list, tuple)) and examples:
        digits = [str(each) for each in examples if not isinstance(each, bool)]
        if all(re.fullmatch(r"[0-9]{2,40}", d) for d in digits):
            yield from sorted({rf"\d{{{len(d)}}}" for d in digits}) if "enum" not in value else sorted(set(digits))
        return
    match value:
        case {"type": "integer", "minimum": int(low), "maximum": int(high)} if low >= 10:
            # from 100 to 999: three digits; from 1 on, a number that is counted with, not read out
            yield rf"\d{{{len(str(low))},{len(str(high))}}}" if len(str(high)) <= MAX_DIGITS else r"\d{2,40}"
            return
    shortest, longest = value.get("minLength"), value.get("maxLength")
    if isinstance(shortest, int) and isinstance(longest, int) and 1 < shortest <= longest <= MAX_DIGITS:
        yield rf"\d{{{shortest},{longest}}}"


def described_numbers(text: str) -> Iterator[str]:
    """The forms of numbers that a text tells of: "order numbers have five digits", "eine 6-stellige PIN"."""
    for m in _DESCRIBED.finditer(text[:MAX_TEXT].lower()):
        fewest, most = (_AMOUNTS.get(n, n) if n else "" for n in (m["fewest"], m["most"]))
        least = int(fewest)
        if 1 < least <= (top := int(most or fewest)) <= MAX_DIGITS:
            yield rf"\d{{{least}}}" if top == least else rf"\d{{{least},{top}}}"


def known_numbers(texts: Iterable[str]) -> frozenset[str]:
    """The numbers of several digits in these texts, as the agent was told or has said them."""
    found: set[str] = set()
    for text in texts:
        for m in _KNOWN.finditer(text[-MAX_TEXT:]):
            found.add(re.sub(r"[^0-9]", "", m[0]))
        if len(found) > MAX_KNOWN:
            break
    return frozenset(n for n in found if 2 < len(n) <= MAX_DIGITS)


def spoken_digits(text: str) -> str:
    """The digits with which a text ends, as they are read out one by one or in groups: "four two seven", "42 7"."""
    return "".join(digit_groups(text))


def digit_groups(text: str) -> list[str]:
    """The same by the words that they were read out in."""
    groups: list[str] = []
    words = re.sub(r"[^\w\s]", " ", text.lower()).split()
    while words:
        word = words.pop()
        read = word if word.isdecimal() and word.isascii() else _DIGITS.get(word, "")
        if not read:
            break
        if words and words[-1] in _TIMES:
            read *= _TIMES[words.pop()]
        groups.append(read)
    return groups[::-1]


def whole(digits: str, patterns: Iterable[str], known: Collection[str] = ()) -> Literal["whole", "begun"] | None:
    """Whether these digits are a number that is expected, or the beginning of one; None where they are neither.

    What may end here or go on counts as neither: other signs have to tell.

    Args:
        known: numbers that callers may mean. One that is among them is whole, unless a longer one begins with it; one
            that only begins like them need not be any of them.
    """
    if len(digits) < 2:  # "the small one"
        return None
    if digits in known and not any(n != digits and n.startswith(digits) for n in known):
        return "whole"
    ends = goes_on = False
    for compiled in map(re.compile, patterns):
        matches = compiled.fullmatch(digits) is not None
        longer = any(n > len(digits) for n in _lengths(compiled))
        ends = ends or matches
        goes_on = goes_on or (longer and _may_begin(compiled, digits))
    if ends == goes_on:
        return None
    return "whole" if ends else "begun"


def _is_cheap(pattern: str) -> bool:
    """Whether few ways lead through a pattern: what may be repeated, left out or chosen multiplies them.

    A group that is repeated has ways without end, and so may one with flags, which say how the rest is read.
    """
    if len(pattern) > MAX_PATTERN:
        return False
    text = _OPENING.sub("(", _ONE.sub(".", pattern))
    if "(?" in text or re.search(r"\)\s*[*+{]", text):
        return False
    ways, repeated = 1, 0
    for m in _REPEATED.finditer(text):
        if m["other"]:
            ways *= 2
        elif m["any"] or (m["to"] and not m["most"]):
            repeated += 1
            ways *= -(-(MAX_DIGITS + 1) // repeated)  # they share the same digits
        elif m["to"]:
            ways *= max(1, min(int(m["most"]), MAX_DIGITS) - min(int(m["least"] or 0), MAX_DIGITS) + 1)
        if ways > MAX_WAYS:
            return False
    return True


@lru_cache(1000)
def _is_number(pattern: str) -> bool:
    try:
        check_number(pattern)
    except ValueError:
        return False
    return True


@lru_cache(1000)
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
