"""What values are that models write without quotes, by the schema of their tool. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from media_server.engines.literals import Values

__all__ = ["ELEMENT", "child", "properties_of", "required_of", "typed"]

ELEMENT = re.compile(r"<([A-Za-z_][\w.\-]*)>(.*?)</\1>", re.DOTALL)


def child(value: str, declared: Any) -> Any:
    """The value of an element that may hold others."""
    inner = ELEMENT.findall(value) if value.strip().startswith("<") else []
    if not inner:
        return typed(value, declared)
    if all(key == "item" for key, _ in inner):
        return [child(each, None) for _, each in inner]
    return {key: child(each, None) for key, each in inner}


def properties_of(schema: Any) -> Mapping[str, Any]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def required_of(schema: Any) -> bool:
    """Whether a tool cannot be called without arguments."""
    return bool(schema.get("required")) if isinstance(schema, dict) else False


def typed(value: str, declared: Any) -> Any:
    """What a value is that is written without quotes: text where a text is wanted, else what JSON makes of it."""
    value = re.sub(r"\A\s*<!\[CDATA\[(.*)\]\]>\s*\Z", r"\1", value, flags=re.DOTALL)
    value = value.removeprefix("\n").removesuffix("\n")
    kind = declared.get("type") if isinstance(declared, dict) else None
    if kind == "string":
        return value
    try:
        read = Values(value.strip()).value() if value.strip()[:1] in ("{", "[") else json.loads(value)
    except (ValueError, RecursionError):
        word = value.strip()
        return {"True": True, "False": False, "None": None}.get(word, value)
    if kind is None and not isinstance(read, dict | list) and json.dumps(read) != value.strip():
        return value  # 007 and 1e3 may be text
    return read
