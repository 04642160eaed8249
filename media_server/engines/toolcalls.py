"""How a model's text calls tools: what is text, what is a call, and the grammar that a call has to follow. Pure.

The form is that of Hermes and Qwen, which most templates with tools use:
`<tool_call>` newline `{"name": …, "arguments": {…}}` newline `</tool_call>`, several in a row if need be.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from llama_cpp.llama_grammar import json_schema_to_gbnf

__all__ = ["BEGIN", "Called", "ToolCallScanner", "call_grammar", "instructions", "written"]

BEGIN, END = "<tool_call>", "</tool_call>"


class Called(NamedTuple):
    """A call in a reply; `arguments` is JSON."""

    name: str
    arguments: str


class ToolCallScanner:
    """`push` a reply's text as it comes; `unfinished` tells at its end whether it broke off within a call."""

    def __init__(self) -> None:
        self._text = ""
        self._fresh = True
        """At the beginning, and behind a call: space that stands there is not said."""

    def push(self, text: str) -> Iterator[str | Called]:
        """The text to be said and the calls that are complete, in order.

        Raises:
            ValueError: what stands between the marks is no call.
        """
        self._text += text
        while self._text:
            if self._fresh:
                self._text = self._text.lstrip()
            before, mark, after = self._text.partition(BEGIN)
            if not mark:
                # what may still become the mark is kept back
                keep = next(
                    (n for n in range(min(len(BEGIN) - 1, len(before)), 0, -1) if BEGIN.startswith(before[-n:])), 0
                )
                self._text = before[len(before) - keep :]
                if said := before[: len(before) - keep]:
                    self._fresh = False
                    yield said
                return
            inside, end, rest = after.partition(END)
            if not end:
                self._text = mark + after
                if before.strip():
                    yield before
                return
            self._text = rest
            self._fresh = True
            if before.strip():
                yield before
            yield _called(inside)

    @property
    def unfinished(self) -> bool:
        return self._text.startswith(BEGIN)

    def flush(self) -> str:
        """Text that was kept back, as it might have become a call."""
        rest, self._text = self._text, ""
        return rest


def _called(inside: str) -> Called:
    call = json.loads(inside)
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise ValueError("a call without a name")
    return Called(call["name"], json.dumps(call.get("arguments") or {}, ensure_ascii=False))


@functools.lru_cache(64)
def call_grammar(tools: str) -> str:
    """GBNF of the calls that these tools allow, from the mark on: their names, their arguments, the arguments' types.

    Args:
        tools: a JSON list of functions in OpenAI's form.
    """
    calls = [_call_schema(tool["function"], closed=True) for tool in json.loads(tools)]
    try:
        gbnf = json_schema_to_gbnf(json.dumps({"anyOf": calls}))
    except (AssertionError, ValueError, KeyError, TypeError, RecursionError):
        # of a schema that is beyond the converter the names still hold; the arguments are checked when they come
        calls = [_call_schema(tool["function"], closed=False) for tool in json.loads(tools)]
        gbnf = json_schema_to_gbnf(json.dumps({"anyOf": calls}))
    call = rf'"{BEGIN}\n" call "\n{END}"'
    return re.sub(r"(?m)^root ::=", "call ::=", gbnf) + f'\nroot ::= {call} ("\\n" {call})*\n'


def _call_schema(function: dict[str, Any], closed: bool) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": parameters if closed else {"type": "object"}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def written(name: str, arguments: str) -> str:
    """A call as a model writes it."""
    return f'{BEGIN}\n{{"name": {json.dumps(name)}, "arguments": {arguments}}}\n{END}'


def instructions(tools: str) -> str:
    """What a model is told of its tools whose template does not speak of any."""
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in json.loads(tools))
    return (
        "You may call functions. They are described here as JSON, one a line:\n"
        f"<tools>\n{lines}\n</tools>\n"
        f'To call one, answer with {BEGIN}\n{{"name": "…", "arguments": {{…}}}}\n{END} and nothing after it.'
    )
