"""Calls in words, behind escaped marks and in elements of all kinds, and speech that looks like them."""

from __future__ import annotations

import json
import tomllib

import pytest

from media_server.engines.reading import Called, Piece, Thought, form_of
from tests.unit.engines.test_reading import ARGUMENTS, DATA, calls, joined, read, said

WORDINGS = tomllib.loads((DATA / "wordings.toml").read_text())
BEFORE = "One moment, please. "


def spoken(text: str) -> str:
    """Only what a voice says of it."""
    return "".join(filter(str.isalnum, text))


@pytest.mark.parametrize("reply", WORDINGS["calls"])
def test_a_call_is_understood_however_it_is_worded(reply: str) -> None:
    for before in ("",) if reply.startswith("Thought:") else ("", BEFORE):
        pieces = read(before + reply)
        assert calls(pieces) == [("get_weather", ARGUMENTS)]
        assert spoken(said(pieces)) == spoken(before)
        assert read(*(before + reply)) == pieces, "character by character"


@pytest.mark.parametrize("reply", WORDINGS["ended"])
def test_a_call_without_arguments_is_understood_however_it_is_worded(reply: str) -> None:
    for before in ("", "Goodbye! "):
        pieces = read(before + reply)
        assert calls(pieces) == [("hang_up", {})]
        assert spoken(said(pieces)) == spoken(before)
        assert read(*(before + reply)) == pieces


@pytest.mark.parametrize("reply", WORDINGS["refused"])
def test_what_only_looks_like_a_call_of_a_tool_that_is_offered_is_not_said(reply: str) -> None:
    pieces = read(reply)
    sentences = ("Sure, I will.", "One moment, please.", "Let me see.", "OK.", "I do that.")
    assert said(pieces).strip() == next((s for s in sentences if reply.startswith(s)), "")
    assert "get_weather" not in [p.name for p in pieces if isinstance(p, Called)]
    assert read(*reply) == pieces


@pytest.mark.parametrize("reply", WORDINGS["spoken"])
def test_speech_that_looks_like_a_call_is_said(reply: str) -> None:
    for offered in (frozenset({"get_weather", "hang_up"}), frozenset[str]()):
        for before in ("", "Well. "):
            assert read(before + reply, offered=offered) == read(*(before + reply), offered=offered) == [before + reply]


ORDINARY = json.dumps(
    [
        {"type": "function", "function": {"name": name, "parameters": {"properties": {key: {} for key in keys}}}}
        for name, keys in (
            ("search", ["query"]),
            ("transfer", ["to"]),
            ("book", ["date", "time", "name"]),
            ("check_in", ["date", "name"]),
            ("order", ["item", "size"]),
            ("end", []),
        )
    ]
)


def read_ordinary(*chunks: str) -> list[Piece]:
    names = frozenset(each["function"]["name"] for each in json.loads(ORDINARY))
    reader = form_of("").reader(names, False, ORDINARY)
    return joined([piece for chunk in chunks for piece in reader.push(chunk)] + reader.flush())


@pytest.mark.parametrize(
    "reply",
    [
        *("I will book: date: Monday, time: five. Is that right?", "Your order: item: pizza, size: large."),
        *("Your check-in date: Monday.", "Check-in: date: Monday, name: Anna.", "I transfer you to: billing."),
        *("You can search with query: pizza.", "Order (size: large) is ready.", "The order(s) are late.", "The end."),
        *("end", "(search)", "*search*", "order = pizza", "Action: search for it.", "Tool: search for it"),
        *('In Python this is a function call: print("hi").', "Use transfer (billing) please."),
    ],
)
def test_a_tool_that_is_called_like_a_word_is_not_called_by_sentences(reply: str) -> None:
    assert read_ordinary(reply) == read_ordinary(*reply) == [reply]


@pytest.mark.parametrize(
    "reply",
    [
        *('search(query="x")', 'Action: search\nAction Input: {"query": "x"}', "tool: search\nquery: x"),
        *("[search query=x]", "`search` with query: x", 'I\'ll search with {"query": "x"}'),
        *('<search query="x"/>', 'Tool call: search(query="x")'),
    ],
)
def test_a_tool_that_is_called_like_a_word_is_called(reply: str) -> None:
    assert calls(read_ordinary(reply)) == calls(read_ordinary(*reply)) == [("search", {"query": "x"})]
    assert not spoken(said(read_ordinary(reply)))


@pytest.mark.parametrize(
    "reply",
    [
        *(
            "t.clone() returns a new one.",
            "set_color(color='red') changes it.",
            "Defaults to {}.",
            "If so, use {}. Good.",
        ),
        *("Call {} a set.", "x.__hash__() is, in short, a number."),
    ],
)
def test_code_of_which_a_sentence_speaks_is_said(reply: str) -> None:
    for size in (1, 3, 1000):
        text = said(read(*(reply[i : i + size] for i in range(0, len(reply), size))))
        assert spoken(text) == spoken(reply)


def test_what_a_reply_announces_as_its_thought_is_none_of_the_answer() -> None:
    reply = "Thought: I know that.\nFinal Answer: It is sunny."
    assert read(reply) == read(*reply) == [Thought("Thought: I know that.\nFinal Answer:"), "It is sunny."]


@pytest.mark.parametrize(
    "thought",
    [
        *("<inner_voice>a</inner_voice>", "<CoT>a</CoT>", "<brainstorm>a</brainstorm>", "<ponder>a</ponder>"),
        *("<reason>a</reason>", "<plan>a</plan>", "<internal>a</internal>", "<consider>a</consider>"),
        *("&lt;think&gt;a&lt;/think&gt;", "\\<think\\>a\\</think\\>", "`<think>`a`</think>`", "«think»a«/think»"),
        *("```think\na\n```\n", "```reasoning\na\n```", "~~~thinking\na\n~~~"),
        *("[think]a[/think]", "[thinking]a[/thinking]", "[THOUGHT]a[/THOUGHT]", "◁thinking▷a◁/thinking▷"),
        *("<|think|>a<|/think|>", "<think>a</think><think>b</think>"),
        "<seed:think>a<seed:cot_budget_reflect>b</seed:cot_budget_reflect>c</seed:think>",
    ],
)
def test_a_thought_is_not_said_however_it_is_marked(thought: str) -> None:
    pieces = read(f"{thought}Hello.")
    assert said(pieces).strip() == "Hello."
    assert not [p for p in pieces if not isinstance(p, str | Thought)]
    assert read(*f"{thought}Hello.") == pieces


@pytest.mark.parametrize("reply", ["My plan: <plan>.", "Write <reason> here.", "[laughs] Hello.", "Well. <internal>"])
def test_what_stands_for_something_to_be_filled_in_is_no_thought(reply: str) -> None:
    assert read(reply) == read(*reply) == [reply]


def test_a_direction_that_nothing_ends_is_no_thought() -> None:
    assert said(read("[thinking] <tool_call>x</tool_call>Hello. [think] [think]")) == "Hello. "
    assert said(read("[thinking] Hello there.")) == said(read(*"[thinking] Hello there.")) == "Hello there."


def test_a_result_that_the_model_makes_up_behind_its_call_is_not_said() -> None:
    called = 'Action: get_weather\nAction Input: {"city": "Paris", "days": 2}\n'
    reply = f"{called}Observation: sunny\nFinal Answer: It is sunny."
    assert said(read(reply)) == said(read(*reply)) == ""


def test_words_that_may_lead_to_a_call_are_said_where_none_comes() -> None:
    for reply in ("I will call the tool", "Let me use get_weather", "get_weather with the following", "call (tool)"):
        assert said(read(reply)) == said(read(*reply)) == reply
