"""Pinecall: the events of its data channel, and its chat."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from media_server import events as e
from media_server.agents import TurnPreset
from media_server.call import Chat
from media_server.errors import ClientError, problems, understood

__all__ = ["Pinecall", "PinecallChat"]

QUIET_DB = -45.0
"""Level above which the agent's voice counts as speech; no classifier is asked about it."""
SHORT_MS = 2000
"""An answer cut before this goes on in the next one."""


class _Action(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Mute(_Action):
    action: Literal["mute", "unmute"]


class _Configure(_Action):
    action: Literal["configure"]
    language: str | None = None
    voice: str | None = None
    turn_detection: TurnPreset | None = None


class _InjectText(_Action):
    action: Literal["inject_text"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _SetContext(_Action):
    action: Literal["set_context"]
    key: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(max_length=4000)] | None = None


_ACTIONS: TypeAdapter[_Mute | _Configure | _InjectText | _SetContext] = TypeAdapter(
    Annotated[_Mute | _Configure | _InjectText | _SetContext, Field(discriminator="action")]
)


class _ChatMessage(_Action):
    event: Literal["message"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _ChatContext(_Action):
    event: Literal["set_context"]
    key: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(max_length=4000)] | None = None


_CHAT: TypeAdapter[_ChatMessage | _ChatContext] = TypeAdapter(
    Annotated[_ChatMessage | _ChatContext, Field(discriminator="event")]
)


class Pinecall:
    """One call's translation. Clients listen to snake_case names; those who listen to all know two otherwise."""

    def __init__(self) -> None:
        self._words = 0
        self._played_ms = 0.0
        self._began_s = 0.0
        self._tools: dict[str, str] = {}

    def incoming(self, text: str | bytes) -> list[e.ClientMessage]:
        if text in ("ping", b"ping"):
            return [e.Ping(type="ping")]
        match understood(_ACTIONS.validate_json, text):
            case _Mute(action=what):
                return [e.UserMute(type="user.mute", muted=what == "mute")]
            case _InjectText(text=said):
                return [e.TextSend(type="text.send", text=said)]
            case _SetContext(key=key, value=value):
                return [e.ContextSet(type="context.set", key=key, value=value)]
            case _Configure() as wanted:
                settings = wanted.model_dump(exclude_none=True, exclude={"action", "turn_detection"})
                if wanted.turn_detection:
                    settings["turns"] = wanted.turn_detection
                try:
                    return [e.SessionUpdate(type="session.update", **settings)]
                except ValidationError as wrong:
                    raise ClientError("bad_message", f"configure: {problems(wrong)}.") from wrong

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        match envelope.event:
            case e.UserSpeechStarted(turn_id=turn):
                yield _event("speech.started", turn_id=turn)
            case e.UserSpeechStopped(turn_id=turn):
                yield _event("speech.ended", turn_id=turn)
            case e.UserTranscript(turn_id=turn, text=text, final=final):
                if text and not final:
                    yield _event("user.speaking", text=text)
                elif text:
                    yield _event("user.message", text=text, message_id=f"user-{turn}")
                    yield _event("message.confirmed", message_id=f"user-{turn}")
            case e.TurnEager(text=text, probability=probability):
                yield _event("eager.turn", text=text, probability=probability)
            case e.TurnPaused(text=text, probability=probability):
                yield _event("turn.pause", text=text, probability=probability)
            case e.TurnResumed(text=text) | e.TurnContinued(text=text):
                yield _event(envelope.event.type, text=text, probability=0.0)
            case e.TurnEnded(text=text, probability=probability):
                yield _event("turn.end", text=text, probability=probability)
            case e.StateChanged(state=state):
                if state == "thinking":
                    yield _event("llm.thinking")
            case e.AgentText(text=text):
                yield _event("llm.response", text=text, finish_reason="stop")
            case e.AgentSpeechStarted(turn_id=turn):
                self._words, self._began_s = 0, envelope.time
                yield _event("bot.speaking", message_id=turn, text="")
            case e.AgentWord(turn_id=turn, text=text):
                yield _event("bot.word", message_id=turn, word=text, word_index=self._words)
                self._words += 1
            case e.AgentSpeechStopped() as stopped:
                yield from self._stopped(stopped, envelope.time)
            case e.ToolCalled(id=tool_id, name=tool) as called:
                self._tools[tool_id] = tool
                calls = [_called(called)]
                for name in ("llm.tool_call", "llm.toolCall"):
                    yield _event(name, tool_calls=calls, toolCalls=calls, msg_id=tool_id)
            case e.ToolReturned(id=tool_id) as returned:
                result, name = _result(returned), self._tools.pop(tool_id, "")
                yield _event("llm.tool_result", tool_call_id=tool_id, name=name, result=result, msg_id=tool_id)
            case e.KnowledgeUsed(sources=sources):
                shown = [{**asdict(s), "title": s.title or s.file} for s in sources]
                yield _event("docs.sources", sources=shown)
            case e.IdleWarning(remaining_s=left_s):
                for name in ("session.idle_warning", "session.idleWarning"):
                    yield _event(name, remaining_seconds=left_s, idle_timeout_seconds=left_s)
            case e.CallPaused():
                yield _event("session.paused")
            case e.CallResumed():
                yield _event("session.resumed")
            case e.AudioLevel() as level:
                yield _metrics(level)
            case e.AgentEvent(name=name, data=data):
                yield _event(name, data=data)
            case e.Error(code=code, message=message):
                yield _event("llm.error", error=message, code=code)
            case e.CallEnded(reason=reason):
                if reason in ("silence", "max_duration", "idle_timeout"):
                    why = "max_duration" if reason == "max_duration" else "idle_timeout"
                    yield _event("session.timeout", reason=why)
            case (
                e.CallStarted() | e.CallEnding() | e.CallReconnecting() | e.CallReconnected() | e.CallForwarded()
                | e.CallQuality() | e.ConnectionChanged() | e.UserDtmf()
                | e.EmotionUpdated() | e.AgentTextDelta() | e.AgentSegmentStarted() | e.AgentSegmentStopped()
                | e.ToolDelayed() | e.AgentPrompted() | e.TurnMetrics() | e.Warning_()
            ):  # fmt: skip
                return  # Pinecall has no message for it
            case other:
                assert_never(other)

    def _stopped(self, stopped: e.AgentSpeechStopped, now_s: float) -> Iterator[dict[str, Any]]:
        turn, played_ms = stopped.turn_id, round(1000 * (now_s - self._began_s))
        if stopped.reason == "completed":
            yield _event("bot.finished", message_id=turn, text=stopped.heard, duration_ms=played_ms)
        else:
            reason = "continuation" if played_ms < SHORT_MS else "user_spoke"
            yield _event("bot.interrupted", message_id=turn, played_ms=played_ms, reason=reason)
        if stopped.heard:
            yield _event("message.confirmed", message_id=turn)


class PinecallChat:
    """A conversation in writing.

    Args:
        cumulative: each piece of an answer comes with all before it, for the door whose client replaces what it shows.
    """

    def __init__(self, cumulative: bool) -> None:
        self._cumulative = cumulative
        self._so_far: dict[str, str] = {}
        self._tools: dict[str, str] = {}

    def incoming(self, text: str | bytes) -> list[e.ClientMessage]:
        message = understood(_CHAT.validate_json, text)
        if isinstance(message, _ChatContext):
            return [e.ContextSet(type="context.set", key=message.key, value=message.value)]
        return [e.TextSend(type="text.send", text=message.text)]

    def opened(self, conversation: Chat, history: Sequence[Mapping[str, str]] | None) -> Iterator[dict[str, Any]]:
        """The first messages on the socket; `history` is what was said before, where the client is told it."""
        yield _event("chat.connected", session_id=conversation.id)
        if history is not None:
            yield _event("chat.history", messages=history)

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        match envelope.event:
            case e.AgentTextDelta(turn_id=turn, text=piece):
                so_far = self._so_far[turn] = self._so_far.get(turn, "") + piece
                text = so_far if self._cumulative else piece
                yield _event("chat.token", message_id=turn, text=text, token=piece)
            case e.AgentText(turn_id=turn, text=text):
                self._so_far.pop(turn, None)
                yield _event("chat.done", message_id=turn, text=text)
            case e.ToolCalled(id=tool_id, name=name) as called:
                self._tools[tool_id] = name
                yield _event("chat.tool_call", tool_calls=[_called(called)])
            case e.ToolReturned(id=tool_id) as returned:
                name = self._tools.pop(tool_id, "")
                yield _event("chat.tool_result", tool_call_id=tool_id, name=name, result=_result(returned))
            case e.Error(code=code, message=message):
                yield _event("chat.error", error=message, code=code)
            case e.AgentEvent(name=name, data=data):
                yield _event(name, data=data)
            case _:
                return  # a conversation in writing has no other parts


def _metrics(level: e.AudioLevel) -> dict[str, Any]:
    source = "bot" if level.who == "agent" else "user"
    energy_db = max(-60.0, 20 * math.log10(level.rms + 1e-9))
    probability = float(energy_db > QUIET_DB) if level.speech is None else level.speech
    about = {"rms": level.rms, "peak": level.peak, "is_speech": probability >= 0.5, "vad_prob": probability}
    return _event("audio.metrics", source=source, energy_db=round(energy_db, 1), **about)


def _called(called: e.ToolCalled) -> dict[str, str]:
    return {"id": called.id, "name": called.name, "arguments": json.dumps(called.arguments or {})}


def _result(returned: e.ToolReturned) -> Any:
    return returned.result if returned.error is None else {"error": returned.error}


def _event(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"event": kind, **fields}
