"""How much work it is to parse a text of JSON, estimated before it is parsed, **pure**."""

from __future__ import annotations

from typing import AnyStr

__all__ = ["MAX_VALUES", "values_in"]

MAX_VALUES = 20_000
"""Maximum values in one message. A megabyte of empty lists takes the event loop longer than calls can wait."""


PIECE = 65_536
"""Characters looked at before it is asked whether there are too many values already."""


def values_in(text: str | bytes) -> int:
    """An upper bound of the number of values, by the marks before them; commas within strings count too.

    Counting ends soon after `MAX_VALUES`: the result is then more than that, and says no more.
    """
    return _count(text, (",", "[", "{")) if isinstance(text, str) else _count(text, (b",", b"[", b"{"))


def _count(text: AnyStr, marks: tuple[AnyStr, ...]) -> int:
    values = 0
    for at in range(0, len(text), PIECE):
        values += sum([text.count(mark, at, at + PIECE) for mark in marks])
        if values > MAX_VALUES:
            break
    return values
