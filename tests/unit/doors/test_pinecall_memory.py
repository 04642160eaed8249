"""What the model's notes change about what is known of a contact, and what it is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.memory_facts import (
    MemoryShape,
    Source,
    as_contact,
    as_fact,
    as_markdown,
    contact_in,
    learned,
    question,
)
from media_server.engines.messages import CalledTool
from media_server.errors import ClientError
from media_server.store import Fact, Known

SOURCE = Source("call-2", 3, "webrtc", "I moved\nto San Isidro", 1_790_000_000.0)
HOME = Fact("m_1", "call-1", 1, "chat", "identity", "Lives in Miraflores", "", None, 1_780_000_000.0)
OLD = Fact("m_0", "call-0", 1, "chat", "other", "Has a cat", "", None, 1_770_000_000.0, ended_at=1_775_000_000.0)
KNOWN = Known(4, (OLD, HOME))


def call(name: str, **arguments: Any) -> CalledTool:
    return CalledTool(1, name, json.dumps(arguments))


def test_a_fact_that_has_changed_takes_the_place_of_the_one_before() -> None:
    found = learned([call("replace_fact", number=1, text=" Lives in\n San Isidro ")], KNOWN, SOURCE)
    (fact,) = found.added
    assert (found.ended, found.removed) == (("m_1",), ())
    told = as_fact(fact)
    assert told.pop("id").startswith("m_")
    assert told == {
        "kind": "identity", "text": "Lives in San Isidro", "confidence": 1, "valid_from": "2026-09-21",
        "evidence": "I moved to San Isidro", "supersedes": "m_1",
    }  # fmt: skip


NAME = Fact("m_2", "call-1", 1, "chat", "identity", "The caller's name is Olivia", "", None, 1_780_000_000.0)
TEA = Fact("m_3", "call-1", 2, "chat", "preference", "コーヒーが好きです", "", None, 1_780_000_000.0)


@pytest.mark.parametrize(
    ("number", "text", "ended"),
    [
        (1, "The caller moved to San Isidro", ()),
        (1, "Lives in San Isidro", ("m_1",)),
        (2, "The caller's name is Clara", ("m_2",)),
        (2, "Her name is Clara", ("m_2",)),
        (3, "お茶が好きです", ("m_3",)),
        (3, "Prefers tea", ()),
    ],
)
def test_a_model_that_names_the_wrong_note_ends_none_that_says_something_else(
    number: int, text: str, ended: tuple[str, ...]
) -> None:
    found = learned([call("replace_fact", number=number, text=text)], Known(7, (NAME, HOME, TEA)), SOURCE)
    (fact,) = found.added
    assert (fact.text, found.ended) == (text, ended)
    assert fact.supersedes == (ended[0] if ended else None)


def test_a_fact_that_holds_no_more_is_removed_with_its_reason() -> None:
    found = learned([call("remove_fact", number="1", reason="moved"), call("remove_fact", number=1)], KNOWN, SOURCE)
    assert (found.added, found.ended, found.removed) == ((), ("m_1",), ((HOME, "moved"),))


NOTHING = {
    "known already": [call("remember_fact", kind="identity", text="lives in miraflores")],
    "empty": [call("remember_fact", kind="other", text="  ")],
    "no text": [call("remember_fact", kind="other")],
    "a text of another type": [call("remember_fact", kind="other", text=5)],
    "a number of none": [call("remove_fact", number=2), call("remove_fact", number=0), call("remove_fact", number=-1)],
    "a number of another type": [call("remove_fact", number=True), call("remove_fact", number=[1])],
    "no JSON": [CalledTool(1, "remember_fact", "{")],
    "no object": [CalledTool(1, "remember_fact", "[]")],
    "another tool": [call("say", text="hello")],
}


@pytest.mark.parametrize("calls", NOTHING.values(), ids=NOTHING)
def test_what_makes_no_sense_changes_nothing(calls: list[CalledTool]) -> None:
    found = learned(calls, KNOWN, SOURCE)
    assert not found.added
    assert not found.ended


def test_notes_are_bounded_and_are_no_headings() -> None:
    many = [call("remember_fact", kind="nonsense", text=f"# {i} {'x' * 500}") for i in range(50)]
    found = learned(many, KNOWN, SOURCE)
    assert len(found.added) == 10
    assert {(len(f.text), f.kind) for f in found.added} == {(300, "other")}
    assert found.added[0].text.startswith("0 x")
    twice = [call("remember_fact", kind="plan", text="Comes on Monday")] * 2
    assert len(learned(twice, KNOWN, SOURCE).added) == 1


def test_what_prompts_are_shown() -> None:
    assert as_markdown("ada", KNOWN) == "# ada\n\n## identity · m_1\nLives in Miraflores  (since 2026-05-28)"
    assert as_markdown("ada", Known(1, (OLD,))) == ""


def test_what_the_model_is_asked() -> None:
    wanted = MemoryShape(remember=["allergies"], forget=["payment\ndetails"])
    system, user = question(wanted, KNOWN, [("Caller", "hello"), ("Agent", "hi")])
    assert user.content == "Caller: hello\nAgent: hi"
    assert "Worth noting:\n- allergies\n" in system.content
    assert "Never note:\n- payment details\n" in system.content
    assert system.content.endswith("1. Lives in Miraflores")
    assert "Never note" not in question(MemoryShape(), Known(), [])[0].content


CONTACTS: dict[str, tuple[dict[str, Any], str]] = {
    "the first that is there": ({"phone": "+1", "userId": "u"}, "u"),
    "a number": ({"contactId": 7}, "7"),
    "none": ({"contact": "ada"}, ""),
    "empty": ({"contactId": " ", "phone": "+1"}, "+1"),
    "of another type": ({"contactId": True, "userId": ["u"]}, ""),
    "too long": ({"contactId": "x" * 201}, ""),
    "no text": ({"contactId": "a\0b"}, ""),
}


@pytest.mark.parametrize(("sealed", "contact"), CONTACTS.values(), ids=CONTACTS)
def test_who_calls(sealed: dict[str, Any], contact: str) -> None:
    assert contact_in(sealed, MemoryShape().contact_key) == contact


@pytest.mark.parametrize(
    ("named", "contact"),
    [
        ("+51/a b", "+51/a b"), (" ada ", "ada"), ("..", ".."), ("c" * 200, "c" * 200), ("c" * 201, ""), ("", ""),
        ("  ", ""), ("a\0b", ""), ("a\nb", ""), ("a\ud800", ""),
    ],
)  # fmt: skip
def test_a_contact_is_a_line(named: str, contact: str) -> None:
    assert as_contact(named) == contact


def parsed(memory: Any) -> Any:
    message: Any = p.parse(json.dumps({"event": "agent.create", "agent_id": "mara", "memory": memory}))
    return message.memory


def test_settings_as_the_sdk_sends_them() -> None:
    wanted = parsed({"remember": ["names"], "forget": None, "contactKey": "customer", "consolidate": "call.ended"})
    assert (wanted.contact_key, wanted.consolidate, wanted.forget) == (["customer"], "call.ended", [])
    assert parsed({"contactKey": ["a", "b"]}).contact_key == ["a", "b"]
    assert parsed({}).enabled
    odd: list[Any] = [{"consolidate": "sometimes"}, {"remember": "names"}, {"remember": [""]}, {"contactKey": []}, 5]
    for wrong in odd:
        with pytest.raises(ClientError):
            parsed(wrong)
