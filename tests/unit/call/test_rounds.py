"""A reply of the model: the rounds of tools in it, with a model that writes what a script says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from media_server import events as e
from media_server.agents import Agent, tool
from media_server.call.history import History
from media_server.call.think import MAX_ROUNDS, Announcements, Reply
from media_server.call.tools import ToolRunner
from media_server.engines.messages import CalledTool, ChatMessage, TextChunk

STATUS = CalledTool(1, "get_status", '{"order_id": "427"}')
SAME = CalledTool(1, "get_status", '{"order_id":"427"}')
OTHER = CalledTool(1, "get_status", '{"order_id": "1234"}')


@dataclass
class Script:
    """A language model that answers with one list of pieces after the other, and keeps what it was asked."""

    rounds: list[list[str | CalledTool]]
    asked: list[tuple[tuple[ChatMessage, ...], str]] = field(default_factory=list)
    informed: list[bool] = field(default_factory=list)

    def language(self, voice: str) -> str:
        return "en-us"

    @contextlib.asynccontextmanager
    async def generate(
        self,
        call_id: str,
        messages: tuple[ChatMessage, ...],
        most: int,
        tools: str = "",
        informed: bool = False,
        **_: Any,
    ) -> AsyncIterator[AsyncIterator[TextChunk | CalledTool]]:
        self.asked.append((messages, tools))
        self.informed.append(informed)
        pieces = self.rounds[len(self.asked) - 1]

        async def written() -> AsyncIterator[TextChunk | CalledTool]:
            for piece in pieces:
                yield TextChunk(1, piece) if isinstance(piece, str) else piece

        yield written()


class FakeCall:
    id = "call-1"

    def __init__(self, agent: Agent) -> None:
        self.agent = agent


async def answer(script: Script, *, fails: bool = False) -> tuple[str, list[str], list[e.Event], History]:
    """What is said, the orders that were looked up, the events, and the history."""
    looked_up: list[str] = []

    @tool
    async def get_status(order_id: str) -> str:
        looked_up.append(order_id)
        if fails:
            raise LookupError("not found")
        return "shipped"

    over, events, history = asyncio.Event(), list[e.Event](), History()
    over.set()
    call: Any = FakeCall(Agent("desk", tools=[get_status]))
    engines: Any = script
    reply = Reply(
        "turn-1",
        call,
        engines,
        (ChatMessage("system", "Be brief."), ChatMessage("user", "where is my order")),
        ToolRunner(call),
        Announcements(),
        None,  # type: ignore[arg-type]
        over=over,
        emit=events.append,
        on_token=lambda: None,
        working=lambda working: None,
        dry=lambda: False,
    )
    async with contextlib.aclosing(reply.clauses()) as clauses:
        said = [clause.text async for clause in clauses]
    reply.remember(history)
    return " ".join(said), looked_up, events, history


async def test_what_a_tool_returned_is_shown_to_the_model() -> None:
    script = Script([[STATUS], ["It is shipped."]])
    said, looked_up, _, _ = await answer(script)
    assert (said, looked_up) == ("It is shipped.", ["427"])
    assert [m.role for m in script.asked[1][0]] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize("again", [STATUS, SAME], ids=["the-same", "other-spaces"])
async def test_the_same_is_not_done_twice_and_the_model_answers_without_tools(again: CalledTool) -> None:
    script = Script([[STATUS], [again], ["It is shipped."]])
    said, looked_up, events, _ = await answer(script)
    assert (said, looked_up) == ("It is shipped.", ["427"])
    assert [bool(tools) for _, tools in script.asked] == [True, True, False]
    assert [m.role for m in script.asked[2][0]] == ["system", "user", "assistant", "tool"]
    assert [event.text for event in events if isinstance(event, e.AgentText)] == ["It is shipped."]


async def test_a_model_that_calls_the_same_for_ever_comes_to_an_end() -> None:
    said, looked_up, events, _ = await answer(Script([[STATUS], [STATUS], [STATUS]]))
    assert (said, looked_up) == ("", ["427"])
    assert [event.text for event in events if isinstance(event, e.AgentText)] == [""]


async def test_what_is_said_beside_a_call_that_was_made_is_the_answer() -> None:
    script = Script([[STATUS], ["It is shipped.", STATUS]])
    said, looked_up, _, _ = await answer(script)
    assert (said, looked_up, len(script.asked)) == ("It is shipped.", ["427"], 2)


async def test_what_failed_may_be_tried_again() -> None:
    _, looked_up, _, _ = await answer(Script([[STATUS], [STATUS], ["I am sorry."]]), fails=True)
    assert looked_up == ["427", "427"]


async def test_the_model_is_informed_unless_its_call_was_none() -> None:
    wrong = CalledTool(1, "get_status", '{"number": "427"}')
    unknown = CalledTool(1, "get_state", "{}")
    script = Script([[wrong], [unknown], [STATUS], ["It is shipped."]])
    await answer(script)
    assert script.informed == [False, False, False, True]
    script = Script([[STATUS], ["I am sorry."]])
    await answer(script, fails=True)
    assert script.informed == [False, True]


async def test_another_call_is_another_call() -> None:
    _, looked_up, _, _ = await answer(Script([[STATUS], [OTHER], ["Both are shipped."]]))
    assert looked_up == ["427", "1234"]


async def test_after_the_last_round_no_tools_are_offered() -> None:
    orders = [CalledTool(1, "get_status", json.dumps({"order_id": str(i)})) for i in range(MAX_ROUNDS)]
    rounds: list[list[str | CalledTool]] = [[order] for order in orders]
    script = Script([*rounds, ["That is all."]])
    said, looked_up, _, _ = await answer(script)
    assert said == "That is all."
    assert len(looked_up) == MAX_ROUNDS
    assert [bool(tools) for _, tools in script.asked] == [True] * MAX_ROUNDS + [False]
