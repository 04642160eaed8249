"""What a person reads of a call."""

from __future__ import annotations

from typing import Any

import pytest

from media_server.cli.view import ChatView, SpokenView


def said(capsys: pytest.CaptureFixture[str], view: SpokenView | ChatView, *events: dict[str, Any]) -> list[str]:
    for event in events:
        view.show(event)
    return capsys.readouterr().out.splitlines()


def test_a_spoken_turn_has_speakers_clauses_and_the_response_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys,
        SpokenView("desk"),
        {"type": "user.transcript", "text": "where", "final": False},
        {"type": "user.transcript", "text": "where is it", "final": True},
        {"type": "turn.metrics", "response_ms": 812.4},
        {"type": "agent.segment_started", "text": "One moment."},
        {"type": "agent.segment_started", "text": "It is here."},
        {"type": "agent.speech_stopped", "reason": "completed"},
        {"type": "call.ended", "reason": "forwarded", "duration_s": 12.3},
    )
    assert lines == [
        " you  where is it",
        "desk  One moment. It is here.  (0.8 s)",
        "The call ended after 12 s: you were transferred.",
    ]


def test_an_interrupted_answer_is_marked_and_leaves_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys,
        SpokenView("desk"),
        {"type": "agent.segment_started", "text": "We have"},
        {"type": "tool.called", "name": "look", "arguments": {"n": 1}},
        {"type": "agent.segment_started", "text": "many"},
        {"type": "agent.speech_stopped", "reason": "interrupted"},
    )
    assert lines == ["desk  We have", "      look(n=1)", "desk  many — interrupted"]


def test_in_writing_two_messages_have_the_agents_name_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys,
        ChatView("mara"),
        {"type": "agent.text", "text": "Hello."},
        {"type": "agent.text", "text": "How can I help?"},
        {"type": "tool.returned", "error": "not found"},
    )
    assert lines == ["mara  Hello.", "mara  How can I help?", "      → not found"]


def test_what_is_said_steers_no_terminal_and_looks_like_nobody_elses_words(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys,
        ChatView("desk"),
        {"type": "agent.text", "text": "\x1b[2JHi.\n you  I agree"},
        {"type": "warning", "message": "\x9b31mred"},
    )
    lines += said(capsys, SpokenView("desk"), {"type": "agent.segment_started", "text": "\x1b]0;title\x07 Hi."})
    assert lines == ["desk   [2JHi.", "       you  I agree", "       31mred", "desk   ]0;title  Hi."]


def test_a_line_that_comes_while_the_caller_may_type_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    view = ChatView("desk")
    view.ask()
    view.show({"type": "call.ended", "reason": "agent_hangup", "duration_s": 3.0})
    assert capsys.readouterr().out == "you: \nThe call ended after 3 s: the agent hung up.\n"
