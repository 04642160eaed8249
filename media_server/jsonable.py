"""What comes from clients and from agents' code, as JSON can hold it on every wire and in every database."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from itertools import islice
from typing import Any

from pydantic_core import to_jsonable_python

__all__ = ["jsonable", "require_bounded", "sound"]

MAX_ITEMS = 10_000
"""Maximum that is taken from an iterator."""
DOUBLE_BITS = 1023
"""Bits of an integer that a double holds whatever they are; Python writes none of more than 4,300 digits."""
MAX_VALUES = 20_000
MAX_CHARACTERS = 1_000_000
"""Maximum in what an agent's code returns or sends: to write a million values would hold up every call."""


def jsonable(value: Any, strict: bool = False) -> Any:
    """Plain dicts, lists, strings, numbers, booleans and None.

    Browsers and PostgreSQL refuse NaN and the infinities, UTF-8 half of a surrogate pair: None and `?` stand for them,
    None also for an integer that no double holds. Bytes are text in UTF-8, NumPy's numbers are numbers, and what JSON
    has no form for is written as `str` does.

    Args:
        strict: what JSON has no form for, or is too large, raises `ValueError` instead.
    """
    form = None if strict else _form
    if strict:
        require_bounded(value)
    if isinstance(value, Iterator):  # it may never end
        value = list(islice(value, MAX_ITEMS))
    try:
        return _held(to_jsonable_python(value, fallback=form))
    except UnicodeError:  # of a key, or of bytes
        return _held(to_jsonable_python(_readable(value), fallback=form))


def require_bounded(value: Any) -> None:
    """It looks no further than the bounds, which takes milliseconds at most. A list that holds itself is beyond them.

    Raises:
        ValueError: the value has more than `MAX_VALUES` values in it, or more than `MAX_CHARACTERS` of text.
    """
    values = characters = 0
    todo = [value]
    while todo:
        match todo.pop():
            case str() | bytes() as text:
                characters += len(text)
            case Mapping() as each:
                values += len(each)
                if values <= MAX_VALUES:
                    todo += [*each.keys(), *each.values()]
            case list() | tuple() | Set() as each:
                values += len(each)
                if values <= MAX_VALUES:
                    todo += each
        if values > MAX_VALUES or characters > MAX_CHARACTERS:
            raise ValueError(f"there are more than {MAX_VALUES:,} values or {MAX_CHARACTERS:,} characters in it")


def _readable(value: Any) -> Any:
    match value:
        case str():
            return sound(value)
        case bytes():
            return value.decode(errors="replace")
        case dict():
            return {_readable(k) if isinstance(k, str | bytes) else k: _readable(v) for k, v in value.items()}
        case list() | tuple():
            return [_readable(v) for v in value]
        case _:
            return value


def sound(text: str) -> str:
    """The text as UTF-8 can hold it: halves of a surrogate pair are joined, `?` stands for one without the other."""
    if text.isascii():
        return text
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return paired.encode("utf-8", "replace").decode()


def _form(value: Any) -> Any:
    if getattr(value, "shape", None) == ():  # a number of NumPy's
        return value.tolist()
    return dict(value) if isinstance(value, Mapping) else str(value)


def _held(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case int():
            return value if value.bit_length() <= DOUBLE_BITS else None
        case str():
            return sound(value)
        case list():
            return [_held(v) for v in value]
        case dict():
            return {_held(k): _held(v) for k, v in value.items()}
        case _:
            return value
