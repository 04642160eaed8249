"""Parts of a reply while they are collected, and where they end. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from media_server.engines.literals import Balance

__all__ = [
    "CUT_OFF",
    "EMPTY",
    "NO_ARRAY",
    "NO_CODE",
    "WORD_BEGUN",
    "WORD_BEHIND",
    "Block",
    "begun_mark",
    "fence_split",
    "in_string",
    "left_open",
    "places",
]

WORD_BEGUN, WORD_BEHIND = re.compile(r"[ \t]*[\w'’]*"), re.compile(r"[ \t]+[\w'’]+[ \t,.;:!?]")
"""A word behind code of which a sentence speaks."""
EMPTY = re.compile(r"[^<>]{0,300}/>")
"""The rest of an element that has nothing in it."""
CUT_OFF = re.compile(r"""[\[{\s]*\{\s*(?:["'“][\w \-]{0,40}(?:["'”]\s*(?::.*)?)?|\w{1,40}\s*:.*)?""", re.DOTALL)
"""JSON that breaks off."""
NO_CODE = re.compile(r"[`~]{3,}[ \t]*(?:[\w+.\-]+\s*(?:[`~]{3,})?|\s*[`~]{3,})")
NO_ARRAY = re.compile(r"\[(?:ARGS|CALL_ID)\]|\[(?:A(?:R(?:GS?)?)?|C(?:A(?:L(?:L(?:_(?:ID?)?)?)?)?)?)?\Z")


@dataclass(slots=True)
class Block:
    """What is being collected behind a mark.

    Args:
        mark: what began it.
        ends: marks that end it; empty where the brackets of a value do.
        name: the tool that the block's head says is called.
        kept: the mark is a part of what is read.
        tried: it may be text after all: then it is said.
    """

    mark: str
    ends: tuple[str, ...] = ()
    name: str = ""
    kept: bool = False
    tried: bool = False
    unclosed: bool = False
    """It reaches to the end of the reply."""
    balance: Balance | None = None
    begins: int = 0
    found: tuple[int, int] | None = None
    """Where what is inside ends, and where the mark behind it does, once that is known."""
    lead: str = ""
    """What stands before it and is said where it is text after all."""


def begun_mark(text: str, ends: tuple[str, ...]) -> int:
    """How much of the text's end may be the beginning of one of the marks."""
    longest = max(map(len, ends)) - 1
    for n in range(min(longest, len(text)), 0, -1):
        if any(len(end) > n and end.startswith(text[-n:]) for end in ends):
            return n
    return 0


def places(text: str, mark: str, begin: int) -> list[int]:
    places, at = [], text.find(mark, begin)
    while at >= 0:
        places.append(at)
        at = text.find(mark, at + 1)
    return places


def in_string(text: str) -> bool:
    balance = Balance()
    at = 0
    while at >= 0 and at < len(text):
        at = balance.end(text)
    return balance.in_string


def fence_split(text: str) -> tuple[str, str]:
    """What a fence says that the code in it is, and the code."""
    found = re.match(r"[`~]{3,}[ \t]*([\w+.\-]*)[ \t]*\n?", text)
    return (found[1], text[found.end() :]) if found else ("", text)


def left_open(text: str) -> bool:
    return Balance().end(text.lstrip("`json \n")) < 0
