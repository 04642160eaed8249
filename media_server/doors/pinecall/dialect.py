"""Pinecall: the events of its data channel, and its chat."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, assert_never

from pydantic import AliasChoices, BeforeValidator, Field, TypeAdapter, ValidationError

from media_server import events as e
from media_server.agents import Agent, TurnPreset
from media_server.call import Chat
from media_server.doors.pinecall.program_messages import ANY_LANGUAGE, language_of
from media_server.errors import ClientError, problems, understood
from media_server.foreign import ForeignModel

__all__ = ["MEMORY_OPS", "REASONS", "Pinecall", "PinecallChat", "chosen_at_start", "turn_number"]

OWN_DETECTORS = frozenset({"native", "smart_turn", "smart-turn", "vad"})
"""What it calls ways to find the end of a turn."""
LANGUAGE = re.compile("[a-z]{2,3}")
QUIET_DB = -45.0
"""Level above which the agent's voice counts as speech; no classifier is asked about it."""
SHORT_MS = 2000
"""An answer cut before this goes on in the next one."""


BY_CLIENT = frozenset({"client_hangup", "connection_lost", "connect_timeout"})
"""Ends of a call that its client brought about."""
REASONS = {
    "silence": "idle_timeout",
    "agent_hangup": "hangup",
    "operator_hangup": "hangup",
    "connect_timeout": "no_answer",
    "connection_lost": "failed",
    "internal_error": "failed",
    "server_shutdown": "failed",
}
"""Why calls end, in this product's words; others are the same, or ours alone."""
MEMORY_OPS = "memory.ops"
"""The event of what was learned about a contact."""
TURNS = {"turn.eager": "eager.turn", "turn.paused": "turn.pause", "turn.ended": "turn.end"}


def _language(tag: object) -> object:
    language = language_of(tag) if isinstance(tag, str) else ""
    return None if language in ANY_LANGUAGE else language


def _preset(given: object) -> object:
    """How turns are taken; its own names and forms of that change nothing."""
    return given if isinstance(given, str) and given not in OWN_DETECTORS else None


def _name(given: object) -> object:
    return given if isinstance(given, str) else None


class _Mute(ForeignModel):
    action: Literal["mute", "unmute"]


class _Configure(ForeignModel):
    action: Literal["configure"]
    language: Annotated[str | None, BeforeValidator(_language)] = None
    voice: Annotated[str | None, BeforeValidator(_name)] = None
    turn_detection: Annotated[TurnPreset | None, BeforeValidator(_preset)] = Field(
        None, validation_alias=AliasChoices("turn_detection", "turnDetection")
    )


class _InjectText(ForeignModel):
    action: Literal["inject_text"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _SetContext(ForeignModel):
    action: Literal["set_context"]
    key: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(max_length=4000)] | None = None


_ACTIONS: TypeAdapter[_Mute | _Configure | _InjectText | _SetContext] = TypeAdapter(
    Annotated[_Mute | _Configure | _InjectText | _SetContext, Field(discriminator="action")]
)


class _ChatMessage(ForeignModel):
    event: Literal["message"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _ChatContext(ForeignModel):
    event: Literal["set_context"]
    key: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(max_length=4000)] | None = None


_CHAT: TypeAdapter[_ChatMessage | _ChatContext] = TypeAdapter(
    Annotated[_ChatMessage | _ChatContext, Field(discriminator="event")]
)


class Pinecall:
    """One call's translation. Clients listen to snake_case names; those who listen to all know two otherwise."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._began_s = 0.0
        self._speech_began_s = self._speech_ended_s = 0.0
        """When the caller's speech began and ended."""
        self.cancelled = False
        """A program has stopped what is being said."""
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
                return [_update(**settings)] if settings else []

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        match envelope.event:
            case e.UserSpeechStarted(turn_id=turn):
                self._speech_began_s = envelope.time
                yield _event("speech.started", turn_id=turn_number(turn), confidence=1.0, timestamp=envelope.time)
            case e.UserSpeechStopped(turn_id=turn):
                self._speech_ended_s = envelope.time
                lasted_ms = round(1000 * (envelope.time - self._speech_began_s))
                yield _event("speech.ended", turn_id=turn_number(turn), duration_ms=lasted_ms, timestamp=envelope.time)
            case e.UserTranscript() as heard:
                if heard.text:
                    yield from self._heard(heard)
            case e.TurnEager() | e.TurnPaused() | e.TurnResumed() | e.TurnContinued() | e.TurnEnded() as turned:
                yield self._turn(turned, envelope.time)
            case e.StateChanged(state=state):
                if state == "thinking":
                    yield _event("llm.thinking")
            case e.AgentText(turn_id=turn, text=text):
                yield _event("llm.response", text=text, message_id=turn, finish_reason="stop")
            case e.AgentSpeechStarted(turn_id=turn):
                self._words, self._began_s = [], envelope.time
                yield _event("bot.speaking", message_id=turn, text="")
            case e.AgentWord(turn_id=turn, text=text):
                yield _event("bot.word", message_id=turn, word=text, word_index=len(self._words))
                self._words.append(text)
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
            case e.IdleWarning(remaining_s=left_s, silence_s=silence_s):
                for name in ("session.idle_warning", "session.idleWarning"):
                    yield _event(name, remaining_seconds=left_s, idle_timeout_seconds=silence_s or left_s)
            case e.CallPaused():
                yield _event("session.paused")
            case e.CallResumed():
                yield _event("session.resumed")
            case e.SkillLoaded(name=name, by=by) | e.SkillUnloaded(name=name, by=by):
                yield _event(envelope.event.type, name=name, skill=name, by=by)
            case e.AudioLevel() as level:
                yield _metrics(level, envelope.time)
            case e.AgentEvent(name=name, data=data):
                yield _own(name, data)
            case e.Error(code=code, message=message):
                yield _event("llm.error", error=message, code=code)
            case e.CallWarning(reason="credits_exhausted", remaining_s=left_s):
                yield _event("credits.exhausted", remaining_seconds=left_s)
            case e.CallEnded(reason=reason, duration_s=duration_s):
                # its client ends a call at this event alone; else it would show one until the connection fails
                told = REASONS.get(reason, reason)
                if reason not in BY_CLIENT:
                    yield _event("session.timeout", reason=told)
                yield _event("call.ended", reason=told, duration_seconds=duration_s)
            case (
                e.CallStarted() | e.CallEnding() | e.CallReconnecting() | e.CallReconnected() | e.CallForwarded()
                | e.CallQuality() | e.ConnectionChanged() | e.UserDtmf()
                | e.EmotionUpdated() | e.AgentTextDelta() | e.AgentSegmentStarted() | e.AgentSegmentStopped()
                | e.ToolDelayed() | e.AgentPrompted() | e.TurnMetrics() | e.CallWarning()
            ):  # fmt: skip
                return  # Pinecall has no message for it
            case other:
                assert_never(other)

    def _heard(self, heard: e.UserTranscript) -> Iterator[dict[str, Any]]:
        message_id = f"user-{heard.turn_id}"
        about: dict[str, Any] = {"text": heard.text, "message_id": message_id, "turn_id": turn_number(heard.turn_id)}
        about["confidence"] = heard.confidence or 1.0
        if not heard.final:
            yield _event("user.speaking", **about)
            return
        language = {"language": heard.language} if heard.language else {}
        yield _event("user.message", **about, **language)
        yield _event("message.confirmed", message_id=message_id)

    def _turn(
        self, turned: e.TurnEager | e.TurnPaused | e.TurnResumed | e.TurnContinued | e.TurnEnded, now_s: float
    ) -> dict[str, Any]:
        waited_ms = round(1000 * (now_s - self._speech_ended_s)) if self._speech_ended_s else 0
        about = {
            "turn_id": turn_number(turned.turn_id),
            "message_id": f"user-{turned.turn_id}",
            "latency_ms": waited_ms,
        }
        probability = 0.0 if isinstance(turned, e.TurnResumed | e.TurnContinued) else turned.probability
        name = TURNS.get(turned.type, turned.type)
        return _event(name, **about, text=turned.text, probability=probability, timestamp=now_s)

    def _stopped(self, stopped: e.AgentSpeechStopped, now_s: float) -> Iterator[dict[str, Any]]:
        turn, played_ms = stopped.turn_id, round(1000 * (now_s - self._began_s))
        if stopped.reason == "completed":
            yield _event("bot.finished", message_id=turn, text=stopped.heard, duration_ms=played_ms)
        else:
            reason = "continuation" if played_ms < SHORT_MS else "user_spoke"
            if self.cancelled:
                reason = "cancelled"
            last = {"last_word": self._words[-1]} if self._words else {}
            cut = {"played_ms": played_ms, "words_spoken": len(self._words), **last}
            yield _event("bot.interrupted", message_id=turn, **cut, reason=reason)
            if not stopped.heard:
                yield _event("message.aborted", message_id=turn, reason=reason)
        self.cancelled = False
        if stopped.heard:
            yield _event("message.confirmed", message_id=turn, text=stopped.heard)


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
                yield _own(name, data)
            case _:
                return  # a conversation in writing has no other parts


def chosen_at_start(config: Mapping[str, Any], agent: Agent, voices: Collection[str]) -> dict[str, str]:
    """What a page chooses with its offer and may: the call begins with it, as its `configure` would change it later."""
    language, voice = _language(config.get("language")), config.get("voice")
    chosen: dict[str, str] = {}
    if isinstance(language, str) and "language" in agent.client_settings and LANGUAGE.fullmatch(language):
        chosen["language"] = language
    if isinstance(voice, str) and voice and voice in voices and "voice" in agent.client_settings:
        chosen["voice"] = voice
    return chosen


def _update(**settings: Any) -> e.SessionUpdate:
    try:
        return e.SessionUpdate(type="session.update", **settings)
    except ValidationError as wrong:
        raise ClientError("bad_message", f"configure: {problems(wrong)}.") from wrong


def turn_number(turn_id: str) -> int:
    """The number of a turn, as this product counts them."""
    digits = turn_id.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _metrics(level: e.AudioLevel, now_s: float) -> dict[str, Any]:
    source = "bot" if level.who == "agent" else "user"
    energy_db = max(-60.0, 20 * math.log10(level.rms + 1e-9))
    probability = float(energy_db > QUIET_DB) if level.speech is None else level.speech
    about = {"rms": level.rms, "peak": level.peak, "is_speech": probability >= 0.5, "vad_prob": probability}
    about["timestamp"] = now_s
    return _event("audio.metrics", source=source, energy_db=round(energy_db, 1), **about)


def _called(called: e.ToolCalled) -> dict[str, str]:
    return {"id": called.id, "name": called.name, "arguments": json.dumps(called.arguments or {})}


def _result(returned: e.ToolReturned) -> Any:
    return returned.result if returned.error is None else {"error": returned.error}


def _own(name: str, data: Any) -> dict[str, Any]:
    """An event of the agent's own; what it remembers comes in this product's form."""
    return {"event": name, **data} if name == MEMORY_OPS and isinstance(data, dict) else _event(name, data=data)


def _event(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"event": kind, **fields}
