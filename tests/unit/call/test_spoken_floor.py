"""Who has the floor in a spoken call: sounds over tools, early answers, announcements, silence, persons."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from media_server import events as e
from media_server.agents import Agent, Call, client_tool, tool
from media_server.engines import messages as m
from tests.clock import in_no_time
from tests.unit.call.spoken_line import WORD_S, calling, words
from tests.unit.call.test_spoken_history import LONG, says, taking, with_tools

ANSWERED = ("Good.", "completed")
DONE = ("All done now.", "completed")


def length_s(text: str) -> float:
    return len(text.split()) * WORD_S


# -- while a tool works, or the model thinks


@pytest.mark.parametrize(
    ("language", "said"),
    [
        *(("en", said) for said in ("okay", "um", "okay okay", "uh huh", "yeah okay thanks", "mhm", "hmm okay I see")),
        *(("en", said) for said in ("sounds good", "i understand", "that makes sense", "all right then", "no rush")),
        *(("de", said) for said in ("ja genau", "ach so", "na gut", "mhm ja okay", "passt schon")),
        *(("es", said) for said in ("vale vale", "ajá sí claro", "claro que sí")),
        *(("fr", said) for said in ("ah oui d'accord", "pas de problème")),
        *(("it", said) for said in ("va bene", "ah ecco", "sì sì certo")),
        *(("pt", said) for said in ("tá bom", "claro que sim")),
        *(("nl", said) for said in ("ja precies", "ja hoor")),
        *(("tr", said) for said in ("tamam evet", "sorun değil")),
    ],
)
@in_no_time
async def test_who_says_go_on_while_a_tool_works_cancels_nothing(language: str, said: str) -> None:
    log: list[str] = []
    async with calling(with_tools("a"), tools=(taking("a", 4, log=log),), language=language) as line:
        line.speak("book it please")
        await asyncio.sleep(2.2)
        line.speak(said)
        await asyncio.sleep(8)
        assert (log, line.heard, line.turns) == (["begun", "done"], [DONE], ["book it please"])


@pytest.mark.parametrize("seconds", [0.3, 4.0])
@in_no_time
async def test_noise_while_a_tool_works_cancels_nothing(seconds: float) -> None:
    log: list[str] = []
    async with calling(with_tools("a"), tools=(taking("a", 3, log=log),)) as line:
        line.speak("book it please")
        await asyncio.sleep(2.2)
        line.noise(seconds)
        await asyncio.sleep(12)
        assert (log, line.heard) == (["begun", "done"], [DONE])


@pytest.mark.parametrize("said", ["wait", "stop that now"])
@in_no_time
async def test_words_that_mean_something_stop_a_tool(said: str) -> None:
    log: list[str] = []
    async with calling(with_tools("a"), tools=(taking("a", 5, log=log),)) as line:
        line.speak("book it please")
        await asyncio.sleep(2.2)
        line.noise(0.4)
        says(line, "Stopped.")
        line.speak(said, 1)
        await asyncio.sleep(8)
        assert (log, line.turns[-1], line.heard) == (["begun"], said, [("Stopped.", "completed")])


@in_no_time
async def test_what_is_said_to_somebody_else_stops_no_tool() -> None:
    log: list[str] = []
    async with calling(with_tools("a"), tools=(taking("a", 3, log=log),)) as line:
        line.speak("book it please")
        await asyncio.sleep(2.2)
        line.speak("dinner is ready", far=True)
        await asyncio.sleep(8)
        assert (log, line.turns) == (["begun", "done"], ["book it please"])


@pytest.mark.parametrize("at_s", [3.2, 3.5, 4.0])
@in_no_time
async def test_an_okay_over_words_of_comfort_or_when_a_tool_ends_cancels_nothing(at_s: float) -> None:
    log: list[str] = []
    tools = (taking("a", 3 if at_s == 4.0 else 8, log=log),)
    comfort = "I am still looking for it." if at_s < 4 else ""
    async with calling(with_tools("a"), tools=tools, comfort=comfort, comfort_s=1) as line:
        line.speak("book it please")
        await asyncio.sleep(at_s)
        line.speak("okay")
        await asyncio.sleep(14)
        assert log == ["begun", "done"]
        assert line.heard[-1][0].endswith("All done now.")
        assert line.heard[-1][1] == "completed"


@in_no_time
async def test_a_tool_that_the_client_runs_is_not_cancelled_by_an_okay_and_is_by_words() -> None:
    look = client_tool("look", "Look", {"type": "object", "properties": {}})
    async with calling(with_tools("look"), tools=(look,)) as line:
        line.speak("book it please")
        await asyncio.sleep(2.2)
        line.speak("okay")
        await asyncio.sleep(1.5)
        line.send(type="tool.result", id=line.of(e.ToolCalled)[0].id, result="seen")
        await asyncio.sleep(5)
        assert line.heard == [DONE]
        line.engines.script = lambda messages: words("Fine.") if "mind" in messages[-1].content else _look()
        line.speak("once more please")
        await asyncio.sleep(2.2)
        line.speak("never mind all that")
        await asyncio.sleep(3)
        line.send(type="tool.result", id=line.of(e.ToolCalled)[1].id, result="seen")
        await asyncio.sleep(1)
        assert line.errors == ["unknown_tool_call"]
        assert line.heard[-1] == ("Fine.", "completed")


def _look() -> list[Any]:
    return [m.CalledTool(1, "look", '{"again": true}')]


@in_no_time
async def test_an_okay_while_the_model_thinks_is_no_turn() -> None:
    async with calling(lambda _: [8.0, *words("Good.")], comfort="One moment.", comfort_s=2) as line:
        line.speak("book a table")
        await asyncio.sleep(2)
        line.speak("okay")
        line.speak("mhm", 4)
        await asyncio.sleep(12)
        assert line.turns == ["book a table"]
        assert line.heard == [("One moment. Good.", "completed")]
        assert len(line.engines.asked) == 1


# -- code that answers


@in_no_time
async def test_a_sentence_of_code_that_then_works_is_heard_to_its_end() -> None:
    async def respond(_text: str, _call: Call) -> AsyncIterator[str]:
        yield "Let me check that."
        await asyncio.sleep(5)
        yield "It is in stock."

    async with calling() as line:
        line.call.agent.handlers.turn = respond
        line.speak("do you have it")
        await asyncio.sleep(4.5)
        assert [each.heard for each in line.of(e.AgentSegmentStopped)] == ["Let me check that."]
        line.speak("okay")
        await asyncio.sleep(6)
        assert line.heard == [("Let me check that. It is in stock.", "completed")]


@pytest.mark.parametrize("said", ["yes", "the second one"])
@in_no_time
async def test_a_question_is_answered_though_the_code_that_asked_it_still_works(said: str) -> None:
    async def respond(text: str, _call: Call) -> AsyncIterator[str]:
        yield "Good." if text == said else "Shall I book it?"
        await asyncio.sleep(5)

    async with calling() as line:
        line.call.agent.handlers.turn = respond
        line.speak("do you have it")
        await asyncio.sleep(4.5)
        line.speak(said)
        await asyncio.sleep(9)
        assert (line.turns[-1], line.heard[-1]) == (said, ANSWERED)


@in_no_time
async def test_a_yes_behind_a_question_cancels_no_tool() -> None:
    log: list[str] = []

    def script(messages: Any) -> list[Any]:
        return words("All done now.") if messages[-1].role == "tool" else [*words("Shall I? "), _call_a()]

    async with calling(script, tools=(taking("a", 6, log=log),)) as line:
        line.speak("book it please")
        await asyncio.sleep(3.5)
        line.speak("yes")
        await asyncio.sleep(8)
        assert log == ["begun", "done"]


def _call_a() -> m.CalledTool:
    return m.CalledTool(1, "a", "{}")


# -- early answers


@pytest.mark.parametrize("said", ["yes", "no thanks", "the second one", "four two seven"])
@pytest.mark.parametrize("before_s", [0.3, 0.6, 1.2])
@in_no_time
async def test_an_answer_over_the_end_of_a_question_is_heard(said: str, before_s: float) -> None:
    question = "Would you like to have some extra cheese on your pizza today?"
    async with calling("Good.", greeting=question) as line:
        await asyncio.sleep(length_s(question) - before_s)
        line.speak(said)
        await asyncio.sleep(4)
        assert (line.turns, line.heard[-1]) == ([said], ANSWERED)


@pytest.mark.parametrize("end", ["? 😊", '?"', "? (yes or no)", "?!", "?**", "？"])
@in_no_time
async def test_what_stands_behind_a_question_mark_leaves_it_a_question(end: str) -> None:
    question = f"Would you like to have some extra cheese on your pizza today{end}"
    async with calling("Good.", greeting=question) as line:
        await asyncio.sleep(length_s(question) - 1.3)
        line.speak("yes")
        await asyncio.sleep(4)
        assert line.turns == ["yes"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Shall I stop the music now or should it go on playing?", "stop the music"),
        ("Would tomorrow at nine be fine or do you like Friday at ten?", "tomorrow at nine"),
        ("Please tell me now yes or no, do you want it?", "no"),
        ("Do you take the red one or the blue one?", "the red one"),
        ("Is it urgent or can it wait?", "it can wait"),
        ("Say one for sales or two for service.", "sales"),
    ],
)
@pytest.mark.parametrize("before_s", [0.3, 0.9])
@in_no_time
async def test_an_answer_in_the_agents_own_words_is_heard(question: str, said: str, before_s: float) -> None:
    async with calling("Good.", greeting=question) as line:
        await asyncio.sleep(length_s(question) - before_s)
        line.speak(said, word_s=0.36)
        await asyncio.sleep(6)
        assert line.turns == [said]


@in_no_time
async def test_a_yes_in_the_middle_of_a_long_answer_is_no_turn() -> None:
    async with calling(LONG) as line:
        line.speak("when are you open")
        await asyncio.sleep(4)
        line.speak("yes")
        await asyncio.sleep(9)
        assert (line.turns, line.heard) == (["when are you open"], [(LONG, "completed")])


@in_no_time
async def test_who_holds_a_button_to_say_yes_means_it() -> None:
    async with calling(LONG, turns="manual") as line:
        line.send(type="text.send", text="go")
        await asyncio.sleep(3)
        says(line, "Good.")
        line.speak("yes")
        await asyncio.sleep(0.6)
        line.send(type="turn.end")
        await asyncio.sleep(4)
        assert (line.turns, line.heard[-1]) == (["go", "yes"], ANSWERED)


# -- the agent's own voice, back through the caller's microphone


@pytest.mark.parametrize("echo_s", [0.05, 0.15, 0.3, 0.45, 0.8])
@in_no_time
async def test_the_agent_goes_on_over_its_own_echo_and_does_not_answer_it(echo_s: float) -> None:
    async with calling("Good.", greeting=LONG) as line:
        line.echo_s = echo_s
        await asyncio.sleep(length_s(LONG) + 5)
        assert (line.turns, line.heard) == ([], [(LONG, "completed")])
        assert len(line.of(e.UserSpeechStarted)) < 6, "it does not stop at each word"


@pytest.mark.parametrize("echo_s", [0.05, 0.3])
@pytest.mark.parametrize("said", ["when do you close today", "on Saturdays from ten"])
@in_no_time
async def test_words_over_an_echo_stop_the_agent(echo_s: float, said: str) -> None:
    async with calling("Good.", greeting=LONG) as line:
        line.echo_s = echo_s
        await asyncio.sleep(3.5)
        line.speak(said, word_s=0.36)  # louder than the echo, of which nothing is heard meanwhile
        await asyncio.sleep(5)
        assert line.heard[0][1] == "interrupted"
        assert [turn[-len(said) :] for turn in line.turns] == [said]


@pytest.mark.parametrize("after_s", [3.2, 3.5, 4.0])
@in_no_time
async def test_who_speaks_over_an_echo_is_heard_by_a_slow_recogniser(after_s: float) -> None:
    said = "when do you close today"
    async with calling("Good.", greeting=LONG) as line:
        line.echo_s, line.engines.transcription_s = 0.2, 1.2
        await asyncio.sleep(after_s)
        spoken_s = line.speak(said, word_s=0.36)
        await asyncio.sleep(8)
        assert line.heard[0][1] == "interrupted"
        assert [turn[-len(said) :] for turn in line.turns] == [said]
        assert not [at_s for at_s in line.sounding if after_s + 1.0 < at_s < spoken_s], "it holds meanwhile"


@in_no_time
async def test_the_echo_of_the_last_word_is_no_turn_and_an_answer_behind_it_is() -> None:
    async with calling("Good.", greeting="Yes?") as line:
        line.echo_s = 0.6
        await asyncio.sleep(3)
        assert line.turns == []
        line.echo_s = None
        line.speak("I have a question")
        await asyncio.sleep(3)
        assert line.turns == ["I have a question"]


@in_no_time
async def test_noise_again_and_again_stops_the_agent_no_more_and_words_do() -> None:
    async with calling(LONG) as line:
        line.speak("when are you open")
        for i in range(4):
            line.noise(0.25, 3.0 + i * 0.9)
        await asyncio.sleep(5.6)
        silent = [b - a for a, b in itertools.pairwise(line.sounding) if b - a > 0.1]
        assert len(silent) == 2
        line.speak("and on holidays")
        await asyncio.sleep(5)
        assert line.turns[-1] == "and on holidays"


# -- what is to be done when all was said


@in_no_time
async def test_an_okay_over_the_last_words_hands_the_caller_over_all_the_same() -> None:
    billing = Agent("billing", greeting="Billing here.", prompt="You bill.", idle_s=0)
    async with calling("I connect you to billing now.", {"billing": billing}) as line:
        line.speak("the bill please")
        await asyncio.sleep(1.4)
        line.call.forward("billing")
        line.speak("okay", 1.2)
        await asyncio.sleep(9)
        assert [each.to for each in line.of(e.CallForwarded)] == ["billing"]
        assert line.turns == ["the bill please"]


@pytest.mark.parametrize(("said", "ends"), [("thanks bye", True), ("you too", True), ("one more thing", False)])
@in_no_time
async def test_an_agent_that_says_goodbye_hangs_up_over_a_goodbye_and_not_over_words(said: str, ends: bool) -> None:
    async with calling("Goodbye and thank you for calling us.") as line:
        line.speak("that is all")
        await asyncio.sleep(1.4)
        line.call.hangup(after_speech=True)
        says(line, "Good.")
        line.speak(said, 1.2)
        await asyncio.sleep(9)
        assert (line.heard[-1] != ANSWERED) is ends


# -- what the agent is told to say


@in_no_time
async def test_what_is_to_be_said_while_the_caller_speaks_waits_in_its_order() -> None:
    async with calling("The answer is here.") as line:
        end_s = line.speak("I would like to know when you are open today")
        await asyncio.sleep(1)
        heard = [line.call.say("Your order has arrived."), line.call.say("It is at the door.")]
        await asyncio.sleep(9)
        assert [text for text, _ in line.heard] == [
            "The answer is here.",
            "Your order has arrived.",
            "It is at the door.",
        ]
        assert await asyncio.gather(*heard) == [True, True]
        assert line.when(e.AgentSpeechStarted) > end_s


@in_no_time
async def test_what_is_to_be_said_over_a_noise_waits_for_its_end() -> None:
    async with calling("The answer is here.") as line:
        end_s = line.noise(1.5)
        await asyncio.sleep(0.5)
        heard = line.call.say("Your order has arrived.")
        await asyncio.sleep(9)
        assert await heard
        assert line.when(e.AgentSpeechStarted) > end_s


@in_no_time
async def test_what_is_to_be_said_over_an_okay_or_a_thought_comes_behind_the_answer() -> None:
    async with calling(lambda _: [2.0, *words(LONG)]) as line:
        line.speak("when are you open")
        await asyncio.sleep(2)
        line.call.say("One.")
        await asyncio.sleep(3)
        line.speak("okay")
        await asyncio.sleep(0.2)
        line.call.say("Two.")
        await asyncio.sleep(14)
        assert [text for text, _ in line.heard] == [LONG, "One.", "Two."]


@in_no_time
async def test_what_may_not_be_interrupted_is_heard_and_what_was_said_over_it_is_answered() -> None:
    notice = "This call is recorded for the quality of our service and nothing else."
    async with calling("Good.", greeting=notice, greeting_interruptible=False) as line:
        await asyncio.sleep(0.5)
        line.speak("when are you open")
        await asyncio.sleep(8)
        assert (line.turns, line.heard) == (["when are you open"], [(notice, "completed"), ANSWERED])
        assert line.shown[0] == ("assistant", notice)


# -- silence


@in_no_time
async def test_who_is_muted_away_or_with_a_person_is_not_asked_and_the_silence_begins_anew() -> None:
    async with calling(idle_s=5, idle_hang_up_s=5) as line:
        mute, unmute = functools.partial(line.call.mute, True), functools.partial(line.call.mute, False)
        absences: list[tuple[Callable[[], object], Callable[[], object]]] = [
            (mute, unmute),
            (line.call.wait, line.call.go_on),
            (line.call.pause, line.call.resume),
        ]
        for begin, end in absences:
            begin()
            await asyncio.sleep(60)
            end()
            await asyncio.sleep(4)
            assert not line.of(e.IdleWarning)
        await asyncio.sleep(1.5)
        assert len(line.of(e.IdleWarning)) == 1


@pytest.mark.parametrize("thinks", [False, True])
@in_no_time
async def test_nobody_is_asked_while_a_tool_or_the_model_takes_its_time(thinks: bool) -> None:
    tools = (taking("a", 12),)
    script = (lambda _: [12.0, *words("Good.")]) if thinks else with_tools("a")
    async with calling(script, tools=tools, idle_s=2, idle_hang_up_s=3) as line:
        line.speak("book it please")
        await asyncio.sleep(14.5)
        assert not line.of(e.IdleWarning)


@pytest.mark.parametrize("said", ["yes", "mhm"])
@pytest.mark.parametrize("after_s", [0.2, 1.0, 1.8])
@in_no_time
async def test_a_yes_over_the_question_whether_somebody_is_there_is_the_answer(said: str, after_s: float) -> None:
    async with calling("Good.", idle_s=4, idle_hang_up_s=8) as line:
        await asyncio.sleep(4 + after_s)
        line.speak(said)
        await asyncio.sleep(3.5)
        assert (line.turns, line.heard[-1]) == ([said], ANSWERED)


@in_no_time
async def test_an_okay_over_a_long_question_whether_somebody_is_there_keeps_the_call() -> None:
    prompt = "Are you still there, or shall we talk about this at another time of the day or of the week?"
    async with calling(idle_s=4, idle_hang_up_s=8, idle_prompt=prompt) as line:
        await asyncio.sleep(4.5)
        line.speak("mhm")
        await asyncio.sleep(14)
        assert [each.final for each in line.of(e.IdleWarning)] == [None, None]


@in_no_time
async def test_noise_is_no_answer_to_the_question_whether_somebody_is_there() -> None:
    async with calling(idle_s=5, idle_hang_up_s=10) as line:
        for i in range(12):
            line.noise(0.6, 6.5 + 6 * i)
        await asyncio.sleep(30)
        assert [each.final for each in line.of(e.IdleWarning)] == [None, True]
        assert [each.reason for each in line.of(e.CallEnding)] == ["silence"]


@in_no_time
async def test_who_presses_keys_is_there_also_where_code_alone_is_told() -> None:
    async with calling(idle_s=5, idle_hang_up_s=10, dtmf="event") as line:
        for key in "1234":
            await asyncio.sleep(4)
            line.send(type="dtmf.send", digits=key)
        assert not line.of(e.IdleWarning)
        await asyncio.sleep(9)
        line.send(type="dtmf.send", digits="5")
        await asyncio.sleep(9)
        assert [each.final for each in line.of(e.IdleWarning)] == [None, None]


# -- persons


@in_no_time
async def test_who_takes_over_speaks_behind_the_callers_words() -> None:
    said = "I would like to know when you are open today and tomorrow"
    async with calling(person_notice="A colleague takes over now.") as line:
        end_s = line.speak(said)
        await asyncio.sleep(1)
        line.call.pause()
        line.call.say("We are open at nine.")
        await asyncio.sleep(9)
        assert [text for text, _ in line.heard] == ["A colleague takes over now.", "We are open at nine."]
        assert line.when(e.AgentSpeechStarted) > end_s
        assert line.turns == [said]


@in_no_time
async def test_a_person_who_gives_the_call_back_while_the_caller_speaks_has_the_agent_answer() -> None:
    async with calling("Good.") as line:
        line.call.pause()
        line.speak("I would like to know when you are open")
        await asyncio.sleep(1)
        line.call.resume()
        await asyncio.sleep(5)
        assert line.heard == [ANSWERED]


@in_no_time
async def test_a_tool_is_told_as_interrupted_when_a_person_takes_over() -> None:
    async with calling(with_tools("a"), tools=(taking("a", 5),)) as line:
        line.speak("book it please")
        await asyncio.sleep(2.2)
        line.call.pause()
        await asyncio.sleep(6)
        line.call.resume()
        says(line, "Back.")
        line.speak("so what now")
        await asyncio.sleep(4)
        assert any(role == "tool" and "interrupted" in text for role, text in line.shown)
        assert line.heard == [("Back.", "completed")]


@in_no_time
async def test_a_tool_may_speak_and_say_okay_is_let_pass() -> None:
    async def look(call: Call) -> str:
        await call.say("One moment please.")
        await asyncio.sleep(4)
        return "x"

    async with calling(with_tools("look"), tools=(tool(description="Look.")(look),)) as line:
        line.speak("book it please")
        await asyncio.sleep(3.2)
        line.speak("okay")
        await asyncio.sleep(10)
        assert line.heard == [("One moment please. All done now.", "completed")]
