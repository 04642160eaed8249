"""The starter chat model: small samples of what models/training/evaluate.py measures in full."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dialogues import Example, dialogue
from evaluate_chat import Case, Scores, call_in, last_reply, tool_cases
from skills import NOT_UNDERSTOOD
from tools import KINDS_OF

from media_server.engines.llama import LlamaEngine
from media_server.engines.loading import templates_of
from media_server.engines.rendering import Renderer
from tests.conftest import STARTER

SEED = 80_000_000


@pytest.fixture(scope="module")
def chat() -> Scores:
    path = STARTER / "chat" / "starter-chat.gguf"
    return Scores(LlamaEngine.load(path, context=1024, slots=16, temperature=0, described_arguments=True), 3)


def as_schema(tool: dict[str, Any]) -> dict[str, Any]:
    """A line of the prompt as the JSON schema that a developer's tool has."""
    properties: dict[str, Any] = {}
    for name, line in tool["arguments"].items():
        kind, _, meaning = line.partition(": ")
        properties[name] = {"type": "string", "enum": kind.split("|")} if "|" in kind else {"type": kind}
        if meaning:
            properties[name]["description"] = meaning
    parameters = {"type": "object", "properties": properties}
    return {
        "type": "function",
        "function": {"name": tool["name"], "description": tool["description"], "parameters": parameters},
    }


def test_the_template_in_the_file_writes_tools_as_training_did(chat: Scores) -> None:
    template = Renderer(templates_of(chat.engine._loaded.model)[0], "", "<|im_end|>")
    seen = 0
    for seed in range(60):
        messages = dialogue(seed, offered="fitting").messages
        text, _, block = messages[0]["content"].partition("\n\n<tools>\n")
        if not block:
            continue
        tools = [as_schema(json.loads(line)) for line in block.removesuffix("\n</tools>").split("\n")]
        bare: list[dict[str, Any]] = [{"role": "system", "content": text}]
        for message in messages[1:]:
            if call := call_in(message["content"]):
                bare.append({"role": "assistant", "content": None, "tool_calls": [{"function": call}]})
            else:
                bare.append(dict(message))
        ours = template.render(bare, tools=tools)
        plain_text = template.render([dict(x) for x in messages])
        assert ours == plain_text
        seen += 1
    assert seen > 30


def examples(n: int, **how: Any) -> list[Example]:
    return [dialogue(SEED + i, test=True, slips=0, **how) for i in range(n)]


def test_it_remembers(chat: Scores) -> None:
    for plan in (
        ["tell_name", "sum", "ask_name"],
        ["tell_colour", "light", "ask_colour"],
        ["tell_code", "greet", "ask_code"],
        ["light", "repeat"],
        ["pizza", "sum", "ask_order"],
        ["pizza", "light", "food", "ask_order"],
    ):
        cases = [last_reply(e) for e in examples(24, plan=plan, offered="none")]
        assert chat.cases(" ".join(plan), cases) > 0.85


@pytest.mark.parametrize("unseen", [False, True])
def test_it_says_what_a_tool_came_back_with(chat: Scores, unseen: bool) -> None:
    _, answers = tool_cases(30, SEED, unseen)
    assert chat.cases("answers", answers) > 0.8


def test_it_calls_nothing_where_no_tool_helps(chat: Scores) -> None:
    cases = [
        Case(e.messages[:-1], lambda reply: "<tool_call>" not in reply, e.messages[-1]["content"])
        for i, skill in enumerate(sorted(KINDS_OF) * 3)
        for e in [dialogue(SEED + i, test=True, slips=0, skill=skill, offered="others", turns=1)]
    ]
    assert chat.cases("no call", cases) > 0.9


@pytest.mark.parametrize(("unseen", "share"), [(False, 0.9), (True, 0.85)])
def test_it_calls_tools(chat: Scores, unseen: bool, share: float) -> None:
    calls, _ = tool_cases(60, SEED, unseen)
    assert chat.cases("calls", calls) > share


def test_only_tools_and_arguments_that_there_are_can_be_named(chat: Scores) -> None:
    calls, _ = tool_cases(40, SEED + 1000, unseen=True)
    for case, reply in zip(calls, chat.answer(calls), strict=True):
        call = call_in(reply)
        if call is None:
            continue  # it answered without a tool
        offered = {t["function"]["name"]: t["function"]["parameters"] for t in json.loads(case.tools)}
        assert list(call["arguments"]) == list(offered[call["name"]]["properties"])


def test_it_says_that_it_did_not_understand_and_who_it_is(chat: Scores) -> None:
    unknown = [last_reply(e) for e in examples(30, skill="unknown", turns=1, offered="none")]
    assert {c.wanted for c in unknown} == {NOT_UNDERSTOOD}
    assert chat.cases("unknown", unknown) > 0.85
    assert chat.cases("persona", [last_reply(e) for e in examples(20, skill="who", turns=1, persona=True)]) > 0.8
