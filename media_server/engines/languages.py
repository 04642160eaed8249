"""Which language a Piper voice speaks, as the file beside it says."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["spoken_in"]


def spoken_in(voice: Path) -> str:
    """The language of a voice by espeak-ng's name, such as `en-us`; empty if its description has none."""
    try:
        read = json.loads(Path(f"{voice}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""  # the engine's host says what is wrong with it
    if not isinstance(read, dict):
        return ""
    for table, name in (("espeak", "voice"), ("language", "code")):
        found = read.get(table)
        if isinstance(found, dict) and isinstance(found.get(name), str) and found[name]:
            return str(found[name])
    return ""
