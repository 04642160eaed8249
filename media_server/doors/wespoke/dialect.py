"""Wespoke: what its SDK is told on the data channel, and the form of its call records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, assert_never

from media_server import events as e
from media_server import rfc3339

__all__ = ["ENDINGS", "Wespoke", "WespokeChat"]

ENDINGS = {
    "client_hangup": "client_disconnected", "agent_hangup": "agent_hangup", "forwarded": "agent_hangup",
    "operator_hangup": "agent_hangup",
    "silence": "idle_timeout", "idle_timeout": "idle_timeout", "max_duration": "max_duration",
    "credits_exhausted": "credits_exhausted", "not_connected": "connection_lost",
    "connection_lost": "connection_lost", "connect_timeout": "connection_lost", "server_lost": "server_restart",
    "server_shutdown": "server_restart", "internal_error": "error",
}  # fmt: skip
"""Ours, and Wespoke's reasons for a call's end."""


class Wespoke:
    """One call's translation."""

    def __init__(self) -> None:
        self._sequence = 0
        self._so_far: dict[str, str] = {}
        self._tools: dict[str, str] = {}

    def incoming(self, text: str | bytes) -> Sequence[e.ClientMessage]:
        """Its clients say everything by HTTP; programs written for us may say it here."""
        return (e.parse_client_message(text),)

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        match envelope.event:
            case e.UserTranscript(turn_id=turn, text=text, final=final):
                if text:
                    self._sequence += 1
                    stream = {"text": text, "transcriptionId": f"user-{turn}", "isFinal": final}
                    more = {"sequence": self._sequence, "isStreaming": not final}
                    yield _message("transcription_stream", **stream, **more)
                    if final:
                        yield _item(f"user-{turn}", "user", text)
            case e.AgentTextDelta(turn_id=turn, text=text):
                first = turn not in self._so_far
                self._so_far[turn] = self._so_far.get(turn, "") + text
                yield _item(turn, "assistant", self._so_far[turn], complete=False, first=first)
            case e.AgentText(turn_id=turn, text=text):
                self._so_far.pop(turn, None)
                yield _item(turn, "assistant", text)
            case e.AgentSpeechStopped(turn_id=turn, reason=reason, heard=heard):
                if reason == "interrupted":
                    yield _message("barge_in", messageId=turn, heard=heard)
            case e.ToolCalled(id=tool_id, name=name, arguments=arguments):
                self._tools[tool_id] = name
                yield _tool("tool_start", name, {"id": tool_id, "arguments": arguments})
            case e.ToolDelayed(id=tool_id, name=name, waited_s=waited_s):
                yield _tool("tool_delayed", name, {"id": tool_id, "waited": waited_s})
            case e.ToolReturned(id=tool_id, result=result, error=error):
                outcome = {k: v for k, v in (("result", result), ("error", error)) if v is not None}
                name = self._tools.pop(tool_id, "")
                yield _tool("tool_complete" if error is None else "tool_failed", name, {"id": tool_id, **outcome})
            case e.TurnMetrics(stages=stages):
                yield _message("metrics", **{f"{name}_ms": ms for name, ms in stages.items()})
            case e.CallWarning(code=code, message=message, remaining_s=left_s):
                if code == "call_ending":
                    yield _message("call_ending", reason="max_duration", message=message, remaining=left_s)
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
        self._tools: dict[str, str] = {}

    def outgoing(self, envelope: e.Envelope) -> Iterator[tuple[str, dict[str, Any]]]:
        match envelope.event:
            case e.AgentTextDelta(turn_id=turn, text=text):
                yield from self._begin(turn)
                self._so_far += text
                yield "message:chunk", {"accumulatedContent": self._so_far}
            case e.AgentText(turn_id=turn, text=text):
                yield from self._begin(turn)
                message = {"id": turn, "role": "assistant", "content": text, "timestamp": rfc3339.now()}
                yield "message:complete", {"message": message, "timestamp": message["timestamp"]}
            case e.ToolCalled(id=tool_id, name=name, arguments=arguments):
                self._tools[tool_id] = name
                yield "tool:started", self._tool(tool_id, arguments=arguments)
            case e.ToolReturned(id=tool_id, result=result, error=None):
                yield "tool:completed", self._tool(tool_id, result=result)
            case e.ToolReturned(id=tool_id, error=error):
                yield "tool:failed", self._tool(tool_id, error=error)
            case e.KnowledgeUsed(sources=sources):
                yield "knowledge:used", {"sources": [asdict(source) for source in sources]}
            case e.Error(code=code, message=reason):
                yield "error", {"code": code, "message": reason}
            case e.StateChanged(state="listening" | "ended"):
                yield "done", {}
            case _:
                return  # one answer in writing has no other parts

    def _begin(self, turn: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._begun != turn:
            self._begun, self._so_far = turn, ""
            yield "message:start", {"messageId": turn}

    def _tool(self, tool_id: str, **details: Any) -> dict[str, Any]:
        name = self._tools.get(tool_id, "")
        return {"toolName": name, "toolType": "function", "toolId": tool_id, "toolDetails": details}


def _message(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": rfc3339.now(), **fields}


def _tool(kind: str, name: str, details: Mapping[str, Any]) -> dict[str, Any]:
    return _message(kind, toolName=name, toolType="function", toolDetails=details)


def _item(item: str, role: str, text: str, complete: bool = True, first: bool = False) -> dict[str, Any]:
    state = {"isComplete": complete, "isFirstChunk": first, "isStreaming": not complete}
    return _message("conversation_item", id=item, role=role, content=text, **state)
