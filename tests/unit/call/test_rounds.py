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
from media_server.call.say_queue import SayQueue
from media_server.call.think import MAX_ROUNDS, Question, Reply
from media_server.call.tools import ToolRunner
from media_server.engines.messages import CalledTool, ChatMessage, TextChunk
from media_server.errors import RequestFailed
from tests.clock import in_no_time
from tests.unit.call.stages import PlainStage, scripted

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
    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", "where is my order"))
    question = Question("turn-1", messages, "where is my order")
    stage = PlainStage(over, events)
    reply = Reply(question, call, scripted(engines), ToolRunner(call), SayQueue(), stage)
    async with contextlib.aclosing(reply.clauses()) as clauses:
        said = [clause.text async for clause in clauses]
    reply.remember(history)
    return " ".join(said), looked_up, events, history


@in_no_time
async def test_what_a_tool_returned_is_shown_to_the_model() -> None:
    script = Script([[STATUS], ["It is shipped."]])
    said, looked_up, _, _ = await answer(script)
    assert (said, looked_up) == ("It is shipped.", ["427"])
    assert [m.role for m in script.asked[1][0]] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize("again", [STATUS, SAME], ids=["the-same", "other-spaces"])
@in_no_time
async def test_the_same_is_not_done_twice_and_the_model_answers_without_tools(again: CalledTool) -> None:
    script = Script([[STATUS], [again], ["It is shipped."]])
    said, looked_up, events, _ = await answer(script)
    assert (said, looked_up) == ("It is shipped.", ["427"])
    assert [bool(tools) for _, tools in script.asked] == [True, True, False]
    assert [m.role for m in script.asked[2][0]] == ["system", "user", "assistant", "tool"]
    assert [event.text for event in events if isinstance(event, e.AgentText)] == ["It is shipped."]


@in_no_time
async def test_a_model_that_calls_the_same_for_ever_comes_to_an_end() -> None:
    said, looked_up, events, _ = await answer(Script([[STATUS], [STATUS], [STATUS]]))
    assert (said, looked_up) == ("", ["427"])
    assert [event.text for event in events if isinstance(event, e.AgentText)] == [""]


@in_no_time
async def test_what_is_said_beside_a_call_that_was_made_is_the_answer() -> None:
    script = Script([[STATUS], ["It is shipped.", STATUS]])
    said, looked_up, _, _ = await answer(script)
    assert (said, looked_up, len(script.asked)) == ("It is shipped.", ["427"], 2)


@in_no_time
async def test_what_failed_may_be_tried_again() -> None:
    _, looked_up, _, _ = await answer(Script([[STATUS], [STATUS], ["I am sorry."]]), fails=True)
    assert looked_up == ["427", "427"]


@in_no_time
async def test_the_model_is_informed_unless_its_call_was_none() -> None:
    wrong = CalledTool(1, "get_status", '{"number": "427"}')
    unknown = CalledTool(1, "get_state", "{}")
    script = Script([[wrong], [unknown], [STATUS], ["It is shipped."]])
    await answer(script)
    assert script.informed == [False, False, False, True]
    script = Script([[STATUS], ["I am sorry."]])
    await answer(script, fails=True)
    assert script.informed == [False, True]


@in_no_time
async def test_another_call_is_another_call() -> None:
    _, looked_up, _, _ = await answer(Script([[STATUS], [OTHER], ["Both are shipped."]]))
    assert looked_up == ["427", "1234"]


@in_no_time
async def test_after_the_last_round_no_tools_are_offered() -> None:
    orders = [CalledTool(1, "get_status", json.dumps({"order_id": str(i)})) for i in range(MAX_ROUNDS)]
    rounds: list[list[str | CalledTool]] = [[order] for order in orders]
    script = Script([*rounds, ["That is all."]])
    said, looked_up, _, _ = await answer(script)
    assert said == "That is all."
    assert len(looked_up) == MAX_ROUNDS
    assert [bool(tools) for _, tools in script.asked] == [True] * MAX_ROUNDS + [False]


@dataclass
class Desk:
    """A reply of an agent with two tools, under way."""

    reply: Reply
    events: list[e.Event]
    said: SayQueue
    begun: asyncio.Event
    history: History = field(default_factory=History)
    texts: list[str] = field(default_factory=list)

    async def run(self) -> None:
        async with contextlib.aclosing(self.reply.clauses()) as clauses:
            async for clause in clauses:
                clause.read = True
                self.texts.append(clause.text)

    async def until_begun(self) -> None:
        """Let it run until the slow tool has begun, then cut it off."""
        running = asyncio.create_task(self.run())
        await self.begun.wait()
        await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        self.reply.remember(self.history)


def desk(script: Script, *, written: bool, responder: Any = None, words: str = "", **settings: Any) -> Desk:
    begun, said, events = asyncio.Event(), SayQueue(), list[e.Event]()

    @tool
    async def book() -> str:
        return "booked as number 77"

    @tool
    async def slow() -> None:
        said.add("One moment, I look it up.")
        begun.set()
        await asyncio.sleep(100)

    @tool
    async def brief() -> str:
        said.add("One moment, I look it up.")
        await asyncio.sleep(0.01)
        return "found"

    @tool
    async def quiet() -> str:
        await asyncio.sleep(0.7)
        return "found"

    agent = Agent("desk", tools=[book, slow, brief, quiet], **settings)
    if responder:
        agent.on_turn(responder)
    over = asyncio.Event()
    over.set()
    call: Any = FakeCall(agent)
    call.say = said.add
    question = Question("turn-1", (ChatMessage("user", "both turns"),), words)
    stage = PlainStage(over, events, written)
    reply = Reply(question, call, scripted(script), ToolRunner(call), said, stage)
    return Desk(reply, events, said, begun)


BOOK, SLOW, BRIEF, QUIET = (CalledTool(1, name, "{}") for name in ("book", "slow", "brief", "quiet"))


@in_no_time
async def test_a_tool_that_has_ended_keeps_its_result_when_the_caller_interrupts_another() -> None:
    it = desk(Script([[BOOK, SLOW]]), written=False)
    await it.until_begun()
    results = [json.loads(m.content) for m in it.history.entries if m.role == "tool"]
    assert results[0] == "booked as number 77"
    assert "interrupted" in results[1]["error"]


@in_no_time
async def test_what_a_tool_says_is_a_part_of_the_text() -> None:
    it = desk(Script([["Gladly.", BRIEF], ["It is red."]]), written=True)
    await it.run()
    it.reply.remember(it.history)
    assert it.texts == ["Gladly.", "One moment, I look it up.", "It is red."]
    deltas = "".join(event.text for event in it.events if isinstance(event, e.AgentTextDelta))
    (whole,) = (event for event in it.events if isinstance(event, e.AgentText))
    assert deltas == whole.text == "Gladly. One moment, I look it up. It is red."
    assert [m.content for m in it.history.entries if m.role == "assistant"] == [
        "Gladly. One moment, I look it up.",
        "It is red.",
    ]


@in_no_time
async def test_a_chat_that_is_interrupted_keeps_what_was_sent() -> None:
    it = desk(Script([["The first sentence is here. The second is this one, and ", SLOW]]), written=True)
    await it.until_begun()
    (whole,) = (event for event in it.events if isinstance(event, e.AgentText))
    sent = "The first sentence is here. The second is this one, and One moment, I look it up."
    assert (whole.text, whole.interrupted) == (sent, True)
    assert it.history.entries[0].content == sent


@in_no_time
async def test_by_voice_only_what_was_heard_is_kept() -> None:
    it = desk(Script([["The first sentence is here. The second is this one, and ", SLOW]]), written=False)
    await it.until_begun()
    assert not [event for event in it.events if isinstance(event, e.AgentText)]


@in_no_time
async def test_an_agents_code_is_given_this_turns_words_alone() -> None:
    async def answered(text: str, call: Any) -> AsyncIterator[str]:
        yield f"You said {text}."

    it = desk(Script([]), written=True, responder=answered, words="what are your hours")
    await it.run()
    assert it.texts == ["You said what are your hours."]


@in_no_time
async def test_an_agents_code_that_ends_in_a_cancellation_of_its_own_has_failed() -> None:
    async def lost(text: str, call: Any) -> AsyncIterator[str]:
        yield "One moment."
        raise asyncio.CancelledError

    it = desk(Script([]), written=False, responder=lost)
    with pytest.raises(RequestFailed, match="cancelled"):
        await it.run()


COMFORT: dict[str, Any] = {"comfort": "I am looking it up.", "comfort_s": 0.5}


@pytest.mark.parametrize(
    ("settings", "written", "said"),
    [(COMFORT, False, ["I am looking it up.", "Found."]), (COMFORT, True, ["Found."]), ({}, False, ["Found."])],
    ids=["spoken", "in-writing", "not-wanted"],
)
@in_no_time
async def test_a_tool_that_works_for_long_is_spoken_over(settings: Any, written: bool, said: list[str]) -> None:
    it = desk(Script([[QUIET], ["Found."]]), written=written, **settings)
    await it.run()
    assert it.texts == said
    it.reply.remember(it.history)
    assert [m.content for m in it.history.entries if m.role == "assistant" and m.content] == ["Found."]


@in_no_time
async def test_code_that_is_slow_to_begin_is_spoken_over() -> None:
    async def slowly(text: str, call: Any) -> AsyncIterator[str]:
        await asyncio.sleep(0.7)
        yield "Found."
        await asyncio.sleep(0.7)
        yield " And more."

    it = desk(Script([]), written=False, responder=slowly, **COMFORT)
    await it.run()
    assert it.texts == ["I am looking it up.", "Found.", "And more."]
