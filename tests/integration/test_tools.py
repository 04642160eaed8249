"""Tools and agents' code in real calls: by voice, by text, in the client, when they are slow, and when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from media_server.audio import Samples
from media_server.call.call import Call
from media_server.caller import Caller
from media_server.server import Server
from tests.conftest import done_by_desk, no_sessions
from tests.integration.test_turns import with_pause

Say = Callable[[str], Samples]


@pytest.fixture
def done(server: Server) -> list[Any]:
    """What the tools did."""
    return done_by_desk(server)


@pytest.fixture
async def call(server: Server) -> AsyncIterator[Callable[[str], Any]]:
    """Calls an agent; all calls are over at the end."""
    callers: list[Caller] = []

    async def call(agent: str) -> Caller:
        caller = Caller(server.url, agent)
        callers.append(await caller.__aenter__())
        await caller.wait_for("state.changed", lambda e: e["state"] == "listening")
        return caller

    yield call
    for caller in callers:
        await caller.__aexit__(None, None, None)
    await no_sessions(server)


def conducted(server: Server, caller: Caller) -> Call:
    return server.sessions._by_id[caller.session_id].call


async def ask(caller: Caller, text: str) -> dict[str, Any]:
    """Type it; the answer as it was heard."""
    since = len(caller.events)
    caller.send(type="text.send", text=text)
    return await caller.wait_for("agent.speech_stopped", since=since)


async def test_a_spoken_question_is_answered_with_what_a_tool_returns(
    call: Any, server: Server, done: list[Any], sentence: Say
) -> None:
    caller = await call("desk")
    caller.speak(sentence("where is my order four two seven"))
    stopped = await caller.wait_for("agent.speech_stopped")
    assert stopped["heard"] == "The status is shipped."
    assert done == [("order", "427")]
    called, returned = caller.of("tool.called")[0], caller.of("tool.returned")[0]
    assert (called["name"], called["arguments"], called["runs_at"]) == (
        "get_order_status",
        {"order_id": "427"},
        "server",
    )
    assert (returned["id"], returned["result"]) == (called["id"], {"status": "shipped"})
    entries = conducted(server, caller).history.entries
    assert [m.role for m in entries] == ["user", "assistant", "tool", "assistant"]
    assert entries[1].tool_calls[0].id == entries[2].tool_call_id == called["id"]


async def test_a_tool_with_effects_never_runs_on_trial(call: Any, done: list[Any], sentence: Say) -> None:
    caller = await call("desk")
    first, rest = sentence("where is my order four two seven"), sentence("nine one")
    # in the pause the reply is begun on the words so far, and given up when the caller goes on
    caller.speak(with_pause(1.0, first, rest))
    stopped = await caller.wait_for("agent.speech_stopped")
    assert stopped["heard"] == "The status is shipped."
    assert done == [("order", "42791")]
    order = [e["type"] for e in caller.events]
    assert order.index("turn.ended") < order.index("tool.called")


async def test_what_is_ephemeral_is_used_and_kept_nowhere(
    call: Any, server: Server, done: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caller = await call("desk")
    with caplog.at_level("INFO"):
        stopped = await ask(caller, "what is the weather in london")
    assert stopped["heard"] == "The weather is sunny."
    assert done == [("weather", "london")]
    called, returned = caller.of("tool.called")[0], caller.of("tool.returned")[0]
    assert called["ephemeral"]
    assert returned["ephemeral"]
    assert "arguments" not in called
    assert "result" not in returned
    assert [m.role for m in conducted(server, caller).history.entries] == ["user", "assistant"]
    assert not [r for r in caplog.records if '"city"' in r.getMessage()]


async def test_a_tool_speaks_while_it_works_and_its_time_is_its_own(call: Any, done: list[Any]) -> None:
    caller = await call("slow")
    stopped = await ask(caller, "set a timer for five seconds")
    assert stopped["heard"] == "One moment please. Okay, the timer is set for five seconds."
    assert done == [("timer", "began"), ("timer", 5, "seconds")]
    assert not caller.of("warning")


async def test_an_interruption_reaches_the_tool(call: Any, server: Server, done: list[Any]) -> None:
    caller = await call("slow")
    caller.send(type="text.send", text="set a timer for five minutes")
    await caller.wait_for("agent.speech_started")
    caller.send(type="agent.interrupt")
    returned = await caller.wait_for("tool.returned")
    assert "interrupted" in returned["error"]
    await caller.wait_for("state.changed", lambda e: e["state"] == "listening", since=caller.events.index(returned))
    assert ("timer", "cancelled") in done
    entries = conducted(server, caller).history.entries
    assert [m.role for m in entries] == ["user", "assistant", "tool"]
    assert "interrupted" in entries[2].content


async def test_the_model_is_told_of_a_tool_that_fails(call: Any, done: list[Any]) -> None:
    caller = await call("broken")
    stopped = await ask(caller, "what is the temperature in the kitchen")
    assert caller.of("tool.returned")[0]["error"] == "not found"
    assert stopped["heard"] == "I am sorry, that did not work: not found."


async def test_a_tool_that_takes_too_long_is_given_up(call: Any, done: list[Any]) -> None:
    caller = await call("broken")
    await ask(caller, "what time is it")
    assert caller.of("tool.returned")[0]["error"] == "get_time did not answer within 0.2 seconds."


async def test_the_client_runs_a_tool(call: Any) -> None:
    caller = await call("home")
    caller.send(type="text.send", text="turn on the light in the kitchen")
    called = await caller.wait_for("tool.called")
    assert called["runs_at"] == "client"
    assert called["arguments"] == {"room": "kitchen", "state": "on"}
    caller.send(type="tool.result", id=called["id"], result={"ok": True})
    stopped = await caller.wait_for("agent.speech_stopped")
    assert stopped["heard"] == "Okay, the light in the kitchen is on."
    caller.send(type="tool.result", id=called["id"], result="again")
    error = await caller.wait_for("error")
    assert error["code"] == "unknown_tool_call"


async def test_a_client_that_does_not_answer_is_not_waited_for(call: Any) -> None:
    caller = await call("home")
    await ask(caller, "turn on the light in the kitchen")
    assert caller.of("tool.returned")[0]["error"] == "set_light did not answer within 1.5 seconds."


async def test_a_call_is_handed_over_with_what_was_said(call: Any, server: Server) -> None:
    caller = await call("desk")
    await ask(caller, "my name is olivia")
    await ask(caller, "transfer me to billing")
    forwarded = await caller.wait_for("call.forwarded")
    assert (forwarded["to"], forwarded["agent"]) == ("billing-desk", True)
    await caller.wait_for("agent.speech_stopped", lambda e: e["heard"] == "Hello, this is billing.")
    assert (await ask(caller, "what is my name"))["heard"] == "Your name is Olivia."
    assert not caller.of("call.ended")


async def test_a_call_is_forwarded_to_somebody_else_when_that_was_said(call: Any) -> None:
    caller = await call("desk")
    caller.send(type="text.send", text="transfer me to support")
    ended = await caller.wait_for("call.ended")
    assert ended["reason"] == "forwarded"
    types = [e["type"] for e in caller.events]
    assert types.index("agent.speech_stopped") < types.index("call.forwarded") < types.index("call.ended")


async def test_a_tool_hangs_up_when_the_last_word_was_heard(call: Any) -> None:
    caller = await call("desk")
    caller.send(type="text.send", text="goodbye")
    ended = await caller.wait_for("call.ended")
    assert ended["reason"] == "agent_hangup"
    (stopped,) = caller.of("agent.speech_stopped")
    assert stopped["reason"] == "completed"


async def test_code_answers_in_place_of_the_model(call: Any, done: list[Any]) -> None:
    caller = await call("echo")
    greeted = await caller.wait_for("agent.event", lambda e: e["name"] == "greeted")
    assert greeted["data"] == [{"role": "assistant", "text": "Welcome."}]
    assert (await ask(caller, "what is this"))["heard"] == "You said what is this."
    echoed = await caller.wait_for("agent.event", lambda e: e["name"] == "echoed")
    assert echoed["data"] == {"text": "what is this", "share": 0.12345}
    assert (await ask(caller, "hello"))["heard"] == "Hello there! You said hello."
    caller.send(type="call.end")
    await caller.wait_for("call.ended")


async def test_half_a_sign_in_what_code_says_ends_no_call(call: Any) -> None:
    caller = await call("echo")
    await caller.wait_for("agent.speech_stopped")
    caller.send(type="text.send", text="half")
    error = await caller.wait_for("error")
    assert error["message"] == "The agent's code failed: no file ?."
    sent = await caller.wait_for("agent.event", lambda e: e["name"] == "half?")
    assert sent["data"] == {"?": "?"}
    said = "".join(e["text"] for e in caller.of("agent.text_delta"))
    assert "So is ? this." in said
    await caller.wait_for("agent.speech_stopped", lambda e: "I am sorry" in e["heard"])
    assert (await ask(caller, "what is this"))["heard"] == "You said what is this."


async def test_code_that_fails_costs_one_answer(call: Any, server: Server, done: list[Any]) -> None:
    caller = await call("echo")
    await caller.wait_for("agent.speech_stopped")
    for text, reason in (("goodbye", "no goodbyes"), ("leave", "nor leaves")):
        since = len(caller.events)
        caller.send(type="text.send", text=text)
        error = await caller.wait_for("error", since=since)
        assert error["code"] == "agent_failed"
        assert reason in error["message"]
        await caller.wait_for("agent.speech_stopped", lambda e: e["heard"].startswith("I am sorry"), since=since)
    assert (await ask(caller, "what is this"))["heard"] == "You said what is this."
    caller.send(type="call.end")
    await caller.wait_for("call.ended")
    await no_sessions(server)
    assert [d[:2] for d in done] == [("ended", "client_hangup")]


async def test_an_okay_while_a_tool_works_cancels_nothing_and_words_do(
    call: Any, done: list[Any], sentence: Say
) -> None:
    caller = await call("slow")
    caller.send(type="text.send", text="set a timer for five minutes")
    await caller.wait_for("agent.segment_stopped")
    assert done == [("timer", "began")]
    await asyncio.sleep(0.3)
    since = len(caller.events)
    caller.speak(sentence("okay"))
    await caller.wait_for("user.speech_stopped", since=since)
    await asyncio.sleep(1)
    assert done == [("timer", "began")]
    assert not [e for e in caller.of("user.transcript") if e["text"] == "okay"]
    caller.speak(sentence("goodbye"))
    await caller.wait_for("tool.returned")
    assert done == [("timer", "began"), ("timer", "cancelled")]
