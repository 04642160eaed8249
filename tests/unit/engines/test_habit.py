"""Replies that begin within a thought which no mark began."""

from __future__ import annotations

import pytest

from media_server.engines import messages as m
from media_server.engines.habit import Habit
from media_server.engines.reading import form_of
from media_server.engines.replying import Replying, reader_of

CALL = '<tool_call>{"name": "look_up", "arguments": {}}</tool_call>'
TOOLS = '[{"type": "function", "function": {"name": "look_up"}}]'


def reply(text: str, holding: bool, size: int = 3) -> tuple[str, list[m.Result], Replying]:
    """What a client takes for the reply, all results, and the reply."""
    replying = Replying(1, reader_of(form_of(""), TOOLS, False), None, 500, 500, False, True, holding)
    results: list[m.Result] = []
    for i in range(0, len(text), size):
        results += replying.push(text[i : i + size].encode())
    results += replying.end()
    said = ""
    for result in results:
        if isinstance(result, m.TextChunk):
            said += result.text
        elif isinstance(result, m.Withdrawn):
            said = ""
    return said, results, replying


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("holding", [True, False])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I wonder.</think>\n\nHello.", "Hello."),
        ("I wonder.\n\nA lot.\n</think>\n\nHello. Bye.", "Hello. Bye."),
        ("I wonder.[/THINK]Hello.", "Hello."),
        ("I wonder.</reasoning>Hello.", "Hello."),
        ("I wonder.</seed:think>Hello.", "Hello."),
        ("thought\nI wonder.<channel|>Hello.", "Hello."),
        ("I wonder.<|end_of_thought|>Hello.", "Hello."),
        ("I wonder.<|end|><|start|>assistant<|channel|>final<|message|>Hello.", "Hello."),
        ("<think>a<think>b</think>I wonder.</think>Hello.", "Hello."),
        ("<think>a<think>b</think>Hello.", "Hello."),
        ("I wonder.</think>And again.</think>Hello.", "Hello."),
        (f"I wonder.</think>{CALL}", ""),
        ("Hello.", "Hello."),
        ("Hello.</think>", "Hello."),
        ("Hello.</think>\n", "Hello."),
        ("<think>I wonder.</think>Hello.", "Hello."),
        (f"One moment. {CALL}", "One moment. "),
        ("<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
         "One moment. Hello."),
    ],
)  # fmt: skip
def test_a_thought_without_a_beginning_is_no_part_of_the_reply(
    text: str, expected: str, holding: bool, size: int
) -> None:
    said, results, _ = reply(text, holding, size)
    assert said == expected
    assert not any(isinstance(r, m.Failed) for r in results)
    assert sum(isinstance(r, m.CalledTool) for r in results) == text.count("<tool_call>")
    told = [r for r in results if isinstance(r, m.TextChunk)]
    if holding and "again" not in text:
        assert not any("wonder" in r.text for r in told), "it was never told"


def test_who_waits_for_a_reply_that_is_held_back_is_told_so() -> None:
    _, results, _ = reply("I wonder what to say to that, as it is not a simple thing at all.</think>Hello.", True)
    assert [type(r) for r in results[:2]] == [m.Thinking, m.TextChunk]


def test_a_model_that_may_think_is_held_back_until_it_is_known() -> None:
    habit = Habit(thinks=True)
    assert habit.holds(in_thought=False, thought_over=False)
    assert not habit.holds(in_thought=True, thought_over=False)
    assert not habit.holds(in_thought=False, thought_over=True)
    habit.ended(unopened=False, thought_over=False)
    assert not habit.holds(in_thought=False, thought_over=False)


def test_a_model_that_thought_unasked_is_held_back_until_it_no_longer_does() -> None:
    habit = Habit(thinks=False)
    assert not habit.holds(in_thought=False, thought_over=True)
    habit.ended(unopened=True, thought_over=True)
    for _ in range(3):
        assert habit.holds(in_thought=False, thought_over=True)
        habit.ended(unopened=False, thought_over=True)
    assert not habit.holds(in_thought=False, thought_over=True)
