"""Pinecall's call log: entries that are the same whenever they are read."""

from __future__ import annotations

from itertools import count
from typing import Any

from media_server.doors.pinecall.call_log import AgentLog, CallLog, newest_event
from media_server.store import CallRecord
from media_server.store.records import RecordedEvent

CALL = CallRecord("call-1", "", "desk", "completed", 1000.0, 1009.0, "agent_hangup", 0.25, {}, "ada", "hello", 1, 400.0)
TURN = {"turn_id": "turn-1"}
FIGURES = {"endpoint_ms": 100.0, "stt_ms": 40.0, "llm_first_token_ms": 200.0, "llm_first_clause_ms": 220.0}
FIGURES |= {"tts_first_audio_ms": 60.0, "playout_ms": 20.0, "response_ms": 420.0}
SPOKEN: list[tuple[str, dict[str, Any]]] = [
    ("call.started", {"agent": "desk", "metadata": {"userId": "ada"}, "transport": "webrtc"}),
    ("user.speech_started", TURN),
    ("user.speech_stopped", TURN),
    ("user.transcript", TURN | {"text": "where is my order", "final": True, "language": "en"}),
    ("tool.called", {"id": "tool-1", "name": "look", "arguments": {"order": 4}, "runs_at": "server"}),
    ("tool.returned", {"id": "tool-1", "result": {"status": "shipped"}}),
    ("agent.speech_started", TURN),
    ("agent.text", TURN | {"text": "It was shipped today."}),
    ("agent.speech_stopped", TURN | {"reason": "interrupted", "heard": "It was"}),
    ("turn.metrics", TURN | FIGURES),
    ("call.paused", {}),
    ("call.ended", {"reason": "agent_hangup", "duration_s": 9.0}),
]


def recorded(events: list[tuple[str, dict[str, Any]]]) -> list[RecordedEvent]:
    ids = count(7)
    return [
        RecordedEvent(next(ids), {"type": kind, "call_id": CALL.id, "seq": at, "time": at / 2, **fields})
        for at, (kind, fields) in enumerate(events)
    ]


def read(events: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    log = CallLog(CALL)
    entries = [each for event in recorded(events) for each in log.entries(event)]
    return [*entries, log.summary()] if "call.ended" in dict(events) else entries


def test_a_spoken_call_as_its_log() -> None:
    entries = read(SPOKEN)
    assert [each["type"] for each in entries] == [
        "call.started", "turn.start", "user.speaking", "user.speaking", "user.message", "tool.call", "tool.result",
        "bot.speaking", "bot.speaking", "bot.interrupted", "bot.corrected", "turn.end", "handoff.active",
        "call.ended", "call.summary",
    ]  # fmt: skip
    cursors = [each["seq"] for each in entries]
    assert cursors == sorted(set(cursors))
    assert entries == read(SPOKEN)
    assert {(each["call"], each["agent"]) for each in entries} == {("call-1", "desk")}
    of = {each["type"]: each["data"] for each in entries}
    assert entries[0]["ts"] == 1000.0
    assert (of["call.started"]["from"], of["call.started"]["channel"]) == ("ada", "webrtc")
    assert of["user.message"] == {"id": "user-turn-1", "text": "where is my order", "final": True, "language": "en"}
    assert of["tool.result"] == {"id": "tool-1", "name": "look", "result": {"status": "shipped"}, "ms": 500}
    assert of["bot.interrupted"] == {"id": "turn-1", "at_word": 2}
    spoken = [each for each in entries if each["type"] == "bot.speaking"]
    assert of["bot.corrected"] == {"supersedes": spoken[0]["seq"], "id": "turn-1", "text": "It was"}
    assert of["turn.end"]["latency"]["e2e"] == 0.42
    assert of["call.summary"]["metrics"]["e2e"] == {"p50": 0.42, "p90": 0.42, "p95": 0.42, "max": 0.42, "n": 1}
    assert (of["call.ended"]["reason"], of["call.summary"]["cost"]) == ("hangup", 0.25)


def test_what_is_learned_when_the_call_is_over_is_in_its_log_before_it_is_sealed() -> None:
    ended, learned = recorded([SPOKEN[-1], ("agent.event", {"name": "memory.ops", "data": {"final": True}})])
    without_time = {k: v for k, v in learned.event.items() if k not in ("seq", "time")}
    log = CallLog(CALL)
    entries = [*log.entries(ended), *log.entries(RecordedEvent(learned.id, without_time)), log.summary()]
    assert [each["type"] for each in entries] == ["call.ended", "memory.ops", "call.summary"]
    assert entries[1]["data"] == {"final": True}
    cursors = [each["seq"] for each in entries]
    assert cursors == sorted(set(cursors))
    assert [each["ts"] for each in entries] == [1000.0] * 3


def test_a_reply_in_writing_is_finished_with_its_words() -> None:
    entries = read([("call.started", SPOKEN[0][1] | {"transport": "chat"}), ("agent.text", TURN | {"text": "Hi."})])
    assert [each["type"] for each in entries] == ["call.started", "bot.speaking", "bot.finished"]
    assert entries[1]["data"] == {"id": "turn-1", "text": "Hi."}


def test_the_log_of_an_agent_names_its_calls_and_nothing_that_was_said() -> None:
    first, last = recorded([SPOKEN[0], SPOKEN[-1]])
    log = AgentLog("desk")
    started, ended = (entry for event in (first, last) for entry in log.entries(event, CALL))
    assert [started["call"], started["data"]["call"], ended["data"]["call"]] == [None, "call-1", "call-1"]
    assert [each["type"] for each in (started, ended)] == ["call.started", "call.ended"]
    assert newest_event(started["seq"]) == first.id
