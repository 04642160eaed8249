"""What Pinecall's agents that are programs of their own are told of their calls."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from media_server import events as e
from media_server.doors.pinecall.dialect import REASONS, Pinecall, PinecallChat
from media_server.doors.pinecall.program_messages import MAX_TEXT
from media_server.errors import ClientError

__all__ = ["FollowedCall", "chat_messages"]

MAX_DIGITS = 100
MAX_UNFINISHED = 100
"""Replies in pieces whose end has not come, or whose sound has not ended."""
OWN = frozenset({"llm.tool_call", "llm.toolCall", "session.idleWarning", "call.ended"})
"""Events of a page that a program is told otherwise, or by one name alone."""
TIMEOUTS = frozenset({"idle_timeout", "max_duration"})
"""Ends of a call that are one for a program too; a page is told so of every end."""
IN_WRITING = {"user.message": "chat.message", "llm.response": "chat.response"}
"""Events of a chat, where programs know them by other names."""
NOT_IN_WRITING = frozenset({"message.confirmed", "llm.thinking"})
"""Events of a page that say nothing to the program of a chat."""


class FollowedCall:
    """One call's translation for the program whose agent conducts it.

    Args:
        started_at: seconds since the epoch.
        language: of the agent, where it speaks only one.
        callee: whom the agent calls, where it is not called itself.
    """

    def __init__(
        self, agent_id: str, call_id: str, started_at: float, language: str | None = None, callee: str = ""
    ) -> None:
        self.agent_id = agent_id
        self.turn_id = ""
        """The caller's last turn: what the program answers now."""
        self._of = {"agent_id": agent_id, "call_id": call_id}
        self._started_at = started_at
        self._language = language
        self._callee = callee
        self._pinecall = Pinecall()
        self._written = call_id.startswith("chat-")
        self._messages: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        """What the program calls its replies, by the turns that they were said in."""
        self._to_be_said: deque[tuple[str, str]] = deque(maxlen=MAX_UNFINISHED)
        """Texts that the program has said, and what it calls each, until their sound has ended."""
        self.sayings: dict[str, asyncio.Future[bool]] = {}
        """What the program has said and is not over, by what it calls it."""
        self.speaking = ""
        """What is being said now, as the program was told."""
        self._paused = False
        self._digits = ""
        """All keys that the caller has pressed."""
        self._whole = ("", "")
        """The last turn in which something was said as a whole, and that."""
        self.unfinished: dict[str, str] = {}
        """What there is of replies of its own accord that come in pieces, by what the program calls them."""

    def begin(self, message_id: str) -> None:
        """A reply in pieces begins. Raises `ClientError` where too many have no end yet."""
        if len(self.unfinished) >= MAX_UNFINISHED:
            raise ClientError("BAD_MESSAGE", f"bot.reply.stream: {MAX_UNFINISHED} replies of this call have no end.")
        self.unfinished[message_id] = ""

    def go_on(self, message_id: str, token: str) -> None:
        """A piece of a reply has come. Raises `ClientError` where it is too long; then it is dropped."""
        text = self.unfinished.pop(message_id) + token
        if len(text) > MAX_TEXT:
            raise ClientError("BAD_MESSAGE", f"bot.reply.stream: more than {MAX_TEXT} characters in one reply.")
        self.unfinished[message_id] = text

    def expect(self, text: str, message_id: str, heard: asyncio.Future[bool] | None = None) -> None:
        """The program has something said, and calls it so."""
        if message_id:
            self._to_be_said.append((text, message_id))
            if heard is not None:
                self.sayings[message_id] = heard

    def overtaken(self, in_reply_to: str | None) -> str:
        """The message that a reply should answer, where it answers an older one; else nothing."""
        answered = number_of(in_reply_to or "")
        return f"user-{self.turn_id}" if 0 < answered < number_of(self.turn_id) else ""

    def said(self, text: str, message_id: str, heard: bool) -> Iterator[dict[str, Any]]:
        """What is left to tell of something that the program had said, now that its sound has ended.

        Words that a tool has said are part of the reply under way, whose own end says nothing of them.
        """
        self.sayings.pop(message_id, None)
        if (text, message_id) not in self._to_be_said:
            return
        self._to_be_said.remove((text, message_id))
        if heard:
            yield {"event": "bot.finished", **self._of, "message_id": message_id, "text": text, "duration_ms": 0}
        else:
            cut = {"played_ms": 0, "words_spoken": 0, "reason": "cancelled"}
            yield {"event": "bot.interrupted", **self._of, "message_id": message_id, **cut}

    def rejection(self, message_id: str, answered: str | None, newer: str) -> dict[str, Any]:
        """What the program is told of a reply that is not said."""
        about = {"message_id": message_id, "in_reply_to": answered or "", "expected_reply_to": newer}
        reason = "The caller went on, or the answer was complete."
        return {"event": "reply.rejected", **self._of, **about, "reason": reason}

    def rejected(self, message_id: str, answered: str | None, newer: str) -> Iterator[dict[str, Any]]:
        """The same, and the end that a program may wait for."""
        yield self.rejection(message_id, answered, newer)
        cut = {"message_id": message_id, "played_ms": 0, "words_spoken": 0, "reason": "cancelled"}
        yield {"event": "bot.interrupted", **self._of, **cut}

    def cancel(self) -> None:
        """The program stops what is being said."""
        self._pinecall.cancelled = bool(self.speaking)

    def answers(self, message_id: str) -> bool:
        """Whether the program calls its answer to the present turn so."""
        return self._names.get(self.turn_id) == message_id

    def answered(self, message_id: str) -> None:
        """The program answers the turn, and calls the answer so."""
        if message_id:
            self._names[self.turn_id] = message_id

    def outgoing(self, envelope: e.Envelope, who: str) -> Iterator[dict[str, Any]]:
        """An event as the program is told it.

        Args:
            who: calls, where that is known.
        """
        match envelope.event:
            case e.CallStarted() as started:
                yield self.started(started, who)
                return
            case e.CallForwarded(to=to):
                yield {"event": "call.forwarded", **self._of, "to": to}
                return
            case e.UserDtmf(digit=digit):
                self._digits = (self._digits + digit)[-MAX_DIGITS:]
                yield {"event": "call.dtmf_received", **self._of, "digit": digit, "digits": self._digits}
                return
            case e.CallPaused() | e.CallResumed():
                self._paused = isinstance(envelope.event, e.CallPaused)
            case e.TurnEnded(turn_id=turn):
                self.turn_id = turn
            case e.AgentText(turn_id=turn, text=said):
                for text, message_id in self._to_be_said:
                    if text == said and message_id not in self._names.values():
                        self._names[turn], self._whole = message_id, (turn, text)
                        break
        self._note(envelope.event)
        for message in self._pinecall.outgoing(envelope):
            if (told := self._told(message)) is not None:
                yield told
        if isinstance(envelope.event, e.CallEnded):
            yield self.ended(envelope.event.reason, envelope.event.duration_s)

    def started(self, started: e.CallStarted, who: str) -> dict[str, Any]:
        """What the program is told when the call begins for its agent."""
        kind = "llm.chat.started" if self._written else "call.started"
        caller = who or started.transport
        about = {"from": caller, "to": self.agent_id, "direction": "inbound"}
        if self._callee:
            about = {"from": self.agent_id, "to": self._callee, "direction": "outbound"}
        about["transport"] = started.transport
        language = {"language": self._language} if self._language else {}
        session = {"session_id": self._of["call_id"]}
        return {"event": kind, **self._of, **session, **about, **language, "metadata": started.metadata}

    def ended(self, why: str, duration_s: float) -> dict[str, Any]:
        """What the program is told when the call is over for its agent."""
        times = {"started_at": self._started_at, "ended_at": self._started_at + duration_s}
        session, reason = self._of["call_id"], REASONS.get(why, why)
        about = {"session_id": session, "reason": reason, "duration_seconds": duration_s, **times}
        kind = "llm.chat.ended" if self._written else "call.ended"
        return {"event": kind, **self._of, **about, "messages": self._messages}

    def _told(self, message: dict[str, Any]) -> dict[str, Any] | None:
        kind = message["event"]
        if kind in OWN or (self._written and kind in NOT_IN_WRITING):
            return None
        if kind == "message.confirmed" and "text" not in message:
            return None  # programs save what is confirmed as the agent's words
        if kind == "session.timeout" and message["reason"] not in TIMEOUTS:
            return None
        told = message | self._of
        if kind == "user.message" and self._paused:
            told["paused"] = True  # nobody but a person answers it
        turn = message.get("message_id", "")
        if name := self._names.get(turn):
            told["message_id"] = name
            if kind in ("bot.finished", "bot.interrupted"):
                self._to_be_said = deque((x for x in self._to_be_said if x[1] != name), MAX_UNFINISHED)
        match kind:
            case "bot.speaking":
                self.speaking, told["text"] = told["message_id"], self._whole[1] if self._whole[0] == turn else ""
            case "bot.finished" | "bot.interrupted":
                self.speaking = ""
        if self._written:
            told["event"] = IN_WRITING.get(kind, kind)
        if kind.startswith("session."):
            told["session_id"] = self._of["call_id"]
        return told

    def _note(self, event: e.Event) -> None:
        """Keep what the program is given at the end of the call: its messages, in OpenAI's form."""
        match event:
            case e.UserTranscript(final=True, text=text) if text:
                self._messages.append({"role": "user", "content": text})
            case e.AgentSpeechStopped(heard=heard) if heard:
                self._messages.append({"role": "assistant", "content": heard})
            case e.AgentText(text=text) if self._written:
                self._messages.append({"role": "assistant", "content": text})
            case e.ToolCalled(id=tool_id, name=name, arguments=arguments, ephemeral=ephemeral) if not ephemeral:
                function = {"name": name, "arguments": json.dumps(arguments or {})}
                called = {"id": tool_id, "type": "function", "function": function}
                self._messages.append({"role": "assistant", "tool_calls": [called]})
            case e.ToolReturned(id=tool_id, ephemeral=True):
                # that it is kept nowhere is known only now
                self._messages = [m for m in self._messages if tool_id not in _calls_of(m)]
            case e.ToolReturned(id=tool_id, result=result, error=error):
                told = {"error": error} if error else result
                content = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
                self._messages.append({"role": "tool", "tool_call_id": tool_id, "content": content})


def number_of(message_id: str) -> int:
    """The number of the turn that a message is of; 0 where it is of none."""
    digits = message_id.rpartition("turn-")[2]
    return int(digits) if digits.isdecimal() else 0


def _calls_of(message: Mapping[str, Any]) -> set[str]:
    return {call["id"] for call in message.get("tool_calls", ())}


def chat_messages(dialect: PinecallChat, envelope: e.Envelope, session_id: str) -> Iterator[dict[str, Any]]:
    """What a program is told of a conversation in writing that it leads itself."""
    for message in dialect.outgoing(envelope):
        name = str(message.pop("event")).removeprefix("chat.")
        yield {"event": f"llm.chat.{name}", **message, "session_id": session_id}
