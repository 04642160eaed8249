"""References within a JSON Schema, replaced by what they stand for. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["resolved"]

MAX_PARTS, MAX_REFERENCES = 2000, 50
"""Maximum parts of a resolved schema, and references within each other: a few of them can expand to millions."""
DEEPEST = 100
"""Schemas within schemas; what is deeper is left out."""
_DATA = ("enum", "const", "default", "examples", "required")
"""Keys whose values are no schemas: what looks like a reference or a title in them is neither."""
_TABLES = ("properties", "patternProperties", "dependentSchemas")
"""Keys whose values are tables of schemas: keys in them are names."""
_LEFT_OUT = ("title", "$defs", "definitions")


def resolved(schema: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema without references and titles, which models read less well than what they stand for.

    A schema that holds itself is cut where it does so for the first time; the second value says which.

    Raises:
        ValueError: it refers to what it does not hold, or is too large with what it refers to.
    """
    whole = dict(schema)
    parts = itertools.count(1)
    cut: dict[str, None] = {}

    def inline(part: Any, within: tuple[str, ...], depth: int) -> Any:
        if next(parts) > MAX_PARTS or len(within) > MAX_REFERENCES:
            raise ValueError(f"more than {MAX_PARTS} parts, or {MAX_REFERENCES} references within each other")
        if isinstance(part, list):
            return [inline(p, within, depth) for p in part]
        if not isinstance(part, dict):
            return part
        if depth > DEEPEST:
            return {}
        if "$ref" in part:
            return follow(part, within, depth)
        return {
            k: v if k in _DATA else table(v, within, depth) if k in _TABLES else inline(v, within, depth + 1)
            for k, v in part.items()
            if k not in _LEFT_OUT
        }

    def table(part: Any, within: tuple[str, ...], depth: int) -> Any:
        return {k: inline(v, within, depth + 1) for k, v in part.items()} if isinstance(part, dict) else part

    def follow(part: dict[str, Any], within: tuple[str, ...], depth: int) -> Any:
        name = str(part["$ref"])
        meant = _pointed_at(whole, name)
        rest = {k: v for k, v in part.items() if k != "$ref"}
        if name in within:
            cut[f"{name} holds itself; what it holds of itself may be anything"] = None
            return inline(rest, within, depth)
        return inline({**meant, **rest} if isinstance(meant, dict) else meant, (*within, name), depth)

    found: dict[str, Any] = inline(whole, ("#",), 0)
    return found, tuple(cut)


def _pointed_at(whole: Any, reference: str) -> Any:
    """What a JSON pointer points at.

    Raises:
        ValueError: nothing.
    """
    value = whole
    if not reference.startswith("#"):
        raise ValueError(f"there is no {reference}")
    for name in filter(None, unquote(reference[1:]).split("/")):
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise ValueError(f"there is no {reference}")
    return value
