"""Places on the earth: `48.137° N`, `40°26′46″N`. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import counted

__all__ = ["coordinates"]

_GAP = "[ \u00a0]?"


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    points = "|".join(language.words("compass"))
    return re.compile(
        rf"(?<![\w.,])(?P<degrees>\d{{1,3}}(?:[.,]\d{{1,8}})?){_GAP}°{_GAP}"
        rf"(?:(?P<minutes>\d{{1,2}}(?:[.,]\d{{1,6}})?)['′’]{_GAP})?"
        rf"(?:(?P<seconds>\d{{1,2}}(?:[.,]\d{{1,4}})?)(?:[\"″”]|''|′′|’’){_GAP})?(?P<point>{points})(?!\w)"
    )


def coordinates(edits: Edits, language: Language) -> None:
    """Say degrees, minutes and seconds of arc, and the point of the compass."""
    if "°" not in edits.text:
        return
    for m in _pattern(language).finditer(edits.text):
        parts = [(m["degrees"], "°"), (m["minutes"], "min"), (m["seconds"], "s")]
        said = [counted(written, language.units[unit], language) for written, unit in parts if written]
        edits.match(m, " ".join([*said, language.words("compass")[m["point"]]]))
