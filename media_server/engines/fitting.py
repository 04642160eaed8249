"""A conversation rewritten to what a model's chat template can take, with nothing of it lost. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from msgspec import structs

from media_server.engines.messages import ChatMessage, ToolCall

__all__ = ["Style", "ToolText", "fit", "short_id"]

OPENING = "Hello."
"""What the caller is taken to have said where a template wants the caller to begin, and the agent did."""
PROMPT = "You are a helpful voice assistant."
"""What the agent is taken to have been told where a template wants to begin with that."""
GO_ON = "Please go on."
"""What the caller is taken to have said where a template wants the caller to be the last."""
BROKEN_OFF = "I was interrupted."
"""What the agent is taken to have said where a template wants an answer to every result of a tool."""
_SHORT = re.compile(r"[A-Za-z0-9]{9}")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ToolText(Protocol):
    """How tools are described and calls written in plain text, for a template that cannot do it."""

    def written(self, name: str, arguments: str) -> str:
        """A call as the model would write it."""
        ...

    def instructions(self, tools: str) -> str:
        """What the model is told of its tools."""
        ...


@dataclass(frozen=True, slots=True)
class Style:
    """What a template can take."""

    system: Literal["anywhere", "first", "nowhere"] = "anywhere"
    """Where messages of the role system may stand."""
    prompted: bool = False
    """A message of the role system has to stand at the beginning."""
    user_first: bool = False
    """The caller has to begin."""
    asked: bool = False
    """The caller has to have said something."""
    user_last: bool = False
    """The caller has to be the last."""
    native_tools: bool = True
    """Tools are described by the template; without, they are described, called and answered in plain text."""
    single_calls: bool = False
    """One call in a message."""
    answered: bool = False
    """The agent has to say something between a tool's result and the caller's next turn."""
    said: Literal["with", "before", "noted"] = "with"
    """Where the words go that the agent said before it called a tool: into the same message, into one of their own, or
    to the caller's turn before."""
    written_calls: bool = False
    """The template describes tools, and has the model's calls written into what it says."""
    arguments_as_text: bool = False
    """Arguments are JSON in a string."""
    parts: bool = False
    """Contents are lists of parts."""
    ids: Literal["short", "functions"] = "short"
    """Nine letters and digits, which most templates accept, or `functions.NAME:INDEX`."""


def fit(messages: Sequence[ChatMessage], style: Style, form: ToolText, tools: str = "") -> list[dict[str, Any]]:
    """The messages as the template gets them.

    Args:
        form: the model's own where the template describes tools, else ours.
        tools: a JSON list of functions, which are described in the prompt where the template cannot.
    """
    turns = list(messages)
    if not style.native_tools:
        turns = _as_text(turns, form)
        if tools:
            turns = _with_prompt(turns, form.instructions(tools))
    turns = _with_system(_joined(turns), style.system)
    first = next((i for i, t in enumerate(turns) if t.role != "system"), len(turns))
    nothing = first == len(turns)
    if (nothing and style.asked) or (style.user_first and (nothing or turns[first].role != "user")):
        turns.insert(first, ChatMessage("user", OPENING))
    if style.prompted and (not turns or turns[0].role != "system"):
        turns.insert(0, ChatMessage("system", PROMPT))
    if style.user_last and turns[-1].role == "assistant":
        turns.append(ChatMessage("user", GO_ON))
    if style.native_tools:
        turns = _with_calls(turns, style, form)
    return _as_dicts(_joined(turns), style)


def short_id(tool_call_id: str) -> str:
    """An id of nine letters and digits; always the same one for the same id."""
    if _SHORT.fullmatch(tool_call_id):
        return tool_call_id
    number = int.from_bytes(hashlib.sha256(tool_call_id.encode("utf-8", "replace")).digest())
    digits = []
    for _ in range(9):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def _text(*parts: str) -> str:
    return "\n\n".join(p for p in parts if p)


def _joined(turns: list[ChatMessage]) -> list[ChatMessage]:
    """Consecutive words of the same role as one message."""
    out: list[ChatMessage] = []
    for turn in turns:
        before = out[-1] if out else None
        if before and before.role == turn.role != "tool" and not before.tool_calls and not turn.tool_calls:
            out[-1] = structs.replace(before, content=_text(before.content, turn.content))
        else:
            out.append(turn)
    return out


def _as_text(turns: list[ChatMessage], form: ToolText) -> list[ChatMessage]:
    """Calls as the agent's words, results as the caller's."""
    out = []
    for turn in turns:
        if turn.tool_calls:
            out.append(_written(turn, form))
        elif turn.role == "tool":
            out.append(ChatMessage("user", f"<tool_response>\n{turn.content}\n</tool_response>"))
        else:
            out.append(turn)
    return out


def _with_prompt(turns: list[ChatMessage], more: str) -> list[ChatMessage]:
    if turns and turns[0].role == "system":
        return [structs.replace(turns[0], content=_text(turns[0].content, more)), *turns[1:]]
    return [ChatMessage("system", more), *turns]


def _with_system(turns: list[ChatMessage], allowed: Literal["anywhere", "first", "nowhere"]) -> list[ChatMessage]:
    """Instructions where they may stand: those in the middle go into the caller's next turn, before the words."""
    if allowed == "anywhere":
        return turns
    out: list[ChatMessage] = []
    waiting: list[str] = []
    for i, turn in enumerate(turns):
        if turn.role == "system":
            if i == 0 and allowed == "first":
                out.append(turn)
            else:
                waiting.append(turn.content if i == 0 else _instruction(turn.content))
        elif turn.role == "user" and waiting:
            out.append(ChatMessage("user", _text(*waiting, turn.content)))
            waiting = []
        elif waiting and not out:
            # the agent begins: what it was told stands before it
            out += [ChatMessage("user", _text(*waiting)), turn]
            waiting = []
        else:
            out.append(turn)
    if waiting:
        out.append(ChatMessage("user", _text(*waiting)))
    return out


def _instruction(text: str) -> str:
    """An instruction in a caller's turn, told apart from the words."""
    return f"[Instruction: {text}]"


def _with_calls(turns: list[ChatMessage], style: Style, form: ToolText) -> list[ChatMessage]:
    """Calls and their results in an order that the template accepts."""
    out: list[ChatMessage] = []
    results = {t.tool_call_id: t for t in turns if t.role == "tool"}
    called = {c.id for t in turns for c in t.tool_calls}
    for turn in turns:
        if turn.role == "tool" and style.single_calls and turn.tool_call_id in called:
            continue  # it stands behind its call
        if turn.role == "user" and out and out[-1].role == "tool" and style.answered:
            out.append(ChatMessage("assistant", BROKEN_OFF))
        if not turn.tool_calls:
            out.append(turn)
            continue
        calling = turn if style.said == "with" else structs.replace(turn, content="")
        if turn.content and style.said == "before":
            out.append(ChatMessage("assistant", turn.content))
        elif turn.content and style.said == "noted":
            _note(out, turn.content)
        if not style.single_calls:
            out.append(_written(calling, form) if style.written_calls else calling)
            continue
        for i, call in enumerate(turn.tool_calls):
            out.append(structs.replace(calling, content="" if i else calling.content, tool_calls=(call,)))
            out += [results[call.id]] if call.id in results else []
    return out


def _note(turns: list[ChatMessage], said: str) -> None:
    """Add to the caller's last turn what the agent has said to it."""
    last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i].role == "user"), None)
    if last is None:
        turns.append(ChatMessage("user", f"[You said: {said}]"))
    else:
        turns[last] = structs.replace(turns[last], content=_text(turns[last].content, f"[You said: {said}]"))


def _written(turn: ChatMessage, form: ToolText) -> ChatMessage:
    calls = "\n".join(form.written(c.name, c.arguments) for c in turn.tool_calls)
    return ChatMessage("assistant", f"{turn.content}\n{calls}".strip())


def _as_dicts(turns: list[ChatMessage], style: Style) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    out: list[dict[str, Any]] = []
    for turn in turns:
        content: Any = [{"type": "text", "text": turn.content}] if style.parts else turn.content
        message: dict[str, Any] = {"role": turn.role, "content": content}
        for call in turn.tool_calls:
            names[call.id] = call.name
            ids[call.id] = short_id(call.id) if style.ids == "short" else f"functions.{call.name}:{len(ids)}"
        if turn.tool_calls:
            message["tool_calls"] = [_call(c, ids[c.id], style) for c in turn.tool_calls]
        if turn.role == "tool":
            message["tool_call_id"] = ids.get(turn.tool_call_id) or short_id(turn.tool_call_id)
            message["name"] = names.get(turn.tool_call_id, "")
        out.append(message)
    return out


def _call(call: ToolCall, id_: str, style: Style) -> dict[str, Any]:
    arguments = call.arguments if style.arguments_as_text else json.loads(call.arguments)
    return {"id": id_, "type": "function", "function": {"name": call.name, "arguments": arguments}}
