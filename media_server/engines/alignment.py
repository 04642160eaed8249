"""Which phonemes of a text belong to which of its words. Pure.

Phonemizers say a text as a whole: "of the" becomes one group of phonemes, "2024" four. So words are matched with groups
by the number of phonemes that each word has by itself, in order, such that the numbers differ least.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["End", "SpokenToken", "ends_of", "is_sound"]

BAND = 8
"""Groups by which a word may be off its expected place."""
MAX_JOINED = 4
"""Words that are said as one group."""
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class SpokenToken:
    """What is said between two spaces: phonemes and groups of them that it has by itself."""

    phonemes: int
    groups: int
    stops: bool = False
    """Whether a sentence may end with it."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a word ends: behind so many phonemes of which sentence."""

    sentence: int
    at: int
    free: bool = True
    """Whether the word ends with its group, so that one may cut there."""


@dataclass(frozen=True, slots=True)
class _Group:
    sentence: int
    start: int
    end: int
    phonemes: int
    last: bool


def is_sound(phoneme: str) -> bool:
    """Whether it is more than a mark of a pause, or of the beginning or end."""
    return any(c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") for c in phoneme)


def ends_of(tokens: Sequence[SpokenToken], sentences: Sequence[Sequence[str]]) -> list[End]:
    """Where each token ends, in order; without any sentence, nowhere."""
    groups = [g for i, sentence in enumerate(sentences) for g in _groups(i, sentence)]
    if not groups:
        return [End(0, 0) for _ in tokens]
    ends: list[End] = []
    at = End(0, 0)
    token = group = 0
    for taken, joined in _steps(tokens, groups):
        mine, sounds = tokens[token : token + taken], groups[group : group + joined]
        token, group = token + taken, group + joined
        if not sounds:
            ends += [at] * taken
            continue
        last = sounds[-1]
        total, so_far = max(1, sum(t.phonemes for t in mine)), 0
        for t in mine[:-1]:
            so_far += t.phonemes
            ends.append(End(last.sentence, last.start + (last.end - last.start) * so_far // total, free=False))
        at = End(last.sentence, last.end)
        ends.append(at)
    return ends


def _groups(number: int, sentence: Sequence[str]) -> list[_Group]:
    spans: list[tuple[int, int, int]] = []
    start = 0
    for i in range(len(sentence) + 1):
        if i < len(sentence) and sentence[i] != " ":
            continue
        count = sum(map(is_sound, sentence[start:i]))
        if count:
            spans.append((start, i, count))
        elif spans and i > start:  # a mark by itself belongs to the word before
            spans[-1] = (spans[-1][0], i, spans[-1][2])
        start = i + 1
    return [_Group(number, a, b, n, last=k == len(spans) - 1) for k, (a, b, n) in enumerate(spans)]


def _steps(tokens: Sequence[SpokenToken], groups: Sequence[_Group]) -> list[tuple[int, int]]:
    """(tokens, groups) that belong together, in order."""
    sounding = [t for t in tokens if t.phonemes]
    if sum(t.groups for t in sounding) == len(groups):
        return [(1, t.groups if t.phonemes else 0) for t in tokens]
    return _best(tokens, groups)


def _best(tokens: Sequence[SpokenToken], groups: Sequence[_Group]) -> list[tuple[int, int]]:
    n, g = len(tokens), len(groups)
    sounds_t, sounds_g = [0], [0]
    for t in tokens:
        sounds_t.append(sounds_t[-1] + t.phonemes)
    for each in groups:
        sounds_g.append(sounds_g[-1] + each.phonemes)
    scale = sounds_g[-1] / max(1, sounds_t[-1])
    cost: list[dict[int, tuple[float, int, int]]] = [{} for _ in range(n + 1)]
    cost[0][0] = (0.0, 0, 0)
    expected = 0
    for i in range(n):
        while expected < g and sounds_g[expected] < sounds_t[i] * scale:
            expected += 1
        for j in [j for j in cost[i] if abs(j - expected) <= BAND] or [min(cost[i], key=lambda j: abs(j - expected))]:
            so_far = cost[i][j][0]
            own = tokens[i]
            options = [(1, k) for k in range(min(g - j, own.groups + 3) + 1)]
            options += [(k, 1) for k in range(2, min(n - i, MAX_JOINED) + 1) if j < g]
            for taken, joined in options:
                wanted = sounds_t[i + taken] - sounds_t[i]
                differs = abs(wanted * scale - (sounds_g[j + joined] - sounds_g[j])) + 0.3 * abs(own.groups - joined)
                if joined and groups[j + joined - 1].last and not tokens[i + taken - 1].stops:
                    differs += 3.0
                if any(x.last for x in groups[j : j + joined - 1]):
                    differs += 6.0
                if so_far + differs < cost[i + taken].get(j + joined, (_NEVER, 0, 0))[0]:
                    cost[i + taken][j + joined] = (so_far + differs, taken, joined)
    i, j = n, max(cost[n], key=lambda j: (j == g, j))
    out = []
    while i:
        _, taken, joined = cost[i][j]
        out.append((taken, joined))
        i, j = i - taken, j - joined
    return out[::-1]
