"""Pinecall's call log: the recorded events of a call, or of an agent's calls, as entries with a cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from media_server.agents import contact_of
from media_server.doors.pinecall.dialect import MEMORY_OPS, REASONS, turn_number
from media_server.store import CallRecord
from media_server.store.records import RecordedEvent

__all__ = ["LIFECYCLE", "AgentLog", "CallLog", "entry", "newest_event"]

ENTRIES = 4
"""Cursors that an event has for its entries; it never makes more."""
LIFECYCLE = ("call.started", "call.ended")
"""Events of an agent's log."""
FIGURES = {"asr": "stt_ms", "eou": "endpoint_ms", "llm_ttft": "llm_first_token_ms", "tts_ttfb": "tts_first_audio_ms",
           "e2e": "response_ms"}  # fmt: skip
"""A turn's latencies, by our names of them."""
SUMMED_UP = ("e2e", "asr", "llm_ttft", "tts_ttfb")


class CallLog:
    """One call's log. Its entries are the same whenever it is read."""

    def __init__(self, call: CallRecord) -> None:
        self.call = call
        self._turns: set[int] = set()
        self._texts: dict[str, str] = {}
        """Replies whose words are known, by turn."""
        self._speaking: dict[str, int] = {}
        """The entries with which replies began to be heard, by turn."""
        self._tools: dict[str, tuple[str, float]] = {}
        self._latencies: list[dict[str, float]] = []
        self._written = False
        self._last = (0, 0.0)
        """The last event, and its time in the call: what is noted afterwards has none."""
        self._reason = ""

    def entries(self, recorded: RecordedEvent) -> Iterator[dict[str, Any]]:
        """What an event adds to the log."""
        self._last = recorded.id, recorded.event.get("time", self._last[1])
        for at, (kind, data) in enumerate(self._added(recorded)):
            seq = recorded.id * ENTRIES + at
            if kind == "bot.speaking":
                self._speaking.setdefault(data["id"], seq)
            yield self._entry(seq, kind, data)

    def summary(self) -> dict[str, Any]:
        """The entry with which the log of a call that is over is sealed."""
        metrics = {name: _distribution([each[name] for each in self._latencies]) for name in SUMMED_UP}
        cost = {} if self.call.cost is None else {"cost": self.call.cost}
        summed_up = {"metrics": metrics, "reason": self._reason, **cost}
        return self._entry(self._last[0] * ENTRIES + 1, "call.summary", summed_up)

    def _entry(self, seq: int, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        return entry(seq, self.call.started_at + self._last[1], self.call.id, self.call.agent, kind, data)

    def _added(self, recorded: RecordedEvent) -> Iterator[tuple[str, dict[str, Any]]]:
        event = recorded.event
        match recorded.type:
            case "call.started":
                self._written = event["transport"] == "chat"
                yield "call.started", started(event)
            case "user.speech_started":
                yield from self._begun(event["turn_id"])
                yield "user.speaking", {"active": True}
            case "user.speech_stopped":
                yield "user.speaking", {"active": False}
            case "user.transcript" if event["text"]:
                yield from self._begun(event["turn_id"])
                language = {"language": event["language"]} if event.get("language") else {}
                about = {"id": f"user-{event['turn_id']}", "text": event["text"], "final": True}
                yield "user.message", about | language
            case "agent.text":
                yield from self._replied(event["turn_id"], event["text"])
            case "agent.speech_started":
                turn = event["turn_id"]
                yield "bot.speaking", {"id": turn, "text": self._texts.get(turn, "")}
            case "agent.speech_stopped":
                yield from self._stopped(event["turn_id"], event["reason"] == "completed", event["heard"])
            case "turn.metrics":
                latency = {name: event[ours] / 1000 for name, ours in FIGURES.items()}
                self._latencies.append(latency)
                yield "turn.end", {"turn": turn_number(event["turn_id"]), "latency": latency}
            case "tool.called":
                self._tools[event["id"]] = event["name"], event["time"]
                yield "tool.call", {"id": event["id"], "name": event["name"], "args": event["arguments"] or {}}
            case "tool.returned":
                name, called_s = self._tools.get(event["id"], ("", event["time"]))
                result = {"id": event["id"], "name": name, "result": event.get("result")}
                error = {"error": event["error"]} if event.get("error") else {}
                yield "tool.result", result | {"ms": round(1000 * (event["time"] - called_s))} | error
            case "knowledge.used":
                yield "docs.sources", {"sources": [s | {"title": s["title"] or s["file"]} for s in event["sources"]]}
            case "skill.loaded" | "skill.unloaded" as kind:
                yield kind, {"skill": event["name"], "by": event["by"]}
            case "agent.event" if event["name"] == MEMORY_OPS:
                yield MEMORY_OPS, event["data"]
            case "call.paused":
                yield "handoff.active", {"by": "operator"}
            case "call.resumed":
                yield "handoff.released", {"by": "operator"}
            case "call.ended":
                self._reason = ended(event)["reason"]
                yield "call.ended", ended(event)

    def _begun(self, turn_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        turn = turn_number(turn_id)
        if turn not in self._turns:
            self._turns.add(turn)
            yield "turn.start", {"turn": turn, "role": "user"}

    def _replied(self, turn: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The words of a reply are known; in writing that is all of it."""
        self._texts[turn] = text
        if self._written or turn in self._speaking:
            yield "bot.speaking", {"id": turn, "text": text}
        if self._written:
            yield "bot.finished", {"id": turn}

    def _stopped(self, turn: str, completed: bool, heard: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """A reply has ended; of one that was interrupted the caller heard less than was to be said."""
        if completed:
            yield "bot.finished", {"id": turn}
            return
        yield "bot.interrupted", {"id": turn, "at_word": len(heard.split())}
        if turn in self._speaking:
            yield "bot.corrected", {"supersedes": self._speaking[turn], "id": turn, "text": heard}


class AgentLog:
    """Which calls an agent has, and had."""

    def __init__(self, agent: str) -> None:
        self._agent = agent

    def entries(self, recorded: RecordedEvent, call: CallRecord) -> Iterator[dict[str, Any]]:
        """What an event of `LIFECYCLE` adds to the log."""
        event = recorded.event
        told = started(event) if recorded.type == "call.started" else ended(event)
        seq, time_s = recorded.id * ENTRIES, call.started_at + event["time"]
        yield entry(seq, time_s, None, self._agent, recorded.type, {"call": call.id, **told})


def entry(
    seq: int, time_s: float, call_id: str | None, agent: str, kind: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The envelope. What is superseded later is `ephemeral`."""
    passing = kind == "user.speaking"
    return {
        "seq": seq, "ts": round(time_s, 3), "call": call_id, "agent": agent, "type": kind, "ephemeral": passing,
        "data": data,
    }  # fmt: skip


def newest_event(cursor: int) -> int:
    """The id of the event that an entry is of."""
    return cursor // ENTRIES


def started(event: Mapping[str, Any]) -> dict[str, Any]:
    about = {"direction": "inbound", "from": contact_of(event["metadata"]) or event["transport"], "to": event["agent"]}
    return about | {"channel": event["transport"], "metadata": event["metadata"]}


def ended(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"reason": REASONS.get(event["reason"], event["reason"]), "duration": event["duration_s"]}


def _distribution(seconds: Sequence[float]) -> dict[str, float]:
    """Nearest-rank percentiles; zeros where there is nothing."""
    ranked = sorted(seconds)

    def share(percent: int) -> float:
        return ranked[-(-len(ranked) * percent // 100) - 1] if ranked else 0.0

    return {"p50": share(50), "p90": share(90), "p95": share(95), "max": share(100), "n": len(ranked)}
