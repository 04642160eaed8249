"""The agent as a participant: a call's events as packets, and packets as messages of the client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from media_server import events as e
from media_server.doors.livekit.agent import MAX_STREAMS, MAX_TEXT, AgentParticipant
from media_server.doors.livekit.messages import decode_packet, encode_packet
from media_server.doors.livekit.participants import Participant, Room
from media_server.errors import ClientError
from media_server.events import AgentSay, ClientMessage, DtmfSend, TextSend, ToolResult


class Line:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.room = Room("room", "ada", "desk")
        self.agent: Any = None
        self.leave_reason = 0
        self.sent: list[dict[str, Any]] = []
        self.told: list[str] = []

    def send_packet(self, participant: Participant | None = None, /, **packet: Any) -> None:
        self.sent.append({"from": (participant or self.room.agent).identity, **packet})

    def tell(self, *participants: Participant) -> None:
        self.told += [each.attributes.get("lk.agent.state", "") for each in participants]


class Call:
    """Keeps what is received, and what was refused."""

    def __init__(self) -> None:
        self.messages: list[ClientMessage | str | bytes] = []
        self.refused: list[str] = []

    def receive(
        self, text: str | bytes, incoming: Callable[[str | bytes], Iterable[ClientMessage]] | None = None
    ) -> None:
        try:
            self.messages += incoming(text) if incoming else [text]
        except ClientError as refused:
            self.refused.append(refused.message)


def agent(natively: bool = True) -> tuple[AgentParticipant, Line, Call]:
    line, call = Line(), Call()
    participant: Any = AgentParticipant(call, line, natively)  # type: ignore[arg-type]
    return participant, line, call


def test_a_person_who_takes_over_is_a_participant_whose_words_they_are() -> None:
    participant, line, _ = agent()
    participant.note(e.CallPaused())
    person = line.room.person
    assert person
    assert [other.identity for other in line.room.others] == ["agent", "person"]
    assert line.room.info()["num_participants"] == 3
    for event in (e.AgentWord("turn-1", "Hello", 0.0, 0.3), e.AgentSpeechStopped("turn-1", "completed", "Hello")):
        participant.note(event)
    assert {packet["from"] for packet in line.sent} == {"person"}
    before, other = person.version, Line()
    participant.move(other)  # type: ignore[arg-type]
    assert other.room.person is person
    participant.note(e.CallResumed())
    assert (int(person.state), person.version) == (3, before + 1)
    assert other.room.person is None


def test_its_state_is_told_once_and_goes_with_it_to_another_line() -> None:
    participant, line, _ = agent()
    states: tuple[e.State, ...] = ("listening", "user_speaking", "thinking", "agent_speaking", "listening", "ended")
    for state in states:
        participant.note(e.StateChanged(state))
    assert line.told == ["listening", "thinking", "speaking", "listening"]
    versions = line.room.agent.version
    assert versions == 5
    another = Line()
    participant.move(another)  # type: ignore[arg-type]
    assert another.told == ["listening"]


def test_what_is_said_is_told_in_both_forms() -> None:
    participant, line, _ = agent()
    for word in ("Seven", "plus", "five."):
        participant.note(e.AgentWord("t", word, 0.0, 0.1))
    participant.note(e.AgentSpeechStopped("t", "interrupted", "Seven plus"))
    streams = [p for p in line.sent if "transcription" not in p]
    header = streams[0]["stream_header"]
    assert (header["topic"], header["attributes"]["lk.segment_id"]) == ("lk.transcription", "t")
    assert header["attributes"]["lk.transcribed_track_id"] == line.room.voice.sid
    chunks = [p["stream_chunk"] for p in streams if "stream_chunk" in p]
    assert b"".join(chunk["content"] for chunk in chunks) == b"Seven plus five."
    assert [chunk["chunk_index"] for chunk in chunks] == [0, 1, 2]
    assert streams[-1]["stream_trailer"]["attributes"] == {"lk.transcription_final": "true"}
    old = [p["transcription"]["segments"][0] for p in line.sent if "transcription" in p]
    assert [(s["text"], s["final"]) for s in old][-2:] == [("Seven plus five.", False), ("Seven plus", True)]


def test_what_the_caller_says_is_the_callers() -> None:
    participant, line, _ = agent()
    participant.note(e.UserTranscript("t", "hello", True, language="en"))
    assert {p["from"] for p in line.sent} == {"ada"}
    assert line.sent[0]["stream_header"]["attributes"]["lk.transcription_final"] == "true"
    assert line.sent[-1]["transcription"]["segments"][0]["language"] == "en"


def typed(participant: AgentParticipant, *chunks: bytes, stream: str = "s", topic: str = "lk.chat") -> None:
    participant.take({"stream_header": {"stream_id": stream, "topic": topic}})
    for index, chunk in enumerate(chunks):
        participant.take({"stream_chunk": {"stream_id": stream, "chunk_index": index, "content": chunk}})
    participant.take({"stream_trailer": {"stream_id": stream}})


def test_typed_messages_old_and_new() -> None:
    participant, _, call = agent(natively=False)
    typed(participant, b"wie geht\xc3", b"\xb6s")
    typed(participant, b"elsewhere", topic="other")
    old = json.dumps({"id": "1", "message": "hello", "timestamp": 5}).encode()
    participant.take({"user": {"payload": old, "topic": "lk-chat-topic"}})
    participant.take({"user": {"payload": b'{"type":"ping"}'}})
    assert [m.text for m in call.messages if isinstance(m, TextSend)] == ["wie gehtös", "hello"]
    assert call.messages[-1] == b'{"type":"ping"}'


def test_streams_are_bounded() -> None:
    participant, _, call = agent()
    typed(participant, b"x" * (MAX_TEXT + 1))
    for stream in map(str, range(MAX_STREAMS + 1)):
        participant.take({"stream_header": {"stream_id": stream, "topic": "lk.chat"}})
    typed(participant, b"")
    participant.take(None)
    assert len(call.refused) >= 3
    assert not call.messages


def test_client_tools_are_called_and_answer() -> None:
    participant, line, call = agent()
    for tool_call in ("1", "2", "3"):
        participant.note(e.ToolCalled(tool_call, "look", {"a": 1}, "client"))
    request = line.sent[0]["rpc_request"]
    assert (request["method"], request["payload"], request["version"]) == ("look", '{"a":1}', 1)
    participant.take({"rpc_ack": {"request_id": "1"}})
    participant.take({"rpc_response": {"request_id": "1", "payload": '{"b": 2}'}})
    participant.take({"rpc_response": {"request_id": "2", "error": {"code": 1500, "message": "no page"}}})
    participant.take({"rpc_response": {"request_id": "3", "payload": "plain"}})
    participant.take({"rpc_response": {"request_id": "4", "payload": "nobody asked"}})
    results = [(m.id, m.result, m.error) for m in call.messages if isinstance(m, ToolResult)]
    assert results == [("1", {"b": 2}, None), ("2", None, "no page"), ("3", "plain", None)]


def test_client_tools_of_other_dialects_are_theirs() -> None:
    participant, line, _ = agent(natively=False)
    participant.note(e.ToolCalled("1", "look", {}, "client"))
    assert not line.sent


@pytest.mark.parametrize(
    ("natively", "method", "payload", "code"),
    [
        (True, "agent.say", '{"text": "hi"}', None),
        (True, "agent.say", "{", 1500),
        (True, "agent.say", "[]", 1500),
        (True, "agent.say", '{"text": 5}', 1500),
        (True, "agent.fly", "", 1500),
        (True, "say", "", 1400),
        (False, "agent.say", '{"text": "hi"}', 1400),
    ],
)
def test_methods_of_the_agent(natively: bool, method: str, payload: str, code: int | None) -> None:
    participant, line, call = agent(natively)
    participant.take({"rpc_request": {"id": "1", "method": method, "payload": payload}})
    assert line.sent[0]["rpc_ack"] == {"request_id": "1"}
    assert line.sent[1]["rpc_response"].get("error", {}).get("code") == code
    assert [type(m) for m in call.messages] == ([AgentSay] if code is None else [])


@pytest.mark.parametrize(
    ("packet", "received"),
    [
        ({"sip_dtmf": {"code": 5, "digit": "5"}}, "5"),
        ({"sip_dtmf": {"digit": "#"}}, "#"),
        ({"sip_dtmf": {"code": 10}}, "*"),
        ({"sip_dtmf": {}}, "0"),
        ({"sip_dtmf": {"code": 99}}, None),
        ({"sip_dtmf": {"code": 1, "digit": "one"}}, None),
    ],
)
def test_keys_of_a_telephone_are_pressed(packet: dict[str, Any], received: str | None) -> None:
    participant, _, call = agent()
    participant.take(decode_packet(encode_packet(packet)))
    assert [m.digits for m in call.messages if isinstance(m, DtmfSend)] == ([received] if received else [])
    assert len(call.refused) == (received is None)


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ({"message": "hello"}, ["hello"]),
        ({"message": "hello", "edit_timestamp": 7}, []),
        ({"message": "", "deleted": 1}, []),
        ({"message": "hello", "generated": 1}, []),
    ],
)
def test_chat_messages_are_what_the_caller_types(message: dict[str, Any], typed: list[str]) -> None:
    participant, _, call = agent(natively=False)
    participant.take(decode_packet(encode_packet({"chat_message": message})))
    assert [m.text for m in call.messages if isinstance(m, TextSend)] == typed
    assert call.refused == []


def stream(text: str, stream_id: str) -> list[dict[str, Any]]:
    return [
        {"stream_header": {"stream_id": stream_id, "topic": "lk.chat"}},
        {"stream_chunk": {"stream_id": stream_id, "content": text.encode()}},
        {"stream_trailer": {"stream_id": stream_id}},
    ]


def legacy(topic: str = "lk-chat-topic", **message: Any) -> dict[str, Any]:
    return {"user": {"payload": json.dumps({"message": "hello", **message}).encode(), "topic": topic}}


@pytest.mark.parametrize(
    "packets",
    [
        # LiveKit's components send each message in two forms
        [*stream("hello", "m-1"), legacy(id="m-1", ignoreLegacy=True)],
        [*stream("hello", "m-1"), legacy(id="m-1", ignoreLegacy=False)],
        [*stream("hello", "m-1"), legacy(ignoreLegacy=True)],
        [{"chat_message": {"id": "m-1", "message": "hello"}}, legacy(id="m-1", ignore=False)],
        [{"chat_message": {"id": "m-1", "message": "hello"}}, legacy(id="m-1", ignore=True)],
        [legacy(id="m-1"), legacy("lk-chat-update-topic", id="m-1", message="hallo")],
        [legacy()],
        [legacy(id=7)],
    ],
)
def test_what_is_typed_is_answered_once(packets: list[dict[str, Any]]) -> None:
    participant, _, call = agent()
    for packet in packets:
        participant.take(decode_packet(encode_packet(packet)))
    assert [m.text for m in call.messages if isinstance(m, TextSend)] == ["hello"]
    assert (len(call.messages), call.refused) == (1, [])


def test_what_is_typed_again_is_said_again() -> None:
    participant, _, call = agent()
    for number in range(3):
        for packet in (*stream("yes", f"m-{number}"), legacy(message="yes"), legacy(message="yes", id=f"n-{number}")):
            participant.take(decode_packet(encode_packet(packet)))
    assert len(call.messages) == 9
