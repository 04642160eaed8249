"""What an agent is: its name, its instructions and how it takes turns."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_AGENT", "Agent"]


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers a call.

    Args:
        name: as in URLs and events; letters, digits, `-` and `_`.
        prompt: the system prompt.
        greeting: said when the call starts; nothing if empty.
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


DEFAULT_AGENT = Agent("assistant")
