"""Where between its words a sentence may be cut to be spoken in pieces. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Place", "cut", "opens_phrase", "place_before"]

PAUSES = (",", ";", ":", "–", "—", "،", "؛", "，", "；", "：", "、", ")")
_WORDS = """
    and or but because so that which who if when while where then than although unless until before after since
    with without for from to in on at by about into over under between through during of as
    und oder aber weil dass denn wenn als ob mit ohne für von zu zum zur in im auf an bei nach vor aus über unter
    et ou mais car que qui si quand pour dans avec sans sur sous chez depuis pendant
    y o pero porque que si cuando para con sin por en desde hasta sobre
    e ma perché che se quando per con senza tra fra da di su
    mas porque quando para com sem em desde até sobre
    en of maar omdat dat als met zonder voor van naar op
    och eller men att som med utan för från till på
"""
_OPENERS = frozenset(_WORDS.split())
"""Words before which one may take a breath: conjunctions and prepositions of some languages."""
_ARTICLE_WORDS = "the a an der die das den dem ein eine einen le la les un une el los las il lo gli i o os het de"
_ARTICLES = frozenset(_ARTICLE_WORDS.split())


@dataclass(frozen=True, slots=True)
class Place:
    """A word's end at which one may cut."""

    at: int
    """How much comes before it."""
    ease: int = 0
    """0 between any words, 1 before a phrase, 2 at a pause."""


def place_before(at: int, word: str, following: str) -> Place:
    """The place after `word`."""
    if word.endswith(PAUSES):
        return Place(at, 2)
    return Place(at, 1 if _bare(following) in _OPENERS else 0)


def opens_phrase(word: str) -> bool:
    """Whether a word belongs to what comes after it: a preposition, a conjunction, an article."""
    return _bare(word) in _OPENERS | _ARTICLES


def _bare(word: str) -> str:
    return word.strip(" \"'«“(").lower()


def cut(length: int, places: Sequence[Place], limit: int) -> int:
    """How much of a sentence to speak at once: all of it if it is little more than `limit`, else up to a good place.

    Args:
        length: of the sentence.
        places: in order.
    """
    if length <= limit * 1.25:
        return length
    # the rest must not be left with a word
    limit = min(limit, max(limit // 2, length - limit // 3))
    near = [p for p in places if limit * 0.45 <= p.at <= limit]
    if near:
        return max(near, key=lambda p: (p.ease, p.at)).at
    before = [p.at for p in places if 0 < p.at <= limit]
    if before and before[-1] >= limit * 0.25:
        return before[-1]
    after = next((p.at for p in places if limit < p.at <= limit * 1.25), None)
    return after or (before[-1] if before else limit)
