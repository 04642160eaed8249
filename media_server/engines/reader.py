"""What of a model's reply is said, what is thought, and what calls a tool: told apart while it is written. Pure.

A reply is text, until a mark begins something else (`marks.py`). What cannot be understood behind a mark is `Unread`:
it is never said. How the reply is cut into pieces when it is pushed makes no difference to what is read in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from media_server.engines import cuts, marks
from media_server.engines.callforms import Called, NotACall, calls_in
from media_server.engines.cuts import Block
from media_server.engines.elements import Element, as_parameter, element_at, spaced
from media_server.engines.escapes import ESCAPES, Escape
from media_server.engines.literals import Balance
from media_server.engines.phrases import after_call, pairs_end, unworded
from media_server.engines.spotting import ALL, Spotter, meant_as_a_call, meant_for, without_half_a_mark
from media_server.engines.typed import properties_of, required_of

__all__ = ["Called", "Piece", "ReplyReader", "Thought", "Unopened", "Unread"]


class Thought(NamedTuple):
    """What the model thinks, which is not said."""

    text: str


class Unread(NamedTuple):
    """What is not understood, which is not said either."""

    text: str
    why: str


class Unopened(NamedTuple):
    """The end of a thought that no mark began: what was said before it in the reply was thought."""


Piece = str | Called | Thought | Unread | Unopened

BROKEN_OFF = "the reply broke off within a call"
NOTHING_OFFERED = "no tool may be called"
MADE_UP = "the model made up a result"

_MAX_NAME = 64
_MESSAGE_ENDS = ("<|end|>", "<|start|>", "<|call|>", "<|return|>", "<|eom|>", "<|eot|>", "<|channel|>")
_BETWEEN = " \t\r\n;,}`"
"""What stands between calls, with braces that were closed once too often and the end of code."""
_HEAD_OF_A_CALL = re.compile(r"<\s?[\w:.\-]+(?:\s?=|\s+(?:name|tool|function)\s?=)")
_LABELLED = re.compile(r"[`\s]*(?:(?:tool|function)[ _\-]?calls?|json)?\s*:?\s*(?=[\[{])", re.IGNORECASE)
"""What may stand before a call in JSON that no mark begins."""


class ReplyReader:
    """`push` a reply as it comes, `flush` at its end; neither raises.

    Args:
        offered: names of the tools that may be called.
        types: by its name, each tool's JSON Schema.
        thought: the mark that ends the thought within which the reply begins; empty if it begins with none.
        openings: further marks of the model's own form, which begin a call or a head, at the beginning alone.
        recipients: each message begins with a line that names whom it is for.
    """

    def __init__(
        self,
        offered: frozenset[str],
        types: Mapping[str, Any],
        thought: str = "",
        openings: Mapping[str, str] | None = None,
        recipients: bool = False,
    ) -> None:
        self._offered = offered
        self._types = types
        self._text = ""
        self._block: Block | None = None
        self._thought: tuple[str, ...] = (thought, *marks.THOUGHT_ENDS) if thought else ()
        self._pondered = ""
        self._direction = False
        """The thought is none if it does not end."""
        self._directed = False
        """The text stood behind a mark of that kind."""
        self._head = ""
        """The mark that ends the head of a message, while one is read."""
        self._fresh = True
        """Nothing was said yet, or not since something that is not said: space that stands there is not said."""
        self._begun = False
        """Something was said, thought or called."""
        self._spoken = False
        self._before = ""
        """The characters that were said last, where nothing else came since."""
        self._last = ""
        """The character that was said last."""
        self._followed = False
        """What closes a call may follow."""
        self._escape: Escape | None = None
        """How the rest of the reply is escaped."""
        self._escaped = ""
        """What may be half of an escaped character."""
        self._apart = False
        """What is not said stood behind what was said last."""
        self._in_code = False
        """Code was begun that is said."""
        self._headed = False
        """A message's head was read."""
        self.nested = False
        """The last thought has the beginning of another in it, so that what follows may belong to it."""
        self._answered = False
        """Something was said or called."""
        self._openings = dict(openings or {})
        keys = {name: properties_of(schema) for name, schema in types.items()}
        self._spotter = Spotter(offered, self._openings, recipients, keys)
        self._recipients = recipients
        self._line_names = recipients and not thought

    @property
    def held(self) -> str:
        """Text that may still become something else."""
        return "" if self._block or self._thought or self._head else self._text

    def push(self, text: str) -> list[Piece]:
        """What can be told of the reply with this text."""
        self._take(text, last=False)
        return self._read(last=False)

    def flush(self) -> list[Piece]:
        """What was kept back, as it might have become something else."""
        self._take("", last=True)
        pieces = self._read(last=True)
        if self._thought and self._direction:
            inner = ReplyReader(self._offered, self._types)
            inner._directed = True
            return [*pieces, *inner.push(self._pondered), *inner.flush()]
        if (self._thought or not self._answered) and (found := self._called_in_thought()):
            pieces += found
        return pieces

    def _take(self, text: str, last: bool) -> None:
        if self._escape:
            text, self._escaped = self._escape.split(self._escaped + text, last)
        self._text += text

    def _read(self, last: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while True:
            if self._head:
                more = self._read_head(last, pieces)
            elif self._thought:
                more = self._read_thought(last, pieces)
            elif self._block:
                more = self._read_block(self._block, last, pieces)
            elif self._line_names:
                more = self._read_line(last, pieces)
            else:
                more = self._read_text(last, pieces)
            if not more:
                self._answered = self._answered or not all(isinstance(p, Thought) for p in pieces)
                return _joined(pieces)

    # text

    def _read_text(self, last: bool, pieces: list[Piece]) -> bool:
        if self._followed and self._text:
            end = after_call(self._text, last)
            if end is None or (not last and marks.OBSERVED.startswith(self._text[end:].lstrip())):
                return False
            self._text, self._followed = self._text[end:], False
            if self._text.lstrip().startswith(marks.OBSERVED):
                self._block = Block("<tool_response>", ("<|end|>",))
                return True
        if self._fresh:
            text = self._text.lstrip(_BETWEEN) if self._begun else self._text.lstrip()
            self._apart = self._apart or len(text) < len(self._text)
            self._text = text
        text = without_half_a_mark(self._text, self._before) if last else self._text
        if not text:
            return False
        at, end, mark = self._spotter.find(text, last, self._spoken, self._before, self._in_code)
        if at:
            self._said(text[:at], pieces)
        self._text = text[at:]
        if not mark:
            return False
        self._text = text[end:]
        if mark == "Thought:":
            self._thinks(text[at:end], pieces)
            self._fresh = self._begun = True
            return True
        if mark.startswith(marks.ALONE):
            pieces.append(self._alone(mark.removeprefix(marks.ALONE), text[at:end]))
            return True
        if mark.startswith(marks.ESCAPED):
            self._escape = ESCAPES[int(mark.removeprefix(marks.ESCAPED))]
            escaped, self._text = self._text, ""
            self._take(escaped, last)
            return True
        self._marked(mark, pieces)
        if self._block and self._block.tried:
            self._block.lead = text[at:end]
        return True

    def _alone(self, name: str, text: str) -> Piece:
        """A tool's name without arguments."""
        self._fresh = self._begun = self._apart = True
        return Unread(text, "the arguments are missing") if required_of(self._types.get(name)) else Called(name, "{}")

    def _said(self, text: str, pieces: list[Piece]) -> None:
        if self._apart and self._last and not self._last.isspace():
            text = f" {text}"
        pieces.append(text)
        self._apart, self._last = False, text[-1:]
        self._in_code ^= text.count("```") % 2 == 1
        self._fresh, self._before = False, (self._before + text)[-4:]
        self._begun = self._spoken = True

    def _marked(self, mark: str, pieces: list[Piece]) -> None:
        """Begin what the mark begins."""
        self._fresh, self._pondered, self._before = True, "", ""
        if mark in marks.THOUGHTS:
            own = element_at(mark, 0, ())
            self._thought = (*spaced(marks.THOUGHTS[mark]), *(own.ends if own else ()), *marks.THOUGHT_ENDS)
            self._direction = mark in marks.DIRECTIONS and not self._directed
        elif mark.startswith(marks.THOUGHT):
            self._thought = (*spaced(mark.removeprefix(marks.THOUGHT)), *marks.THOUGHT_ENDS)
        elif mark in marks.LEAVE_A_THOUGHT:
            self._left_a_thought(pieces)
        elif mark in marks.CALLS:
            kept = mark.endswith("=")
            again = () if kept else (mark,)
            self._block = Block(mark, (*marks.CALLS[mark], *again), kept=kept)
        elif mark in marks.OPEN_CALLS:
            self._block = Block(mark, balance=Balance())
            if mark == "functools[":
                self._text = "[" + self._text
        elif mark in marks.MADE_UP:
            self._block = Block(mark, marks.MADE_UP[mark])
        elif mark in marks.PASSED_OVER:
            self._block = Block(mark, (marks.PASSED_OVER[mark],))
        elif mark in marks.HEADERS:
            self._head = marks.HEADERS[mark]
        elif mark in self._openings:
            self._head = self._openings[mark]
            self._text = mark + self._text
        elif mark == "<|python_tag|>":
            self._block = Block(mark, balance=Balance(), unclosed=True)
        elif mark.startswith(("```", "~~~")):
            self._block = Block(mark, (mark,), kept=True, tried=True, begins=len(mark))
        elif mark in ("{", "("):
            self._block = Block(mark, balance=Balance(), kept=True, tried=True)
        elif mark == marks.TOLD:
            self._block = Block(mark, marks.TOLD_ENDS, kept=True)
        elif mark == marks.SURE:
            self._block = Block(mark, balance=Balance(), kept=True)
        elif mark == "=":
            self._block = Block(mark, kept=True, tried=True)
        elif mark == ">>>":
            self._line_names = True
        elif element := element_at(mark, 0, self._offered):
            self._begin_element(element, pieces)

    def _left_a_thought(self, pieces: list[Piece]) -> None:
        if self._spoken:
            pieces.append(Unopened())
            self._last = ""

    def _begin_element(self, element: Element, pieces: list[Piece]) -> None:
        if element.kind == "thought-end":
            self._left_a_thought(pieces)
        elif element.kind == "thought" and not element.whole:
            self._thought = element.ends
        elif element.kind == "call":
            self._begin_call(element, pieces)
        elif element.kind == "perhaps":
            self._block = Block(element.text, element.ends, kept=True, tried=True, begins=len(element.text))
        elif element.kind == "tool":
            given = "".join(f"<parameter={key}>{value}</parameter>" for key, value in element.given)
            self._block = Block("<function=", (*element.ends, "</function>"), kept=True)
            self._text = f"{element.name}>{given}{'</function>' * element.whole}{self._text}"

    def _begin_call(self, element: Element, pieces: list[Piece]) -> None:
        name = next((value for key, value in element.given if key in ("name", "function", "tool")), "")
        given = "".join(as_parameter(*each) for each in element.given if each[1] != name)
        if name:
            self._block = Block("<function=", (*element.ends, "</function>"), kept=True)
            self._text = f"{name}>{given}{'</function>' * element.whole}{self._text}"
        elif not element.whole:
            self._block = Block(element.text, (*element.ends, element.text))

    # thoughts

    def _read_thought(self, last: bool, pieces: list[Piece]) -> bool:
        text = self._text
        found = [(at, -len(end), end) for end in self._thought if (at := text.find(end)) >= 0]
        if found:
            at, _, end = min(found)
            self._thinks(text[:at], pieces)
            # a mark that begins a message ends a thought as well
            self._text = text[at:] if end in marks.HEADERS else text[at + len(end) :]
            self._thought = ()
            self._fresh = self._begun = self._apart = True
            self.nested = any(mark in self._pondered for mark in marks.THOUGHTS)
            self._line_names = self._recipients
            return True
        kept = 0 if last else cuts.begun_mark(text, self._thought)
        self._thinks(text[: len(text) - kept], pieces)
        self._text = text[len(text) - kept :]
        return False

    def _thinks(self, text: str, pieces: list[Piece]) -> None:
        self._pondered += text
        if text:
            pieces.append(Thought(text))

    def _called_in_thought(self) -> list[Piece]:
        """The calls with which a thought ends that the model never left."""
        at = min((i for mark in marks.CALLS if (i := self._pondered.rfind(mark)) >= 0), default=-1)
        if at < 0:
            return []
        inner = ReplyReader(self._offered, self._types)
        pieces = [*inner.push(self._pondered[at:]), *inner.flush()]
        return pieces if all(isinstance(p, Called) for p in pieces) else []

    # messages with a head

    def _read_head(self, last: bool, pieces: list[Piece]) -> bool:
        head, mark, rest = self._text.partition(self._head)
        if not mark:
            if last and self._text:
                pieces.append(Unread(self._text, "the reply broke off within the head of a message"))
                self._text = ""
            return False
        self._text, self._head = rest, ""
        self._fresh = self._begun = self._apart = True
        if not self._headed and "final" in head:
            self._left_a_thought(pieces)
        self._headed = True
        to = re.search(r"\bto=([^\s<]+)", head)
        if (to and to[1] == "assistant") or re.match(r"\s*(?:functions\.|tool\b)", head):  # the head of a result
            self._block = Block("<tool_response>", _MESSAGE_ENDS)
        elif to and to[1] not in ("self", "user"):
            self._block = Block(mark, _MESSAGE_ENDS, name=to[1].removeprefix("functions."))
        elif (to and to[1] == "self") or "analysis" in head:
            self._thought = _MESSAGE_ENDS
        return True

    def _read_line(self, last: bool, pieces: list[Piece]) -> bool:
        """The line that names whom a message is for."""
        self._text = self._text.lstrip()
        name, newline, rest = self._text.partition("\n")
        if not newline and not last and len(name) <= _MAX_NAME and re.fullmatch(r"[\w.\-]*", name):
            return False
        self._line_names = False
        name = name.strip()
        if newline and name == "all":
            self._text, self._fresh, self._begun = rest, True, True
        elif newline and re.fullmatch(r"[A-Za-z_][\w.\-]*", name):
            self._text, self._begun = rest, True
            self._block = Block(">>>", (">>>", "<|eot_id|>", "<|eom_id|>"), name=name)
        return bool(self._text)

    # calls

    def _read_block(self, block: Block, last: bool, pieces: list[Piece]) -> bool:
        text = self._text
        ended = block.found = block.found or self._end(block, text, last)
        if ended is None and not last:
            return False
        at, end = ended or (len(text), len(text))
        inside, rest = text[:at], text[end:]
        whole = text[:end] if block.tried else inside
        if ended is None:
            inside = without_half_a_mark(inside)
        read = self._called(block, inside, ended is not None)
        unknown = block.mark == "(" and isinstance(read, NotACall) and not meant_for(whole, self._offered)
        if unknown and not last and cuts.WORD_BEGUN.fullmatch(rest):
            return False
        self._text = rest
        self._block, self._fresh = None, True
        if unknown and cuts.WORD_BEHIND.match(rest):
            self._said(block.lead + whole, pieces)  # a sentence speaks of it
        elif block.tried and isinstance(read, NotACall):
            pieces += self._after_all(whole, ended is not None, block.lead)
        elif isinstance(read, NotACall):
            unread = inside if block.mark in (marks.SURE, marks.TOLD) else f"{block.mark}{inside}"
            pieces.append(Unread(unread, BROKEN_OFF if ended is None else str(read)))
        else:
            pieces += read
            self._followed = True
        self._apart = self._apart or self._fresh
        self._begun = True
        return bool(self._text)

    def _after_all(self, text: str, whole: bool, lead: str) -> list[Piece]:
        """What might have been a call, and is text, unless it was meant for one."""
        nothing = not text.strip(" \t\r\n{}[]") or cuts.NO_CODE.fullmatch(text)
        if not nothing:
            if not whole and cuts.CUT_OFF.fullmatch(text):
                return [Unread(text, BROKEN_OFF)]
            if any(mark in text for mark in ALL if mark[0] == "<") or meant_for(text, self._offered):
                return [Unread(text, BROKEN_OFF if cuts.left_open(text) else "it names no tool that is offered")]
            if meant_as_a_call(text, self._offered):
                return [Unread(text, "it names no tool that is offered" if self._offered else NOTHING_OFFERED)]
        said: list[Piece] = []
        if not nothing or lead.strip():
            self._said(lead if nothing else lead + text, said)
        return said

    def _called(self, block: Block, inside: str, ended: bool) -> list[Piece] | NotACall:
        if block.mark in marks.PASSED_OVER:
            return []
        if block.mark in marks.MADE_UP:
            return [Unread(block.mark + inside, MADE_UP)]
        text = f"{block.mark}{inside}" if block.kept and block.mark.endswith("=") else inside
        if block.name and not text.lstrip().startswith("<"):
            text = f"{block.name}\n{text}" if text.strip() else f"{block.name}\n{{}}"
        if block.tried and block.mark.startswith("<") and not _HEAD_OF_A_CALL.match(block.mark):
            text = inside[block.begins :]
        if block.mark == "{" and (label := _LABELLED.match(text)):
            text = text[label.end() :]
        if block.mark == "(":
            text = text.lstrip("`")
        if block.mark == marks.SURE and (name := re.match(r"[\w.\-]+", text)):
            text = unworded(text, name.end())
        if block.mark.startswith(("```", "~~~")):
            info, text = cuts.fence_split(inside)
            if info in self._offered:
                text = f"{info}\n{text}"
        try:
            calls = calls_in(text, self._offered, self._types, ended, not block.tried, block.mark[0] != "{")
        except NotACall as e:
            return e
        if not self._offered:
            return [Unread(text, NOTHING_OFFERED)]
        return list(calls)

    def _end(self, block: Block, text: str, last: bool) -> tuple[int, int] | None:
        """Where what is inside ends, and where the mark that ends it does."""
        if block.balance:
            return self._end_of_value(block, block.balance, text)
        if block.mark == "=":
            ends_at = pairs_end(text, last)
            return None if ends_at < 0 else (ends_at, ends_at)
        if block.mark.endswith("=") and (empty := cuts.EMPTY.match(text)):
            return empty.end(), empty.end()
        found = sorted((at, -len(end), end) for end in block.ends for at in cuts.places(text, end, block.begins))
        in_value = text.lstrip()[:1] in ("{", "[") or block.name
        for at, _, end in found:
            if not last and in_value and cuts.in_string(text[:at]):
                continue
            if any(len(e) > len(end) and e.startswith(text[at:]) for e in block.ends) and not last:
                return None
            again = end == block.mark or end in marks.HEADERS or end == ">>>"
            return at, at if again and end[0] not in "`~" else at + len(end)
        return None

    def _end_of_value(self, block: Block, balance: Balance, text: str) -> tuple[int, int] | None:
        if block.unclosed and text.strip() and text.lstrip()[0] not in "{[":
            return None
        if not block.begins:
            for bracket in re.finditer(r"[\[{(]", text):
                if bracket[0] == "[" and (other := cuts.NO_ARRAY.match(text, bracket.start())):
                    if other.end() == len(text) and not other[0].endswith("]"):
                        return None
                    continue
                break
            else:
                return None
            block.begins = bracket.start() + 1
            balance.skip(bracket.start())
        end = balance.end(text)
        return None if end < 0 else (end, end)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring text, and neighbouring thoughts, as one."""
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        if isinstance(piece, str) and isinstance(before, str):
            joined[-1] = before + piece
        elif isinstance(piece, Thought) and isinstance(before, Thought):
            joined[-1] = Thought(before.text + piece.text)
        else:
            joined.append(piece)
    return joined
