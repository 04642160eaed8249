"""Telephone numbers, in the forms in which people write them: group by group, digit by digit. Pure."""

from __future__ import annotations

import itertools
import re

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import digits

__all__ = ["telephone"]

_GROUPS = re.compile(
    r"(?<![\w.,$€£#/+-])(?:\+[ \u00a0]?)?\(?\d{1,15}\)?"
    r"(?:[ \u00a0]?[ \u00a0.\-–/][ \u00a0]?\(?\d{1,15}\)?|(?<=\))\d{1,12}|\(\d{1,6}\)){0,8}"
    r"(?!\w|[.,]\d|[%°€£$])"
)
_GROUP = re.compile(r"[^\s\d]{0,4}\d+\)?")
_SHAPES = frozenset(
    (
        (3, 3, 4),
        (3, 4, 4),
        (1, 3, 3, 4),
        (3, 3, 2, 2),
        (2, 5, 4),
        (2, 4, 4),
        (4, 4, 4, 4),
        (4, 6, 5),
        (3, 3, 3, 2),
        (3, 3, 3, 5),
    )
)
"""Lengths of groups that are told apart by whatever stands between them …"""
_HYPHENED = frozenset(((3, 4), (5, 4), (4, 4), (3, 7), (4, 6), (4, 7), (4, 8)))
"""… and by hyphens."""
_SPACED_BY_LANGUAGE = {
    "es": ("6789", ((3, 3, 3), (3, 2, 2, 2), (2, 3, 2, 2), (2, 3, 4))),
    "pt": ("298", ((3, 3, 3), (2, 3, 2, 2), (2, 3, 4))),
    "it": ("38", ((3, 3, 3), (3, 6), (3, 7))),
}
_LETTERED = re.compile(r"(?<![\w-])(?P<digits>(?:1-)?8\d\d-)(?P<word>[A-Z]{2,10}(?:-[A-Z]{2,10})?)(?![\w-])")
CUE_WITHIN = 30
"""Characters before a number in which a word such as *call* tells that it is one of a telephone."""
LEAST, MOST = 6, 16


def telephone(edits: Edits, language: Language) -> None:
    """Say each group of a telephone number digit by digit, with a pause after it."""
    cues = language.listed("telephone_cues")
    _words_as_numbers(edits)
    for m in _GROUPS.finditer(edits.text):
        if edits.free(*m.span()) and _is_telephone(
            m[0], edits.text[max(0, m.start() - CUE_WITHIN) : m.start()], cues, language
        ):
            found = [*_GROUP.finditer(edits.text, *m.span())]
            for i, group in enumerate(found):
                plus = f"{language.word('plus')} " if "+" in group[0] or (not i and m[0].startswith("+")) else ""
                comma = ", " if i < len(found) - 1 else ""
                # "+44 (0)20": who dials the country's code leaves the zero out
                said = digits(re.sub(r"\(0\)", "", group[0])) if m[0].startswith("+") else digits(group[0])
                begin = m.start() if not i else group.start()
                edits.put(begin, group.end(), plus + said + comma if said else "")
            for before, after in itertools.pairwise(found):
                if gap := edits.text[before.end() : after.start()].strip():
                    at = edits.text.index(gap, before.end())
                    edits.put(at, at + len(gap), "")  # a dash between groups
            edits.take(*m.span())


def _words_as_numbers(edits: Edits) -> None:
    """Say `1-800-FLOWERS`: the digits one by one, and the word."""
    for m in _LETTERED.finditer(edits.text):
        edits.match(m, ", ".join([*map(digits, m["digits"].strip("-").split("-")), m["word"].replace("-", " ")]))


def _is_telephone(written: str, before: str, cues: frozenset[str], language: Language) -> bool:
    groups = re.findall(r"\d+", written)
    lengths = tuple(map(len, groups))
    total = sum(lengths)
    if total > MOST or total < LEAST - 1:
        return False
    called = any(word.lower().strip(".:") in cues for word in before.split()[-4:])
    if total < LEAST:
        return called and len(groups) > 1 and "-" in written
    if written.startswith("+"):
        return True
    if called:
        return not (len(groups) == 1 and total < LEAST)
    if len(groups) == 1:
        return written[0] == "(" and total >= 7
    if written.startswith("(") or "(" in written:
        return total >= 7 and lengths[0] in (1, 2, 3, 4, 5)
    free = groups[0] in ("800", "803", "808", "844", "855", "888") and language.code in ("it", "es", "pt")
    if (groups[0] == "555" and lengths == (3, 4)) or (free and re.fullmatch(r"\d{3}\.\d{3}\.\d{3}", written)):
        return True
    if groups[0] in ("1300", "1800") and lengths == (4, 3, 3):
        return True
    if groups[0][0] == "0" and total >= 8:
        return True
    if lengths in _SHAPES or (len(groups) > 3 and total > 8 and re.fullmatch(r"\d+(?:-\d+)+", written)):
        return True
    if lengths in _HYPHENED and re.fullmatch(r"\d+[-–]\d+", written):
        first, last = map(int, groups)
        years = 1000 < first < 2100 and 1000 < last < 2100
        hundreds = first < last and not first % 100 and not last % 100
        return lengths != (4, 4) or not (years or hundreds)
    firsts, shapes = _SPACED_BY_LANGUAGE.get(language.code, ("", ()))
    return groups[0][0] in firsts and lengths in shapes and "." not in written
