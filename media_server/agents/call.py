"""What code of an agent can do with the call that it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from media_server.agents.agent import Agent

__all__ = ["Call", "contact_of"]


def contact_of(metadata: Mapping[str, Any]) -> str:
    """Who calls, as a call's metadata say; empty where they do not."""
    named = metadata.get("contact") or metadata.get("userId")
    return str(named) if isinstance(named, str | int) else ""


class Call(Protocol):
    """A call under way, as tools and handlers are given it. Its methods belong to the server's event loop."""

    id: str
    metadata: Mapping[str, Any]
    """What came with the offer, and what a token has sealed, which wins."""
    client_metadata: Mapping[str, Any]
    """What came with the offer alone: the word of a page."""
    sealed_metadata: Mapping[str, Any]
    """What a token has sealed alone, which no page can say."""

    @property
    def agent(self) -> Agent:
        """The agent as it is now: with what `update` changed."""
        ...

    @property
    def variables(self) -> Mapping[str, str | int | float | bool]:
        """The values that fill prompt and greeting."""
        ...

    @property
    def transcript(self) -> Sequence[Mapping[str, str]]:
        """What was said and heard so far: `{"role": "user" | "assistant", "text": …}`."""
        ...

    @property
    def unanswered(self) -> Sequence[str]:
        """What the caller said in each turn since the agent was last heard, the present turn last."""
        ...

    def say(
        self, text: str, *, interrupt: bool = False, remember: bool = True, interruptible: bool = True
    ) -> Awaitable[bool]:
        """Say this, word for word: after what is being said, or at once in its place.

        While a tool works, it is said at once; while the caller speaks, after his turn and its answer. An announcement
        that is not `interruptible` is heard to its end: what the caller says meanwhile is answered behind it. Await it
        to wait until it was heard; False if it was cut off. Without `remember` the model never knows that it was said.
        """
        ...

    def interrupt(self) -> None:
        """Stop what the agent is saying or about to say."""
        ...

    def reject(self, reason: Literal["rejected", "busy"] = "rejected") -> None:
        """Do not take the call, at `call.ringing`."""
        ...

    def hangup(self, *, after_speech: bool = False) -> None:
        """End the call: now, or when the agent's last word was heard; a caller who speaks before that keeps it."""
        ...

    def forward(self, to: str) -> None:
        """Hand the caller over, when what is being said was heard.

        To another agent of this server: the call goes on with it, and it knows what was said. Anything else is for
        whoever watches the call: they are told `call.forwarded`, and it ends with the reason `forwarded`.
        """
        ...

    @property
    def paused(self) -> bool:
        """Whether a person has taken over, and the agent is silent."""
        ...

    def pause(self, by: object = "operator") -> None:
        """Be silent for a person who takes over: what is said goes into the transcript, `say` is theirs."""
        ...

    def resume(self, by: object = None) -> None:
        """Go on, knowing what was said.

        Args:
            by: gives back what only they have taken over, so that the agent is silent as long as somebody else has the
                call; without, everybody gives it back.
        """
        ...

    @property
    def loaded_skills(self) -> Sequence[str]:
        """The agent's skills that are loaded now, besides those that always are."""
        ...

    def load_skill(self, name: str, *, by: Literal["manual", "model"] = "manual") -> None:
        """Give the agent a skill, from the next turn on.

        Raises:
            ValueError: it has no skill of that name.
        """
        ...

    def unload_skill(self, name: str, *, by: Literal["manual", "model"] = "manual") -> None:
        """Take a skill from the agent, from the next turn on.

        Raises:
            ValueError: it has no skill of that name.
        """
        ...

    def send(self, name: str, data: Any = None) -> None:
        """Send the client an `agent.event` with this name and data (JSON).

        Raises:
            ValueError: JSON has no form for the data, or they are too large (20,000 values, 1,000,000 characters).
        """
        ...

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Have `handler` run for each event of this type, with `(call)` or `(event, call)`."""
        ...

    def once(self, event: str, handler: Callable[..., Any]) -> None:
        """Have `handler` run for the next event of this type."""
        ...

    def set_variables(self, **variables: str | int | float | bool) -> None:
        """Fill prompt and greeting with these as well, from now on."""
        ...

    def update(self, **changes: Any) -> None:
        """Change the agent for this call, from the next turn on: any field of `Agent` but its name.

        Raises:
            ValueError: a change that an agent cannot have.
        """
        ...
