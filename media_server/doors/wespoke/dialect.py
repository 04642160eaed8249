"""Wespoke: what its SDK is told on the data channel, and the form of its call records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from media_server import events as e
from media_server import rfc3339

__all__ = ["ENDINGS", "Wespoke", "WespokeChat"]

ENDINGS = {
    "client_hangup": "client_disconnected", "agent_hangup": "agent_hangup", "forwarded": "agent_hangup",
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

    def outgoing(self, event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        turn = event.get("turn_id", "")
        match event["type"]:
            case "user.transcript" if event["text"]:
                self._sequence += 1
                stream = {"text": event["text"], "transcriptionId": f"user-{turn}", "isFinal": event["final"]}
                more = {"sequence": self._sequence, "isStreaming": not event["final"]}
                yield _message("transcription_stream", **stream, **more)
                if event["final"]:
                    yield _item(f"user-{turn}", "user", event["text"])
            case "agent.text_delta":
                first = turn not in self._so_far
                self._so_far[turn] = self._so_far.get(turn, "") + event["text"]
                yield _item(turn, "assistant", self._so_far[turn], complete=False, first=first)
            case "agent.text":
                self._so_far.pop(turn, None)
                yield _item(turn, "assistant", event["text"])
            case "agent.speech_stopped" if event["reason"] == "interrupted":
                yield _message("barge_in", messageId=turn, heard=event["heard"])
            case "tool.called":
                self._tools[event["id"]] = event["name"]
                details = {"id": event["id"], "arguments": event.get("arguments")}
                yield _message("tool_start", toolName=event["name"], toolType="function", toolDetails=details)
            case "tool.delayed":
                details = {"id": event["id"], "waited": event["waited_s"]}
                yield _message("tool_delayed", toolName=event["name"], toolType="function", toolDetails=details)
            case "tool.returned":
                failed = "error" in event
                details = {"id": event["id"], **{k: event[k] for k in ("result", "error") if k in event}}
                name = self._tools.pop(event["id"], "")
                kind = "tool_failed" if failed else "tool_complete"
                yield _message(kind, toolName=name, toolType="function", toolDetails=details)
            case "turn.metrics":
                yield _message("metrics", **{k: v for k, v in event.items() if k.endswith("_ms")})
            case "warning" if event["code"] == "call_ending":
                yield _message(
                    "call_ending", reason="max_duration", message=event["message"], remaining=event["remaining_s"]
                )
            case "call.ended":
                reason = ENDINGS.get(event["reason"], "error")
                yield _message("call_ending", reason=reason, message="The call is over.")


class WespokeChat:
    """One answer in writing: events by name, with their data, until `done`."""

    def __init__(self) -> None:
        self._so_far = ""
        self._begun = ""
        self._tools: dict[str, str] = {}

    def outgoing(self, event: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        turn = event.get("turn_id", "")
        match event["type"]:
            case "agent.text_delta":
                yield from self._begin(turn)
                self._so_far += event["text"]
                yield "message:chunk", {"accumulatedContent": self._so_far}
            case "agent.text":
                yield from self._begin(turn)
                message = {"id": turn, "role": "assistant", "content": event["text"], "timestamp": rfc3339.now()}
                yield "message:complete", {"message": message, "timestamp": message["timestamp"]}
            case "tool.called":
                self._tools[event["id"]] = event["name"]
                yield "tool:started", self._tool(event, arguments=event.get("arguments"))
            case "tool.returned" if "error" in event:
                yield "tool:failed", self._tool(event, error=event["error"])
            case "tool.returned":
                yield "tool:completed", self._tool(event, result=event.get("result"))
            case "knowledge.used":
                yield "knowledge:used", {"sources": event["sources"]}
            case "error":
                yield "error", {"code": event["code"], "message": event["message"]}
            case "state.changed" if event["state"] in ("listening", "ended"):
                yield "done", {}

    def _begin(self, turn: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._begun != turn:
            self._begun, self._so_far = turn, ""
            yield "message:start", {"messageId": turn}

    def _tool(self, event: Mapping[str, Any], **details: Any) -> dict[str, Any]:
        name = self._tools.get(event["id"], "")
        return {"toolName": name, "toolType": "function", "toolId": event["id"], "toolDetails": details}


def _message(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": rfc3339.now(), **fields}


def _item(item: str, role: str, text: str, complete: bool = True, first: bool = False) -> dict[str, Any]:
    state = {"isComplete": complete, "isFirstChunk": first, "isStreaming": not complete}
    return _message("conversation_item", id=item, role=role, content=text, **state)
