"""A request's prompt as tokens: guarded, fitted to the template, and short enough for the model's context."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from media_server.engines import messages as m
from media_server.engines.aliases import ArgumentAliases, argument_aliases
from media_server.engines.guarding import Guard
from media_server.engines.marks import THOUGHT_ENDS
from media_server.engines.reading import ReplyForm, form_of, mended
from media_server.engines.replying import closing
from media_server.engines.templates import ChatTemplate, Prompt
from media_server.engines.vocabulary import Vocabulary

__all__ = ["Made", "PromptTooLongError", "Prompts", "Request", "Spoken", "spoken"]

Request = m.Generate | m.PredictEndOfTurn | m.ScoreWords

MARKS = 16
"""Characters' worth of tokens around each message, about: who says it, and its end."""
CUT = "…"
"""Ends an argument that was shortened."""


class PromptTooLongError(Exception):
    """What cannot be dropped of a conversation is longer than the model's context."""


ADVICE = (
    "Call a function only where the caller's wish needs one, and write numbers as digits. When a function has "
    "returned, tell the caller in one short sentence what it returned."
)
"""Models of one or two billion parameters otherwise call again what they have the result of."""


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt to be computed."""

    tokens: list[int]
    asked: tuple[int, ...]
    """Tokens whose probability is asked for behind it, instead of a reply."""
    form: ReplyForm
    """How the model calls tools, as it is told."""
    in_thought: bool
    """It ends within a thought."""
    thought_over: bool
    """It ends behind a thought, so that the model has nothing left to think."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A chat template, and the form of replies that it teaches."""

    template: ChatTemplate
    form: ReplyForm
    guard: Guard
    """Guards what others than the template write."""
    advice: str = ""
    """What the model is told beside its instructions where it is offered tools."""


def spoken(source: str, vocabulary: Vocabulary, advised: bool = False) -> Spoken:
    """What is known of a template (Jinja).

    Args:
        advised: the model is told how to use tools.
    """
    source = mended(source)
    form = form_of(source)
    own = form if form.native else None
    template = ChatTemplate(source, vocabulary.bos, vocabulary.eos, own, form_of(""), form.thinking)
    return Spoken(template, form, vocabulary.guard(source), ADVICE if advised else "")


class Prompts:
    """Makes prompts for one model.

    Args:
        usual: the model's template.
        with_tools: the one for conversations in which tools may be called.
        tokenize: text to tokens.
        limit: tokens of the context.
        described_arguments: show the model what arguments of tools mean in place of their names.
        think: leave the model's thinking on where it can be switched off.
    """

    def __init__(
        self,
        usual: Spoken,
        with_tools: Spoken,
        tokenize: Callable[[str], list[int]],
        limit: int,
        described_arguments: bool = False,
        think: bool = False,
    ) -> None:
        self._usual = usual
        self._with_tools = with_tools
        self._plain = form_of("")
        self._tokenize = tokenize
        self._limit = limit
        self._described_arguments = described_arguments
        self._think = think

    @property
    def thinks(self) -> bool:
        """Whether the model is known to think."""
        return bool(self._usual.form.thinking or self._with_tools.form.thinking)

    def labels(self, request: Request) -> ArgumentAliases | None:
        """What arguments of the tools go by, where that is not their names."""
        offers = isinstance(request, m.Generate | m.PredictEndOfTurn) and request.tools
        return argument_aliases(request.tools) if offers and self._described_arguments else None  # type: ignore[union-attr]

    def make(self, request: Request) -> Made:
        """The prompt of a request; what is oldest in it is dropped until it fits with room for a reply.

        For `PredictEndOfTurn` up to the token with which the template ends the caller's turn, which is asked for.

        Raises:
            PromptTooLongError: it cannot be made short enough.
            TemplateRefusedError: the template takes no form of it.
        """
        messages = self._shown(request)
        tools = "" if isinstance(request, m.ScoreWords) or not request.tools else request.tools
        labels = self.labels(request)
        spoken = self._with_tools if tools else self._usual
        if tools and spoken.advice:
            messages = _advised(messages, spoken.advice)
        tools = spoken.guard.json(labels.tools if labels else tools) if tools else ""
        room = min(request.max_tokens, self._limit // 4) if isinstance(request, m.Generate) else 1
        while True:
            guarded = [spoken.guard.message(x) for x in messages]
            prompt = spoken.template.prompt(guarded, tools, self._think)
            tokens = self._tokenize(prompt.text)
            end = (
                self._end_of_turn(prompt, guarded[-1].content)
                if isinstance(request, m.PredictEndOfTurn)
                else len(tokens)
            )
            if end + room <= self._limit:
                return self._made(request, spoken, prompt, tokens, end)
            if not self._shorten(messages, end + room - self._limit, end):
                raise PromptTooLongError

    def _made(self, request: Request, spoken: Spoken, prompt: Prompt, tokens: list[int], end: int) -> Made:
        asked: tuple[int, ...] = ()
        if isinstance(request, m.PredictEndOfTurn):
            asked, tokens = (tokens[end],), tokens[:end]
        elif isinstance(request, m.ScoreWords):
            if prompt.in_thought and (marks := spoken.form.thinking):
                # the answer comes behind the thought
                tokens = tokens + self._tokenize(closing(marks[1]))
            # a word's first token stands for it
            asked = tuple(self._tokenize(word)[0] for word in request.words)
        form = spoken.form if prompt.native else self._plain
        return Made(tokens, asked, form, prompt.in_thought, prompt.text.rstrip().endswith(THOUGHT_ENDS))

    def _end_of_turn(self, prompt: Prompt, said: str) -> int:
        """How many tokens there are up to the end of the caller's words."""
        said = said.rstrip()
        end = len(self._tokenize(prompt.text[: prompt.text.rindex(said) + len(said)]))
        return min(end, len(self._tokenize(prompt.text)) - 1)

    def _shown(self, request: Request) -> list[m.ChatMessage]:
        """The messages with arguments' labels in place of their names."""
        labels = self.labels(request)
        if labels is None:
            return list(request.messages)
        return [
            structs.replace(
                x,
                tool_calls=tuple(structs.replace(c, arguments=labels.shown(c.name, c.arguments)) for c in x.tool_calls),
            )
            for x in request.messages
        ]

    def _shorten(self, messages: list[m.ChatMessage], over: int, tokens: int) -> bool:
        """Drop the oldest exchanges; of the last one what is longest loses `over` tokens: a result or a call's argument
        its end, anything else its beginning. Whether there was anything to drop.

        Args:
            tokens: of all of them. What each takes of it is guessed by its length: to tokenize all again after each
                exchange would take long.
        """
        lengths = [len(x.content) + sum(len(c.arguments) for c in x.tool_calls) + MARKS for x in messages]
        each = tokens / sum(lengths)
        first = 1 if messages[0].role == "system" else 0
        dropped = 0.0
        while dropped < over:
            # the rest is to start with a caller's turn
            following = next((i for i in range(first + 1, len(messages)) if messages[i].role == "user"), None)
            if following is None:
                break
            dropped += each * sum(lengths[first:following])
            del messages[first:following], lengths[first:following]
        if dropped:
            return True
        parts = [(len(x.content), i, -1) for i, x in enumerate(messages[first:], first)]
        parts += [
            (len(c.arguments), i, k) for i, x in enumerate(messages[first:], first) for k, c in enumerate(x.tool_calls)
        ]
        length, at, call = max(parts, default=(0, 0, 0))
        if not length:
            return False
        message = messages[at]
        if call >= 0:
            calls = list(message.tool_calls)
            cut = _cut_argument(calls[call].arguments, self._share(calls[call].arguments, over))
            if cut is None:
                return False
            calls[call] = structs.replace(calls[call], arguments=cut)
            messages[at] = structs.replace(message, tool_calls=tuple(calls))
            return True
        kept = int(length * self._share(message.content, over))
        content = message.content[:kept] if message.role == "tool" else message.content[length - kept :]
        messages[at] = structs.replace(message, content=content)
        return True

    def _share(self, text: str, over: int) -> float:
        """How much of a text is left if so many tokens of it go."""
        return max(0.0, 1 - over / max(1, len(self._tokenize(text))))


def _advised(messages: list[m.ChatMessage], advice: str) -> list[m.ChatMessage]:
    """The messages with the advice behind the instructions."""
    if messages and messages[0].role == "system":
        told = structs.replace(messages[0], content=f"{messages[0].content}\n\n{advice}")
        return [told, *messages[1:]]
    return [m.ChatMessage("system", advice), *messages]


def _cut_argument(arguments: str, share: float) -> str | None:
    """A call's arguments with the longest text in them cut; None if there is none to cut."""
    value = json.loads(arguments)
    found = _longest(value)
    if found is None:
        return None
    holder, key = found
    text = holder[key]
    # the others keep theirs, so this one loses more
    kept = max(0, len(text) - max(1, int(len(arguments) * (1 - share))) - len(CUT))
    holder[key] = text[:kept] + CUT if kept else ""
    return json.dumps(value, ensure_ascii=False)


def _longest(value: Any) -> tuple[Any, Any] | None:
    """Where the longest text in a JSON value is."""
    best: tuple[int, Any, Any] = (2 * len(CUT), None, None)
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        entries = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, each in entries:
            if isinstance(each, str) and len(each) > best[0]:
                best = (len(each), holder, key)
            elif isinstance(each, dict | list):
                waiting.append(each)
    return None if best[1] is None else (best[1], best[2])
