"""What a person reads of a call: who speaks, which tools run, and why it ended."""

from __future__ import annotations

import json
import sys
from typing import Any

from media_server.plain import plain

__all__ = ["ChatView", "SpokenView", "print_event", "print_json"]

Event = dict[str, Any]

REASONS = {
    "client_hangup": "you hung up",
    "agent_hangup": "the agent hung up",
    "forwarded": "you were transferred",
    "silence": "nobody spoke",
    "max_duration": "it reached its maximum duration",
    "credits_exhausted": "its credit is used up",
    "connection_lost": "the connection was lost",
    "connect_timeout": "the connection was not established in time",
    "idle_timeout": "nothing was received any more",
    "server_shutdown": "the server stopped",
    "internal_error": "the server had an error; its log says which",
}
"""What `call.ended` means, by its reason."""


def print_json(event: Event) -> None:
    """One event as a line of JSON."""
    print(json.dumps(event, ensure_ascii=False), flush=True)


def print_event(event: Event) -> None:
    """One event with its time and fields, for developers."""
    hidden = ("type", "call_id", "seq", "time")
    fields = "  ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in event.items() if k not in hidden)
    print(plain(f"{event['time']:8.3f}  {event['type']:<22} {fields}"), flush=True)


class _View:
    """Lines of a conversation, the speaker's name in a column of its own; nothing that is said steers the terminal."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self._width = max(len(agent), len("you"))

    def said(self, who: str, text: str) -> None:
        self._line(f"{who:>{self._width}}  {text}")

    def note(self, text: str) -> None:
        self._line(f"{'':>{self._width}}  {text}")

    def _line(self, text: str) -> None:
        print(plain(text).replace("\n", f"\n{'':>{self._width}}  "), flush=True)

    def other(self, event: Event) -> None:
        """What spoken and written conversations have in common."""
        match event:
            case {"type": "tool.called", "name": name}:
                given = ", ".join(f"{k}={_short(v)}" for k, v in (event.get("arguments") or {}).items())
                self.note(f"{name}({given})")
            case {"type": "tool.returned", "error": str(error)}:
                self.note(f"→ {error}")
            case {"type": "tool.returned"}:
                self.note(f"→ {_short(event.get('result'))}")
            case {"type": "agent.event", "name": name, "data": data}:
                self.note(f"{name}: {_short(data)}")
            case {"type": "call.forwarded", "to": to}:
                self.note(f"Transferred to {to}.")
            case {"type": "call.paused"}:
                self.note("A person has taken over.")
            case {"type": "call.resumed"}:
                self.note("The agent is back.")
            case {"type": "warning" | "error", "message": message}:
                self.note(message)
            case {"type": "call.ended", "reason": reason, "duration_s": duration_s}:
                self._line(f"The call ended after {duration_s:.0f} s: {REASONS.get(reason, reason)}.")


class ChatView(_View):
    """A conversation in writing."""

    _asking = False

    def ask(self) -> None:
        """Show that the caller may type."""
        print("you: ", end="", flush=True)
        self._asking = True

    def typed(self, line: str, *, is_seen: bool) -> None:
        """A line was typed; a terminal has shown it, and ended the line that asked for it."""
        self._asking = False
        if not is_seen:
            self.said("you", line)

    def _line(self, text: str) -> None:
        if self._asking:
            print(flush=True)
            self._asking = False
        super()._line(text)

    def show(self, event: Event) -> None:
        match event:
            case {"type": "agent.text", "text": text}:
                self.said(self.agent, text)
            case _:
                self.other(event)


class SpokenView(_View):
    """A spoken conversation: the agent's words appear clause by clause, while they are said."""

    def __init__(self, agent: str) -> None:
        super().__init__(agent)
        self._speaking = False
        self._response_ms: float | None = None

    def show(self, event: Event) -> None:
        match event:
            case {"type": "user.transcript", "final": True, "text": text}:
                self.said("you", text)
            case {"type": "turn.metrics", "response_ms": response_ms}:
                self._response_ms = response_ms
            case {"type": "agent.segment_started", "text": text}:
                start = " " if self._speaking else f"{self.agent:>{self._width}}  "
                sys.stdout.write(start + plain(" ".join(text.split())))
                sys.stdout.flush()
                self._speaking = True
            case {"type": "agent.speech_stopped", "reason": reason} if self._speaking:
                cut = " — interrupted" if reason == "interrupted" else ""
                took = f"  ({self._response_ms / 1000:.1f} s)" if self._response_ms is not None else ""
                self._speaking, self._response_ms = False, None
                print(cut + took, flush=True)
            case _:
                self.other(event)

    def _line(self, text: str) -> None:
        if self._speaking:
            print(flush=True)
            self._speaking = False
        super()._line(text)


def _short(value: Any, most: int = 200) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"
