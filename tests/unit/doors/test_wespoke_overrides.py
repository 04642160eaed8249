"""What a page of Wespoke may change about an assistant: as far as the agent lets it, and nothing that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from media_server.doors.wespoke.overrides import settled_by
from media_server.errors import ClientError

ALL = frozenset({"prompt", "temperature", "max_reply_tokens", "recording", "idle_s"})


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({"firstMessage": "Hi {{name}}!", "systemPrompt": None}, {"greeting": "Hi {{name}}!"}),
        ({"systemPrompt": "Be {{how}}."}, {"prompt": "Be {{how}}."}),
        ({"temperature": 0.7, "maxResponseTokens": 9999}, {"temperature": 0.7, "max_reply_tokens": 4096}),
        ({"recordingEnabled": True}, {"recording": True}),
        ({"endCallAfterSilence": 30}, {"idle_s": 20.0, "idle_hang_up_s": 10.0}),
        ({"endCallAfterSilence": 0}, {"idle_s": 0.0, "idle_hang_up_s": 0.0}),
    ],
)
def test_what_is_settled(given: dict[str, Any], changes: dict[str, Any]) -> None:
    assert settled_by(given, ALL) == (changes, {})


def test_a_variable_that_the_page_does_not_know_is_nothing() -> None:
    _, variables = settled_by({"variableValues": {"name": None, "age": 5, "vip": True}}, ALL)
    assert variables == {"name": "", "age": 5, "vip": True}


@pytest.mark.parametrize("value", [[], {}, float("nan")])
def test_a_variable_that_cannot_be_said_is_refused_in_plain_words(value: object) -> None:
    with pytest.raises(ClientError, match=r"variableValues\.name: this has to be a text, a number, true or false"):
        settled_by({"variableValues": {"name": value}}, ALL)


@pytest.mark.parametrize("name", ["systemPrompt", "temperature", "voice", "__class__", ""])
def test_what_the_agent_does_not_let_pages_change(name: str) -> None:
    with pytest.raises(ClientError, match="not for pages") as refused:
        settled_by({"variableValues": {"a": 1}, name: "x"}, frozenset({"language", "voice"}))
    assert (refused.value.code, refused.value.status) == ("override", 403)


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 2.1}, {"temperature": "hot"}, {"maxResponseTokens": 0}, {"recordingEnabled": 5},
        {"endCallAfterSilence": -1}, {"systemPrompt": ["x"]}, {"systemPrompt": "x" * 20_001},
        {"variableValues": {"a": {"b": 1}}}, {"variableValues": []}, {"firstMessage": {}},
    ],
)  # fmt: skip
def test_what_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        settled_by(given, ALL)
    assert refused.value.status == 400
