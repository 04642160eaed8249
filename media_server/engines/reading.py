"""The form in which a model thinks, speaks and calls tools, as its chat template shows it. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from media_server.engines import marks, writing
from media_server.engines.elements import like_a_thought
from media_server.engines.grammar import Grammar, call_grammar
from media_server.engines.reader import Called, Piece, ReplyReader, Thought, Unread

__all__ = ["Called", "Grammar", "Piece", "ReplyForm", "ReplyReader", "Thought", "Unread", "form_of", "mended"]


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """How a model writes its replies. `reader` reads all forms; this is the one that the model is taught.

    Args:
        native: the template itself shows tools to the model.
        thinking: the marks around a thought; None for a model that is not known to think.
        brackets: what stands before and behind calls in JSON, for a grammar.
        opening: what begins a message's head at the beginning of a reply, and the mark that ends the head.
        recipients: each message begins with a line that names whom it is for.
    """

    name: str
    native: bool
    thinking: tuple[str, str] | None
    writer: Callable[[str, str], str]
    brackets: tuple[str, str] | None
    opening: tuple[str, str] | None = None
    recipients: bool = False

    @property
    def preserved(self) -> tuple[str, ...]:
        """Marks that are to be handed to the reader as text, also where they are control tokens."""
        return _PRESERVED

    def reader(self, offered: frozenset[str], in_thought: bool = False, tools: str = "") -> ReplyReader:
        """A reader of one reply.

        Args:
            offered: names of the tools that may be called.
            in_thought: the prompt ends within a thought.
            tools: a JSON list of functions in OpenAI's form: which arguments are text is seen from it, where the model
                writes them without quotes.
        """
        end = (self.thinking[1] if self.thinking else "</think>") if in_thought else ""
        return ReplyReader(offered, _types(tools), end, dict([self.opening] if self.opening else []), self.recipients)

    def grammar(self, tools: str) -> Grammar | None:
        """What a call has to look like once it is begun; None where it is not JSON, or no grammar can be made."""
        return call_grammar(tools, *self.brackets) if self.brackets else None

    def written(self, name: str, arguments: str) -> str:
        """A call as the model writes it."""
        return self.writer(name, arguments)

    def instructions(self, tools: str) -> str:
        """What a model is told of its tools whose template does not speak of any."""
        lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in json.loads(tools))
        return (
            "You may call functions. They are described here as JSON, one a line:\n"
            f"<tools>\n{lines}\n</tools>\n"
            'To call one, answer with <tool_call>\n{"name": "…", "arguments": {…}}\n</tool_call> and nothing after it.'
        )


@functools.lru_cache(64)
def _types(tools: str) -> dict[str, Any]:
    """Each tool's JSON Schema, by its name."""
    return {each["function"]["name"]: each["function"].get("parameters") for each in json.loads(tools or "[]")}


_PRESERVED = tuple(
    sorted(
        {
            *marks.THOUGHTS,
            *marks.CALLS,
            *marks.OPEN_CALLS,
            *marks.MADE_UP,
            *marks.PASSED_OVER,
            *marks.PASSED_OVER.values(),
            *marks.HEADERS,
            *marks.STRAY,
            *marks.WITHIN,
        }
    )
)
_HERMES = ("<tool_call>", "</tool_call>")
_Form = tuple[str, tuple[str, ...], Callable[[str, str], str], tuple[str, str] | None]


def _between(name: str, sign: str, begin: str, end: str) -> _Form:
    """The form of a family that writes calls as JSON between two marks."""
    return name, (sign,), writing.enclosed(begin, end), (begin, end)


_FORMS: tuple[_Form, ...] = (
    ("harmony", ("<|channel|>",), writing.harmony, None),
    ("atem", ("<atem:",), writing.atem, None),
    ("kimi-k3", ("'<|open|>'",), writing.kimi_k3, None),
    ("dsml", ("｜DSML｜",), writing.dsml, None),
    ("deepseek", ("tool▁calls▁begin", "tool▁call▁begin"), writing.deepseek, None),
    ("kimi", ("<|tool_calls_section_begin|>",), writing.kimi, None),
    ("minimax", ("<minimax:tool_call>", "minimax:tool_call"), writing.minimax, None),
    ("minimax-m3", ("]<]minimax[>[",), writing.minimax_m3, None),
    ("solar", ("<|tool_call:begin|>",), writing.solar, None),
    ("seed", ("<seed:tool_call>", "seed:tool_call"), writing.seed, None),
    ("hunyuan", ("<tool_sep:", "tool_sep{}"), writing.hunyuan, None),
    ("glm", ("<arg_key>",), writing.glm, None),
    ("qwen-xml", ("<parameter=",), writing.qwen_xml, None),
    ("recipients", (">>>",), writing.recipient, None),
    ("functionary", ("<function=",), writing.functionary, None),
    ("element", ("<function name=",), writing.element, None),
    ("gemma", ("<|tool_call>",), writing.gemma, None),
    ("cohere", ("<|START_ACTION|>",), writing.cohere, None),
    ("command-r", ("\nAction:", "\\nAction:"), writing.command_r, None),
    ("apertus", ("<|tools_prefix|>",), writing.apertus, None),
    _between("nemotron", "<TOOLCALL>", "<TOOLCALL>[", "]</TOOLCALL>"),
    ("mistral", ("[ARGS]",), writing.mistral, None),
    _between("mistral-list", "[TOOL_CALLS]", "[TOOL_CALLS][", "]"),
    ("lfm", ("<|tool_call_start|>", "<|tool_list_start|>", "List of tools: ["), writing.lfm, None),
    _between("granite", "<|tool_call|>", "<|tool_call|>[", "]"),
    ("functools", ("functools[",), writing.functools_list, None),
    _between("gigachat", "<|function_call|>", "<|function_call|>", ""),
    ("gigachat-role", ("<|role_sep|>",), writing.gigachat_role, None),
    _between("list", "<tool_calls>[", "<tool_calls>[", "]</tool_calls>"),
    ("lines", ("<tool_calls>",), writing.tag_lines, None),
    ("hermes", ("<tool_call>",), writing.hermes, _HERMES),
    ("llama", ("<|python_tag|>", '"parameters": ', "ipython"), writing.llama, None),
)
"""Name, what in the template shows it, how a call is written, and what stands around calls that a grammar can hold."""


def form_of(template: str) -> ReplyForm:
    """The form that a chat template (Jinja) teaches; where it shows no tools, one of our own, for `instructions`."""
    native = _shows_tools(template)
    found = next((form for form in _FORMS if any(sign in template for sign in form[1])), None)
    if not native or not found:
        found = ("own", (), writing.hermes, _HERMES)
    head = "<|message|>" in template and "<|start|>" in template
    recipients = found[0] == "recipients"
    return ReplyForm(
        found[0], native, _thinking(template), found[2], found[3], ("to=", "<|message|>") if head else None, recipients
    )


def mended(template: str) -> str:
    """The template with an example of a call as the model is to write it.

    Those of Qwen 2.5 show it in doubled braces, as a format string of Python's has them; models do as they are shown.
    """
    return _DOUBLED.sub(r"{\1}", template)


_DOUBLED = re.compile(r'\{\{(\\?"name\\?": <function-name>, \\?"arguments\\?": <args-json-object>)\}\}')


def _thinking(template: str) -> tuple[str, str] | None:
    if "<|channel|>" in template:
        return "<|channel|>analysis<|message|>", "<|end|>"
    if "to=self" in template:
        return "to=self<|message|>", "<|eom|>"
    if "Here are my reasoning steps:" in template:
        return "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"
    if "<think{}>" in template:
        return "<think:opensource>", "</think:opensource>"
    if "open_tag('think'" in template:
        return "<|open|>think<|sep|>", "<|close|>think<|sep|>"
    known = next(((begin, end) for begin, end in marks.THOUGHTS.items() if _shown(begin, end, template)), None)
    return known or like_a_thought(template)


def _shown(begin: str, end: str, template: str) -> bool:
    return begin in template or (end in template and end in marks.CLOSED_ONLY_BY)


_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_CODE = re.compile(r"\{[%{](.*?)[%}]\}", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


def _shows_tools(template: str) -> bool:
    """Whether the template uses what it is given as tools."""
    code = " ".join(_CODE.findall(_COMMENT.sub("", template)))
    return bool(re.search(r"\btools\b", _QUOTED.sub("''", code)))
