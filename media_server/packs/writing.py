"""The text of a `pack.toml`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from media_server.engines.packs import read_manifest

__all__ = ["manifest_text"]


def manifest_text(data: Mapping[str, Any]) -> str:
    """A manifest as TOML, checked by reading it again. Entries that are None are left out.

    Raises:
        ConfigurationError: it would not be a valid manifest.
    """
    text = "\n".join(_table("", data)).strip() + "\n"
    read_manifest(text, "the new pack.toml")
    return text


def _table(name: str, data: Mapping[str, Any]) -> list[str]:
    lines = []
    given = {k: v for k, v in data.items() if v is not None}
    for key, value in given.items():
        if not isinstance(value, Mapping) and not _is_tables(value):
            lines.append(f"{key} = {_value(value)}")
    for key, value in given.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, Mapping):
            if any(not isinstance(v, Mapping) for v in value.values()):
                lines += ["", f"[{path}]"]
            lines += _table(path, value)
        elif _is_tables(value):
            for each in value:
                lines += ["", f"[[{path}]]", *_table(path, each)]
    return lines


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's escapes are TOML's, but for this one
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
