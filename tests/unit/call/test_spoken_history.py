"""What the model knows in a spoken call: what was heard, what was typed, and what tools did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from media_server.agents import Agent, Call, Tool, tool
from media_server.audio import CALL_RATE_HZ
from media_server.engines import messages as m
from media_server.errors import RequestFailed
from tests.clock import in_no_time
from tests.unit.call.spoken_line import Piece, Script, SpokenLine, calling, words

LONG = "We are open from nine to five on every day of the week and on Saturdays from ten to two in the afternoon."


def calls(*names: str) -> list[Piece]:
    return [m.CalledTool(1, name, "{}") for name in names]


def with_tools(*names: str, then: str = "All done now.") -> Script:
    """A model that calls these tools at once, and says this when it has their results."""
    return lambda messages: words(then) if messages[-1].role == "tool" else calls(*names)


def taking(name: str, seconds: float, result: Any = "it worked", log: list[str] | None = None) -> Tool:
    """A tool that takes its time, and raises its result if that is an exception."""

    async def work() -> str:
        if log is not None:
            log.append("begun")
        await asyncio.sleep(seconds)
        if log is not None:
            log.append("done")
        if isinstance(result, BaseException):
            raise result
        return str(result)

    return tool(name=name, description="Do it.")(work)


def says(line: SpokenLine, text: str) -> None:
    """From now on the model says this."""
    line.engines.script = lambda _: words(text)


def results(line: SpokenLine) -> list[str]:
    return [content for role, content in line.shown if role == "tool"]


@in_no_time
async def test_of_a_greeting_that_is_cut_what_was_heard_is_known() -> None:
    greeting = "Hello and welcome to the shop of many things, how can I help you today?"
    async with calling("Fine.", greeting=greeting) as line:
        await asyncio.sleep(1.5)
        line.speak("when are you open")
        await asyncio.sleep(5)
        (_, known), asked = line.shown
        assert greeting.startswith(known)
        assert 0 < len(known) < 40
        assert asked == ("user", "when are you open")


@in_no_time
async def test_a_greeting_that_was_never_heard_is_not_known() -> None:
    async with calling("Fine.", greeting="Hello and welcome.") as line:
        line.engines.synthesis_s = 3
        line.speak("when are you open")
        await asyncio.sleep(9)
        assert line.turns == ["when are you open"]
        assert line.shown == [("user", "when are you open")]


SCRIPTS = {
    "cmn": "我们每天从早上九点到下午五点开门，周六从十点到两点开门，周日休息，欢迎您来。",
    "ja": "私たちは毎日朝九時から夕方五時まで開いています。土曜日は十時から二時までです。",
    "th": "ร้านเปิดทุกวันตั้งแต่เก้าโมงเช้าถึงห้าโมงเย็นและวันเสาร์ถึงบ่ายสองโมง",
    "hi": "हम हर दिन सुबह नौ बजे से शाम पाँच बजे तक खुले रहते हैं। शनिवार को दस से दो बजे तक।",
    "en-us": LONG,
}


@pytest.mark.parametrize("language", SCRIPTS)
@in_no_time
async def test_of_an_answer_that_is_cut_what_was_heard_is_known_in_every_script(language: str) -> None:
    text = SCRIPTS[language]

    @contextlib.asynccontextmanager
    async def synthesize(spoken: Sequence[tuple[str, str]], *_: Any, **__: Any) -> AsyncIterator[Any]:
        async def chunks() -> AsyncIterator[m.AudioChunk]:
            ends = np.cumsum([0.15 * len(word) for word, _ in spoken])
            found = [m.Word(w, end - 0.15 * len(w), end) for (w, _), end in zip(spoken, ends, strict=True)]
            yield m.AudioChunk(1, np.full(int(ends[-1] * CALL_RATE_HZ), 500, np.int16).tobytes(), tuple(found))

        yield chunks()

    async with calling(lambda _: [m.TextChunk(1, c) for c in text], language=language) as line:
        line.engines.synthesize = synthesize  # type: ignore[method-assign]
        line.speak("when are you open")
        await asyncio.sleep(4)
        line.speak("and where is it")
        await asyncio.sleep(6)
        (_, _), (role, known), (_, asked) = line.shown
        assert role == "assistant"
        assert text.startswith(known)
        assert 3 < len(known) < len(text)
        assert asked == "and where is it"


@in_no_time
async def test_what_the_agent_was_told_to_say_is_known_as_far_as_it_was_heard() -> None:
    async with calling("Fine.") as line:
        heard = line.call.say(LONG)
        await asyncio.sleep(2)
        line.speak("what is the number")
        await asyncio.sleep(5)
        assert await heard is False
        role, known = line.shown[0]
        assert role == "assistant"
        assert LONG.startswith(known)


@in_no_time
async def test_what_is_said_without_being_remembered_is_not_known() -> None:
    async with calling("Fine.") as line:
        line.call.say("A secret thing.", remember=False)
        await asyncio.sleep(3)
        line.speak("hello there you")
        await asyncio.sleep(4)
        assert line.shown == [("user", "hello there you")]


@in_no_time
async def test_an_idle_prompt_is_known() -> None:
    async with calling("Fine.", greeting="Hello there.", idle_s=5) as line:
        await asyncio.sleep(8)
        line.speak("yes I am here")
        await asyncio.sleep(4)
        assert line.shown == [("assistant", "Hello there. Are you still there?"), ("user", "yes I am here")]


@in_no_time
async def test_an_apology_is_known() -> None:
    def fails(_: Sequence[m.ChatMessage]) -> list[Piece]:
        raise RequestFailed("model_failed", "It failed.")

    async with calling(fails, apology="I am sorry, say it again.") as line:
        line.speak("hello there you")
        await asyncio.sleep(5)
        says(line, "Fine.")
        line.speak("hello there again")
        await asyncio.sleep(4)
        assert line.shown == [
            ("user", "hello there you"),
            ("assistant", "I am sorry, say it again."),
            ("user", "hello there again"),
        ]


@pytest.mark.parametrize("interrupt", [True, False])
@in_no_time
async def test_what_is_typed_while_the_caller_speaks_is_a_turn_of_its_own(interrupt: bool) -> None:
    said = "my name is Ada and I live in Bonn"
    async with calling(lambda messages: words(f"Reply to {messages[-1].content}.")) as line:
        line.speak(said)
        await asyncio.sleep(1)
        line.send(type="text.send", text="typed words", interrupt=interrupt)
        await asyncio.sleep(15)
        assert sorted(line.turns) == sorted([said, "typed words"])
        if not interrupt:
            assert line.turns == [said, "typed words"]
            assert len(line.heard) == 2


@in_no_time
async def test_what_is_typed_is_known_though_the_caller_speaks_before_it_is_answered() -> None:
    async with calling(lambda _: [2.0, *words("Reply.")]) as line:
        line.send(type="text.send", text="my name is Ada")
        line.speak("what is my name", 0.1)
        await asyncio.sleep(8)
        assert line.turns == ["my name is Ada", "what is my name"]
        assert " ".join(text for role, text in line.shown if role == "user") == "my name is Ada what is my name"


@in_no_time
async def test_keys_pressed_over_the_caller_and_over_the_agent_are_turns() -> None:
    async with calling(lambda messages: words(f"Got {messages[-1].content} and so on and so forth.")) as line:
        line.speak("my number is coming now by the keys")
        await asyncio.sleep(1)
        line.send(type="dtmf.send", digits="427")
        await asyncio.sleep(7)
        line.send(type="dtmf.send", digits="12#")
        await asyncio.sleep(6)
        assert "427" in line.turns
        assert "my number is coming now by the keys" in line.turns
        assert line.turns[-1] == "12"


@in_no_time
async def test_of_several_tools_that_are_interrupted_each_keeps_what_became_of_it() -> None:
    tools = (taking("a", 0.2, "booked as 77"), taking("b", 0.1, ValueError("no seats")), taking("c", 9))
    async with calling(with_tools("a", "b", "c"), tools=tools) as line:
        line.speak("book it please")
        await asyncio.sleep(3)
        says(line, "Okay then.")
        line.speak("what is the number")
        await asyncio.sleep(5)
        first, second, third = results(line)
        assert "77" in first
        assert "no seats" in second
        assert "interrupted" in third


@in_no_time
async def test_of_two_rounds_of_tools_the_first_keeps_its_results() -> None:
    def script(messages: Sequence[m.ChatMessage]) -> list[Piece]:
        last = messages[-1]
        return calls("b") if last.role == "tool" else words("Hm.") if "number" in last.content else calls("a")

    async with calling(script, tools=(taking("a", 0.2, "A77"), taking("b", 9))) as line:
        line.speak("book it please")
        await asyncio.sleep(3)
        line.speak("what is the number")
        await asyncio.sleep(5)
        first, second = results(line)
        assert "A77" in first
        assert "interrupted" in second


@in_no_time
async def test_results_stay_though_the_answer_that_tells_them_is_cut() -> None:
    async with calling(with_tools("a", then=LONG), tools=(taking("a", 0.2, "A77"),)) as line:
        line.speak("book it please")
        await asyncio.sleep(4)
        says(line, "Okay then.")
        line.speak("what is the number")
        await asyncio.sleep(5)
        assert [role for role, _ in line.shown] == ["user", "assistant", "tool", "assistant", "user"]
        assert LONG.startswith(line.shown[3][1])


@in_no_time
async def test_what_a_tool_said_is_known_though_it_was_interrupted() -> None:
    async def look(call: Call) -> str:
        await call.say("One moment, I look it up.")
        await asyncio.sleep(9)
        return "x"

    async with calling(with_tools("look"), tools=(tool(description="Look.")(look),)) as line:
        line.speak("book it please")
        await asyncio.sleep(6)
        says(line, "Okay then.")
        line.speak("what is the number")
        await asyncio.sleep(5)
        assert line.shown[1] == ("assistant", "One moment, I look it up.")
        assert "interrupted" in results(line)[0]


@in_no_time
async def test_a_tool_that_ends_in_a_cancellation_has_failed_and_is_answered() -> None:
    async with calling(with_tools("a"), tools=(taking("a", 0.2, asyncio.CancelledError()),)) as line:
        line.speak("book it please")
        await asyncio.sleep(6)
        assert line.heard == [("All done now.", "completed")]
        assert "cancelled" in results(line)[0]


@in_no_time
async def test_words_of_comfort_are_heard_and_not_known() -> None:
    comfort = "I am still looking for it."
    async with calling(with_tools("a"), tools=(taking("a", 6),), comfort=comfort, comfort_s=2) as line:
        line.speak("book it please")
        await asyncio.sleep(12)
        assert line.heard == [(f"{comfort} All done now.", "completed")]
        line.speak("thanks to you friend")
        await asyncio.sleep(4)
        assert not any(comfort in text for _, text in line.shown)


@in_no_time
async def test_code_that_answers_is_given_this_turns_words_and_may_ask_for_the_earlier_ones() -> None:
    given: list[tuple[str, list[str]]] = []

    async def respond(text: str, call: Call) -> AsyncIterator[str]:
        given.append((text, list(call.unanswered)))
        await asyncio.sleep(1)
        yield LONG

    async with calling() as line:
        line.call.agent.handlers.turn = respond
        line.speak("book a table")
        await asyncio.sleep(1.5)
        line.speak("what are your hours")
        await asyncio.sleep(6)
        assert given[-1] == ("what are your hours", ["book a table", "what are your hours"])


@in_no_time
async def test_a_turn_that_goes_on_while_the_model_thinks_is_one() -> None:
    async with calling(lambda _: [3.0, *words("Fine.")]) as line:
        line.speak("book a table")
        await asyncio.sleep(2)
        line.speak("for Bob and Ada")
        await asyncio.sleep(8)
        assert line.shown == [("user", "book a table for Bob and Ada")]
        assert line.heard == [("Fine.", "completed")]


@in_no_time
async def test_a_reply_begun_too_soon_does_nothing() -> None:
    log: list[str] = []

    async def unsure(*_: Any) -> float:
        return 0.1

    async with calling(with_tools("a"), tools=(taking("a", 0.2, log=log),)) as line:
        line.engines.can_speculate = True
        line.engines.judge = unsure  # type: ignore[method-assign]
        line.speak("book it ... for Ada")
        await asyncio.sleep(6)
        assert line.turns == ["book it for Ada"]
        assert log == ["begun", "done"]
        assert line.heard == [("All done now.", "completed")]


@pytest.mark.parametrize("idle", [0.0, 5.0])
@in_no_time
async def test_what_was_said_before_a_mute_is_taken_back(idle: float) -> None:
    async with calling("Fine.") as line:
        line.speak("my secret number is four two seven")
        await asyncio.sleep(1)
        line.send(type="user.mute", muted=True)
        await asyncio.sleep(idle + 0.1)
        assert (line.turns, line.call.history.entries) == ([], [])
        await asyncio.sleep(2)
        line.send(type="user.mute", muted=False)
        line.speak("hello again friend")
        await asyncio.sleep(4)
        assert line.turns == ["hello again friend"]


@in_no_time
async def test_what_is_said_to_a_person_who_took_over_is_known_afterwards() -> None:
    async with calling("Fine.") as line:
        line.call.pause()
        line.speak("hello person")
        await asyncio.sleep(4)
        line.call.say("Hello caller.")
        await asyncio.sleep(3)
        line.call.resume()
        line.speak("are you back")
        await asyncio.sleep(4)
        assert line.shown == [("user", "hello person"), ("assistant", "Hello caller."), ("user", "are you back")]


@in_no_time
async def test_the_next_agent_knows_what_was_said_to_the_one_before() -> None:
    billing = Agent("billing", greeting="Billing here.", prompt="You bill.", idle_s=0)
    async with calling("Sure.", {"billing": billing}) as line:
        line.speak("the bill please")
        await asyncio.sleep(1.2)
        line.call.forward("billing")
        await asyncio.sleep(6)
        assert [heard for heard, _ in line.heard] == ["Sure.", "Billing here."]
        line.speak("how much is it")
        await asyncio.sleep(4)
        assert line.engines.asked[-1][0].content == "You bill."
        assert line.shown[1] == ("assistant", "Sure. Billing here.")
