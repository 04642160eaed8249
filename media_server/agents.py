"""What an agent is: its name, its instructions and how it takes turns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["DEFAULT_AGENT", "PRESETS", "Agent", "TurnPreset", "TurnTaking"]

TurnPreset = Literal["fast", "balanced", "patient", "manual"]


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
        """With what is given; a longer shortest pause stretches the longest one."""
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


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers a call.

    Args:
        name: as in URLs and events; letters, digits, `-` and `_`.
        prompt: the system prompt; `{{name}}` stands for a variable that comes with the call.
        greeting: said when the call starts, with variables as well; nothing if empty.
        turns: how patient it is with a caller who pauses.
        min_pause_ms, max_pause_ms, completeness: as in `TurnTaking`; the preset's where they are not given.
        speculation: begin the reply at the first sign of a pause, and drop it if the caller goes on.
        language: spoken by callers, for a recogniser that knows several.
        hotwords: what callers are likely to say: names, products.
        interrupt_words: words from which on a caller's sound stops the agent.
        acknowledgements: words that do not count among them, in lower case; a usual set where none are given.
        idle_s: silence of both after which `idle_prompt` is said; 0 for never.
        idle_hang_up_s: silence after that prompt which ends the call; 0 for never.
        answer_timeout_s: without an answer after this long, `apology` is said and the turn is given up.
        max_reply_tokens: a reply is cut there.
        history_turns: exchanges that the model is shown; older ones are dropped.
    """

    name: str
    prompt: str = "You are a helpful voice assistant. Be concise and warm."
    greeting: str = ""
    turns: TurnPreset = "balanced"
    min_pause_ms: int | None = None
    max_pause_ms: int | None = None
    completeness: bool | None = None
    speculation: bool = True
    language: str | None = None
    hotwords: tuple[str, ...] = ()
    interrupt_words: int = 1
    acknowledgements: frozenset[str] | None = None
    idle_s: float = 0
    idle_prompt: str = "Are you still there?"
    idle_hang_up_s: float = 0
    answer_timeout_s: float = 15
    apology: str = "I am sorry, something went wrong. Could you say it again?"
    max_reply_tokens: int = 200
    history_turns: int = 12

    @property
    def turn_taking(self) -> TurnTaking:
        return PRESETS[self.turns].changed(None, self.min_pause_ms, self.max_pause_ms, self.completeness)

    def filled_in(self, variables: Mapping[str, str | int | float | bool]) -> Agent:
        """This agent with `{{name}}` in prompt and greeting replaced; names without a value stay as they are."""

        def fill(text: str) -> str:
            return _VARIABLE.sub(lambda m: str(variables.get(m[1], m[0])), text)

        return replace(self, prompt=fill(self.prompt), greeting=fill(self.greeting))


_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")

DEFAULT_AGENT = Agent("assistant")
