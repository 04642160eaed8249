"""The examples, tested as their developers would."""

from __future__ import annotations

from media_server.audio import CALL_RATE_HZ, read_wav
from media_server.testing import Talk, ToolUse
from tests.conftest import sentence_file


async def test_the_order_desk_looks_up_an_order_and_forwards(talk: Talk) -> None:
    async with talk("order-desk") as desk:
        assert await desk.greeting() == "Hello! I am Mara. How can I help you?"
        reply = await desk.play(sentence_file("where is my order four two seven"))
        assert reply.heard_as == "where is my order four two seven"
        assert reply.tools == [ToolUse("get_order_status", {"order_id": "427"}, {"status": "shipped"})]
        assert reply.text == "The status is shipped."
        assert reply.response_ms > 0
        reply = await desk.play(sentence_file("transfer me to billing"))
        assert reply.text == "Of course, I am connecting you to billing."
        assert await desk.end_reason() == "forwarded"


async def test_the_order_desk_says_what_it_does_not_find(talk: Talk) -> None:
    async with talk("order-desk") as desk:
        await desk.greeting()
        reply = await desk.type("where is my order nine nine nine")
        assert reply.tools == [ToolUse("get_order_status", {"order_id": "999"}, error="not found")]
        assert reply.text == "I am sorry, that did not work: not found."


async def test_the_receptionist_books_once(talk: Talk) -> None:
    async with talk("receptionist") as receptionist:
        await receptionist.greeting()
        reply = await receptionist.type("i would like an appointment on friday at nine")
        assert reply.tools == [ToolUse("book_appointment", {"day": "friday", "time": "nine"}, "ok")]
        assert reply.text == "Okay, your appointment is on Friday at nine."
        assert [e["data"] for e in reply.events if e["type"] == "agent.event"] == [{"day": "friday", "time": "nine"}]
        reply = await receptionist.type("i would like an appointment on friday at nine")
        assert reply.tools[0].error == "it is closed"
        assert reply.text == "I am sorry, that did not work: it is closed."
        await receptionist.type("connect me to sales")
        assert await receptionist.end_reason() == "forwarded"


async def test_the_pizzeria_remembers_an_order(talk: Talk) -> None:
    async with talk("pizza") as pizza:
        assert await pizza.greeting() == "Welcome! What can I do for you?"
        reply = await pizza.play(sentence_file("i would like a small pizza with cheese"))
        assert reply.text == "Okay, a small pizza with cheese. Anything else?"
        assert (await pizza.type("what is my order")).text == "You ordered a small pizza with cheese."


async def test_the_home_is_switched_by_the_client(talk: Talk) -> None:
    async with talk("home") as home:
        home.caller.speak(read_wav(sentence_file("turn on the light in the kitchen"), CALL_RATE_HZ))
        called = await home.caller.wait_for("tool.called")
        assert (called["runs_at"], called["arguments"]) == ("client", {"room": "kitchen", "state": "on"})
        home.caller.send(type="tool.result", id=called["id"], result="ok")
        stopped = await home.caller.wait_for("agent.speech_stopped")
        assert stopped["heard"] == "Okay, the light in the kitchen is on."


async def test_the_front_desk_looks_into_its_documents_and_hands_over_to_a_person(talk: Talk) -> None:
    async with talk("front-desk") as desk:
        await desk.greeting()
        reply = await desk.type("when are you open on saturday")
        (used,) = [e for e in reply.events if e["type"] == "knowledge.used"]
        assert used["sources"][0]["file"] == "opening-hours.md"
        reply = await desk.type("transfer me to billing")
        assert reply.text == "Of course, I am connecting you to billing."
        assert [e["data"] for e in reply.events if e["type"] == "agent.event"] == [{"department": "billing"}]
        await desk.caller.wait_for("call.paused")


async def test_the_tutor_keeps_the_score_in_the_page(talk: Talk) -> None:
    async with talk("tutor") as tutor:
        await tutor.greeting()
        assert (await tutor.type("it is one")).text == "That is right. The next one."
        assert (await tutor.type("i do not know")).text == "Not quite. It is two. The next one."
        await tutor.type("four")
        assert (await tutor.type("seven")).text == "That is right. You had 3 of 4. Goodbye!"
        assert await tutor.end_reason() == "agent_hangup"
        told = [(e["name"], e["data"].get("points")) for e in tutor.caller.of("agent.event")]
        assert told == [
            *(("card", None), ("score", 1), ("card", None), ("score", 1)),
            *(("card", None), ("score", 2), ("card", None), ("score", 3)),
        ]


async def test_the_kiosk_waits_until_the_button_is_let_go(talk: Talk) -> None:
    async with talk("kiosk") as kiosk:
        await kiosk.greeting()
        order = read_wav(sentence_file("i would like a small pizza with cheese"), CALL_RATE_HZ)
        await kiosk.caller.speak(order).finished.wait()
        await kiosk.caller.wait_for("user.speech_stopped")
        assert not kiosk.caller.of("turn.ended")
        kiosk.caller.send(type="turn.end")
        answered = await kiosk.caller.wait_for("agent.speech_stopped", lambda e: "pizza" in e["heard"])
        assert answered["heard"] == "Okay, a small pizza with cheese. Anything else?"
