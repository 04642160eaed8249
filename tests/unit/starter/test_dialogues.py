"""What the starter models are trained on, and what is kept from them."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from dialogues import GO_ON, chatml, dialogue, sentences
from skills import NOT_UNDERSTOOD, UNCLEAR, WEIGHTS, Conversation
from tools import KINDS, KINDS_OF, Tool, invented, make_tool
from transcripts import collapsed, foreign_words, known_words, label
from wording import ALWAYS_TRAINED, choose, held_out


def test_a_dialogue_is_the_same_for_the_same_seed() -> None:
    assert chatml(dialogue(7).messages) == chatml(dialogue(7).messages)
    assert chatml(dialogue(7).messages) != chatml(dialogue(8).messages)


def test_alternatives_are_chosen_from_the_inside_out() -> None:
    r = random.Random(0)
    got = {choose(r, "(turn|switch (right|)) {on} the light") for _ in range(100)}
    assert got == {"turn {on} the light", "switch {on} the light", "switch right {on} the light"}


def test_what_is_held_out_is_never_said_in_training_and_always_in_tests() -> None:
    trained, tested = Conversation(random.Random(1)), Conversation(random.Random(1), test=True)
    names = [s for s in WEIGHTS if s != "unknown"]
    assert not any(held_out(trained.turn(s).wording) for s in names * 20)
    assert sum(held_out(tested.turn(s).wording) for s in names) > 0.7 * len(names)
    assert not any(held_out(w) for w in ALWAYS_TRAINED)
    assert not set(sentences(300, 1)) & set(sentences(300, 2, test=True))


def test_invented_names_of_tests_are_none_of_trainings() -> None:
    r = random.Random(0)
    assert not {invented(r, test=False) for _ in range(2000)} & {invented(r, test=True) for _ in range(500)}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("unseen", [False, True])
def test_a_call_is_valid_json_with_the_offered_names(kind: str, unseen: bool) -> None:
    skill = next(s for s, k in KINDS_OF.items() if k == kind)
    for seed in range(40):
        messages = dialogue(seed, skill=skill, offered="fitting", unseen=unseen, turns=1, slips=0).messages
        calls = [m["content"] for m in messages if m["content"].startswith("<tool_call>")]
        if not calls:
            continue
        call = json.loads(calls[-1].split("\n")[1])
        offered = {t["name"]: t for t in tools_of(messages[0]["content"])}
        assert list(call["arguments"]) == list(offered[call["name"]]["arguments"])
        for name, value in call["arguments"].items():
            kind_of_value = offered[call["name"]]["arguments"][name].partition(":")[0]
            expected = {"integer": int, "number": int, "boolean": bool}.get(kind_of_value, str)
            assert type(value) is expected
            if "|" in kind_of_value:
                assert value in kind_of_value.split("|")
        return
    pytest.fail(f"no call of {kind} in forty dialogues")


def test_no_call_where_only_other_tools_are_offered() -> None:
    for seed in range(100):
        skill = sorted(KINDS_OF)[seed % len(KINDS_OF)]
        messages = dialogue(seed, skill=skill, offered="others", turns=1).messages
        assert "<tools>" in messages[0]["content"]
        assert "<tool_call>" not in messages[-1]["content"]


def test_two_arguments_never_share_a_name() -> None:
    r = random.Random(0)
    for _ in range(500):
        tool: Tool = make_tool(r, r.choice(sorted(KINDS)), r.random() < 0.5, False)
        assert len(set(tool.labels.values())) == len(tool.types) == len(KINDS[tool.kind].arguments)


def test_a_sentence_that_breaks_off_is_waited_for() -> None:
    examples = [e for e in map(dialogue, range(300)) if e.cut]
    assert examples
    for e in examples:
        for i in e.cut:
            assert e.messages[i]["role"] == "user"
            assert e.messages[i + 1]["content"] == GO_ON


def test_what_was_told_is_remembered() -> None:
    c = Conversation(random.Random(3))
    assert c.turn("ask_name").answer == "I do not know yet. What is your name?"
    name = c.turn("tell_name").slots["name"]
    c.turn("pizza")
    assert c.turn("ask_name").answer == f"Your name is {name.capitalize()}."
    assert c.turn("repeat").answer == f"Your name is {name.capitalize()}."
    assert c.turn("unknown").answer == NOT_UNDERSTOOD


def test_unknown_words_are_labelled_as_such() -> None:
    assert collapsed(label("turn on the elephant elephant in the kitchen")) == f"turn on the {UNCLEAR} in the kitchen"
    listed = ["".join(letters) for letters in itertools.permutations("reads", 5)]
    trained, tested = (set(foreign_words(listed, test)) for test in (False, True))
    assert trained & set(listed)
    assert tested & set(listed)
    assert not trained & tested
    assert {"olivia", "wednesday", "thirtieth", "thousand", "q", "balcony"} <= known_words()


def tools_of(system: str) -> list[dict[str, Any]]:
    inside = system.partition("<tools>\n")[2].partition("\n</tools>")[0]
    return [json.loads(line) for line in inside.split("\n")] if inside else []
