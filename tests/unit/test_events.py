from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from media_server import events as e
from media_server.errors import ClientError


def test_the_wire_form_has_the_envelope_and_the_fields() -> None:
    event = e.UserTranscript("turn-1", "hello", True, confidence=0.98765)
    assert e.wire(event, "call-1", 3, 1.23456) == {
        "type": "user.transcript", "call_id": "call-1", "seq": 3, "time": 1.235,
        "turn_id": "turn-1", "text": "hello", "final": True, "confidence": 0.988,
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
