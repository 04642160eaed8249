"""Wordings: patterns with alternatives `(turn|switch)` and slots `{room}`; some are held out from all training.

A wording is a pattern with its alternatives chosen and its slots open. Which are held out is decided by its
checksum, so that it holds for every model and every run.
"""

from __future__ import annotations

import random
import re
import zlib

_INNERMOST = re.compile(r"\(([^()]*)\)")
ALWAYS_TRAINED_WORDS = 3
"""What is as short as this is said word for word by everybody, so all of it is trained."""
ALWAYS_TRAINED = {
    "what is {a} plus {b}", "what is {a} minus {b}", "what is {a} times {b}", "turn {on} the light in the {room}", "can you repeat that",
    "my name is {name}", "i would like {count} {size} {pizza} with {topping}",
    "what time is it", "what can you do", "what is my name", "transfer me to {department}", "what is my order", "are you there",
}  # fmt: skip
"""The wordings of the demo."""


PLAIN = 0.2
"""Share of the plainest wordings: what most people say is not said as often as everything else together."""


def choose(r: random.Random, pattern: str, plain: bool = False) -> str:
    """One wording of a pattern; the plain one takes the first of all alternatives."""
    while match := _INNERMOST.search(pattern):
        alternatives = match[1].split("|")
        pattern = (
            pattern[: match.start()] + (alternatives[0] if plain else r.choice(alternatives)) + pattern[match.end() :]
        )
    return " ".join(pattern.split())


def held_out(wording: str) -> bool:
    if len(wording.split()) <= ALWAYS_TRAINED_WORDS or wording in ALWAYS_TRAINED:
        return False
    return zlib.crc32(wording.encode()) % 10 == 0


def draw(r: random.Random, patterns: list[str], test: bool) -> str:
    """A trained wording, or with `test` a held-out one where these patterns have any."""
    wording = choose(r, patterns[0], plain=True)
    if not test and not held_out(wording) and r.random() < PLAIN:
        return wording
    for _ in range(60 if test else 1000):
        wording = choose(r, r.choice(patterns))
        if held_out(wording) == test:
            break
    return wording
