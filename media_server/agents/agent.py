"""What an agent is: its name, its instructions and how it takes turns."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, FiniteFloat, InstanceOf, SkipValidation
from pydantic.dataclasses import dataclass as validated_dataclass

from media_server.agents.numbers import check_number
from media_server.agents.origins import check_pattern
from media_server.agents.skills import Folders, Skill
from media_server.agents.tools import Tool, as_tool
from media_server.agents.zones import check_zone, zone_of
from media_server.jsonable import sound

__all__ = ["EMOTIONS", "KNOWLEDGE_TOOL", "PRESETS", "Agent", "Handlers", "TurnPreset", "TurnTaking"]

KNOWLEDGE_TOOL = "search_knowledge"
"""The tool by which the model searches an agent's documents."""
EMOTIONS = ("joy", "sadness", "anger", "fear", "surprise", "disgust", "neutral")
"""A usual set."""
MAX_SAID = 4000
"""Characters of a text that a caller has said."""
TurnPreset = Literal["fast", "balanced", "patient", "manual"]
ClientSetting = Literal["language", "voice", "prompt", "temperature", "max_reply_tokens", "recording", "idle_s"]


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """How long a silence ends the caller's turn: the shorter, the more complete the words so far seem.

    Args:
        min_pause_ms: where they are surely complete, or always with `completeness` off.
        max_pause_ms: where more is surely to come.
        completeness: ask the language model.
        manual: no silence ends it, the client says when it is over (push to talk).
    """

    min_pause_ms: int
    max_pause_ms: int
    completeness: bool = True
    manual: bool = False

    def changed(
        self, preset: TurnPreset | None, min_pause_ms: int | None, max_pause_ms: int | None, completeness: bool | None
    ) -> TurnTaking:
        """The preset with what is given; a longer shortest pause stretches the longest one."""
        base = PRESETS[preset] if preset else self
        shortest = min_pause_ms or base.min_pause_ms
        longest = max(shortest, max_pause_ms or base.max_pause_ms)
        asked = base.completeness if completeness is None else completeness
        return TurnTaking(shortest, longest, asked, base.manual)


PRESETS: dict[TurnPreset, TurnTaking] = {
    "fast": TurnTaking(150, 900),
    "balanced": TurnTaking(200, 1500),
    "patient": TurnTaking(500, 2500),
    "manual": TurnTaking(200, 1500, completeness=False, manual=True),
}


F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Handlers:
    """An agent's code: what runs at which event, and what answers turns in place of the model."""

    by_event: dict[str, list[Callable[..., Any]]] = field(default_factory=dict)
    turn: Callable[..., Any] | None = None
    prepare_s: float = 0.15
    """How long the code at `call.preparing` may delay an answer."""


@validated_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Agent:
    """Who answers a call.

    Args:
        name: as in URLs and events; letters, digits, `-` and `_`.
        title: the name that people read; made of `name` where there is none.
        description: a sentence about what the agent does, for pages that offer it.
        examples: sentences that callers may begin with, for pages that offer it.
        color: of the agent's avatar, `#rrggbb`; the page's own where there is none.
        prompt: the system prompt; `{{name}}` stands for a variable that comes with the call.
        greeting: said when the call starts, with variables as well; nothing if empty.
        greetings: the greeting by language, as in ISO 639; `greeting` for any other.
        greeting_in_chat: whether it begins conversations in writing too.
        greeting_interruptible: a caller who speaks over the greeting stops it; off for what everybody has to hear.
        interruptible: a caller who speaks over a reply stops it; off to have every reply heard to its end first.
        numbers: regular expressions of numbers that callers read out, such as `\\d{5}`: one that is whole is answered
            at once, and for the rest of one that is not the agent waits. Patterns of tools' parameters count as well.
        variables: that fill both where the call brings none of the name.
        tools: what the model may call.
        skills: instructions and tools that it has while it needs them.
        tenant: whom it belongs to, with all its calls; empty for the operator.
        knowledge: a folder of documents (Markdown, text, PDF) that answers may draw on, or several; in an agent's file
            they are relative to that file.
        knowledge_use: `turn`: what fits is shown to the model at every turn; `tool`: the model asks for it.
        knowledge_description: of that tool: what the documents tell, for the model to know when to ask.
        knowledge_passages: shown at once at most.
        voice: of those that the model pack names; empty for its usual one.
        voice_speed: 1 as the voice is; larger is faster.
        turns: how patient it is with a caller who pauses.
        min_pause_ms, max_pause_ms, completeness: as in `TurnTaking`; the preset's where they are not given.
        speculation: begin the reply at the first sign of a pause, and drop it if the caller goes on.
        allowed_origins: of pages that may call it without a key: `https://site.com`, `https://*.site.com`,
            `http://localhost:*`.
        client_settings: what clients may choose for their call: `language`, `voice`; and for pages of a door `prompt`,
            `temperature`, `max_reply_tokens`, `recording`, `idle_s`.
        tell_prompts: tell the client what the model is shown and answers: for those who make the agent.
        audio_levels: tell the client how loud both sides are, ten times a second.
        language: spoken by callers, for a recogniser that knows several.
        hotwords: what callers are likely to say: names, products.
        interrupt_words: words from which on a caller's sound stops the agent.
        acknowledgements: words and phrases that do not count among them, in lower case; a usual set by default.
        idle_s: silence of both after which `idle_prompt` is said; 0 for never. Not in writing.
        idle_hang_up_s: silence after that prompt which ends the call; 0 for never.
        dtmf: what keys of a telephone do. `turn`: those that follow each other within two seconds, or up to `#`, are
            answered as if they had been typed; `event`: code of the agent alone is told (`user.dtmf`).
        emotions: what to look for in what callers say, in single words; nothing where there are none.
        recording: keep the sound of both sides with the call's record.
        price_per_minute: of a call, taken from the credit of the key that pays for it.
        max_duration_s: the longest spoken call; it is warned of, then hung up. 0 for any length.
        max_calls: at once; more are refused. None for as many as the server takes.
        answer_timeout_s: without an answer after this long, `apology` is said and the turn is given up. The time that
            tools take does not count, nor does that in which the model writes, however slowly.
        thinking_filler: said when the model thinks for two seconds before it answers, and again every twelve; empty
            to say nothing.
        comfort: said when a tool works, or the model is slow to begin, for `comfort_s` in which nothing is heard, and
            again every twelve; empty to say nothing. Not in writing.
        comfort_s: that time.
        comfort_sound: played while nothing is heard for that time, until the agent speaks: `soft`, or a file with
            music, which in an agent's file is looked for from where that file is.
        person_notice: said when a person takes the call over; empty to say nothing.
        temperature, top_p: how freely the model words its answers; the pack's where they are not given.
        max_reply_tokens: a reply is cut there.
        history_turns: exchanges that the model is shown; older ones are dropped.
        timezone: of `{{date}}` and `{{time}}`, such as `Europe/Madrid`; the server's own where there is none. A call
            may bring a variable `timezone`, which wins.
        remember: show the model what was said in the last calls of somebody whose token says who it is.

    Raises:
        ValueError: a value that cannot be, with its name.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    prompt: str = "You are a helpful voice assistant. Be concise and warm."
    greeting: str = ""
    greetings: Mapping[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], str] = field(default_factory=dict)
    greeting_in_chat: bool = True
    greeting_interruptible: bool = True
    interruptible: bool = True
    numbers: Annotated[tuple[Annotated[str, AfterValidator(check_number)], ...], Field(max_length=50)] = ()
    variables: Mapping[str, str | int | FiniteFloat | bool] = field(default_factory=dict)
    tools: Sequence[Annotated[InstanceOf[Tool], BeforeValidator(as_tool)]] = ()
    skills: Annotated[tuple[Skill, ...], Field(max_length=50)] = ()
    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    knowledge: Folders = ()
    knowledge_use: Literal["turn", "tool"] = "turn"
    knowledge_description: str = "Search the documents for what the caller asks about"
    knowledge_passages: Annotated[int, Field(ge=1, le=20)] = 3
    voice: str = ""
    voice_speed: Annotated[float, Field(ge=0.5, le=2)] = 1
    turns: TurnPreset = "balanced"
    min_pause_ms: Annotated[int | None, Field(ge=100, le=5000)] = None
    max_pause_ms: Annotated[int | None, Field(ge=100, le=10000)] = None
    completeness: bool | None = None
    speculation: bool = True
    allowed_origins: tuple[Annotated[str, AfterValidator(check_pattern)], ...] = ()
    client_settings: frozenset[ClientSetting] = frozenset({"language", "voice"})
    tell_prompts: bool = False
    audio_levels: bool = False
    language: Annotated[str | None, Field(pattern=r"^[a-z]{2,3}$")] = None
    hotwords: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    interrupt_words: Annotated[int, Field(ge=1, le=20)] = 1
    acknowledgements: frozenset[str] | None = None
    idle_s: Annotated[float, Field(ge=0, le=3600)] = 45
    idle_prompt: str = "Are you still there?"
    idle_hang_up_s: Annotated[float, Field(ge=0, le=3600)] = 25
    dtmf: Literal["turn", "event"] = "turn"
    emotions: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z]{2,30}$")], ...], Field(max_length=20)] = ()
    recording: bool = False
    price_per_minute: Annotated[float, Field(ge=0, le=1e9)] = 0
    max_duration_s: Annotated[float, Field(ge=0, le=86400)] = 600
    max_calls: Annotated[int | None, Field(ge=0)] = None
    answer_timeout_s: Annotated[float, Field(ge=1, le=600)] = 15
    apology: str = "I am sorry, something went wrong. Could you say it again?"
    thinking_filler: str = "One moment."
    comfort: Annotated[str, Field(max_length=MAX_SAID)] = ""
    comfort_s: Annotated[float, Field(ge=0.5, le=60)] = 3
    comfort_sound: Literal["soft"] | Path | None = None
    person_notice: Annotated[str, Field(max_length=MAX_SAID)] = ""
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_reply_tokens: Annotated[int, Field(ge=1, le=4096)] = 200
    history_turns: Annotated[int, Field(ge=1, le=1000)] = 12
    timezone: Annotated[str, AfterValidator(check_zone)] = ""
    remember: bool = True
    title: Annotated[str, Field(max_length=80)] = ""
    description: Annotated[str, Field(max_length=400)] = ""
    examples: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=8)] = ()
    color: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] = ""
    handlers: Annotated[Handlers, SkipValidation] = field(default_factory=Handlers, repr=False, compare=False)
    """Filled by `on` and `on_turn`; shared by all versions of an agent."""

    def __post_init__(self) -> None:
        names = [t.name for t in self.tools]
        if self.knowledge and self.knowledge_use == "tool":
            names.append(KNOWLEDGE_TOOL)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"there are two tools called {name}")
        skills = [s.name for s in self.skills]
        if len(set(skills)) < len(skills):
            raise ValueError("there are two skills of one name")

    @property
    def turn_taking(self) -> TurnTaking:
        return PRESETS[self.turns].changed(None, self.min_pause_ms, self.max_pause_ms, self.completeness)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of its documents, those of its skills too."""
        return (*self.knowledge, *(folder for skill in self.skills for folder in skill.knowledge))

    def on(self, event: str) -> Callable[[F], F]:
        """Have an async function run for each event of this type, in every call, with `(call)` or `(event, call)`.

        Raises:
            TypeError: it is not async.
        """

        def take(handler: F) -> F:
            if not inspect.iscoroutinefunction(handler):
                raise TypeError(
                    f"{getattr(handler, '__name__', handler)} has to be async: it runs in the server's loop"
                )
            self.handlers.by_event.setdefault(event, []).append(handler)
            return handler

        return take

    def on_turn(self, responder: F) -> F:
        """Have an async generator answer turns in place of the model: `(text, call)` in, pieces of text out.

        It is closed when the caller interrupts.

        Raises:
            TypeError: it is no async generator.
        """
        if not inspect.isasyncgenfunction(responder):
            raise TypeError(
                f"{getattr(responder, '__name__', responder)} has to be an async generator: async def with yield"
            )
        self.handlers.turn = responder
        return responder

    def filled_in(self, variables: Mapping[str, str | int | float | bool]) -> Agent:
        """This agent with `{{name}}` in prompt and greeting replaced; names without a value stay as they are.

        `date`, `day`, `time`, `datetime` and `date_block` are there without being given: now, where the agent is or the
        call says.
        """
        greeting = self.greeting_with(variables)[: self.most_said]
        return replace(self, prompt=self._filled(self.prompt, variables), greeting=greeting, greetings={})

    @property
    def most_said(self) -> int:
        """Characters of a greeting whose variables are filled: what a caller gives makes it no longer than this."""
        return max(MAX_SAID, len(self._greeting))

    def greeting_with(self, variables: Mapping[str, str | int | float | bool]) -> str:
        """The greeting with its variables filled, however long it becomes."""
        return self._filled(self._greeting, variables)

    @property
    def _greeting(self) -> str:
        return self.greetings.get(self.language or "", self.greeting)

    def _filled(self, text: str, variables: Mapping[str, str | int | float | bool]) -> str:
        given = {**self.variables, **variables}
        now = datetime.now(zone_of(str(given.get("timezone", ""))) or zone_of(self.timezone))
        date, time = f"{now:%A}, {now.day} {now:%B %Y}", f"{now:%H:%M}"
        values = {"date": date, "day": f"{now:%A}", "time": time, "datetime": f"{date}, {time}", **given}
        values.setdefault("date_block", f"Today is {date}. It is {time}.")

        return _VARIABLE.sub(lambda m: sound(str(values.get(m[1], m[0]))), text)


_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
