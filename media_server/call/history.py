"""What was said and heard in a call, and what of it the model is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from media_server.call.joining import joined
from media_server.engines.messages import ChatMessage, ToolCall

__all__ = ["History"]

MAX_ENTRIES = 1000
"""Kept of a call; the oldest leave."""
MAX_CHARACTERS = 8000
"""Maximum characters of one entry; its beginning is dropped."""


@dataclass(slots=True)
class History:
    """Turns alternate: what the caller says before the agent was heard joins what the caller said last."""

    entries: list[ChatMessage] = field(default_factory=list)
    earlier: tuple[ChatMessage, ...] = ()
    """Messages of the caller's calls before this one."""
    unanswered: list[str] = field(default_factory=list)
    """What the caller said in each turn since the agent was last heard."""

    def remember(self, said: Iterable[tuple[Literal["user", "assistant"], str]], most: int) -> None:
        """Show the model the last `most` messages of earlier calls: whole exchanges, before all of this call."""
        before = History()
        for role, text in said:
            before._add(role, text)
        kept = before.entries[-most:]
        while kept and kept[0].role != "user":
            del kept[0]
        while kept and kept[-1].role != "assistant":
            del kept[-1]
        self.earlier = tuple(kept)

    def add_user(self, text: str) -> None:
        self.unanswered.append(text)
        self._add("user", text)

    def add_instruction(self, text: str) -> None:
        """What the client tells the model; nobody said it."""
        self._keep(ChatMessage("system", text))

    def add_agent(self, heard: str) -> None:
        """What was heard of a reply; of one that was cut off at once there is nothing to keep."""
        if heard:
            self.unanswered.clear()
            self._add("assistant", heard)

    def add_tools(self, heard: str, calls: Sequence[ToolCall], results: Sequence[str]) -> None:
        """Calls that the model made after what was heard, and what each returned, as JSON; ephemeral ones left out."""
        if not calls:
            self.add_agent(heard)
            return
        if heard:
            self.unanswered.clear()
        if self.entries and _plain_words(self.entries[-1], "assistant"):
            heard = joined(self.entries.pop().content, heard)
        self._keep(ChatMessage("assistant", heard, tuple(calls)))
        for called, result in zip(calls, results, strict=True):
            self._keep(ChatMessage("tool", result, tool_call_id=called.id))

    def _add(self, role: str, text: str) -> None:
        if self.entries and _plain_words(self.entries[-1], role):
            text = joined(self.entries.pop().content, text)
        self._keep(ChatMessage(role, text[-MAX_CHARACTERS:]))

    def _keep(self, entry: ChatMessage) -> None:
        self.entries.append(entry)
        if len(self.entries) > MAX_ENTRIES:
            del self.entries[0]
            while self.entries and self.entries[0].role == "tool":  # the call it belongs to has left
                del self.entries[0]

    def messages(self, prompt: str, turns: int, saying: str = "") -> tuple[ChatMessage, ...]:
        """The prompt and at most the last `turns` exchanges.

        As long as none has left, they begin with the call: with the agent's greeting and whatever else it said before
        the caller did. Later they begin with the caller's words, or what the client told the model before them.

        The oldest leave several at a time: while none leaves, the model's cache of the conversation stays good.
        `saying` is what the caller says now, which may still grow and is not in the history yet.
        """
        if saying:
            grown = History(list(self.entries), self.earlier)
            grown.add_user(saying)
            return grown.messages(prompt, turns)
        users = [i for i, e in enumerate(self.entries) if e.role == "user"]
        at_once = max(1, turns // 2)
        left = -(-max(0, len(users) - turns) // at_once) * at_once
        if not left:
            return ChatMessage("system", prompt), *self.earlier, *self.entries
        start = users[left]
        told = [e for e in self.entries[users[left - 1] : start] if e.role == "system"]
        return ChatMessage("system", prompt), *self.earlier, *told, *self.entries[start:]


def _plain_words(entry: ChatMessage, role: str) -> bool:
    return entry.role == role and not entry.tool_calls
