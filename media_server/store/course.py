"""What was said and done in a call, put together from its recorded events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from media_server.store.records import RecordedEvent, Records

__all__ = ["course"]


async def course(records: Records, call_id: str) -> dict[str, Any]:
    """What was said and done in a call."""
    events: list[RecordedEvent] = []
    while piece := await records.events(events[-1].id if events else 0, call_id):
        events += piece
    return _course(events)


def _course(events: Iterable[RecordedEvent]) -> dict[str, Any]:
    """What was said, the tools that were called, where the time went: each in the order in which it began."""
    transcript: list[dict[str, Any]] = []
    tools: dict[str, dict[str, Any]] = {}
    turns: list[dict[str, Any]] = []
    spoken: dict[str, dict[str, Any]] = {}
    knowledge: list[dict[str, Any]] = []
    quality: dict[str, float] = {}
    written = False
    for recorded in events:
        e = recorded.event
        match recorded.type:
            case "call.started":
                written = e.get("transport") == "chat"
            case "agent.text" if written:
                said = {k: e[k] for k in ("turn_id", "text")}
                said["interrupted"] = e.get("interrupted", False)
                transcript.append({"role": "assistant", "at_s": e["time"], **said})
            case "user.transcript" if e["text"]:
                words = e.get("words") or [{"start_s": e["time"], "end_s": e["time"]}]
                said = {k: e[k] for k in ("turn_id", "text", "confidence") if k in e}
                times = {"at_s": words[0]["start_s"], "until_s": words[-1]["end_s"]}
                transcript.append({"role": "user", **times, **said})
            case "agent.speech_started":
                spoken[e["turn_id"]] = {"role": "assistant", "at_s": e["time"], "turn_id": e["turn_id"], "text": ""}
                transcript.append(spoken[e["turn_id"]])
            case "agent.speech_stopped" if e["turn_id"] in spoken:
                heard = {"text": e["heard"], "interrupted": e["reason"] == "interrupted", "until_s": e["time"]}
                spoken[e["turn_id"]] |= heard
            case "tool.called":
                called = {k: e[k] for k in ("id", "name", "arguments", "runs_at", "ephemeral") if k in e}
                tools[e["id"]] = {"at_s": e["time"], **called}
            case "tool.returned" if e["id"] in tools:
                tools[e["id"]] |= {k: e[k] for k in ("result", "error") if k in e} | {"returned_at_s": e["time"]}
            case "call.quality":
                quality = {k: v for k, v in e.items() if k not in ("type", "call_id", "seq", "time")}
            case "call.ended":
                quality = e.get("quality", {})
            case "knowledge.used":
                knowledge.append({"at_s": e["time"]} | {k: e[k] for k in ("turn_id", "query", "sources")})
            case "turn.metrics":
                turns.append({k: v for k, v in e.items() if k not in ("type", "call_id", "seq")})
    said_and_done = {"transcript": transcript, "tools": list(tools.values()), "knowledge": knowledge, "turns": turns}
    return said_and_done | ({"quality": quality} if quality else {})
