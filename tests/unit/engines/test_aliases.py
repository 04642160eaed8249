"""Arguments under what they mean, there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media_server.engines import messages as m
from media_server.engines.aliases import ArgumentAliases
from media_server.engines.llama import LlamaEngine
from tests.conftest import STARTER


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def described(text: str, kind: str = "string") -> dict[str, str]:
    return {"type": kind, "description": text}


MIXED = [
    tool("zim", jo=described("which room"), numza=described("colour of the light"), plain={"type": "integer"}),
    tool("none"),
    {"type": "function", "function": {"name": "bare"}},
    tool("same", a=described("a number"), b=described("a number"), c=described("a")),
]


def test_described_arguments_go_by_their_description() -> None:
    labels = ArgumentAliases(json.dumps(MIXED))
    shown = {t["function"]["name"]: t["function"].get("parameters", {}) for t in json.loads(labels.tools)}
    assert shown["zim"]["properties"] == {
        "which room": {"type": "string"},
        "colour of the light": {"type": "string"},
        "plain": {"type": "integer"},
    }
    assert shown["zim"]["required"] == ["which room", "colour of the light", "plain"]
    # two that mean the same keep their names, and so does one whose description is another's name
    assert list(shown["same"]["properties"]) == ["a", "b", "c"]


def test_calls_are_translated_both_ways() -> None:
    labels = ArgumentAliases(json.dumps(MIXED))
    call = '{"jo": "kitchen", "plain": 3}'
    written = labels.shown("zim", call)
    assert json.loads(written) == {"which room": "kitchen", "plain": 3}
    assert json.loads(labels.meant("zim", written)) == json.loads(call)
    assert labels.meant("unknown", "{}") == "{}"
    assert labels.meant("zim", '{"no such": 1}') == '{"no such": 1}'
    assert labels.meant("zim", "3") == "3"


@pytest.fixture(scope="module")
def engine() -> LlamaEngine:
    return LlamaEngine.load(
        STARTER / "chat" / "starter-chat.gguf", context=1024, slots=2, temperature=0, described_arguments=True
    )


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("turn the lamp in the bedroom to purple", {"jo": "bedroom", "numza": "purple"}),
        ("change the kitchen lights to green", {"jo": "kitchen", "numza": "green"}),
        ("could you please turn the dining room lights pink", {"jo": "dining room", "numza": "pink"}),
    ],
)
def test_names_that_mean_nothing_get_the_right_values(engine: LlamaEngine, said: str, arguments: Any) -> None:
    tools = [tool("cuncuk", numza=described("colour of the light"), jo=described("which room"))]
    tools[0]["function"]["description"] = "Set the colour of a light"
    messages = (m.ChatMessage("system", "You are a helpful voice assistant."), m.ChatMessage("user", said))
    engine.submit(m.Generate(1, "a", messages, 60, tools=json.dumps(tools)))
    results = []
    while engine.busy:
        results += list(engine.step())
    (called,) = [r for r in results if isinstance(r, m.CalledTool)]
    assert (called.name, json.loads(called.arguments)) == ("cuncuk", arguments)
    # and goes on after it
    call = m.ToolCall("1", called.name, called.arguments)
    after = (*messages, m.ChatMessage("assistant", "", (call,)), m.ChatMessage("tool", '"ok"', tool_call_id="1"))
    engine.submit(m.Generate(2, "a", after, 60, tools=json.dumps(tools)))
    results = []
    while engine.busy:
        results += list(engine.step())
    text = "".join(r.text for r in results if isinstance(r, m.TextChunk))
    assert arguments["numza"] in text
