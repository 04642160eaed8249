"""A whole call in writing, with a scripted model and a clock that jumps: what it does with each message."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from media_server import events as e
from media_server.agents import Agent, tool
from media_server.call.call import MAX_MESSAGES, Call
from media_server.call.event_log import EventLog
from media_server.call.services import Services
from media_server.engines import messages as m
from media_server.engines.messages import ChatMessage
from media_server.terms import Terms
from tests.clock import in_no_time
from tests.unit.call.stages import written

Script = Callable[[str], list[m.TextChunk | m.CalledTool | float]]
"""What the model writes to the last message; a number is a pause in seconds."""


class ScriptedEngines:
    """A pack whose model follows a script."""

    voices: Mapping[str, Any] = {"calm": None}
    can_speculate = False

    def __init__(self, script: Script) -> None:
        self._script = script
        self.asked: list[tuple[ChatMessage, ...]] = []

    def language(self, voice: str) -> str:
        return "en-us"

    @contextlib.asynccontextmanager
    async def generate(
        self, _call_id: str, messages: tuple[ChatMessage, ...], *_: Any, **__: Any
    ) -> AsyncIterator[AsyncIterator[Any]]:
        self.asked.append(messages)
        yield written([*self._script(messages[-1].content), m.Finished(1, "stop")])


def echo(text: str) -> list[m.TextChunk | m.CalledTool | float]:
    return [m.TextChunk(1, f"You said {text}.")]


class Line:
    """The client of a call: its messages go in, the call's events come out."""

    def __init__(self, script: Script, services: Mapping[str, Agent], **agent: Any) -> None:
        self.events: list[e.Event] = []
        self.engines = ScriptedEngines(script)
        engines: Any = self.engines
        absent: Any = None
        self.agent = Agent("clerk", **agent)
        event_log = EventLog("c", lambda envelope: self.events.append(envelope.event), lambda envelope: None)
        self.call = Call(self.agent, Terms(), Services(services.get, engines, absent, absent), event_log, None)
        event_log.dispatch = self.call.dispatch

    def send(self, **message: Any) -> None:
        """A message as it comes from the wire."""
        self.call.receive(e.parse_client_message(json.dumps(message)))

    def of(self, kind: type[e.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.of(e.AgentText)]

    @property
    def errors(self) -> list[str]:
        return [event.code for event in self.of(e.Error)]


@contextlib.asynccontextmanager
async def calling(
    script: Script = echo, others: Mapping[str, Agent] | None = None, **agent: Any
) -> AsyncIterator[Line]:
    """A call under way, which is hung up in the end if it is still there."""
    line = Line(script, others or {}, **agent)
    running = asyncio.ensure_future(line.call.run())
    await asyncio.sleep(0.01)
    try:
        yield line
    finally:
        line.send(type="call.end")
        await running


@in_no_time
async def test_what_is_typed_is_answered_and_remembered() -> None:
    async with calling(prompt="Be brief.") as line:
        line.send(type="text.send", text="hello")
        await asyncio.sleep(1)
        line.send(type="text.send", text="again")
        await asyncio.sleep(1)
        assert line.said == ["You said hello.", "You said again."]
        assert [(x.role, x.content) for x in line.engines.asked[1]] == [
            ("system", "Be brief."),
            ("user", "hello"),
            ("assistant", "You said hello."),
            ("user", "again"),
        ]
        assert [each["text"] for each in line.call.transcript] == [
            "hello",
            "You said hello.",
            "again",
            "You said again.",
        ]
    assert line.errors == []


@in_no_time
async def test_a_typed_turn_is_remembered_though_its_answer_was_given_up() -> None:
    async with calling(lambda text: [5.0, *echo(text)]) as line:
        line.send(type="text.send", text="first")
        await asyncio.sleep(1)
        line.send(type="text.send", text="second")
        await asyncio.sleep(10)
        assert line.said == ["You said first second."]


@in_no_time
async def test_what_is_told_beside_the_conversation_is_known_to_the_model() -> None:
    async with calling(greeting="Hello.", greeting_in_chat=True) as line:
        await asyncio.sleep(1)
        line.send(type="text.send", role="system", immediate=False, text="The caller is called Ann.")
        line.send(type="context.set", key="page", value="checkout")
        line.send(type="text.send", text="hi")
        await asyncio.sleep(1)
        told = line.engines.asked[-1]
        assert told[0].content.endswith("page: checkout")
        assert [x.content for x in told[1:]] == ["Hello.", "The caller is called Ann.", "hi"]
        for key in "abcdef":
            line.send(type="context.set", key=key, value="x" * 4000)
        await asyncio.sleep(0.1)
        assert line.errors == ["too_much_context"] * 2


@in_no_time
async def test_say_tells_whether_it_was_heard_and_in_what_order() -> None:
    async with calling() as line:
        heard = [line.call.say("One."), line.call.say("Two."), line.call.say("Three.", remember=False)]
        assert await asyncio.gather(*heard) == [True, True, True]
        assert line.said == ["One.", "Two.", "Three."]
        assert [x.content for x in line.call.history.entries] == ["One. Two."]
    assert await line.call.say("Too late.") is False


@in_no_time
async def test_an_interruption_stops_what_is_thought_and_what_was_to_be_said() -> None:
    async with calling(lambda text: [3.0, *echo(text)]) as line:
        line.send(type="text.send", text="hello")
        line.send(type="agent.interrupt")
        waiting = line.call.say("Later.")
        line.call.interrupt()
        await asyncio.sleep(9)
        assert (line.said, await waiting) == ([], False)
        line.send(type="text.send", text="still there?")
        await asyncio.sleep(9)
        assert line.said == ["You said hello still there?."]


@in_no_time
async def test_the_agent_hangs_up_when_all_was_said() -> None:
    line = Line(echo, {})
    running = asyncio.ensure_future(line.call.run())
    await asyncio.sleep(0.01)
    line.call.say("Goodbye.")
    line.call.hangup(after_speech=True)
    assert await running == "agent_hangup"
    assert line.said == ["Goodbye."]
    assert [x.reason for x in line.of(e.CallEnding)] == ["agent_hangup"]


@in_no_time
async def test_a_caller_is_handed_to_another_agent_or_away() -> None:
    others = {"billing": Agent("billing", prompt="You bill.", greeting="Billing here.")}
    async with calling(others=others) as line:
        line.call.forward("billing")
        await asyncio.sleep(1)
        assert line.said == ["Billing here."]
        line.send(type="text.send", text="hi")
        await asyncio.sleep(1)
        assert line.engines.asked[-1][0].content == "You bill."
        line.call.forward("+49 30 1234")
        await asyncio.sleep(1)
        assert [(x.to, x.agent) for x in line.of(e.CallForwarded)] == [("billing", True), ("+49 30 1234", False)]


@in_no_time
async def test_a_person_who_takes_over_is_not_spoken_over() -> None:
    async with calling() as line:
        line.call.pause()
        line.send(type="text.send", text="hello")
        await asyncio.sleep(1)
        assert line.engines.asked == []
        line.call.say("A person here.")
        await asyncio.sleep(1)
        line.call.resume()
        line.send(type="text.send", text="thanks")
        await asyncio.sleep(1)
        assert line.said == ["A person here.", "You said thanks."]
        assert [x.content for x in line.engines.asked[-1][1:]] == ["hello", "A person here.", "thanks"]


@in_no_time
async def test_in_writing_too_the_caller_is_told_once_that_a_person_takes_over() -> None:
    async with calling(person_notice="A colleague takes over.") as line:
        line.call.pause(by="ada")
        line.call.pause(by="ben")
        await asyncio.sleep(1)
        assert line.said == ["A colleague takes over."]
        line.call.resume()
        line.send(type="text.send", text="thanks")
        await asyncio.sleep(1)
        assert [x.content for x in line.engines.asked[-1][1:]] == ["thanks"], "it is not the agent's own"


@in_no_time
async def test_the_agent_goes_on_when_the_last_of_those_who_took_over_gives_the_call_back() -> None:
    async with calling() as line:
        line.call.pause(by="ada")
        line.call.pause(by="ben")
        line.call.resume(by="ada")
        assert line.call.paused
        line.call.resume(by="ada")
        line.call.resume(by="somebody else")
        assert line.call.paused
        line.call.resume(by="ben")
        assert not line.call.paused
        line.call.pause(by="ada")
        line.call.pause()
        line.call.resume()  # for all of them
        assert not line.call.paused
        await asyncio.sleep(1)
        assert (len(line.of(e.CallPaused)), len(line.of(e.CallResumed))) == (2, 2)


@in_no_time
async def test_a_tool_is_run_and_its_result_is_answered() -> None:
    @tool
    async def clock(city: str) -> str:
        """Tell the time."""
        await asyncio.sleep(0.5)
        return f"noon in {city}"

    def script(last: str) -> list[m.TextChunk | m.CalledTool | float]:
        if "noon" in last:
            return [m.TextChunk(1, "It is noon.")]
        return [m.CalledTool(1, "clock", '{"city": "Bonn"}')]

    async with calling(script, tools=(clock,)) as line:
        line.send(type="text.send", text="what time is it?")
        await asyncio.sleep(3)
        (called,), (returned,) = line.of(e.ToolCalled), line.of(e.ToolReturned)
        assert (called.name, called.arguments, returned.result) == ("clock", {"city": "Bonn"}, "noon in Bonn")
        assert line.said == ["It is noon."]


@in_no_time
async def test_a_model_that_calls_tools_for_ever_is_stopped() -> None:
    @tool
    async def dice() -> str:
        """Throw dice."""
        raise ValueError("it fell off the table")

    async with calling(lambda _: [m.CalledTool(1, "dice", "{}")], tools=(dice,)) as line:
        line.send(type="text.send", text="throw them")
        await asyncio.sleep(30)
        assert 1 < len(line.of(e.ToolReturned)) < 10
        assert line.call.state == "listening"


@in_no_time
async def test_messages_that_mean_nothing_here_are_answered_and_harm_nothing() -> None:
    async with calling() as line:
        line.send(type="tool.result", id="none", result=1)
        line.send(type="turn.end")
        line.send(type="user.mute", muted=True)
        line.send(type="session.update", voice="loud", language="de")
        await asyncio.sleep(0.1)
        assert line.errors == ["unknown_tool_call", "no_audio", "no_audio", "bad_setting"]
        line.send(type="text.send", text="hello")
        await asyncio.sleep(1)
        assert line.said == ["You said hello."]


@in_no_time
async def test_a_flood_is_bounded() -> None:
    async with calling() as line:
        for _ in range(MAX_MESSAGES + 5):
            line.send(type="agent.say", text="x")
        assert line.errors == ["too_many_messages"] * 5


@in_no_time
async def test_the_agents_code_that_fails_ends_nothing() -> None:
    agent: dict[str, Any] = {}
    async with calling(**agent) as line:

        def fails(_event: Any) -> None:
            raise RuntimeError("mine")

        async def slow(_event: Any) -> None:
            await asyncio.sleep(100)

        line.call.on("user.transcript", fails)
        line.call.on("user.transcript", slow)
        line.send(type="text.send", text="hello")
        await asyncio.sleep(1)
        assert line.said == ["You said hello."]


@in_no_time
async def test_before_the_call_has_begun_it_can_only_be_refused() -> None:
    line = Line(echo, {})
    refused: list[Callable[[], object]] = [
        line.call.interrupt,
        line.call.hangup,
        lambda: line.call.forward("x"),
        lambda: line.call.send("x"),
    ]
    for attempt in refused:
        with contextlib.suppress(RuntimeError):
            attempt()
            raise AssertionError(attempt)
    running: Coroutine[Any, Any, str] = line.call.run()
    line.send(type="call.end")
    assert await running == "client_hangup"
