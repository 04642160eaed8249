"""Written text as it is said: no markdown, no emoji, and words for times, money, units and abbreviations. Pure.

Each written word keeps its own piece of speech, so that what was heard can be told in the words of the text. Plain
numbers are left to the voice's phonemizer, which knows them in every language; the rest is known in English only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from media_server.plain import plain

__all__ = ["ABBREVIATIONS", "speakable"]

MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip
CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}
UNITS = {
    "km": "kilometres", "m": "metres", "cm": "centimetres", "mm": "millimetres", "kg": "kilograms", "g": "grams",
    "mg": "milligrams", "l": "litres", "ml": "millilitres", "km/h": "kilometres per hour", "mph": "miles per hour",
    "°c": "degrees", "°f": "degrees Fahrenheit", "°": "degrees", "%": "percent", "gb": "gigabytes", "mb": "megabytes",
    "ms": "milliseconds", "kw": "kilowatts", "kwh": "kilowatt hours", "ft": "feet", "lb": "pounds", "lbs": "pounds",
    "oz": "ounces", "min": "minutes", "h": "hours", "hrs": "hours", "sec": "seconds",
}  # fmt: skip
ABBREVIATIONS = {
    "dr.": "Doctor", "mr.": "Mister", "mrs.": "Missus", "ms.": "Miss", "prof.": "Professor", "st.": "Saint",
    "vs.": "versus", "vs": "versus", "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is",
    "approx.": "about", "dept.": "department", "ext.": "extension", "min.": "minimum", "max.": "maximum",
    "&": "and", "+": "plus", "=": "equals", "@": "at",
}  # fmt: skip
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_LINE_MARKS = re.compile(r"^[^\S\n]*(?:#{1,6}\s+|[-*•+]\s+|>\s+|\d{1,2}[.)]\s+(?=\D))", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*{1,3}|_{2,3}|~~|`+)(?=\S)|(?<=\S)(\*{1,3}|_{2,3}|~~|`+)")
_TAIL = re.compile(r"[.,;:!?…)\]\"'»”]+$")
_HEAD = re.compile(r"^[(\[\"'«“]+")
_SILENT = frozenset(("So", "Sk", "Cs", "Co", "Cn", "Cf", "Me"))
_JOINERS = "\u200c\u200d"
MOST_MARKS = 4
"""That are said on one letter; more are for the eye."""
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


def speakable(text: str, english: bool = True) -> tuple[tuple[str, str], ...]:
    """(written word, what is said for it) for each word of `text`; nothing is said for marks and emoji."""
    text = plain(text)
    text = _EMPHASIS.sub("", _LINE_MARKS.sub("", _LINK.sub(r"\1", text)))
    words = text.split()
    if not english:
        return tuple((word, _without_symbols(word)) for word in words)
    return tuple((word, _said(word, words[i - 1] if i else "")) for i, word in enumerate(words))


def _said(word: str, before: str) -> str:
    word = unicodedata.normalize("NFC", word)
    head = _HEAD.match(word)
    core = word[head.end() :] if head else word
    if core.lower() in ABBREVIATIONS:
        return ABBREVIATIONS[core.lower()]
    tail = _TAIL.search(core)
    marks = tail[0] if tail else ""
    core = core[: len(core) - len(marks)]
    if core.lower() in UNITS and re.fullmatch(_NUMBER, before):
        return UNITS[core.lower()] + marks
    for pattern, say in _PATTERNS:
        if found := pattern.fullmatch(core):
            return say(found) + marks
    return _without_symbols(core) + marks if core else marks


def _without_symbols(core: str) -> str:
    """Letters, their marks, digits and punctuation; no emoji, and nothing that is invisible.

    Marks stay where they belong to a letter (vowels in Hindi, Arabic or Hebrew), a few of them. So do joiners between
    letters: they change how words are said, in Persian or Malayalam.
    """
    out: list[str] = []
    on_letter, marks = False, 0
    for c in unicodedata.normalize("NFC", core):
        category = unicodedata.category(c)
        if category in ("Mn", "Mc"):
            marks += 1
            if on_letter and marks <= MOST_MARKS:
                out.append(c)
        elif c in _JOINERS:
            if on_letter:
                out.append(c)
        elif category not in _SILENT:
            out.append(c)
            on_letter, marks = category[0] == "L", 0
        else:
            on_letter = False
    return "".join(out).rstrip(_JOINERS)


def _money(found: re.Match[str]) -> str:
    unit, part = CURRENCIES[found["sign"]]
    whole, _, cents = found["amount"].replace(",", "").partition(".")
    parts = []
    if int(whole) or not cents:
        parts.append(f"{whole} {unit}{'' if whole == '1' else 's'}")
    if cents and int(cents[:2].ljust(2, "0")):
        n = int(cents[:2].ljust(2, "0"))
        plural = {"penny": "pence"}.get(part, part + "s")
        parts.append(f"{n} {part if n == 1 else plural}")
    return " and ".join(parts) or f"0 {unit}s"


def _clock(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"]), found["minute"]
    half = f" {' '.join(found['half'].lower().replace('.', ''))}" if found["half"] else ""
    if minute == "00":
        return f"{hour}{half or ' o’clock'}" if hour <= 12 else f"{hour} hundred"
    return f"{hour} {'oh ' if minute[0] == '0' else ''}{int(minute)}{half}"


def _date(found: re.Match[str]) -> str:
    return f"{MONTHS[int(found['month']) - 1]} {int(found['day'])}, {found['year']}"


def _address(found: re.Match[str]) -> str:
    who = f"{found['who']} at " if found["who"] else ""
    return who + found["host"].removeprefix("www.").replace(".", " dot ").replace("-", " dash ")


def _range(found: re.Match[str]) -> str:
    return f"{found[1]} to {found[2]}"


def _digits(found: re.Match[str]) -> str:
    return " ".join(c for c in found[0] if c.isdigit())


def _measure(found: re.Match[str]) -> str:
    return f"{found[1]} {UNITS[found[2].lower()]}"


_UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_HOST = r"(?P<host>[\w-]+(?:\.[\w-]+)*\.[a-z]{2,})"
_PATTERNS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(rf"(?P<sign>[$€£])(?P<amount>{_NUMBER})"), _money),
    (re.compile(rf"(?P<amount>{_NUMBER})(?P<sign>[€£$])"), _money),
    (re.compile(r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?P<half>[ap]\.?m\.?)?", re.IGNORECASE), _clock),
    (re.compile(r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>[0-3]\d)"), _date),
    (re.compile(r"((?:19|20)\d\d)[-–]((?:19|20)\d\d)"), _range),
    (re.compile(r"\+?\d(?:-?\d){6,}"), _digits),
    (re.compile(rf"({_NUMBER})[-–]({_NUMBER})"), _range),
    (re.compile(rf"({_NUMBER})({_UNIT})", re.IGNORECASE), _measure),
    (re.compile(r"#(\d+)"), lambda found: f"number {found[1]}"),
    (re.compile(rf"(?:https?://)?(?:(?P<who>[\w.+-]+)@)?{_HOST}(?:[/?#]\S*)?", re.IGNORECASE), _address),
    (re.compile(r"([^\W\d_]+)/([^\W\d_]+)"), lambda found: f"{found[1]} or {found[2]}"),
]
"""Of whole words; the first that fits says how."""
