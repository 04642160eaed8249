"""What an agent is: its name, its instructions and how it takes turns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = ["DEFAULT_AGENT", "Agent"]


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers a call.

    Args:
        name: as in URLs and events; letters, digits, `-` and `_`.
        prompt: the system prompt; `{{name}}` stands for a variable that comes with the call.
        greeting: said when the call starts, with variables as well; nothing if empty.
        pause_ms: silence after which the caller's turn is over.
        max_reply_tokens: a reply is cut there.
        history_turns: exchanges that the model is shown; older ones are dropped.
    """

    name: str
    prompt: str = "You are a helpful voice assistant. Be concise and warm."
    greeting: str = ""
    pause_ms: int = 500
    max_reply_tokens: int = 200
    history_turns: int = 12

    def filled_in(self, variables: Mapping[str, str | int | float | bool]) -> Agent:
        """This agent with `{{name}}` in prompt and greeting replaced; names without a value stay as they are."""

        def fill(text: str) -> str:
            return _VARIABLE.sub(lambda m: str(variables.get(m[1], m[0])), text)

        return replace(self, prompt=fill(self.prompt), greeting=fill(self.greeting))


_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")

DEFAULT_AGENT = Agent("assistant")
