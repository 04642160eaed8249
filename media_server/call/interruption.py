"""Somebody makes a sound while the agent speaks: does the agent yield? Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

__all__ = ["ACKNOWLEDGEMENTS", "ECHO_AGAIN_S", "LONGEST_DOUBT_S", "Sound", "weigh"]

Sound = Literal["speech", "acknowledgement", "echo", "noise"]

ACKNOWLEDGEMENTS = frozenset(
    {"ah", "aha", "all", "good", "great", "hm", "hmm", "huh", "i", "mhm", "mm", "oh", "ok", "okay", "right", "see"}
    | {"sure", "thanks", "uh", "uhhuh", "um", "yeah", "yep", "yes"}
)
"""Words that say no more than "go on": a sound of nothing but these does not interrupt."""
PREFIX = 4
"""Letters that make a beginning."""
LONGEST_DOUBT_S = 0.9
"""Who is heard to speak for longer than this means it, whatever is understood of it, but for echo."""
ECHO_SHARE = 0.6
"""Of the words, at least so many, in the agent's order: its own voice, back through the caller's microphone …"""
ECHO_AGAIN_SHARE = 0.5
"""… and where it has just come back: cut at a comma, what is left of an echo is short and easily misheard."""
ECHO_AGAIN_S = 1.5
"""For how long after an echo more of it is expected."""
_ANNOTATION = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*")
"""What recognisers write for sounds: `[unclear]`, `(music)`, `*cough*`."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def weigh(
    text: str, said_lately: str, acknowledgements: Collection[str], min_words: int, *, after_echo: bool = False
) -> Sound:
    """What a sound is, by its transcript.

    Args:
        text: the transcript; empty where nothing was understood.
        said_lately: the agent's last words.
        acknowledgements: in lower case.
        min_words: from which on, acknowledgements not counted, it is an interruption.
        after_echo: the agent's own voice has come back within the last `ECHO_AGAIN_S`.
    """
    words = _words(text)
    if not words:
        return "noise"
    echoed = _in_common(words, _words(said_lately))
    if echoed >= (ECHO_AGAIN_SHARE if after_echo else ECHO_SHARE) * len(words):
        return "echo"
    if all(w in acknowledgements for w in words):
        return "acknowledgement"
    return "speech" if sum(w not in acknowledgements for w in words) >= min_words else "noise"


def _words(text: str) -> list[str]:
    text = _ANNOTATION.sub(" ", text)
    return [w.lower() for w in _WORD.findall(text)]


def _in_common(a: list[str], b: list[str]) -> int:
    """Length of the longest sequence of words that both have in this order."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if _alike(x, y) else max(row[j], row[j - 1])
    return row[-1]


def _alike(a: str, b: str) -> bool:
    """Equal, or the beginning of one another: the end of what is under way is often cut off."""
    return a == b or (min(len(a), len(b)) >= PREFIX and (a.startswith(b) or b.startswith(a)))
