from __future__ import annotations

import itertools
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from media_server.call.history import MAX_CHARACTERS, MAX_ENTRIES, History
from media_server.engines.messages import ToolCall


def roles(history: History) -> list[str]:
    return [e.role for e in history.entries]


def test_turns_alternate() -> None:
    h = History()
    h.add_user("hello")
    h.add_agent("Hi.")
    h.add_user("how are you")
    assert roles(h) == ["user", "assistant", "user"]


def test_what_the_caller_adds_before_an_answer_was_heard_joins_the_turn() -> None:
    h = History()
    h.add_user("turn on")
    h.add_agent("")
    h.add_user("the light")
    assert [e.content for e in h.entries] == ["turn on the light"]


def test_the_model_is_shown_the_last_exchanges_from_the_callers_words_on() -> None:
    h = History()
    h.add_agent("Welcome.")
    for i in range(5):
        h.add_user(f"q{i}")
        h.add_agent(f"a{i}")
    h.add_user("q5")
    assert [m.content for m in h.messages("P", 2)] == ["P", "q4", "a4", "q5"]
    assert [m.content for m in h.messages("P", 4)] == ["P", "q2", "a2", "q3", "a3", "q4", "a4", "q5"]
    assert [m.content for m in h.messages("P", 100)][:3] == ["P", "Welcome.", "q0"]


def test_the_beginning_stays_the_same_for_several_turns() -> None:
    h = History()
    beginnings = []
    for i in range(40):
        h.add_user(f"q{i}")
        beginnings.append(h.messages("P", 12)[1].content)
        h.add_agent(f"a{i}")
    assert len(set(beginnings)) == 6
    assert beginnings[-1] == "q30"


def test_what_the_client_told_the_model_leaves_with_the_exchange_before_it() -> None:
    h = History()
    h.add_agent("Welcome.")
    h.add_instruction("i0")
    assert [m.content for m in h.messages("P", 2)] == ["P", "Welcome.", "i0"], "also where nobody has said anything"
    for i in range(4):
        h.add_user(f"q{i}")
        h.add_agent(f"a{i}")
        h.add_instruction(f"i{i + 1}")
    assert [m.content for m in h.messages("P", 9)][:5] == ["P", "Welcome.", "i0", "q0", "a0"]
    assert [m.content for m in h.messages("P", 2)] == ["P", "i2", "q2", "a2", "i3", "q3", "a3", "i4"]


def test_what_is_kept_has_an_end() -> None:
    h = History()
    for _ in range(30):
        h.add_user("m" * 1000)
    h.add_user("the end")
    (entry,) = h.entries
    assert (len(entry.content), entry.content[-8:]) == (MAX_CHARACTERS, " the end")
    for i in range(MAX_ENTRIES):
        h.add_instruction(f"i{i}")
    assert (len(h.entries), h.entries[0].content) == (MAX_ENTRIES, "i0")


def test_what_the_agent_said_before_the_first_turn_is_shown() -> None:
    h = History()
    h.add_agent("Do you want the small or the large one?")
    h.add_agent("Are you still there?")
    assert [m.role for m in h.messages("P", 3)] == ["system", "assistant"]
    shown = h.messages("P", 3, "the second one")
    assert [(m.role, m.content) for m in shown] == [
        ("system", "P"),
        ("assistant", "Do you want the small or the large one? Are you still there?"),
        ("user", "the second one"),
    ]


def test_turns_that_got_no_answer_are_known_one_by_one() -> None:
    h = History()
    h.add_user("book a table")
    h.add_agent("")
    h.add_user("what are your hours")
    assert h.unanswered == ["book a table", "what are your hours"]
    h.add_agent("From nine to five.")
    h.add_user("thanks")
    assert h.unanswered == ["thanks"]
    h.add_tools("One moment.", [call("look")], ['"x"'])
    assert h.unanswered == []


def test_scripts_without_spaces_are_joined_without() -> None:
    h = History()
    h.add_user("你好。")
    h.add_user("今天几点开门")
    h.add_agent("我们九点开门，")
    h.add_agent("下午五点关门。")
    assert [e.content for e in h.entries] == ["你好。今天几点开门", "我们九点开门，下午五点关门。"]


def test_results_leave_with_their_call() -> None:
    h = History()
    h.add_tools("", [call("a"), call("b")], ['"1"', '"2"'])
    for i in range(MAX_ENTRIES - 2):
        h.add_instruction(f"i{i}")
    assert h.entries[0].content == "i0"


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=5)), max_size=50), st.integers(1, 5))
def test_what_the_model_is_shown_always_alternates(turns: list[tuple[bool, str]], shown: int) -> None:
    h = History()
    for user, text in turns:
        if user:
            h.add_user(text)
        else:
            h.add_agent(text)
    got = [m.role for m in h.messages("P", shown)]
    assert got[0] == "system"
    assert all(a != b for a, b in itertools.pairwise(got))
    began_by_agent = bool(turns) and not next((user for user, text in turns if user or text), True)
    assert len(got) == 1 or got[1] == "user" or began_by_agent
    assert got.count("user") <= shown


def call(name: str) -> ToolCall:
    return ToolCall(f"id-{name}", name, "{}")


def test_what_tools_did_stands_where_it_was_done() -> None:
    h = History()
    h.add_user("where is my order")
    h.add_tools("One moment.", [call("look")], ['"shipped"'])
    h.add_agent("It is shipped.")
    h.add_user("thanks")
    assert roles(h) == ["user", "assistant", "tool", "assistant", "user"]
    assert (h.entries[1].content, h.entries[1].tool_calls[0].name) == ("One moment.", "look")
    assert (h.entries[2].content, h.entries[2].tool_call_id) == ('"shipped"', "id-look")
    assert [m.role for m in h.messages("P", 1)] == ["system", "user"]


def test_calls_that_are_kept_nowhere_leave_only_what_was_heard() -> None:
    h = History()
    h.add_user("who am i")
    h.add_tools("One moment.", [], [])
    h.add_agent("You are Olivia.")
    assert [e.content for e in h.entries] == ["who am i", "One moment. You are Olivia."]


def test_of_earlier_calls_whole_exchanges_come_first() -> None:
    history = History()
    said: list[tuple[Literal["user", "assistant"], str]] = [
        ("assistant", "Hello!"),
        ("user", "one"),
        ("assistant", "1"),
        ("user", "two"),
        ("assistant", "2"),
        ("assistant", "Still there?"),
        ("user", "nobody answered this"),
    ]
    history.remember(said, 4)
    history.add_user("three")
    shown = [(m.role, m.content) for m in history.messages("p", 10)]
    assert shown == [("system", "p"), ("user", "two"), ("assistant", "2 Still there?"), ("user", "three")]
    assert [m.content for m in history.messages("p", 10, "four")][-1] == "three four"
    assert [m.content for m in history.entries] == ["three"], "this call is this call"
