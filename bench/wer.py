"""Word error rate: how two texts are made comparable, and how many words of one are wrong. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["WordErrors", "edits", "normal_words"]

_SMALL = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    "fr": "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis "
    "diecisiete dieciocho diecinueve",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "fr": "vingt trente quarante cinquante soixante soixante-dix quatre-vingt quatre-vingt-dix",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
}
_SIGNS = {
    "en": {"*": "star", "#": "pound", "%": "percent", "&": "and"},
    "fr": {"*": "etoile", "#": "diese", "%": "pour cent", "&": "et"},
    "es": {"*": "asterisco", "#": "numeral", "%": "por ciento", "&": "y"},
    "it": {"*": "asterisco", "#": "cancelletto", "%": "percento", "&": "e"},
}


def normal_words(text: str, language: str) -> list[str]:
    """The words of a text in small letters without accents and marks, digits and signs spelled out.

    Numbers of three and more digits are spelled digit by digit. What counts is that both texts are treated alike.
    """
    for sign, word in _SIGNS[language].items():
        text = text.replace(sign, f" {word} ")
    text = re.sub(r"(?<=\d)[.,](?=\d{3}\b)", "", text)
    text = re.sub(r"\d+", lambda digits: f" {_spelled(digits[0], language)} ", text)
    plain = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.findall(r"\w+", plain.replace("œ", "oe"))


def _spelled(digits: str, language: str) -> str:
    small, tens = _SMALL[language].split(), _TENS[language].split()
    if len(digits) != 2 or digits[0] == "0":
        return " ".join(small[int(d)] for d in digits)
    number = int(digits)
    if number < 20:
        return small[number]
    rest = number % 10
    return f"{tens[number // 10 - 2]} {small[rest] if rest else ''}"


def edits(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Words that were replaced, left out or added (Levenshtein's distance)."""
    row = list(range(len(heard) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != word))
    return row[-1]


class WordErrors:
    """The sum over many recordings."""

    def __init__(self, language: str) -> None:
        self._language = language
        self.words = 0
        self.wrong = 0
        self.too_long = 0
        """Transcripts more than half longer than their text."""

    def add(self, reference: str, heard: str) -> int:
        """How many words of this one are wrong."""
        wanted, found = normal_words(reference, self._language), normal_words(heard, self._language)
        wrong = edits(wanted, found)
        self.words += len(wanted)
        self.wrong += wrong
        self.too_long += len(found) > 1.5 * len(wanted)
        return wrong

    @property
    def rate(self) -> float:
        """Wrong words for each word of the references."""
        return self.wrong / max(1, self.words)
