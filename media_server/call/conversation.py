"""What the parts of a call ask of it: one protocol, so that control goes one way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal, Protocol, TypeVar

from media_server import agents
from media_server import events as e
from media_server.call.history import History

__all__ = ["Conversation"]

T = TypeVar("T")


class Conversation(agents.Call, Protocol):
    """The call, as its floor and its replies see it."""

    history: History

    def emit(self, event: e.Event) -> None:
        """Something happened."""
        ...

    def clock(self) -> float:
        """Seconds since the call began."""
        ...

    def start(self, work: Coroutine[Any, Any, T], name: str, /) -> asyncio.Task[T]:
        """Start a task that the call owns."""
        ...

    def enter(self, state: e.State) -> None:
        """The caller's sound brings the call into this state."""
        ...

    def enter_unless_caller_speaks(self, state: e.State) -> None:
        """A reply brings the call into this state."""
        ...

    @property
    def then(self) -> Literal["", "more", "goodbye"]:
        """What is to be done when all was said: nothing, such as handing the caller over, or hanging up."""
        ...

    def note_presence(self) -> None:
        """The caller said or did something: somebody is there."""
        ...

    def next_turn(self) -> str:
        """A turn of the agent's own begins. Returns its id."""
        ...

    def begin_turn(self) -> str:
        """The caller begins to speak: from here on the agent's newest version answers. Returns the turn's id."""
        ...

    async def prepare(self) -> None:
        """Let the agent's code put things right before the model is asked."""
        ...

    def said_all(self) -> None:
        """Everything that was to be said was said."""
        ...

    def interrupt_agent(self) -> None:
        """The caller speaks: stop what the agent is thinking or saying, and the floor's trials."""
        ...
