"""Where in a reply something stands that is not said: a mark, JSON, a fence, a call as a program has it. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from media_server.engines import marks
from media_server.engines.callforms import TOOL_PREFIXES
from media_server.engines.elements import MAX_TAG, element_at, may_become
from media_server.engines.escapes import ESCAPES
from media_server.engines.literals import Balance
from media_server.engines.phrases import (
    alone,
    bare_start,
    held_from,
    is_odd,
    lead_start,
    named_with,
    spellings,
    surely_called,
)

__all__ = [
    "ALL",
    "CALLING",
    "Spot",
    "Spotter",
    "begins_with_a_call",
    "meant_as_a_call",
    "meant_for",
    "without_half_a_mark",
]

Spot = tuple[int, int, str]
"""Where the text to be said ends, where the mark behind it ends, and that mark; no mark: the rest has to wait."""

_MAX_NAME = 64
_FENCED = (
    *("", "json", "tool_code", "tool_call", "tool_calls", "tool", "python", "py", "xml", "function", "action"),
    *("yaml", "yml", "toml", "javascript", "js", "typescript", "ts", "tool_output", "function_call"),
)
_KEYS = ("name", "tool", "tool_name", "tool_calls", "function", "action", "arguments", "parameters", "type")
"""What an object begins with that is a call, written without quotes as JavaScript has it."""
_JSON_BEGINS = re.compile(rf"""(?:[\[{{]\s*){{0,8}}\{{\s*(?:["'“}}]|\\"|&quot;|(?:{"|".join(_KEYS)})\s{{0,6}}:)""")
"""No call is deeper within brackets; without a limit a run of them takes the square of its length."""
_JSON_BEGUN = re.compile(r"(?:[\[{]\s*){1,9}(?:([a-z_]{0,10}\s{0,6})|\\|&[a-z]{0,4})\Z")
_LABEL = re.compile(r"(?:tool[ _-]?calls?|function[ _-]?calls?|json)\s{0,6}:?\s{0,6}(?=[\[{])", re.IGNORECASE)
"""What small models write before a call in JSON, at the beginning of a reply."""
_LABEL_BEGUN = re.compile(r"(?:tool[ _-]?calls?|function[ _-]?calls?|json)\s{0,6}:?\s{0,6}\Z", re.IGNORECASE)
_LABELS = ("tool call", "tool_call", "tool-call", "toolcall", "function call", "function_call", "functioncall", "json")
_STARTS = re.compile(r"[<\[{`~\]>fHA◁✿&\\‹＜«]")
_ACTION = re.compile(r"Action:\s*(?=```)")
CALLING = re.compile(r"""\[?(?:[a-z_][\w.]*|[A-Z]\w*_[\w.]*)\(\s*(?:\)|\w+\s*=(?!=)|["'{])|print\(""")
"""A call as Python writes it, of any name: where no tools are offered it is not speech."""
_CALLING_SURELY = re.compile(r"\[[A-Za-z_][\w.]*\(|[A-Za-z]\w*[_.][\w.]*\(|print\(\s*[A-Za-z_][\w.]*\(")
"""One that is meant for a tool, whichever are offered."""
_CALLING_BEGUN = re.compile(r"\[?(?:[a-z_][\w.]*|[A-Z]\w*_[\w.]*)(?:\(\s*\w*\s*)?\Z")
"""What may become one. A word that begins a sentence as people write it does not wait for the next."""
_ACTION_BEGUN = re.compile(r"A(?:c(?:t(?:i(?:o(?:n(?::\s*`{0,2})?)?)?)?)?)?\Z")
_ACTION_MARKS = ("Action", "Call")
_UNMARKED = ("{", "(", "=", marks.SURE)
_UNKNOWN = re.compile(r"(?<![\w.])(\[?[a-z][a-z0-9]*_\w{0,60}\(\s*(?:\)|\w{1,60}\s*=(?!=)))")
_UNKNOWN_BEGUN = re.compile(r"(?<![\w.])\[?[a-z]\w{0,60}(?:\(\s*(?:\w{1,60}\s*)?)?\Z")
_TOLD = re.compile(
    r"<(tool_name|function_name|function|tool)>\s{0,6}[\w.\-]{1,80}\s{0,6}</\1>\s{0,6}<(?:arguments|parameters|args|params|input)>"
)
_TOLD_BEGUN = re.compile(
    r"<(?:tool_name|function_name|function|tool)>\s{0,6}[\w.\-]{0,80}\s{0,6}(?:<(?:/\w{0,14}(?:>\s{0,6}(?:<\w{0,12})?)?)?)?\Z"
)
_THINKING = ("think", "thinking", "thought", "thoughts", "reasoning")
_OPENED_THOUGHT = re.compile(r"<(reason|plan|planning|internal|inner_voice|consider|step_by_step|notes_to_self)>")
"""What begins a thought at the beginning of a reply; elsewhere it may stand for something that is to be filled in."""
_OPENED_THOUGHT_BEGUN = re.compile(r"<[a-z_]{0,20}")
_SENTENCE_ENDS = (".", "!", "?", "…")
_QUOTING = ("[", "`", '"', "<", "/", "@", ".")
_LABELS_PAIRS = re.compile(
    r"(?:\A|[\n\[]|[.!?…]\s)[\s*_>-]{0,4}(?:tool|function|action|name|tool[_ ]name)[`*]{0,2}\s?[:=]\s?[`*]{0,3}\Z",
    re.IGNORECASE,
)
"""What stands before the name of a tool whose arguments are pairs, if the name is an ordinary word."""
_NAME_BEGUN = re.compile(r"""(?<![\w.\-])(?<!\w[/"'`])([A-Za-z_][\w.]{0,80})\Z""")
_AFTER_THOUGHT = re.compile(r"\n\s{0,6}(?:(?=Action\s?:)|Final Answer\s?:)")
_LONGEST = 600
"""Characters of a call of an unknown function."""
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
        keys: by its name, the arguments of each tool.
    """

    def __init__(
        self,
        offered: frozenset[str],
        openings: Mapping[str, str],
        recipients: bool,
        keys: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._offered = offered
        self._keys = keys
        self._openings = openings
        self._recipients = recipients
        self._in_code = False
        self._spellings = spellings(offered)
        self._named = _named(frozenset(self._spellings))
        self._beginnings = (*_ACTION_MARKS, *(f"{of}{name}" for name in self._spellings for of in ("", *TOOL_PREFIXES)))
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
        at, end, mark = self._first(text, last, spoken, before)
        known, skipped = before + text, len(before)
        if not mark:
            if last:
                return at, end, mark
            held = min(held_from(known, skipped), held_from(known, skipped, skipped + at))
            return min(at, held - skipped), 0, ""
        if mark in _UNMARKED or mark[0] in "`~" or _named_like(mark):
            return lead_start(known, skipped, skipped + at) - skipped, end, mark
        if mark in marks.CALLS or mark in marks.OPEN_CALLS or mark in marks.THOUGHTS:
            return bare_start(known, skipped, skipped + at) - skipped, end, mark
        return at, end, mark

    def _first(self, text: str, last: bool, spoken: bool, before: str) -> Spot:
        if not spoken:
            found = self._at_beginning(text, last)
            if found is not None:
                return found
        known, skipped = before + text, len(before)
        end, bracket = self._by_name(known, skipped, last)
        end -= skipped
        for start in _STARTS.finditer(text, 0, end):
            found = self._at(text, start.start(), last)
            if found is not None:
                return found
        if bracket.startswith(marks.ALONE):
            return end, len(text), bracket
        return end, end if bracket else 0, bracket

    def _by_name(self, known: str, skipped: int, last: bool) -> tuple[int, str]:
        """Where the first call is that its tool's name begins, and how it begins; where one may begin, and nothing."""
        found = [self._offered_by_name(known, skipped, last)]
        if sure := surely_called(known, skipped, last):
            found.append((sure[0], "" if sure[1] else marks.SURE))
        found += self._unknown(known, skipped, last)
        if self._spellings and (by_itself := alone(known, skipped, self._spellings)):
            found.append((by_itself[0], f"{marks.ALONE}{by_itself[1]}" if last else ""))
        return min(found, key=lambda each: (each[0], not each[1]))

    def _offered_by_name(self, known: str, skipped: int, last: bool) -> tuple[int, str]:
        if not self._named:
            return len(known), ""
        named = self._named.search(known, skipped)
        begun = None if named or last else _NAMED_BEGUN.search(known, skipped)
        if begun and not self._may_name(begun[1], whole=bool(begun[2])):
            begun = None
        end, bracket = (named.start(), "(") if named else (begun.start() if begun else len(known), "")
        for name in _names(frozenset(self._spellings)).finditer(known, skipped, end):
            keys = self._keys.get(self._spellings[name[1]], {})
            pairs = (
                is_odd(name[1])
                or known[name.start() - 1 : name.start()] in _QUOTING
                or _LABELS_PAIRS.search(known, 0, name.start()) is not None
            )
            waits, found = named_with(known, name.end(), keys, pairs)
            if found:
                return name.start(), "=" if found == "=" else "("
            if waits and not last:
                return name.start(), ""
        part = None if last or bracket else _NAME_BEGUN.search(known, skipped, end)
        if part and end == len(known) and self._may_name(part[1], whole=False):
            return part.start(), ""
        return end, bracket

    def _unknown(self, known: str, skipped: int, last: bool) -> Iterator[tuple[int, str]]:
        """A call of a function that is not offered and that stands alone behind a sentence: it was meant for one."""
        for call in _UNKNOWN.finditer(known, skipped):
            if known[: call.start()].rstrip()[-1:] not in _SENTENCE_ENDS:
                continue
            closed = Balance().end(known[call.start() : call.start() + _LONGEST])
            after = known[call.start() + closed :].strip(" ]") if closed > 0 else ""
            if after[:1] == "\n" or (not after and last):
                yield call.start(), "("
            elif not after and len(known) - call.start() < _LONGEST:
                yield call.start(), ""
        begun = None if last else _UNKNOWN_BEGUN.search(known, skipped)
        if begun and known[: begun.start()].rstrip()[-1:] in _SENTENCE_ENDS:
            yield begun.start(), ""

    def _may_name(self, word: str, whole: bool) -> bool:
        return word in self._beginnings if whole else any(each.startswith(word) for each in self._beginnings)

    def _at_beginning(self, text: str, last: bool) -> Spot | None:
        if opened := _OPENED_THOUGHT.match(text):
            return 0, opened.end(), f"{marks.THOUGHT}</{opened[1]}>"
        if not last and _OPENED_THOUGHT_BEGUN.fullmatch(text):
            return 0, 0, ""
        if text[:1] == "T" and (react := self._reasoned(text, last)):
            return react
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

    def _reasoned(self, text: str, last: bool) -> Spot | None:
        """What a reply gives as its thought before an action or an answer that it announces."""
        if not text.startswith("Thought:"):
            return (0, 0, "") if not last and "Thought:".startswith(text) else None
        if then := _AFTER_THOUGHT.search(text):
            return 0, then.end(), "Thought:"
        return (0, 0, "") if not last and len(text) < _LONGEST and "\n\n" not in text else None

    def _at(self, text: str, at: int, last: bool) -> Spot | None:
        """The mark that stands here; None for none."""
        rest = text[at : at + 80]
        known = _BY_CHARACTER.get(rest[0], ())
        if not last and any(len(m) > len(rest) and m.startswith(rest) for m in known):
            return at, 0, ""
        for mark in known:
            if rest.startswith(mark):
                return at, at + len(mark), mark
        if rest[0] in "&\\‹＜«<[":
            escaped = self._at_escaped(text, at, last)
            if escaped is not None:
                return escaped
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
        if rest[0] in "`~" and text[at - 1 : at] != rest[0]:
            return self._at_fence(text, at, last)
        if self._recipients and rest[0] == ">":
            if rest.startswith(">>>"):
                return at, at + 3, ">>>"
            if not last and ">>>".startswith(rest):
                return at, 0, ""
        return None

    def _at_escaped(self, text: str, at: int, last: bool) -> Spot | None:
        """A mark that is escaped: where it stands, and by its number how."""
        for number, escape in enumerate(ESCAPES):
            begins = escape.begins(text, at, last)
            if begins is None:
                return at, 0, ""
            if begins:
                plain, _ = escape.split(text[at : at + MAX_TAG], last)
                if plain[:1] in ("<", "["):
                    found = self._at(plain, 0, last)
                    if found and (not found[2] or _of_a_call(found[2], self._offered)):
                        return at, at, f"{marks.ESCAPED}{number}" if found[2] else ""
        return None

    def _at_element(self, text: str, at: int, last: bool) -> Spot | None:
        if _TOLD.match(text, at):
            return at, at, marks.TOLD
        if not last and _TOLD_BEGUN.match(text, at):
            return at, 0, ""
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
            if fence[0] == "~":
                return None
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
        if newline and kind[1].lower() in _THINKING:
            return at, ticks.end() + len(line) + 1, f"{marks.THOUGHT}{fence}"
        if kind[1].lower() in _FENCED or kind[1] in self._offered:
            return at, at, fence
        inside = rest[kind.end() :].lstrip()
        if _JSON_BEGINS.match(inside) or begins_with_a_call(inside, self._offered):
            return at, at, fence
        waits = not inside or _json_begun(inside, 0) or self._begins_call(inside)
        return (at, 0, "") if waits and not last else None

    def _begins_call(self, text: str) -> bool:
        return any(each.startswith(text.lower()) for each in _beginnings(self._offered))


def _of_a_call(mark: str, offered: frozenset[str]) -> bool:
    """Whether a mark begins a call or a thought, and no text."""
    if any(mark in known for known in (marks.THOUGHTS, marks.CALLS, marks.OPEN_CALLS, marks.MADE_UP, marks.HEADERS)):
        return True
    element = element_at(mark, 0, offered)
    return bool(element and element.kind not in ("frame", "perhaps"))


def _named_like(mark: str) -> bool:
    element = element_at(mark, 0, ())
    return bool(element and element.kind == "perhaps")


def meant_as_a_call(text: str, offered: frozenset[str]) -> bool:
    """Whether a text in the form of a program's call is one of a tool's, and no speech."""
    return bool((_CALLING_SURELY if offered else CALLING).match(text))


_LIKE_A_CALL = re.compile(r"""["'](?:name|function|tool|tool_name|tool_calls|action)["']\s*:""")


def meant_for(text: str, offered: frozenset[str]) -> bool:
    """Whether a text that is no call was meant for one."""
    if begins_with_a_call(text, offered):
        return True
    if any(f'"{name}"' in text for name in offered) or text.startswith("```tool_"):
        return bool(_LIKE_A_CALL.search(text)) or text.startswith("```tool_")
    return bool(_LIKE_A_CALL.search(text) and re.search(r"""["'](?:arguments|parameters)["']\s*:\s*[{"']""", text))


def without_half_a_mark(text: str, before: str = "") -> str:
    """The end of a reply without a mark of which only the beginning was written: a limit cut it there.

    Args:
        before: the character that was said right before the text; empty for none.
    """
    for begun in _HALF.finditer(text):
        at, half = begun.start(), text[begun.start() :]
        if not half.strip("[{ \t\r\n"):
            if not (text[at - 1] if at else before[-1:]).strip():  # else it belongs to a word, or is a face
                return text[:at]
        elif len(half) > 2 and (
            marks.CONTROL_BEGUN.match(half) or any(mark.startswith(half) and mark != half for mark in ALL)
        ):
            return text[:at]
    return text


_HALF = re.compile(r"[<◁✿](?=[^<\[]{0,60}\Z)|[\[{](?=[^<\[]{0,60}\Z|[\[{\s]{0,20}\Z)")
_TICKS = re.compile(r"`+|~+")
_INFO = re.compile(r"[ \t]*([\w+.\-]*)")


def _json_begun(text: str, at: int) -> bool:
    begun = _JSON_BEGUN.match(text, at)
    if not begun:
        return False
    if begun[1] is None:
        return True
    word = begun[1].rstrip()
    return not word or (word in _KEYS if begun[1] != word else any(key.startswith(word) for key in _KEYS))


@functools.lru_cache(64)
def _named(offered: frozenset[str]) -> re.Pattern[str] | None:
    """A call of an offered tool in the midst of text: its name, and behind it arguments in parentheses or braces."""
    if not offered:
        return None
    names = "|".join(re.escape(name) for name in sorted(offered, key=len, reverse=True))
    # behind a name that is no word of a language, a bracket is enough
    odd = "|".join(re.escape(name) for name in sorted(offered, key=len, reverse=True) if is_odd(name)) or r"(?!)"
    of = "|".join(map(re.escape, TOOL_PREFIXES))
    return re.compile(
        rf"""(?<![\w."'/`\-])`{{0,2}}(?:(?:{"|".join(_ACTION_MARKS)}):\s{{0,6}})?\[?(?:{of})?(?:(?:{odd})[\[(]|(?:{names})"""
        r"""(?:\(\s{0,6}(?:\)|\w{1,80}\s{0,6}=(?!=)|["'{])"""
        r"""|(?:\s{0,6}\n\s{0,6}Action Input:|\s{0,6}:)?\s{0,6}\{\s{0,6}["'“}]))"""
    )


@functools.lru_cache(64)
def _names(offered: frozenset[str]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in sorted(offered, key=len, reverse=True))
    of = "|".join(map(re.escape, TOOL_PREFIXES))
    return re.compile(rf"""(?<![\w.\-])(?<!\w[/"'`])(?:{of})?({names})(?!\w)""")


@functools.lru_cache(64)
def _beginnings(offered: frozenset[str]) -> tuple[str, ...]:
    """How calls begin that are written as in a program, in lower case: small models write the first letter large."""
    return tuple(
        f"{before}{name.lower()}{bracket}"
        for name in offered
        for before in ("", "[")
        for bracket in ("([" if is_odd(name) else "(")
    )


def begins_with_a_call(text: str, offered: frozenset[str]) -> bool:
    """Whether a tool's name and a bracket stand at the beginning, maybe behind a label."""
    return _LABELLED_CALL.sub("", text.lower()).startswith(_beginnings(offered))


_LABELLED_CALL = re.compile(r"\A(?:action|call):\s{0,6}")
