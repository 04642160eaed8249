"""Abbreviated words, initials, letters with full stops, streets. Pure."""

from __future__ import annotations

import re
from functools import cache

from media_server.spoken.edits import Edits
from media_server.spoken.ends import ELIDED, goes_on, is_street
from media_server.spoken.language import Language

__all__ = ["abbreviations", "patterns"]

_DOTTED = re.compile(r"(?<![\w.])(?:[^\W\d_]\.[ \u00a0]?){1,6}(?<=\.)(?!\w)")
_TOKEN = re.compile(r"(?<![\w.@/-])[^\W\d_][\w’']{0,20}(?:\.(?=\d)|\.?(?![\w@]))")
_NUMBER_AHEAD = re.compile(r"[ \u00a0]?(?:\d|(?!I\b)[IVXLC]+\b)")
_FOLLOWS = re.compile(r"[\"'”’»]?\s+(?P<word>[^\W\d_]+)")


@cache
def _compiled(language: Language) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(p, re.IGNORECASE), said) for p, said in language.words("patterns").items())


def patterns(edits: Edits, language: Language) -> None:
    """Say what a language writes in short with several words or signs, by patterns of its own."""
    for pattern, said in _compiled(language):
        for m in pattern.finditer(edits.text):
            last = m[0].endswith(".") and m[0].replace(" ", "").lower() not in language.listed("never_ends")
            stop = "." if last and said and _ends(edits.text, m.end(), language) else ""
            edits.match(m, m.expand(said) + stop)


def _ends(text: str, at: int, language: Language) -> bool:
    """Whether what was short for something ends the sentence too: nothing follows, or what begins one."""
    follows = _FOLLOWS.match(text, at)
    word = follows["word"] if follows else ""
    return not text[at:].strip("\"'”’»“*_ \u00a0") or (
        word[:1].isupper() and word.lower() in language.listed("starters")
    )


def abbreviations(edits: Edits, language: Language) -> None:
    """Say abbreviations in full and letters with full stops as letters."""
    text = edits.text
    always, numbered = language.words("abbreviations"), language.words("before_numbers")
    named, streets = language.words("before_names"), language.words("streets")
    for m in _TOKEN.finditer(text):
        elided = ELIDED.match(m[0])
        start, end = m.start() + (elided.end() if elided else 0), m.end()
        written = text[start:end].lower()
        dotted = written.endswith(".")
        if not edits.free(start, end) or (dotted and len(written) == 2 and _is_initial(text, start, end)):
            continue
        said = None
        if written in streets and is_street(text, start, end, language):
            said = streets[written]
        elif written in numbered and _NUMBER_AHEAD.match(text, end):
            said = numbered[written]
        elif written in named and re.match(r"(?:[ \u00a0]+(?:&[ \u00a0])?|-)[^\W\d_]", text[end : end + 5]):
            said = named[written]
        elif written in always:
            said = always[written]
        if said is not None:
            keeps = (
                dotted and not goes_on(text, end, language) and (written not in named or said == streets.get(written))
            )
            edits.put(start, end - 1 if keeps else end, said)
    for m in _DOTTED.finditer(text):
        letters = re.findall(r"[^\W\d_]", m[0])
        end = m.start() + len(m[0].rstrip())
        lower = "".join(letters).lower()
        if not edits.free(m.start(), end) or (len(letters) == 1 and not letters[0].isupper()):
            continue
        if not goes_on(text, end, language):
            end -= 1
        if len(letters) == 1 and end < m.start() + 2:
            continue
        half = language.code == "en" and lower in ("am", "pm")
        edits.put(m.start(), end, lower.upper() if half else " ".join(letters))


def _is_initial(text: str, start: int, end: int) -> bool:
    """Whether a letter with a full stop stands beside another one, as the initials of a name do."""
    behind = text[end : end + 3].lstrip(" \u00a0")
    before = re.search(r"(?:^|\W)([^\W\d_])\.[ \u00a0]?$", text[max(0, start - 4) : start])
    beside = (behind[:1].isupper() and behind[1:2] == ".") or (before is not None and before[1].isupper())
    return text[start].isupper() and beside and not behind[:1].isdigit()
