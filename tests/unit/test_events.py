from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from media_server import events as e
from media_server.errors import ClientError


def test_the_wire_form_has_the_envelope_and_the_fields() -> None:
    event = e.settled(e.UserTranscript("turn-1", "hello", True, confidence=0.98765))
    assert e.Envelope("call-1", 3, 1.235, event).wire == {
        "type": "user.transcript", "call_id": "call-1", "seq": 3, "time": 1.235,
        "turn_id": "turn-1", "text": "hello", "final": True, "confidence": 0.988,
    }  # fmt: skip


def test_what_comes_from_code_is_not_rounded_and_what_is_nested_is() -> None:
    word = e.TranscriptWord("half \ud83d", 0.12345, 0.5, 0.98765)
    event = e.settled(e.UserTranscript("turn-1", "hello", True, words=(word,)))
    assert event.words == (e.TranscriptWord("half ?", 0.123, 0.5, 0.988),)
    wire = e.Envelope("call-1", 3, 1.235, event).wire
    assert wire["words"] == [{"text": "half ?", "start_s": 0.123, "end_s": 0.5, "confidence": 0.988}]
    assert e.settled(e.AgentEvent("x", {"share": 0.123456})).data == {"share": 0.123456}
    assert e.settled(e.ToolReturned("1", 0.123456)).result == 0.123456


def test_what_is_ephemeral_is_not_kept() -> None:
    called = e.Envelope("call-1", 0, 0.0, e.ToolCalled("1", "pin", {"pin": "1234"}, "client", True))
    returned = e.Envelope("call-1", 1, 0.0, e.ToolReturned("1", "1234", ephemeral=True))
    assert (called.wire["arguments"], returned.wire["result"]) == ({"pin": "1234"}, "1234")
    assert "1234" not in f"{called.kept.wire} {returned.kept.wire}"
    spoken = e.Envelope("call-1", 2, 0.0, e.AgentText("turn-1", "hi"))
    assert spoken.kept is spoken


def test_an_end_that_no_call_told_has_no_place_in_it() -> None:
    ended = e.Envelope.afterwards("call-1", e.CallEnded("not_connected", 0.0))
    assert ended.wire == {
        "type": "call.ended", "call_id": "call-1", "reason": "not_connected", "duration_s": 0.0
    }  # fmt: skip


def test_every_event_has_a_type_of_its_own() -> None:
    kinds = [cls.type for cls in e.Event.__args__]
    assert len(set(kinds)) == len(kinds)
    assert all("." in k or k in ("warning", "error") for k in kinds)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type":"text.send","text":"hi"}', e.TextSend),
        ('{"type":"agent.say","text":"hi"}', e.AgentSay),
        ('{"type":"agent.interrupt"}', e.AgentInterrupt),
        ('{"type":"session.update","turns":"fast"}', e.SessionUpdate),
        ('{"type":"tool.result","id":"1","result":{"a":1}}', e.ToolResult),
        ('{"type":"user.mute","muted":true}', e.UserMute),
        ('{"type":"call.end"}', e.CallEnd),
        (b'{"type":"ping"}', e.Ping),
    ],
)
def test_messages_of_a_client(text: str | bytes, kind: type) -> None:
    assert isinstance(e.parse_client_message(text), kind)


@given(st.one_of(st.text(max_size=100), st.binary(max_size=100)))
def test_anything_else_is_refused_with_a_sentence(text: str | bytes) -> None:
    # hypothesis tries the strings of the source code too, and there are messages among them
    assume((b'"type"' if isinstance(text, bytes) else '"type"') not in text)  # type: ignore[operator]
    with pytest.raises(ClientError) as refused:
        e.parse_client_message(text)
    assert refused.value.code == "bad_message"


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(ClientError, match=r"user\.mute\.muted"):
        e.parse_client_message('{"type":"user.mute","muted":"perhaps"}')
