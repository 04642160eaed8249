"""What a model's chat template can do, found by rendering probes when the model is loaded, and prompts made with it.

A probe is a short conversation of words that occur nowhere else: a template that raises an exception cannot do it, and
one whose rendering lacks a word loses it without saying so. What the probes find is a `Style`, to which
conversations are fitted. Where a template refuses a fitted one all the same, plainer styles are tried, down to
alternating turns of plain text.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from media_server.engines.fitting import Style, ToolText, fit
from media_server.engines.marks import THOUGHTS
from media_server.engines.messages import ChatMessage, ToolCall
from media_server.engines.rendering import Renderer, TemplateEndlessError, TemplateRefusedError

__all__ = ["ChatTemplate", "Prompt", "TemplateRefusedError", "Thinking", "ends_in_thought"]

log = logging.getLogger(__name__)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The template for a model whose own one can do nothing."""
_PLAINEST = Style("nowhere", user_first=True, user_last=True, native_tools=False)
PROBING_S = 5.0
"""Seconds of the processor for all probes of a template; real ones take a few tenths."""
_OFF: dict[str, Any] = {
    "enable_thinking": False,
    "thinking": False,
    "reasoning": False,
    "thinking_budget": 0,
    "thinking_mode": "disabled",
    "thinking_option": "off",
    "thinking_effort": "low",
    "reasoning_strength": "low",
}
"""Names by which templates are told not to have the model think."""
_ON = {
    "enable_thinking": True,
    "thinking": True,
    "reasoning": True,
    "thinking_mode": "enabled",
    "thinking_option": "on",
}
_EFFORTS = ("none", "no_think", "minimal", "low")
"""What a template may know as the least effort; the last one where it names none."""
_ALWAYS = {"tools_in_user_message": False}
"""Llama 3's would put tools into the first message, whoever's it is."""
_NO_THINK = "/no_think"
_SYSTEMS: tuple[Literal["anywhere", "first", "nowhere"], ...] = ("anywhere", "first", "nowhere")
_SAID: tuple[Literal["with", "before", "noted"], ...] = ("with", "before", "noted")
_MARKER = re.compile(r"Quux\d+z")


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a template has its model think."""

    marks: tuple[str, str] | None
    """What stands around thoughts."""
    switch: dict[str, Any]
    """Variables that switch it off; none where it cannot be."""
    opened: bool
    """The prompt itself begins a thought although it is switched off."""
    opened_on: bool
    """The same where it is switched on."""
    in_prompt: bool = False
    """It is switched off by a word in the prompt."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the model reads it."""

    text: str
    native: bool
    """Tools are in the template's own form."""
    in_thought: bool
    """It ends within a thought that the template began."""


def ends_in_thought(prompt: str, marks: tuple[str, str] | None) -> bool:
    """Whether a prompt ends with the beginning of a thought, which many templates do for some conversations only.

    Args:
        marks: what stands around the model's thoughts.
    """
    begins = {*THOUGHTS, "<|channel>thought", *(marks[:1] if marks else ())}
    return prompt.rstrip().endswith(tuple(mark.rstrip() for mark in begins))


class ChatTemplate:
    """A chat template with what is known of it.

    Args:
        source: Jinja.
        bos, eos: the texts of the model's tokens for a beginning and an end.
        own: the template's own form of calls; None where it has none that can be read.
        plain: how tools are described and called in plain text.
        marks: what stands around the model's thoughts.
    """

    def __init__(
        self, source: str, bos: str, eos: str, own: ToolText | None, plain: ToolText, marks: tuple[str, str] | None
    ) -> None:
        self._own = own or plain
        self._plain = plain
        self._no_tools: Any = None
        self._always: dict[str, Any] = _ALWAYS
        self._until = time.thread_time() + PROBING_S
        self._begins = False
        """It begins the model's turn with a text of its own when it is told to, and only then."""
        self._turn = ""
        """What begins the model's turn where the template cannot be told to."""
        self.broken = ""
        """Why the template is not used at all."""
        try:
            self._renderer = Renderer(source, bos, eos)
            self.style = self._found(own is not None)
        except TemplateRefusedError as refused:
            self.broken = str(refused)
            log.warning("cannot use the model's chat template; using ChatML instead: %s", refused)
            self._always, self._no_tools = _ALWAYS, None
            self._renderer = Renderer(CHATML, bos, eos)
            self.style = Style(native_tools=False)
        self._styles = _plainer(self.style)
        self.thinking = self._thinking(marks)

    def prompt(self, messages: Sequence[ChatMessage], tools: str = "", think: bool = False) -> Prompt:
        """The prompt for a conversation.

        Args:
            tools: a JSON list of functions in OpenAI's form.
            think: leave the model's thinking on, where it can be switched off.

        Raises:
            TemplateRefusedError: the template takes none of its forms.
        """
        refused: TemplateRefusedError | None = None
        incomplete: Prompt | None = None
        switch = self._on() if think else self.thinking.switch
        if self.thinking.in_prompt and not think:
            messages = _with_word(messages)
        begun = self.thinking.opened_on if think else self.thinking.opened
        wanted = [m.content.strip().removesuffix(_NO_THINK).strip() for m in messages if m.role in ("user", "system")]
        wanted += _names(tools)
        for style in self._styles:
            try:
                text = self._render(messages, style, tools, switch)
            except TemplateEndlessError:
                raise
            except TemplateRefusedError as error:
                refused = refused or error
                continue
            text += self._turn
            found = Prompt(text, style.native_tools, self._in_thought(text, begun))
            if all(w in text for w in wanted):
                return found
            incomplete = incomplete or found
        if incomplete:
            return incomplete
        assert refused is not None
        raise refused

    def _in_thought(self, prompt: str, begun: bool) -> bool:
        """Whether a prompt ends within a thought.

        Args:
            begun: the template begins one, as far as its probe shows, maybe with words of its own.
        """
        begin, end = self.thinking.marks or ("", "")
        return ends_in_thought(prompt, self.thinking.marks) or (begun and prompt.rfind(begin) > prompt.rfind(end))

    def describe(self) -> list[str]:
        """What was found, in sentences."""
        if self.broken:
            return [f"The model's chat template cannot be used ({self.broken}); ChatML takes its place."]
        style, thinking = self.style, self.thinking
        systems = {
            "anywhere": "The template takes instructions anywhere in a conversation.",
            "first": "The template takes a system prompt; later instructions go into the caller's next turn.",
            "nowhere": "The template has no system prompt; instructions go into the caller's turns.",
        }
        found = [systems[style.system]]
        if not style.native_tools:
            found.append("It does not speak of tools; they are described and called in plain text.")
        else:
            limits = ["one call at a time"] * style.single_calls
            limits += ["an answer to every result"] * style.answered
            found.append(f"It has its own form for tools{': ' if limits else ''}{', '.join(limits)}.")
        if thinking.switch or thinking.in_prompt:
            found.append("The model's thinking can be switched off.")
        if thinking.opened:
            found.append("The model thinks before each answer, which cannot be switched off.")
        return found

    @property
    def summary(self) -> str:
        """What was found, in a few words for the log."""
        if self.broken:
            return "no usable template"
        style, thinking = self.style, self.thinking
        tools = "tools in text" if not style.native_tools else "one tool at a time" if style.single_calls else "tools"
        found = [f"system prompt {style.system}", tools]
        if thinking.marks:
            found.append(
                "always thinks" if thinking.opened else "thinking switched off" if thinking.switch else "thinks"
            )
        return ", ".join(found)

    def _render(
        self,
        messages: Sequence[ChatMessage],
        style: Style,
        tools: str = "",
        switch: dict[str, Any] | None = None,
        answer: bool = True,
    ) -> str:
        native = json.loads(tools) if tools and style.native_tools else None
        more = {**self._always, **(switch or {}), "tools": native or self._no_tools}
        variables = self._renderer.variables
        if native and "xml_tools" in variables:
            more["xml_tools"] = native
        if "functions" in variables:
            more["functions"] = json.dumps(native or [], indent=4, ensure_ascii=False)
        if "datetime" in variables:
            more["datetime"] = time.strftime("%B %d %Y")
        try:
            fitted = fit(messages, style, self._own if style.native_tools else self._plain, tools)
        except (ValueError, RecursionError) as error:
            raise TemplateRefusedError(str(error)) from error
        return self._renderer.render(fitted, prompt=answer, **more)

    def _found(self, native: bool) -> Style:
        """The style in which the template takes everything.

        Raises:
            TemplateRefusedError: there is none.
        """
        content = self._contents()
        self._begins = self._begins_turn(_asked(), content)
        style = self._conversing(content, native)
        self._turn = "" if self._begins else self._own_turn(style)
        return style if self._takes(_told(), style) else replace(style, asked=True)

    def _conversing(self, content: Style, native: bool) -> Style:
        """The style in which the template takes a conversation, with tools if `native`.

        Raises:
            TemplateRefusedError: there is none.
        """
        found: Style | None = None
        for system, user_first in itertools.product(_SYSTEMS, (False, True)):
            tried = replace(content, system=system, user_first=user_first)
            if not all(self._takes(p, tried) for p in (_instructed(), _greeted(), _waiting())):
                continue
            if not native:
                return tried
            if with_tools := self._with_tools(tried):
                return with_tools
            found = found or tried
        if found:
            return found
        self._render(_instructed(), _PLAINEST)
        raise TemplateRefusedError("it loses what is said")

    def _contents(self) -> Style:
        """How contents are given, and that there are no tools."""
        refused: TemplateRefusedError | None = None
        given = (_ALWAYS, {**_ALWAYS, **self._switch()})
        for prompted, self._always, parts in itertools.product((False, True), given, (False, True)):
            for self._no_tools in (None, []):
                style = Style(native_tools=False, parts=parts, prompted=prompted)
                try:
                    text = self._render(_asked(), style)
                except TemplateEndlessError:
                    raise
                except TemplateRefusedError as error:
                    refused = refused or error
                    continue
                # a list of parts that is written as it stands is none
                if _complete(text, _asked()) and "'type'" not in text:
                    return style
        raise refused or TemplateRefusedError("it loses what the caller says")

    def _with_tools(self, style: Style) -> Style | None:
        """The style with tools described by the template, if that works in any way."""
        style = replace(style, native_tools=True)
        if "<|tool_call_begin|>" in self._renderer.source:
            style = replace(style, ids="functions")
        for written, text_arguments in ((False, False), (False, True), (True, False)):
            for said, answered in itertools.product(_SAID, (False, True)):
                tried = replace(
                    style, written_calls=written, arguments_as_text=text_arguments, said=said, answered=answered
                )
                if not self._takes(_called(1), tried, _TOOLS):
                    continue
                for single in (False, True):
                    tried = replace(tried, single_calls=single)
                    if self._takes(_called(2), tried, _TOOLS) and self._takes(_interrupted(), tried, _TOOLS):
                        return tried
        return None

    def _takes(self, messages: Sequence[ChatMessage], style: Style, tools: str = "") -> bool:
        """Whether nothing of a probe is refused or lost."""
        if time.thread_time() > self._until:
            return False
        try:
            text = self._render(messages, style, tools)
        except TemplateEndlessError:
            self._until = 0.0
            return False
        except TemplateRefusedError:
            return False
        if self._begins and messages[-1].role in ("user", "system") and not self._begins_turn(messages, style, tools):
            return False
        if "{'city'" in text or '\\"city\\"' in text:
            return False  # arguments written as Python has them, or as JSON within JSON
        return _complete(text, messages, tools) and _in_order(text, messages)

    def _begins_turn(self, messages: Sequence[ChatMessage], style: Style, tools: str = "") -> bool:
        """Whether the prompt ends with the beginning of the model's turn, which is only there when it is asked for."""
        try:
            return self._render(messages, style, tools) != self._render(messages, style, tools, answer=False)
        except TemplateRefusedError:
            return False

    def _own_turn(self, style: Style) -> str:
        """What stands before an answer and behind the caller's words."""
        try:
            asked, answered = self._render(_asked(), style), self._render([*_asked(), _agent(1)], style)
        except TemplateRefusedError:
            return ""
        before, _, _ = answered.partition(_agent(1).content)
        return before.removeprefix(asked) if before.startswith(asked) and before.strip() != asked.strip() else ""

    def _switch(self) -> dict[str, Any]:
        """The variables by which the template may be told not to have the model think."""
        variables = self._renderer.variables
        switch = {name: value for name, value in _OFF.items() if name in variables}
        if "reasoning_effort" in variables:
            source = self._renderer.source
            known = (e for e in _EFFORTS if f"'{e}'" in source or f'"{e}"' in source)
            switch["reasoning_effort"] = next(known, _EFFORTS[-1])
        return switch

    def _thinking(self, marks: tuple[str, str] | None) -> Thinking:
        switch = self._switch()
        try:
            self._render(_asked(), self.style, switch=switch)
        except TemplateRefusedError:
            switch = {}
        in_prompt = not switch and _NO_THINK in self._renderer.source
        off = self._opened(marks, switch, _with_word(_asked()) if in_prompt else _asked())
        return Thinking(marks, switch, off, self._opened(marks, self._on(switch), _asked()), in_prompt)

    def _on(self, switch: dict[str, Any] | None = None) -> dict[str, Any]:
        known = self.thinking.switch if switch is None else switch
        return {name: value for name, value in _ON.items() if name in known}

    def _opened(self, marks: tuple[str, str] | None, switch: dict[str, Any], asked: Sequence[ChatMessage]) -> bool:
        """Whether the template begins a thought at the end of the prompt."""
        if marks is None:
            return False
        begin, end = marks
        try:
            text = self._render(asked, self.style, switch=switch)
        except TemplateRefusedError:
            return False
        # behind the caller's words, for an explanation of the marks may stand before them
        text = text[max(m.end() for m in _MARKER.finditer(text)) :]
        return text.rfind(begin) > text.rfind(end)


def _plainer(style: Style) -> list[Style]:
    """A style, and those to try where the template refuses it all the same."""
    text = replace(style, native_tools=False)
    first = replace(text, system="first" if style.system == "anywhere" else "nowhere", answered=True)
    plainest = replace(_PLAINEST, parts=style.parts, prompted=style.prompted)
    begun = [replace(style, user_first=True), replace(style, prompted=True)]  # tools may stand in the first message
    return list(dict.fromkeys([style, replace(style, answered=True), *begun, text, first, plainest]))


@functools.lru_cache(64)
def _names(tools: str) -> tuple[str, ...]:
    """The names of the tools in a JSON list."""
    return tuple(each["function"]["name"] for each in json.loads(tools or "[]"))


def _with_word(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    if messages and messages[0].role == "system":
        return [ChatMessage("system", f"{messages[0].content}\n\n{_NO_THINK}".strip()), *messages[1:]]
    return [ChatMessage("system", _NO_THINK), *messages]


def _markers(messages: Iterable[ChatMessage], tools: str = "") -> set[str]:
    texts = [tools]
    for message in messages:
        texts += [message.content, *(c.arguments for c in message.tool_calls)]
    return set(_MARKER.findall(" ".join(texts)))


def _complete(text: str, messages: Iterable[ChatMessage], tools: str = "") -> bool:
    return _markers(messages, tools) <= set(_MARKER.findall(text))


def _in_order(text: str, messages: Sequence[ChatMessage]) -> bool:
    places = [text.rindex(w) for m in messages if m.role != "system" for w in _MARKER.findall(m.content)]
    return places == sorted(places)


# the conversations that templates are tried with: every word of them is to be found in the prompt


def _system(n: int = 1) -> ChatMessage:
    return ChatMessage("system", f"You are Quux10{n}z.")


def _user(n: int) -> ChatMessage:
    return ChatMessage("user", f"I say Quux20{n}z")


def _agent(n: int, *calls: ToolCall) -> ChatMessage:
    return ChatMessage("assistant", f"I answer Quux30{n}z", calls)


def _asked() -> list[ChatMessage]:
    return [_user(1)]


def _instructed() -> list[ChatMessage]:
    return [_system(1), _user(1), _agent(1), _system(2), _user(2), _agent(2), _user(3)]


def _greeted() -> list[ChatMessage]:
    return [_system(1), _agent(1), _user(1)]


def _waiting() -> list[ChatMessage]:
    """An instruction between the caller's words and the agent's, and one at the end."""
    return [_system(1), _user(1), _system(2), _agent(1), _user(2), _agent(2), _system(3)]


_TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "find_weather",
                "description": "Find Quux401z.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "A Quux402z."}},
                    "required": ["city"],
                },
            },
        }
    ]
)


def _told() -> list[ChatMessage]:
    """The agent is to begin."""
    return [_system(1), _system(2)]


def _called(count: int) -> list[ChatMessage]:
    calls = [ToolCall(f"abcdefgh{i}", "find_weather", json.dumps({"city": f"Quux50{i}z"})) for i in range(count)]
    results = [ChatMessage("tool", f'{{"degrees": "Quux60{i}z"}}', tool_call_id=c.id) for i, c in enumerate(calls)]
    return [_system(1), _user(1), _agent(1, *calls), *results, _agent(2), _user(2)]


def _interrupted() -> list[ChatMessage]:
    """The caller goes on before the agent has said what came of a tool, and the next reply calls one at once."""
    call, second = (ToolCall(f"abcdefgh{i}", "find_weather", json.dumps({"city": f"Quux70{i}z"})) for i in (1, 2))
    return [
        _system(1),
        _user(1),
        _agent(1, call),
        ChatMessage("tool", '{"error": "Quux801z"}', tool_call_id=call.id),
        _user(2),
        ChatMessage("assistant", "", (second,)),
        ChatMessage("tool", '{"degrees": "Quux802z"}', tool_call_id=second.id),
    ]
