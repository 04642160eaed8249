"""Running tools: side by side, within their time, and whatever they do wrong is for the model to know."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from media_server import events as e
from media_server.agents import Tool, ToolAnswer, client_tool, tool
from media_server.call.tools import MAX_RESULT, Returned, ToolRunner
from media_server.engines.messages import ToolCall
from tests.clock import in_no_time


class Silent:
    """A call that tools have no need of."""

    id = "call-1"


async def run(*calls: tuple[str, str], tools: list[Tool]) -> tuple[list[Any], list[e.Event]]:
    """What the model is told of each call, and the events."""
    events: list[e.Event] = []
    runner = ToolRunner(Silent())  # type: ignore[arg-type]
    made = [ToolCall(f"id-{i}", name, arguments) for i, (name, arguments) in enumerate(calls)]
    returned: dict[str, Returned] = {}
    await runner.run(made, tools, events.append, returned)
    return [json.loads(returned[c.id].content) for c in made], events


@in_no_time
async def test_several_run_side_by_side_and_are_told_in_order() -> None:
    both = asyncio.Barrier(2)

    @tool
    async def meet(name: str) -> str:
        await both.wait()  # neither comes back before the other has begun
        return name

    async with asyncio.timeout(5):
        told, events = await run(("meet", '{"name": "a"}'), ("meet", '{"name": "b"}'), tools=[meet])
    assert told == ["a", "b"]
    assert [type(event) for event in events] == [e.ToolCalled, e.ToolCalled, e.ToolReturned, e.ToolReturned]


@pytest.mark.parametrize("result", ["ok", "Done.", "", None, True])
@in_no_time
async def test_a_result_that_says_only_that_it_worked_is_not_a_word_to_be_read_out(result: Any) -> None:
    @tool
    async def book(day: str) -> Any:
        return result

    told, events = await run(("book", '{"day": "monday"}'), tools=[book])
    assert told == [{"ok": True}]
    assert events[-1] == e.ToolReturned("id-0", result, None, None)


@pytest.mark.parametrize("result", ["ok on Monday", False, 0, [], {}])
@in_no_time
async def test_a_result_that_says_more_is_told_as_it_is(result: Any) -> None:
    @tool
    async def book() -> Any:
        return result

    assert (await run(("book", "{}"), tools=[book]))[0] == [result]


@in_no_time
async def test_an_answer_says_more_than_its_result() -> None:
    @tool
    async def look() -> ToolAnswer:
        return ToolAnswer({"pin": 4711}, ephemeral=True, silent=True)

    @tool
    async def miss() -> ToolAnswer:
        return ToolAnswer(error="nobody is there")

    events: list[e.Event] = []
    calls = [ToolCall("id-1", "look", "{}"), ToolCall("id-2", "miss", "{}")]
    got: dict[str, Returned] = {}
    await ToolRunner(Silent()).run(calls, [look, miss], events.append, got)  # type: ignore[arg-type]
    seen, missed = got["id-1"], got["id-2"]
    assert (json.loads(seen.content), seen.ephemeral, seen.silent) == ({"pin": 4711}, True, True)
    assert (json.loads(missed.content), missed.ephemeral) == ({"error": "nobody is there"}, False)
    returned = {each.id: each for each in events if isinstance(each, e.ToolReturned)}
    assert (returned["id-1"].result, returned["id-2"].error) == (None, "nobody is there")


@tool
async def fail() -> None:
    raise ValueError("no such thing")


@tool
async def count(most: int) -> list[int]:
    return list(range(most))


@tool(timeout_s=0.01)
async def sleep() -> None:
    await asyncio.sleep(10)


@tool
async def undecodable() -> None:
    raise OSError("no file \udcff")


@tool
async def speechless() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError("cannot even say so")

    raise Broken


@tool
async def unsound() -> ToolAnswer:
    return ToolAnswer(error="half a \ud83d")


@tool
async def lost() -> None:
    raise asyncio.CancelledError


@tool
async def closed() -> None:
    """What it waits for is cancelled elsewhere, as in a connection that is closed."""
    work = asyncio.ensure_future(asyncio.sleep(10))
    asyncio.get_running_loop().call_soon(work.cancel)
    await work


@tool
async def gives_up() -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(0)


@tool
async def odd() -> object:
    class Unknown:
        def __str__(self) -> str:
            return "something odd"

    return {"it": Unknown()}


@tool
async def everything() -> list[int]:
    return list(range(1_000_000))


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("fail", "{}", {"error": "no such thing"}),
        ("count", '{"most": 2}', [0, 1]),
        ("count", '{"most": null}', {"error": "The arguments do not fit. most: Input should be a valid integer."}),
        ("count", "{}", {"error": "The arguments do not fit. most: Field required."}),
        ("count", '{"most": "2"}', [0, 1]),
        ("undecodable", "{}", {"error": "no file ?"}),
        ("speechless", "{}", {"error": "Broken"}),
        ("unsound", "{}", {"error": "half a ?"}),
        ("sleep", "{}", {"error": "sleep did not answer within 0.01 seconds."}),
        ("nothing", "{}", {"error": "There is no tool called nothing."}),
        ("odd", "{}", {"it": "something odd"}),
        ("lost", "{}", {"error": "it was cancelled before it was done"}),
        ("closed", "{}", {"error": "it was cancelled before it was done"}),
        ("gives_up", "{}", {"error": "it was cancelled before it was done"}),
        ("everything", "{}", {"error": "there are more than 20,000 values or 1,000,000 characters in it"}),
        ("wait", "{}", {"error": "wait did not answer within 0.01 seconds."}),
    ],
    ids=[
        "fails", "works", "wrong-type", "missing", "digits", "undecodable", "speechless", "unsound", "too-slow",
        "unknown", "odd", "cancelled", "cancelled-elsewhere", "cancels-itself", "too-large", "client-away",
    ],
)  # fmt: skip
@in_no_time
async def test_what_a_tool_does_wrong_is_told_to_the_model(name: str, arguments: str, told: Any) -> None:
    tools = [fail, count, sleep, undecodable, speechless, unsound, odd, lost, closed, gives_up, everything]
    tools.append(client_tool("wait", "", timeout_s=0.01))
    got, events = await run((name, arguments), tools=tools)
    assert got == [told]
    assert isinstance(events[-1], e.ToolReturned)
    assert (events[-1].error is None) == ("error" not in told)


@in_no_time
async def test_a_long_result_is_cut() -> None:
    (told,), events = await run(("count", '{"most": 5000}'), tools=[count])
    assert len(told["cut_off"]) == MAX_RESULT
    assert isinstance(events[-1], e.ToolReturned)
    assert len(events[-1].result) == 5000, "of what is shown to people nothing is cut"


@in_no_time
async def test_a_tool_that_is_cancelled_says_so() -> None:
    events: list[e.Event] = []
    begun = asyncio.Event()

    @tool
    async def hang() -> None:
        begun.set()
        await asyncio.sleep(100)

    runner = ToolRunner(Silent())  # type: ignore[arg-type]
    running = asyncio.create_task(runner.run([ToolCall("id-1", "hang", "{}")], [hang], events.append, {}))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert isinstance(events[-1], e.ToolReturned)
    assert "interrupted" in str(events[-1].error)


@in_no_time
async def test_of_several_that_are_cancelled_those_that_have_ended_keep_their_results() -> None:
    begun = asyncio.Event()

    @tool
    async def book() -> str:
        return "booked as number 77"

    @tool
    async def hang() -> None:
        begun.set()
        await asyncio.sleep(100)

    @tool
    async def finish() -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return "came to its end all the same"
        return ""

    runner, returned = ToolRunner(Silent()), dict[str, Returned]()  # type: ignore[arg-type]
    calls = [ToolCall(f"id-{name}", name, "{}") for name in ("book", "hang", "finish")]
    running = asyncio.create_task(runner.run(calls, [book, hang, finish], lambda event: None, returned))
    await begun.wait()
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    told = {each: json.loads(r.content) for each, r in returned.items()}
    assert told == {"id-book": "booked as number 77", "id-finish": "came to its end all the same"}


@in_no_time
async def test_an_answer_that_nobody_waits_for_is_refused() -> None:
    runner = ToolRunner(Silent())  # type: ignore[arg-type]
    assert not runner.answered(e.ToolResult(type="tool.result", id="id-1", result=1))
