"""Whether a full stop ends its sentence: not after initials, abbreviations and ordinals. Pure."""

from __future__ import annotations

import re

from media_server.spoken.language import Language

__all__ = ["ELIDED", "WIDE", "ends_sentence", "goes_on", "is_ordinal", "is_street"]

WIDE = "。！？｡।॥؟۔።။។៕།༎։᠃"
"""Full stops, question and exclamation marks of other scripts: no space need follow."""
_HEAD = "\"'“”„«»‘’‚([{*_¿¡<"
_NEXT = re.compile(r"[\s\u00a0]*")
_LETTERS = re.compile(r"[^\W\d_](?:[\w’'-]{0,40})")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,3}\.-?){2,}|(?:[^\W\d_]\.)+[^\W\d_]{1,3}\.")
ORDINAL_DOTS = frozenset(("de", "tr"))
_ROMAN = re.compile(r"(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\.")
ELIDED = re.compile(r"\A(?:l|un|d|dell|all|dall|nell|sull|qu|c|j)['’](?=[^\W\d_]{2})", re.IGNORECASE)
"""The article before `avv.` in *l'avv.*"""
_DASHES = ("-", "–", "—")
_SIGNS = "$€£¥₺₹%"
_COMPANIES = frozenset(("Ltd", "Inc", "Corp", "KG", "KGaA"))
_SHORT_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.")
_NUMBER_RANGE = re.compile(r"\d{1,2}\.?[-–](\d{1,2}\.)")
_CODE_BEHIND = re.compile(r"[ \u00a0](?!I\b)(?:[A-Z]{1,4}[-/]?\d|[A-Z](?=[\s,;.]|\Z))")
_ZONE = re.compile(r"[A-Z]{1,3}[SD]?T|UTC|GMT|BST|CET|CEST|EET|EEST|MSK|IST")
_NUMBER = re.compile(r"\d{1,4}\.")
_MEASURED = re.compile(r"\d[ \u00a0]$")
_HOUSE = re.compile(r"(?:^|\W)\d{1,6}[A-Za-z]?[ \u00a0](?:[\w.]{1,20}[ \u00a0]){0,3}$")
_ELSEWHERE_WORDS = "ул пр пер пл тел руб стр вул им св ul al os pl tel nr kl tlf bl nám tř str sv vs st"
_ELSEWHERE = frozenset(f"{word}." for word in _ELSEWHERE_WORDS.split())
"""Abbreviations before names and numbers in languages without a file of their own."""
MAX_WORD = 60
"""Characters before a full stop that are looked at."""


def ends_sentence(text: str, at: int, language: Language | None, final: bool) -> bool | None:
    """Whether the full stop that ends at `at` is the end of a sentence; None if that shows only in what follows.

    Args:
        final: whether nothing follows but what is there.
    """
    word = _word_before(text, at)
    if (ranged := _NUMBER_RANGE.fullmatch(word)) and language is not None and language.code in ORDINAL_DOTS:
        word = ranged[1]  # "1.–3. Mai"
    elif language is not None and (tail := re.split("[-–—/]", word)[-1]).lower() in _known(language):
        word = tail  # "Mo.–Fr. 9"
    if _NUMBER.fullmatch(word):
        if language is None or language.code not in ORDINAL_DOTS:
            follows = _following(text, at, final)
            return None if follows is None else not follows[:1].islower()  # "bring 1. a pen and 2. a card"
        follows = _following(text, at, final)
        return None if follows is None else not _ordinal(text, at - len(word), follows, language)
    if _SHORT_DATE.fullmatch(word) and language is not None and language.code in ORDINAL_DOTS:
        follows = _following(text, at, final)
        return (
            None if follows is None else not (follows[:1].islower() or follows[:1].isdigit() or follows[:1] in _DASHES)
        )
    lower = word.lower()
    single = len(word) == 2 and word[0].isalpha()
    dotted = _DOTTED.fullmatch(word) is not None
    measured = language is not None and _is_measure(text, at - len(word), word, language)
    never = language is not None and (lower in language.words("before_names") or lower in language.listed("never_ends"))
    if never and not measured:
        follows = _following(text, at, final)
        if follows is None or language is None:
            return None if follows is None else follows == ""
        street = lower in language.words("streets") and is_street(text, at - len(word), at, language)
        return follows == "" or (street and follows[0].isupper() and follows.lower() in language.listed("starters"))
    if lower.endswith("str.") and language is not None and language.code in ("de", "nl"):
        follows = _following(text, at, final)
        return None if follows is None else not (follows[:1].isdigit() or follows[:1].islower())
    if _ROMAN.fullmatch(word) and language is not None and language.code in ORDINAL_DOTS:
        follows = _following(text, at, final)
        before_name = language.code == "tr" and (follows or "")[:1].isupper()  # a sultan's
        return None if follows is None else not (_ranked(follows, language) or before_name)
    elsewhere = language is None and lower in _ELSEWHERE
    if not (single or dotted or measured or elsewhere or (language is not None and lower in _known(language))):
        return True
    follows = _following(text, at, final)
    if follows is None or follows == "":
        return None if follows is None else True
    first = follows[0]
    if first.islower() or first.isdigit():
        return False
    if first in (*_DASHES, "&", "+", "=") and "\n" not in _NEXT.match(text, at)[0]:  # type: ignore[index]
        return False  # "9 a.m. - 5 p.m."
    if not first.isalpha():
        return first not in _SIGNS
    if language is None:
        return not (single or elsewhere)
    if follows.lower() in language.listed("address_words") or follows in _COMPANIES:
        return False
    if language.code == "de" and (measured or word[:-1] in language.listed("dotted_units")):
        return follows.lower() in language.listed("starters")  # its nouns begin like sentences
    if lower in language.words("before_numbers") and follows != "I" and _ROMAN.fullmatch(f"{follows}."):
        return False
    if f"{follows.lower()}." in language.words("streets") and not single:
        return False  # "King Jr. Blvd."
    if language.code == "tr" and lower.rstrip(".") in language.words("month_abbreviations"):
        days = (*language.weekdays, *language.words("weekday_abbreviations"))
        return follows not in days  # "3 Şub. Pzt."
    starter = follows.lower() in language.listed("starters")
    if not (single or dotted or starter) and _CODE_BEHIND.match(text, at):
        return False  # "ref. AB-1234"
    if lower in ("a.m.", "p.m."):
        zoned = _ZONE.fullmatch(follows) is not None  # "10 a.m. EST"
        return not zoned and follows not in language.weekdays and follows not in language.months
    if measured:
        return True
    if single or dotted:
        return starter
    if language.code == "de" and lower in language.words("abbreviations") and lower not in language.listed("may_end"):
        return starter  # its nouns begin like sentences
    return not _named_behind(lower, text, at, language) or starter


def _named_behind(lower: str, text: str, at: int, language: Language) -> bool:
    """Whether an abbreviation such as `St.` belongs to the name behind it."""
    if lower not in language.listed("before_places"):
        return False
    before = re.search(r"([\w’']+)[ \u00a0]$", text[max(0, at - len(lower) - 30) : at - len(lower)])
    return before is None or not before[1][0].isupper()


def _is_measure(text: str, start: int, word: str, language: Language) -> bool:
    """Whether a word with a full stop is a unit behind a number: `5 m.`, `3 ft.`"""
    unit = word[:-1] in language.units or word[:-1] in language.listed("dotted_units")
    return unit and word[0].islower() and _MEASURED.search(text[max(0, start - 2) : start]) is not None


def is_street(text: str, start: int, end: int, language: Language) -> bool:
    """Whether a word such as `St.` belongs to the name before it, not to the one behind it."""
    before = re.search(r"([\w’']+)[.,]?[ \u00a0]$", text[max(0, start - 40) : start])
    if before is None or not (before[1][0].isupper() or re.fullmatch(r"\d+(?:st|nd|rd|th)", before[1])):
        return False
    if not text[start].isupper():
        return False
    name_behind = re.match(r"[ \u00a0]([A-Z][a-z]+)", text[end : end + 20])
    if not name_behind or name_behind[1].lower() in language.listed("starters"):
        return True
    return _HOUSE.search(text[max(0, start - 60) : start]) is not None


def _known(language: Language) -> frozenset[str]:
    """Abbreviations that may end a sentence or not."""
    known = _KNOWN.get(language.code)
    if known is None:
        months = [f"{name}." for name in language.words("month_abbreviations")]
        days = [f"{name.lower()}." for name in language.words("weekday_abbreviations")]
        words = [w for name in ("abbreviations", "before_numbers", "streets") for w in language.words(name)]
        units = [f"{u.lower()}." for u in language.listed("dotted_units")]
        known = frozenset(w for w in (*months, *days, *words, *units) if w.endswith("."))
        known |= language.listed("may_end")
        _KNOWN[language.code] = known
    return known


_KNOWN: dict[str, frozenset[str]] = {}


def goes_on(text: str, at: int, language: Language) -> bool:
    """Whether the sentence goes on behind a full stop that ends at `at`, in a text that is there as a whole."""
    if text[at : at + 1] in (",", ";", ":", ")", "-") or text[at : at + 2] == " :":
        return True
    end = ends_sentence(text, at, language, final=True) if at and text[at - 1] == "." else None
    follows = _following(text, at, final=True) or ""
    if not follows:
        return False
    if end is not None:
        return not end or follows[0] in "&+="
    return follows[0].islower() or follows[0].isdigit() or follows[0] in "&+="


def is_ordinal(text: str, start: int, end: int, language: Language) -> bool:
    """Whether a number with a full stop behind it, in a text that is there as a whole, is an ordinal."""
    return _ordinal(text, start, _following(text, end, final=True) or "", language)


def _ranked(follows: str, language: Language) -> bool:
    """Whether what follows a number with a full stop is what it counts: a small letter, a century, a sultan."""
    return follows[:1].islower() or follows.lower() in language.listed("roman_nouns_after")


def _ordinal(text: str, start: int, follows: str, language: Language) -> bool:
    if not follows:
        return False
    numbered = re.search(r"(\w+)[ \u00a0]$", text[max(0, start - 30) : start])
    if numbered and numbered[1].lower() in language.listed("numbered"):
        return False  # "Zimmer 12. Etage 3."
    if (
        _ranked(follows, language)
        or follows in language.months
        or follows.lower() in language.words("month_abbreviations")
    ):
        return True
    before = re.findall(r"\w+", text[max(0, start - 30) : start].lower())
    return (
        bool(before)
        and before[-1] in language.listed("ordinal_cues")
        and not text[:start].rstrip().endswith((".", "!", "?"))
    )


def _word_before(text: str, at: int) -> str:
    start = max(0, at - MAX_WORD)
    chunk = text[start:at]
    return ELIDED.sub("", re.split(r"\s", chunk)[-1].lstrip(_HEAD))


def _following(text: str, at: int, final: bool) -> str | None:
    """The next word, or the character that stands in its place; None if it is not there as a whole yet."""
    gap = _NEXT.match(text, at)
    assert gap is not None
    at = gap.end()
    while at < len(text) and text[at] in _HEAD and text[at] != "<":
        at += 1
    if at >= len(text):
        return "" if final else None
    found = _LETTERS.match(text, at)
    if found is None:
        return text[at]
    if found.end() == len(text) and not final:
        return None
    return found[0]
