"""What the recogniser is to write: which words it knows, and sentences that test the edge of what it knows."""

from __future__ import annotations

import functools
import random
import zlib
from pathlib import Path

import lexicon as x
from dialogues import replies, sentences
from skills import OUT_OF_DOMAIN, PROSE, SCRAMBLED, UNCLEAR

DICTIONARY = Path("/usr/share/dict/american-english")
"""Debian's wamerican."""


def plain(text: str) -> str:
    """What the recogniser writes: lower case, no punctuation."""
    return " ".join("".join(c if c.isalpha() or c in "' " else " " for c in text.lower()).split())


@functools.cache
def known_words() -> frozenset[str]:
    """The recogniser's domain: what callers and the agent say."""
    said = [plain(t) for t in replies(2500, 7_000_000)]
    everything = " ".join(said).split() + SCRAMBLED + x.LETTERS
    for group in (
        x.ONES,
        x.TENS,
        x.ORDINALS,
        x.NAMES,
        x.ROOMS,
        x.COLOURS,
        x.DAYS,
        x.MONTHS,
        x.CITIES,
        x.TOPPINGS,
        x.DISHES,
        x.DRINKS,
    ):
        everything += " ".join(group).split()
    return frozenset(everything) | {"hundred", "thousand"}


def label(said: str) -> list[str]:
    """The words that are written for the words said; unknown ones are `[unclear]`."""
    return [w if w in known_words() else UNCLEAR for w in said.split()]


def collapsed(words: list[str]) -> str:
    """The transcript: one `[unclear]` for several in a row."""
    return " ".join(w for w, before in zip(words, ["", *words], strict=False) if w != UNCLEAR or before != UNCLEAR)


def salad(n: int, seed: int) -> list[str]:
    """Sentences that no language model can guess, so that the decoder has to listen."""
    r = random.Random(seed)
    bag = [s.split() for s in sentences(5000, 2)]
    domain = sorted(known_words())
    out: dict[str, None] = {}
    while len(out) < n:
        words: list[str] = []
        if r.random() < 0.4:
            words = [r.choice(domain) for _ in range(r.randint(1, 6))]
        else:
            while len(words) < r.randint(2, 7):
                some = r.choice(bag)
                i = r.randrange(len(some))
                words += some[i : i + r.randint(1, 3)]
        out[" ".join(words[:8])] = None
    return list(out)


def foreign_words(dictionary: list[str], test: bool) -> list[str]:
    """Words outside the domain; those of tests are never trained on."""
    listed = [w for w in dictionary if w.isascii() and w.islower() and w.isalpha() and 5 <= len(w) <= 9]
    prose = {w for s in PROSE[test] for w in s.split() if len(w) > 4 and w.isalpha()}
    words = sorted({*listed[::4], *prose, *OUT_OF_DOMAIN} - known_words())
    return [w for w in words if (zlib.crc32(w.encode()) % 8 == 0) == test]


def foreign(n: int, seed: int, test: bool = False) -> list[str]:
    """Sentences outside the domain: prose, unknown words, and unknown words amid what callers say."""
    r = random.Random(seed)
    words = foreign_words(DICTIONARY.read_text().split(), test)
    bag = sentences(2000, seed, test)
    out = []
    for _ in range(n):
        kind = r.random()
        if kind < 0.35:
            some = r.choice(PROSE[test]).split()
            start = r.randrange(max(1, len(some) - 4))
            out.append(" ".join(some[start : start + r.randint(3, 8)]))
        elif kind < 0.6:
            out.append(" ".join(r.choice(words) for _ in range(r.randint(1, 5))))
        else:
            some = r.choice(bag).split()
            some[r.randrange(len(some))] = r.choice(words)
            out.append(" ".join(some))
    return [plain(s) for s in out]
