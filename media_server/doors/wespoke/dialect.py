"""Wespoke: what its SDK is told on the data channel, and the form of its call records."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, assert_never

from media_server import events as e

__all__ = ["ENDINGS", "Wespoke", "WespokeChat", "message_of"]

ENDINGS = {
    "client_hangup": "client_disconnected", "agent_hangup": "agent_hangup", "forwarded": "agent_hangup",
    "operator_hangup": "agent_hangup",
    "silence": "idle_timeout", "idle_timeout": "idle_timeout", "max_duration": "max_duration",
    "credits_exhausted": "credits_exhausted", "not_connected": "connection_lost",
    "connection_lost": "connection_lost", "connect_timeout": "connection_lost", "server_lost": "server_restart",
    "server_shutdown": "server_restart", "internal_error": "error",
}  # fmt: skip
"""Ours, and Wespoke's reasons for a call's end."""


class _Tools:
    """The tools that are at work, by the ids of their calls: their names, and since when."""

    def __init__(self) -> None:
        self._at_work: dict[str, tuple[str, float]] = {}

    def begin(self, called: e.ToolCalled, now_s: float) -> dict[str, Any]:
        """What is told of a tool that begins."""
        self._at_work[called.id] = called.name, now_s
        return _about_tool(called.name, {"id": called.id, "parameters": called.arguments})

    def end(self, returned: e.ToolReturned, now_s: float) -> dict[str, Any]:
        """What is told of one that is done."""
        name, began_s = self._at_work.pop(returned.id, ("", now_s))
        outcome = {k: v for k, v in (("result", returned.result), ("error", returned.error)) if v is not None}
        took_ms = round(1000 * (now_s - began_s))
        return _about_tool(name, {"id": returned.id, **outcome, "executionTime": took_ms})


class Wespoke:
    """One call's translation."""

    def __init__(self) -> None:
        self._sequence = 0
        self._so_far: dict[str, str] = {}
        self._tools = _Tools()

    def incoming(self, text: str | bytes) -> Sequence[e.ClientMessage]:
        """Its clients say everything by HTTP; programs written for us may say it here."""
        return (e.parse_client_message(text),)

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        match envelope.event:
            case e.UserTranscript(turn_id=turn, text=text, final=final):
                if text:
                    self._sequence += 1
                    stream = {"text": text, "transcriptionId": _id_of("user", turn), "isFinal": final}
                    more = {"sequence": self._sequence, "isStreaming": not final}
                    yield _message("transcription_stream", **stream, **more)
                    if final:
                        yield _item("user", turn, text)
            case e.AgentTextDelta(turn_id=turn, text=text):
                first = turn not in self._so_far
                self._so_far[turn] = self._so_far.get(turn, "") + text
                yield _item("assistant", turn, self._so_far[turn], complete=False, first=first)
            case e.AgentText(turn_id=turn, text=text):
                self._so_far.pop(turn, None)
                yield _item("assistant", turn, text)
            case e.AgentSpeechStopped(turn_id=turn, reason=reason, heard=heard):
                if reason == "interrupted":
                    yield _message("barge_in", messageId=turn, heard=heard)
            case e.ToolCalled() as called:
                yield _message("tool_start", **self._tools.begin(called, envelope.time))
            case e.ToolDelayed(id=tool_id, name=name, waited_s=waited_s):
                yield _message("tool_delayed", **_about_tool(name, {"id": tool_id, "waited": waited_s}))
            case e.ToolReturned(error=error) as returned:
                kind = "tool_complete" if error is None else "tool_failed"
                yield _message(kind, **self._tools.end(returned, envelope.time))
            case e.TurnMetrics(stages=stages, response_ms=response_ms):
                parts = {f"{name}_ms": ms for name, ms in stages.items()}
                yield _message("metrics", latency=response_ms, duration=round(envelope.time, 3), **parts)
            case e.CallWarning(code=code, message=message, remaining_s=left_s, reason=reason):
                if code == "call_ending":
                    why = ENDINGS.get(reason or "", "max_duration")
                    yield _message("call_ending", reason=why, message=message, remaining=left_s)
            case e.CallEnded(reason=reason):
                yield _message("call_ending", reason=ENDINGS.get(reason, "error"), message="The call is over.")
            case (
                e.SkillLoaded() | e.SkillUnloaded()
                | e.CallStarted() | e.CallEnding() | e.CallPaused() | e.CallResumed() | e.CallReconnecting()
                | e.CallReconnected() | e.CallForwarded() | e.StateChanged() | e.IdleWarning() | e.AudioLevel()
                | e.CallQuality() | e.ConnectionChanged() | e.UserDtmf()
                | e.UserSpeechStarted() | e.UserSpeechStopped() | e.TurnPaused() | e.TurnEager() | e.TurnResumed()
                | e.TurnContinued() | e.TurnEnded() | e.EmotionUpdated()
                | e.AgentSegmentStarted() | e.AgentSegmentStopped() | e.AgentSpeechStarted() | e.AgentWord()
                | e.AgentPrompted() | e.KnowledgeUsed() | e.AgentEvent() | e.Error()
            ):  # fmt: skip
                return  # Wespoke has no message for it
            case other:
                assert_never(other)


class WespokeChat:
    """One answer in writing: events by name, with their data, until `done`."""

    def __init__(self) -> None:
        self._so_far = ""
        self._begun = ""
        self._tools = _Tools()

    def outgoing(self, envelope: e.Envelope) -> Iterator[tuple[str, dict[str, Any]]]:
        now_ms = _ms(time.time())
        match envelope.event:
            case e.AgentTextDelta(turn_id=turn, text=text):
                yield from self._begin(turn)
                self._so_far += text
                yield "message:chunk", {"accumulatedContent": self._so_far}
            case e.AgentText(turn_id=turn, text=text):
                yield from self._begin(turn)
                message = message_of("assistant", turn, text, time.time())
                yield "message:complete", {"message": message, "timestamp": message["timestamp"]}
            case e.ToolCalled(id=tool_id) as called:
                yield (
                    "tool:started",
                    {**self._tools.begin(called, envelope.time), "toolId": tool_id, "timestamp": now_ms},
                )
            case e.ToolReturned(id=tool_id, error=error) as returned:
                told = {**self._tools.end(returned, envelope.time), "toolId": tool_id, "timestamp": now_ms}
                yield "tool:completed" if error is None else "tool:failed", told
            case e.KnowledgeUsed(sources=sources):
                yield "knowledge:used", {"sources": _documents(sources), "timestamp": now_ms}
            case e.Error(code=code, message=reason):
                yield "error", {"code": code, "message": reason}
            case e.StateChanged(state="listening" | "ended"):
                yield "done", {}
            case _:
                return  # one answer in writing has no other parts

    def _begin(self, turn: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._begun != turn:
            self._begun, self._so_far = turn, ""
            yield "message:start", {"messageId": _id_of("assistant", turn)}


def message_of(role: str, turn_id: str, text: str, at_s: float) -> dict[str, Any]:
    """What somebody said in a turn, at a time in seconds since the epoch; a call tells it by the same id again."""
    return {"id": _id_of(role, turn_id), "role": role, "content": text, "timestamp": _ms(at_s), "isComplete": True}


def _id_of(role: str, turn_id: str) -> str:
    return f"user-{turn_id}" if role == "user" else turn_id


def _ms(at_s: float) -> int:
    """Milliseconds since the epoch: its clients take times as numbers."""
    return round(1000 * at_s)


def _documents(sources: Iterable[e.KnowledgeSource]) -> list[str]:
    return list(dict.fromkeys(source.file for source in sources))


def _message(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": _ms(time.time()), **fields}


def _about_tool(name: str, details: Mapping[str, Any]) -> dict[str, Any]:
    return {"toolName": name, "toolType": "function", "toolDetails": details}


def _item(role: str, turn_id: str, text: str, complete: bool = True, first: bool = False) -> dict[str, Any]:
    about = message_of(role, turn_id, text, time.time())
    state = {"isComplete": complete, "isFirstChunk": first, "isStreaming": not complete}
    return {"type": "conversation_item", **about, **state}
