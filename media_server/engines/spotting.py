"""Where in a reply something stands that is not said: a mark, JSON, a fence, a call as a program has it. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from media_server.engines import marks
from media_server.engines.callforms import TOOL_PREFIXES
from media_server.engines.elements import MAX_TAG, element_at, may_become

__all__ = ["ALL", "CALLING", "Spot", "Spotter", "begins_with_a_call", "meant_as_a_call", "without_half_a_mark"]

Spot = tuple[int, int, str]
"""Where the text to be said ends, where the mark behind it ends, and that mark; no mark: the rest has to wait."""

_MAX_NAME = 64
_FENCED = ("", "json", "tool_code", "tool_call", "tool_calls", "tool", "python", "py", "xml", "function", "action")
_KEYS = ("name", "tool", "tool_name", "tool_calls", "function", "action", "arguments", "parameters", "type")
"""What an object begins with that is a call, written without quotes as JavaScript has it."""
_JSON_BEGINS = re.compile(rf"""(?:[\[{{]\s*){{0,8}}\{{\s*(?:["'“}}]|(?:{"|".join(_KEYS)})\s{{0,6}}:)""")
"""No call is deeper within brackets; without a limit a run of them takes the square of its length."""
_JSON_BEGUN = re.compile(r"(?:[\[{]\s*){1,9}([a-z_]{0,10}\s{0,6})\Z")
_LABEL = re.compile(r"(?:tool[ _-]?calls?|function[ _-]?calls?|json)\s{0,6}:?\s{0,6}(?=[\[{])", re.IGNORECASE)
"""What small models write before a call in JSON, at the beginning of a reply."""
_LABEL_BEGUN = re.compile(r"(?:tool[ _-]?calls?|function[ _-]?calls?|json)\s{0,6}:?\s{0,6}\Z", re.IGNORECASE)
_LABELS = ("tool call", "tool_call", "tool-call", "toolcall", "function call", "function_call", "functioncall", "json")
_STARTS = re.compile(r"[<\[{`\]>fHA◁✿]")
_ACTION = re.compile(r"Action:\s*(?=```)")
CALLING = re.compile(r"""\[?[A-Za-z_][\w.]*\(\s*(?:\)|\w+\s*=(?!=)|["'{])|print\(""")
"""A call as Python writes it, of any name: where no tools are offered it is not speech."""
_CALLING_SURELY = re.compile(r"\[[A-Za-z_][\w.]*\(|[A-Za-z]\w*[_.][\w.]*\(|print\(\s*[A-Za-z_][\w.]*\(")
"""One that is meant for a tool, whichever are offered."""
_CALLING_BEGUN = re.compile(r"\[?(?:[a-z_][\w.]*|[A-Z]\w*_[\w.]*)(?:\(\s*\w*\s*)?\Z")
"""What may become one. A word that begins a sentence as people write it does not wait for the next."""
_ACTION_BEGUN = re.compile(r"A(?:c(?:t(?:i(?:o(?:n(?::\s*`{0,2})?)?)?)?)?)?\Z")
_ACTION_MARKS = ("Action", "Call")
"""What models write before a tool's name and a colon."""
_NAMED_BEGUN = re.compile(
    r"""(?<![\w."'/`\-])`{0,2}(?:(?:Action|Call):\s{0,6})?\[?([A-Za-z_][\w.\-]{0,80})"""
    r"""((?:\s{0,6}\n\s{0,6}A[A-Za-z ]{0,11}:?\s{0,6}|\s{0,6}:?\s{0,6})"""
    r"""(?:\{\s{0,6}|\(\s{0,6}(?:\w{0,80}\s{0,6})?)?)\Z"""
)
"""What may become a call by its name. All that repeats has a limit: models write thousands of spaces now and then."""

ALL = (
    *marks.THOUGHTS,
    *marks.CALLS,
    *marks.OPEN_CALLS,
    *marks.MADE_UP,
    *marks.PASSED_OVER,
    *marks.HEADERS,
    *marks.STRAY,
)
"""Marks of which each begins something, or is left out where it stands alone."""
_BY_CHARACTER = {
    first: tuple(sorted({m for m in ALL if m[0] == first}, key=len, reverse=True)) for first in {m[0] for m in ALL}
}


class Spotter:
    """Finds the first spot in a text that grows.

    Args:
        offered: names of the tools that may be called.
        openings: marks of the model's own form, which stand at the beginning alone.
        recipients: `>>>` begins a message.
    """

    def __init__(self, offered: frozenset[str], openings: Mapping[str, str], recipients: bool) -> None:
        self._offered = offered
        self._openings = openings
        self._recipients = recipients
        self._in_code = False
        self._named = _named(offered)
        self._beginnings = (*_ACTION_MARKS, *(f"{of}{name}" for name in offered for of in ("", *TOOL_PREFIXES)))
        """Words that may begin a call by its tool's name."""

    def find(self, text: str, last: bool, spoken: bool, before: str = "", in_code: bool = False) -> Spot:
        """The first spot in what may be said.

        Args:
            last: nothing follows.
            spoken: something was said before.
            before: the character that was said right before the text; empty for none.
            in_code: the first fence ends code.
        """
        self._in_code = in_code
        if not spoken:
            found = self._at_beginning(text, last)
            if found is not None:
                return found
        known, skipped = before + text, len(before)
        named = self._named.search(known, skipped) if self._named else None
        begun = None if named or last or not self._offered else _NAMED_BEGUN.search(known, skipped)
        if begun and not self._may_name(begun[1], whole=bool(begun[2])):
            begun = None
        found_at = named or begun
        end = found_at.start() - skipped if found_at else len(text)
        for start in _STARTS.finditer(text, 0, end):
            found = self._at(text, start.start(), last)
            if found is not None:
                return found
        return (end, end, "(") if named else (end, 0, "")

    def _may_name(self, word: str, whole: bool) -> bool:
        return word in self._beginnings if whole else any(each.startswith(word) for each in self._beginnings)

    def _at_beginning(self, text: str, last: bool) -> Spot | None:
        for mark in self._openings:
            if text.startswith(mark):
                return 0, len(mark), mark
            if not last and mark.startswith(text):
                return 0, 0, ""
        if begins_with_a_call(text, self._offered):
            return 0, 0, "("
        if not last and self._begins_call(text):
            return 0, 0, ""
        if CALLING.match(text):
            return 0, 0, "("
        if not last and len(text) < _MAX_NAME and _CALLING_BEGUN.match(text):
            return 0, 0, ""
        if label := _LABEL.match(text):
            if _JSON_BEGINS.match(text, label.end()):
                return 0, 0, "{"
            waits = _json_begun(text, label.end())
        else:
            waits = bool(_LABEL_BEGUN.match(text)) or any(each.startswith(text.lower()) for each in _LABELS)
        return (0, 0, "") if waits and not last else None

    def _at(self, text: str, at: int, last: bool) -> Spot | None:
        """The mark that stands here; None for none."""
        rest = text[at : at + 80]
        known = _BY_CHARACTER.get(rest[0], ())
        if not last and any(len(m) > len(rest) and m.startswith(rest) for m in known):
            return at, 0, ""
        for mark in known:
            if rest.startswith(mark):
                return at, at + len(mark), mark
        if rest[0] == "<":
            return self._at_element(text, at, last)
        if rest[0] in "[{":
            if _JSON_BEGINS.match(text, at):
                return at, at, "{"
            if not last and _json_begun(text, at):
                return at, 0, ""
        if rest[0] == "A":
            if action := _ACTION.match(rest):
                return at, at + action.end(), action[0]
            if not last and _ACTION_BEGUN.match(rest):
                return at, 0, ""
        if rest[0] == "`" and text[at - 1 : at] != "`":
            return self._at_fence(text, at, last)
        if self._recipients and rest[0] == ">":
            if rest.startswith(">>>"):
                return at, at + 3, ">>>"
            if not last and ">>>".startswith(rest):
                return at, 0, ""
        return None

    def _at_element(self, text: str, at: int, last: bool) -> Spot | None:
        if element := element_at(text, at, self._offered):
            kept = element.kind == "perhaps"
            return at, at if kept else at + len(element.text), element.text
        if control := marks.CONTROL.match(text, at):
            complete = last or len(text) > control.end() or control[0][-1] in "|｜>"
            return (at, at + control.end() - at, control[0]) if complete else (at, 0, "")
        if not last and len(text) - at < MAX_TAG:
            waits = marks.CONTROL_BEGUN.match(text, at) or may_become(text, at, self._offered)
            return (at, 0, "") if waits else None
        return None

    def _at_fence(self, text: str, at: int, last: bool) -> Spot | None:
        ticks = _TICKS.match(text, at)
        assert ticks
        fence, rest = ticks[0], text[ticks.end() :]
        if len(fence) < 3:
            if not last and not rest:
                return at, 0, ""
            if _JSON_BEGINS.match(rest):
                return at, at, "{"
            return (at, 0, "") if not last and _json_begun(rest, 0) else None
        if self._in_code != bool(text.count("```", 0, at) % 2):
            return None
        if not rest and not last:
            return at, 0, ""
        line, newline, _ = rest.partition("\n")
        kind = _INFO.match(line)
        assert kind
        if not newline and not last and len(line) < _MAX_NAME and "{" not in line and "[" not in line:
            return at, 0, ""
        if kind[1].lower() in _FENCED or kind[1] in self._offered:
            return at, at, fence
        inside = rest[kind.end() :].lstrip()
        if _JSON_BEGINS.match(inside) or begins_with_a_call(inside, self._offered):
            return at, at, fence
        waits = not inside or _json_begun(inside, 0) or self._begins_call(inside)
        return (at, 0, "") if waits and not last else None

    def _begins_call(self, text: str) -> bool:
        return any(each.startswith(text.lower()) for each in _beginnings(self._offered))


def meant_as_a_call(text: str, offered: frozenset[str]) -> bool:
    """Whether a text in the form of a program's call is one of a tool's, and no speech."""
    return bool((_CALLING_SURELY if offered else CALLING).match(text))


def without_half_a_mark(text: str, before: str = "") -> str:
    """The end of a reply without a mark of which only the beginning was written: a limit cut it there.

    Args:
        before: the character that was said right before the text; empty for none.
    """
    for begun in _HALF.finditer(text):
        at, half = begun.start(), text[begun.start() :]
        if not half.strip("[{ \t\r\n"):
            if not (text[at - 1] if at else before).strip():  # else it belongs to a word, or is a face
                return text[:at]
        elif len(half) > 2 and (
            marks.CONTROL_BEGUN.match(half) or any(mark.startswith(half) and mark != half for mark in ALL)
        ):
            return text[:at]
    return text


_HALF = re.compile(r"[<◁✿](?=[^<\[]{0,60}\Z)|[\[{](?=[^<\[]{0,60}\Z|[\[{\s]{0,20}\Z)")
_TICKS = re.compile(r"`+")
_INFO = re.compile(r"[ \t]*([\w+.\-]*)")


def _json_begun(text: str, at: int) -> bool:
    begun = _JSON_BEGUN.match(text, at)
    if not begun:
        return False
    word = begun[1].rstrip()
    return not word or (word in _KEYS if begun[1] != word else any(key.startswith(word) for key in _KEYS))


@functools.lru_cache(64)
def _named(offered: frozenset[str]) -> re.Pattern[str] | None:
    """A call of an offered tool in the midst of text: its name, and behind it arguments in parentheses or braces."""
    if not offered:
        return None
    names = "|".join(re.escape(name) for name in sorted(offered, key=len, reverse=True))
    of = "|".join(map(re.escape, TOOL_PREFIXES))
    return re.compile(
        rf"""(?<![\w."'/`\-])`{{0,2}}(?:(?:{"|".join(_ACTION_MARKS)}):\s{{0,6}})?\[?(?:{of})?(?:{names})"""
        r"""(?:\(\s{0,6}(?:\)|\w{1,80}\s{0,6}=(?!=)|["'{])"""
        r"""|(?:\s{0,6}\n\s{0,6}Action Input:|\s{0,6}:)?\s{0,6}\{\s{0,6}["'“}])"""
    )


@functools.lru_cache(64)
def _beginnings(offered: frozenset[str]) -> tuple[str, ...]:
    """How calls begin that are written as in a program, in lower case: small models write the first letter large."""
    return tuple(f"{bracket}{name.lower()}(" for name in offered for bracket in ("", "["))


def begins_with_a_call(text: str, offered: frozenset[str]) -> bool:
    return text.lower().startswith(_beginnings(offered))
