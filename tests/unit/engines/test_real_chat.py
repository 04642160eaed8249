"""A scripted conversation with a real language model: nothing fails, no mark is said, and turns are computed once."""

from __future__ import annotations

import json
import re

import pytest

from media_server.call.history import History
from media_server.engines import messages as m
from media_server.engines.llama import LlamaEngine
from media_server.engines.packs import load_pack
from tests.real_models import MODELS
from tests.unit.engines.computing import counted

pytestmark = pytest.mark.real
MARK = re.compile(r"<\|?[a-z_/]+\|?>|\[/?[A-Z_]+\]|\"(?:name|arguments)\":")
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Tells the weather of a city.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "the city"}},
                    "required": ["city"],
                },
            },
        }
    ]
)


@pytest.fixture(scope="module")
def engine(real_pack: str) -> LlamaEngine:
    pack = load_pack(real_pack, MODELS)
    return LlamaEngine.load(pack.chat, context=2048, slots=2, temperature=0)


def reply(engine: LlamaEngine, i: int, messages: tuple[m.ChatMessage, ...]) -> tuple[str, list[m.CalledTool], int]:
    """What the model says and calls, and how many tokens were computed for it."""
    engine.submit(m.Generate(i, "call", messages, 40, tools=TOOLS))
    results: list[m.Result] = []
    with counted() as computed:
        while engine.busy:
            results += engine.step()
    failed = [r for r in results if isinstance(r, m.Failed) and r.code != "broken_tool_call"]
    assert not failed
    text = "".join(r.text for r in results if isinstance(r, m.TextChunk))
    assert not MARK.search(text)
    return text, [r for r in results if isinstance(r, m.CalledTool)], computed.tokens


def test_a_scripted_conversation(engine: LlamaEngine, real_pack: str) -> None:
    prompt = (
        "You are the assistant of a weather office. You do not know the weather: call get_weather for each city. "
        "Answer in one short sentence."
    )
    history = History()
    history.add_agent("Hello, this is the weather office.")
    greeted, _, whole = reply(engine, 1, history.messages(prompt, 20, saying="Hello! What can you do?"))
    assert greeted
    history.add_user("Hello! What can you do?")
    history.add_agent(greeted)
    history.add_instruction("The caller's name is Olivia.")
    history.add_user("Please look up the weather in Paris and in Rome.")
    _, calls, second = reply(engine, 2, history.messages(prompt, 20))
    assert second < whole, "the turns before are not computed again"
    if real_pack == "real":
        assert {json.loads(c.arguments)["city"] for c in calls} <= {"Paris", "Rome"}
        assert calls
    cities = {"Paris": "rain, 12 degrees", "Rome": "sunny, 30 degrees"}
    asked = [m.ToolCall(f"abcdefgh{i}", "get_weather", json.dumps({"city": c})) for i, c in enumerate(cities)]
    results = [json.dumps({"weather": w}) for w in cities.values()]
    told = [m.ChatMessage("tool", r, tool_call_id=c.id) for c, r in zip(asked, results, strict=True)]
    calling = m.ChatMessage("assistant", "", tuple(asked))
    answer, _, _ = reply(engine, 3, (*history.messages(prompt, 20), calling, *told))
    if real_pack == "real":
        assert "12" in answer
        assert "30" in answer
    history.add_tools("", asked, results)
    history.add_agent(answer or "Both are fine.")
    history.add_user("And in Oslo?")
    lost = m.ToolCall("tool-0123456789ab", "get_weather", '{"city": "Oslo"}')
    history.add_tools("", [lost], ['{"error": "The caller interrupted."}'])
    history.add_user("No, forget that. In which city is it warmer?")
    last, _, _ = reply(engine, 4, history.messages(prompt, 20))
    if real_pack == "real":
        assert "Rome" in last or "Paris" in last
