"""Turkish endings behind figures and signs: `5'te` is *beşte*, `2024'te` *iki bin yirmi dörtte*. Pure."""

from __future__ import annotations

import re

__all__ = ["dative", "suffixed"]

_ONES = ["", "bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz"]
_TENS = ["", "on", "yirmi", "otuz", "kırk", "elli", "altmış", "yetmiş", "seksen", "doksan"]
_SCALES = ["", "bin", "milyon", "milyar", "trilyon"]
_BEHIND_NUMBER = re.compile(
    r"(?<![\d,.])(?:(?P<whole>\d{1,15}),)?(?P<number>\d{1,15})['’](?P<ending>[a-zçğıöşü]{1,12})"
)
_BEHIND_WORD = re.compile(r"(?P<word>[a-zçğıöşü]{2,})['’](?P<ending>[a-zçğıöşü]{1,12})(?!\w)")
_VOWELS = "aeıioöuü"
_HIGH = {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u", "ö": "ü", "ü": "ü"}


def suffixed(said: str, written: str) -> str:
    """What is said for a word, with the endings that stand behind an apostrophe joined to what they belong to.

    Args:
        written: the word as it is written; where it is said as it stands, only a number's ending is joined.
    """
    if "'" not in said and "’" not in said:
        return said
    said = _BEHIND_NUMBER.sub(_joined, said)
    if said == written:
        return said
    return _BEHIND_WORD.sub(lambda m: m["word"] + _harmonised(m["word"], m["ending"]), said)


def dative(n: int) -> str:
    """A number in words with the ending *to*: *ikiye*, *dörde*."""
    words = _words(n)
    last = next(c for c in reversed(words) if c in _VOWELS)
    ending = "a" if last in "aıou" else "e"
    if words.endswith("dört"):
        return f"{words[:-1]}de"
    return f"{words}{'y' if words[-1] in _VOWELS else ''}{ending}"


def _joined(m: re.Match[str]) -> str:
    whole = f"{_words(int(m['whole']))} virgül " if m["whole"] else ""
    number = _words(int(m["number"]))
    if number.endswith("dört") and m["ending"][0] in _VOWELS:
        number = number[:-1] + "d"  # "dörde"
    return f"{whole}{number}{m['ending']}"


def _words(n: int) -> str:
    """A cardinal in words."""
    if n == 0:
        return "sıfır"
    parts: list[str] = []
    for scale in reversed(range(len(_SCALES))):
        group = n // 1000**scale % 1000
        if not group:
            continue
        hundreds, rest = divmod(group, 100)
        tens, ones = divmod(rest, 10)
        words = ["" if hundreds == 1 else _ONES[hundreds], "yüz"] if hundreds else []
        words += [_TENS[tens], "" if scale == 1 and group == 1 else _ONES[ones], _SCALES[scale]]
        parts += [w for w in words if w]
    return " ".join(parts)


def _harmonised(word: str, ending: str) -> str:
    """An ending with the vowels that the word asks for: the sign was read as another word."""
    last = next((c for c in reversed(word) if c in _VOWELS), "e")
    out = ""
    if word[-1] in "fstkçşhp" and ending[0] in "dc":
        ending = ("t" if ending[0] == "d" else "ç") + ending[1:]
    for c in ending:
        if c in "ae":
            c = last = "a" if last in "aıou" else "e"
        elif c in "ıiuü":
            c = last = _HIGH[last]
        out += c
    return out
