"""Pinecall: the events of its data channel, and its chat."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from media_server import events as e
from media_server.agents import TurnPreset
from media_server.errors import ClientError, problems, understood

__all__ = ["Pinecall", "PinecallChat"]

QUIET_DB = -45.0
"""Of the agent's voice, which needs nobody to tell whether it is speech."""
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

    def outgoing(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        turn = event.get("turn_id", "")
        match event["type"]:
            case "user.speech_started":
                yield _event("speech.started", turn_id=turn)
            case "user.speech_stopped":
                yield _event("speech.ended", turn_id=turn)
            case "user.transcript" if event["text"] and not event["final"]:
                yield _event("user.speaking", text=event["text"])
            case "user.transcript" if event["text"]:
                yield _event("user.message", text=event["text"], message_id=f"user-{turn}")
                yield _event("message.confirmed", message_id=f"user-{turn}")
            case "turn.eager" | "turn.paused" | "turn.resumed" | "turn.continued" as kind:
                name = {"turn.eager": "eager.turn", "turn.paused": "turn.pause"}.get(kind, kind)
                yield _event(name, text=event.get("text", ""), probability=event.get("probability", 0.0))
            case "turn.ended":
                yield _event("turn.end", text=event.get("text", ""), probability=event["probability"])
            case "state.changed" if event["state"] == "thinking":
                yield _event("llm.thinking")
            case "agent.text":
                yield _event("llm.response", text=event["text"], finish_reason="stop")
            case "agent.speech_started":
                self._words, self._began_s = 0, event["time"]
                yield _event("bot.speaking", message_id=turn, text="")
            case "agent.word":
                yield _event("bot.word", message_id=turn, word=event["text"], word_index=self._words)
                self._words += 1
            case "agent.speech_stopped":
                yield from self._stopped(event, turn)
            case "tool.called":
                self._tools[event["id"]] = event["name"]
                called = _called(event)
                for name in ("llm.tool_call", "llm.toolCall"):
                    yield _event(name, tool_calls=[called], toolCalls=[called], msg_id=event["id"])
            case "tool.returned":
                result = {"error": event["error"]} if "error" in event else event.get("result")
                name = self._tools.pop(event["id"], "")
                yield _event("llm.tool_result", tool_call_id=event["id"], name=name, result=result, msg_id=event["id"])
            case "knowledge.used":
                sources = [{**s, "title": s["title"] or s["file"]} for s in event["sources"]]
                yield _event("docs.sources", sources=sources)
            case "idle.warning":
                left = event["remaining_s"]
                for name in ("session.idle_warning", "session.idleWarning"):
                    yield _event(name, remaining_seconds=left, idle_timeout_seconds=left)
            case "call.paused" | "call.resumed" as kind:
                yield _event(f"session.{kind.removeprefix('call.')}")
            case "audio.level":
                yield _metrics(event)
            case "agent.event":
                yield _event(event["name"], data=event["data"])
            case "error":
                yield _event("llm.error", error=event["message"], code=event["code"])
            case "call.ended" if event["reason"] in ("silence", "max_duration", "idle_timeout"):
                reason = "max_duration" if event["reason"] == "max_duration" else "idle_timeout"
                yield _event("session.timeout", reason=reason)

    def _stopped(self, event: Mapping[str, Any], turn: str) -> Iterator[dict[str, Any]]:
        played_ms = round(1000 * (event["time"] - self._began_s))
        if event["reason"] == "completed":
            yield _event("bot.finished", message_id=turn, text=event["heard"], duration_ms=played_ms)
        else:
            reason = "continuation" if played_ms < SHORT_MS else "user_spoke"
            yield _event("bot.interrupted", message_id=turn, played_ms=played_ms, reason=reason)
        if event["heard"]:
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

    def outgoing(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        turn = event.get("turn_id", "")
        match event["type"]:
            case "session.opened":
                yield _event("chat.connected", session_id=event["session_id"])
                if "history" in event:
                    yield _event("chat.history", messages=event["history"])
            case "agent.text_delta":
                so_far = self._so_far[turn] = self._so_far.get(turn, "") + event["text"]
                text = so_far if self._cumulative else event["text"]
                yield _event("chat.token", message_id=turn, text=text, token=event["text"])
            case "agent.text":
                self._so_far.pop(turn, None)
                yield _event("chat.done", message_id=turn, text=event["text"])
            case "tool.called":
                self._tools[event["id"]] = event["name"]
                yield _event("chat.tool_call", tool_calls=[_called(event)])
            case "tool.returned":
                result = {"error": event["error"]} if "error" in event else event.get("result")
                name = self._tools.pop(event["id"], "")
                yield _event("chat.tool_result", tool_call_id=event["id"], name=name, result=result)
            case "error":
                yield _event("chat.error", error=event["message"], code=event["code"])
            case "agent.event":
                yield _event(event["name"], data=event["data"])


def _metrics(event: Mapping[str, Any]) -> dict[str, Any]:
    source = "bot" if event["who"] == "agent" else "user"
    energy_db = max(-60.0, 20 * math.log10(event["rms"] + 1e-9))
    probability = event.get("speech", float(energy_db > QUIET_DB))
    about = {"rms": event["rms"], "peak": event["peak"], "is_speech": probability >= 0.5, "vad_prob": probability}
    return _event("audio.metrics", source=source, energy_db=round(energy_db, 1), **about)


def _called(event: Mapping[str, Any]) -> dict[str, str]:
    return {"id": event["id"], "name": event["name"], "arguments": json.dumps(event.get("arguments") or {})}


def _event(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"event": kind, **fields}
