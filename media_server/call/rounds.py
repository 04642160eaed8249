"""The rounds of a reply, each with its text and the tools called after it, and what is said while one is waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from media_server.call.joining import joined
from media_server.call.speak import Clause
from media_server.call.tools import Returned
from media_server.engines.messages import ToolCall

__all__ = ["THINKING_AGAIN_S", "Filling", "Round"]

THINKING_S = 2.0
"""Seconds of thinking after which the caller is told that it takes a moment."""
THINKING_AGAIN_S = 12.0
"""Seconds after which the caller is told so again."""
NOT_YET_S = 0.2
"""Seconds between two looks whether the caller is done."""


@dataclass(slots=True)
class Filling:
    """When the agent says that the answer takes a moment.

    Args:
        over: set when the caller is surely done.
        filler: said while the model thinks.
        comfort: said while it has not begun to write.
        comfort_s: after which.
    """

    over: asyncio.Event
    filler: str
    comfort: str
    comfort_s: float
    thinking: bool = False
    begun: bool = False
    """Something was written."""
    _counting: bool = False
    _said: bool = False

    @property
    def words(self) -> str:
        """What is said in what is waited for now."""
        if self.thinking:
            return self.filler
        return "" if self.begun else self.comfort

    def wait_s(self) -> float | None:
        """How long to wait for the next piece; None for any time."""
        self._counting = bool(self.words) and self.over.is_set()
        if not self._counting:
            return NOT_YET_S if self.words else None
        if self._said:
            return THINKING_AGAIN_S
        return THINKING_S if self.thinking else self.comfort_s

    def due(self) -> bool:
        """Whether it is to be said, now that so long passed."""
        self._said = self._said or self._counting
        return self._counting


@dataclass(slots=True)
class Round:
    """What was said, and the tools that were called after it."""

    clauses: list[Clause] = field(default_factory=list)
    text: str = ""
    shown: str = ""
    """What was emitted of it: the text, and in between what tools or an agent's code had the agent say."""
    announced: bool = False
    """What was emitted last was such an announcement."""
    calls: list[ToolCall] = field(default_factory=list)
    results: dict[str, Returned] = field(default_factory=dict)
    """Results by the ids of the calls that have ended."""
    tools_begun: bool = False
    given: bool = False
    """The calls were made for the model, not by it."""
    repeats: bool = False
    """The model called again what it has the result of."""

    def withdraw(self) -> None:
        """What the model wrote so far was no answer: it is not spoken on, shown or remembered."""
        for clause in self.clauses:
            if not clause.done:
                clause.withdrawn, clause.remembered = True, False
        self.shown = joined(*(c.text for c in self.clauses if c.done))
        self.text = ""

    @property
    def heard(self) -> str:
        """What was heard of it, but for what is not to be remembered."""
        return joined(*(c.kept for c in self.clauses))

    @property
    def sent(self) -> str:
        """The same in a chat, where text is sent before its clause has ended."""
        return joined(self.text, *(c.kept for c in self.clauses if c.done))
