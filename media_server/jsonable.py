"""What comes from clients and from agents' code, as JSON can hold it on every wire and in every database."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic_core import to_jsonable_python

__all__ = ["jsonable", "sound"]

MAX_ITEMS = 10_000
"""Maximum that is taken from an iterator."""


def jsonable(value: Any, strict: bool = False) -> Any:
    """Plain dicts, lists, strings, numbers, booleans and None.

    Browsers and PostgreSQL refuse NaN and the infinities, UTF-8 half of a surrogate pair: None and `?` stand for them.
    What JSON has no form for is written as `str` does.

    Args:
        strict: what JSON has no form for raises `ValueError` instead.
    """
    form = None if strict else _form
    if isinstance(value, Iterator):  # it may never end
        value = list(islice(value, MAX_ITEMS))
    try:
        return _held(to_jsonable_python(value, fallback=form))
    except UnicodeEncodeError:  # a key
        return _held(to_jsonable_python(_with_sound_keys(value), fallback=form))


def _with_sound_keys(value: Any) -> Any:
    match value:
        case dict():
            return {sound(k) if isinstance(k, str) else k: _with_sound_keys(v) for k, v in value.items()}
        case list() | tuple():
            return [_with_sound_keys(v) for v in value]
        case _:
            return value


def sound(text: str) -> str:
    """The text as UTF-8 can hold it: halves of a surrogate pair are joined, `?` stands for one without the other."""
    if text.isascii():
        return text
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return paired.encode("utf-8", "replace").decode()


def _form(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _held(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str():
            return sound(value)
        case list():
            return [_held(v) for v in value]
        case dict():
            return {_held(k): _held(v) for k, v in value.items()}
        case _:
            return value
