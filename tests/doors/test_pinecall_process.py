"""Pinecall's agents that are programs of their own: they create agents, run tools, answer turns, and come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.doors.pinecall import programs
from media_server.doors.pinecall.program import GOODBYE
from media_server.server import Server, running_server
from tests.conftest import no_sessions
from tests.doors.test_pinecall import PinecallCaller
from tests.integration.test_access import guarded, refused
from tests.integration.test_chat import chatting
from tests.integration.test_voice import quiet
from tests.sockets import SocketClient, connected

TOOL = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "description": "Get the status of an order",
        "parameters": {
            "type": "object",
            "properties": {"order_id": {"type": "string", "description": "order number"}},
            "required": ["order_id"],
        },
    },
}
MARA = {
    "agent_id": "mara",
    "prompt": "You are {{name}}, a voice assistant.",
    "vars": {"name": "Mara"},
    "llm": "openai/gpt-5-chat-latest",
    "voice": "elevenlabs/sarah",
    "stt": "deepgram/flux",
    "language": "en-US",
    "tools": [TOOL],
    "session_limits": {"max_duration_seconds": 300, "idle_timeout_seconds": 60, "idle_grace_seconds": 10},
}


class Program(SocketClient):
    kind_key = "event"

    async def send(self, event: str, **fields: Any) -> None:
        await self.socket.send_json({"event": event, **fields})

    async def create(self, **changes: Any) -> dict[str, Any]:
        await self.send("agent.create", **{**MARA, **changes})
        return await self.wait_for("agent.created")

    async def failed(self, event: str, **fields: Any) -> dict[str, Any]:
        """The error that this is answered with."""
        since = len(self.messages)
        await self.send(event, **fields)
        return await self.wait_for("error", since=since)


@contextlib.asynccontextmanager
async def program(url: str, key: str = "") -> AsyncIterator[Program]:
    async with connected(Program, f"{url}/client") as each:
        await each.send("connect", api_key=key)
        assert await each.wait_for("connected")
        yield each


async def ask(caller: Caller, text: str) -> str:
    since = len(caller.events)
    caller.send(type="text.send", text=text)
    return str((await caller.wait_for("agent.speech_stopped", since=since))["heard"])


async def test_tools_run_in_the_program(server: Server) -> None:
    async with program(server.url) as mara:
        created = await mara.create()
        assert [what.split(":")[0] for what in created["unused"]] == ["stt", "llm", "voice"]
        async with PinecallCaller(server.url, "mara", userId="ada") as caller:
            caller.send(action="inject_text", text="where is my order four two seven")
            started = await mara.wait_for("call.started")
            assert (started["agent_id"], started["transport"]) == ("mara", "webrtc")
            asked = await mara.wait_for("llm.tool_call", call_id=started["call_id"])
            (call,) = asked["tool_calls"]
            assert (call["name"], json.loads(call["arguments"])) == ("get_order_status", {"order_id": "427"})
            results = [{"tool_call_id": call["id"], "result": {"status": "shipped"}}]
            wrong = [{"tool_call_id": "tool-nonsense", "result": 1}]
            of = {"call_id": started["call_id"], "msg_id": asked["msg_id"]}
            assert (await mara.failed("llm.tool_result", **of, results=wrong))["code"] == "UNKNOWN_TOOL_CALL"
            await mara.send("llm.tool_result", **of, results=results)
            assert (await caller.wait_for("bot.finished"))["text"] == "The status is shipped."
            finished = await mara.wait_for("bot.finished", agent_id="mara")
            assert finished["text"] == "The status is shipped."
        ended = await mara.wait_for("call.ended")
        assert ended["duration_seconds"] > 0
        roles = [m["role"] for m in ended["messages"]]
        assert roles == ["user", "assistant", "tool", "assistant"], "with the tool call"
        assert ended["messages"][-1]["content"] == finished["text"]
        assert ended["ended_at"] - ended["started_at"] == pytest.approx(ended["duration_seconds"])
        assert not mara.of("llm.toolCall"), "programs know one name of each event"
    await no_sessions(server)
    assert await refused(server.url, "", agent="mara") == (404, "unknown_agent"), "it went with the program"


async def test_a_program_without_a_model_answers_turns(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create(llm=None, tools=[])
        async with Caller(server.url, "mara") as caller:
            call_id = (await mara.wait_for("call.started"))["call_id"]
            caller.send(type="text.send", text="hello")
            assert (await mara.wait_for("turn.end"))["text"] == "hello"
            await mara.send("bot.reply", call_id=call_id, message_id="m1", text="One plus two is three.")
            assert (await caller.wait_for("agent.speech_stopped"))["heard"] == "One plus two is three."
            assert (await mara.wait_for("bot.finished"))["message_id"] == "m1"
            assert await mara.wait_for("message.confirmed", message_id="m1")

            since = len(caller.events)
            caller.send(type="text.send", text="and more")
            await mara.wait_for("turn.end", text="and more")
            stream = {"call_id": call_id, "message_id": "m2"}
            await mara.send("bot.reply.stream", **stream, action="start")
            for token in ("Two ", "and two ", "is four."):
                await mara.send("bot.reply.stream", **stream, action="chunk", token=token)
            await mara.send("bot.reply.stream", **stream, action="end")
            assert (await caller.wait_for("agent.speech_stopped", since=since))["heard"] == "Two and two is four."
            assert (await mara.wait_for("bot.finished", message_id="m2"))["text"] == "Two and two is four."

            since = len(caller.events)
            await mara.send("bot.reply", call_id=call_id, message_id="m3", text="By the way, it is twelve.")
            assert (await caller.wait_for("agent.speech_stopped", since=since))["heard"] == "By the way, it is twelve."
            assert await mara.wait_for("bot.finished", message_id="m3")

            # neither of its own accord nor as an answer
            for message_id, typed in (("m4", ""), ("m6", "what then")):
                since = len(caller.events)
                if typed:
                    caller.send(type="text.send", text=typed)
                    await mara.wait_for("turn.end", text=typed)
                said = {"message_id": message_id, "text": f"Hush {message_id}.", "add_to_history": False}
                await mara.send("bot.reply", call_id=call_id, **said)
                heard = (await caller.wait_for("agent.speech_stopped", since=since))["heard"]
                assert heard == said["text"]
                assert await mara.wait_for("bot.finished", message_id=message_id)
            await mara.send("history.get", call_id=call_id)
            history = (await mara.wait_for("history.data"))["messages"]
            assert history[-1] == {"role": "user", "content": "what then"}
            assert not [m for m in history if "Hush" in m["content"]]

            await mara.send("bot.reply.stream", call_id=call_id, message_id="m5", action="chunk", token="late")
            assert await mara.wait_for("reply.rejected", message_id="m5")

            # more of its own accord than anybody would listen to
            stream = {"call_id": call_id, "message_id": "m7"}
            await mara.send("bot.reply.stream", **stream, action="start")
            await mara.send("bot.reply.stream", **stream, action="chunk", token="m" * 4000)
            error = await mara.failed("bot.reply.stream", **stream, action="chunk", token="m")
            assert error["message"] == "bot.reply.stream: more than 4000 characters in one reply."
            await mara.send("bot.reply.stream", **stream, action="end")
            assert await mara.wait_for("reply.rejected", message_id="m7")
            for n in range(100):
                await mara.send("bot.reply.stream", call_id=call_id, message_id=f"n{n}", action="start")
            error = await mara.failed("bot.reply.stream", call_id=call_id, message_id="n100", action="start")
            assert error["message"] == "bot.reply.stream: 100 replies of this call have no end."
    await no_sessions(server)


async def test_what_a_program_may_do_with_a_call(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create()
        async with Caller(server.url, "mara") as caller:
            call_id = (await mara.wait_for("call.started"))["call_id"]
            of = {"call_id": call_id}
            assert await ask(caller, "my name is olivia") == "Nice to meet you, Olivia! How can I help you?"
            await mara.send("history.get", **of, request_id=1)
            assert [m["role"] for m in (await mara.wait_for("history.data", request_id=1))["messages"]] == [
                "user",
                "assistant",
            ]
            await mara.send("history.clear", **of, request_id=2)
            assert (await mara.wait_for("history.updated", request_id=2))["count"] == 0
            said = [
                {"role": "user", "content": "my name is clara"},
                {"role": "assistant", "content": "Nice to meet you, Clara! How can I help you?"},
            ]
            await mara.send("history.add", **of, request_id=3, messages=said)
            assert (await mara.wait_for("history.updated", request_id=3))["count"] == 2
            assert await ask(caller, "what is my name") == "Your name is Clara."
            await mara.send("history.set_vars", **of, request_id=4, vars={"name": "Sofia"})
            await mara.send("history.add_context", **of, request_id=5, key="plan", context="gold")
            await mara.send("history.set_instructions", **of, request_id=6, instructions="You are {{name}}. Be kind.")
            assert await mara.wait_for("history.updated", request_id=6)
            call = server.sessions._by_id[caller.session_id].call
            assert call.agent.prompt == "You are Sofia. Be kind.\n\nplan: gold"
            failed = await mara.failed("history.set_instructions", **of)
            assert failed["code"] == "BAD_MESSAGE"

            await mara.send("session.configure", session_id=call_id, voice="calm")
            assert await mara.wait_for("session.configured")
            assert call.agent.voice == "calm"
            since = len(mara.messages)
            await mara.send("session.configure", session_id=call_id, voice="elevenlabs/sarah", language="en-US")
            configured = await mara.wait_for("session.configured", since=since)
            assert configured["unused"] == ["voice: 'elevenlabs/sarah': the usual voice is used"]
            assert (call.agent.voice, call.agent.language) == ("calm", "en")

            await mara.send("session.pause", session_id=call_id)
            assert (await mara.wait_for("session.paused"))["session_id"] == call_id
            since = len(caller.events)
            await mara.send("session.send", session_id=call_id, text="A person speaks.")
            assert await mara.wait_for("session.sent")
            assert (await caller.wait_for("agent.speech_stopped", since=since))["heard"] == "A person speaks."
            await mara.send("session.resume", session_id=call_id)
            assert await mara.wait_for("session.resumed")
            assert (await mara.failed("session.send", contact="nobody", text="x"))["code"] == "UNKNOWN_CALL"

            for what, done in (("mute", "muted"), ("unmute", "unmuted"), ("hold", "held"), ("unhold", "unheld")):
                await mara.send(f"call.{what}", **of)
                assert await mara.wait_for(f"call.{done}")
            assert (await mara.failed("call.dtmf", **of))["code"] == "NOT_SUPPORTED"

            caller.send(type="text.send", text="what can you do")
            await mara.wait_for("bot.speaking", since=len(mara.messages))
            await asyncio.sleep(0.4)
            await mara.send("bot.cancel", **of)
            assert (await mara.wait_for("bot.interrupted"))["reason"] == "cancelled"

            await mara.send("call.forward", **of, to="assistant", message="One moment.")
            assert (await mara.wait_for("call.forwarded"))["to"] == "assistant"
            assert (await mara.wait_for("call.ended"))["reason"] == "forwarded", "another agent has it"
            assert (await mara.failed("call.hangup", **of))["code"] == "UNKNOWN_CALL"
    await no_sessions(server)


async def test_a_program_is_asked_before_a_call_and_before_the_model(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create(ringing=True, preparing=True)
        calling = asyncio.create_task(refused(server.url, "", agent="mara", metadata={"contact": "ada"}))
        rings = await mara.wait_for("call.ringing")
        assert (rings["agent_id"], rings["to"]) == ("mara", "mara")
        await mara.send("call.reject", call_id=rings["call_id"], reason="busy")
        rejected = await mara.wait_for("call.rejected", call_id=rings["call_id"])
        assert (rejected["agent_id"], rejected["reason"]) == ("mara", "busy")
        assert await calling == (409, "busy")

        async def accept() -> None:
            again = await mara.wait_for("call.ringing", since=mara.messages.index(rings) + 1)
            await mara.send("call.accept", call_id=again["call_id"])

        accepting = asyncio.create_task(accept())
        async with Caller(server.url, "mara") as caller:
            await accepting
            call_id = (await mara.wait_for("call.started"))["call_id"]
            caller.send(type="text.send", text="what is your name")
            before = await mara.wait_for("llm.before")
            await mara.send("history.set_vars", call_id=call_id, vars={"name": "Sofia"})
            await mara.send("llm.ready", call_id=call_id, turn=before["turn"])
            assert "Sofia" in (await caller.wait_for("agent.speech_stopped"))["heard"]
    await no_sessions(server)


async def test_conversations_in_writing(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create()
        async with chatting(server.url, agent="mara") as visitor:
            await visitor.wait_for("call.started")
            assert (await mara.wait_for("llm.chat.started"))["agent_id"] == "mara"
            assert await visitor.ask("what is one plus two") == "One plus two is three."
            assert (await mara.wait_for("chat.message"))["text"] == "what is one plus two"
            assert (await mara.wait_for("chat.response"))["text"] == "One plus two is three."
            await visitor.socket.send_json({"type": "call.end"})
        over = await mara.wait_for("llm.chat.ended")
        assert over["messages"][-1]["content"] == "One plus two is three."

        await mara.send("llm.chat", session_id="s1", agent_id="mara", text="my name is olivia")
        assert (await mara.wait_for("llm.chat.done"))["text"] == "Nice to meet you, Olivia! How can I help you?"
        assert "".join(m["text"] for m in mara.of("llm.chat.token")).startswith("Nice to")
        await mara.send("llm.chat", session_id="s1", agent_id="mara", text="what is my name")
        await mara.wait_for("llm.chat.done", text="Your name is Olivia.")
        assert len([m for m in mara.of("llm.chat.started") if m.get("session_id") == "s1"]) == 1
        await mara.send("llm.chat", session_id="s2", agent_id="assistant", text="what is one plus two")
        await mara.wait_for("llm.chat.done", session_id="s2", text="One plus two is three.")
        unknown = await mara.failed("llm.chat", session_id="s3", agent_id="nobody", text="x")
        assert (unknown["code"], unknown["session_id"]) == ("UNKNOWN_AGENT", "s3")
    await no_sessions(server)


async def test_a_program_that_goes_and_comes_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_server.doors.pinecall.program.AWAY_S", 4.0)
    async with contextlib.AsyncExitStack() as first:
        mara = await first.enter_async_context(program(server.url))
        await mara.create()
        async with Caller(server.url, "mara") as caller:
            call_id = (await mara.wait_for("call.started"))["call_id"]
            caller.send(type="text.send", text="where is my order four two seven")
            await mara.wait_for("llm.tool_call")
            await first.aclose()
            returned = await caller.wait_for("tool.returned")
            assert returned["error"] == "agent offline"
            async with program(server.url) as again:
                await again.create()
                await caller.wait_for("agent.speech_stopped")
                await asyncio.sleep(4.5)
                assert not caller.of("call.ended"), "it is back in time"
                assert await ask(caller, "what is one plus two") == "One plus two is three."
                assert (await again.wait_for("bot.finished"))["call_id"] == call_id
            since = len(caller.events)
            assert (await caller.wait_for("agent.text", since=since))["text"] == GOODBYE
            assert (await caller.wait_for("call.ended"))["reason"] == "agent_hangup"
    await no_sessions(server)


async def test_agents_are_configured_and_named_once(server: Server) -> None:
    async with program(server.url) as mara, program(server.url) as other:
        await mara.create()
        conflict = await other.failed("agent.create", **MARA)
        assert (conflict["code"], conflict["holder_alive"]) == ("AGENT_CONFLICT", True)
        assert (conflict["agent_id"], conflict["retry_after_s"] > 0) == ("mara", True)
        fatal = await other.failed("agent.create", **{**MARA, "agent_id": "desk"})
        assert fatal["code"] == "AGENT_CONFLICT_FATAL"
        await mara.send("agent.configure", agent_id="mara", greeting="Good day!")
        await mara.wait_for("agent.configured")
        await mara.send("channel.add", agent_id="mara", type="phone", ref="+15551110000")
        added = await mara.wait_for("channel.added")
        assert (added["type"], added["ref"]) == ("phone", "+15551110000")
        async with Caller(server.url, "mara") as caller:
            assert (await caller.wait_for("agent.text"))["text"] == "Good day!"
        await mara.send("ping")
        assert await mara.wait_for("pong")
    await no_sessions(server)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", "BAD_MESSAGE"),
        ('{"event": "dance"}', "BAD_MESSAGE"),
        ('{"event": "connect"}', "BAD_MESSAGE"),
        ('{"event": "agent.create"}', "REGISTRATION_ERROR"),
        ('{"event": "agent.create", "agent_id": "!?"}', "REGISTRATION_ERROR"),
        ('{"event": "agent.create", "agent_id": "x", "allowed_origins": ["*"]}', "REGISTRATION_ERROR"),
        ('{"event": "agent.create", "agent_id": "x", "language": "klingonese"}', "REGISTRATION_ERROR"),
        (
            '{"event": "agent.create", "agent_id": "x", "tools": [{"function": {"name": "t", "parameters": '
            '{"properties": {"a": {"$ref": "#/nowhere"}}}}}]}',
            "REGISTRATION_ERROR",
        ),
        ('{"event": "agent.configure", "agent_id": "desk"}', "UNKNOWN_AGENT"),
        ('{"event": "channel.add", "agent_id": "desk"}', "UNKNOWN_AGENT"),
        ('{"event": "bot.reply", "call_id": "call-x", "text": "hi"}', "UNKNOWN_CALL"),
        ('{"event": "bot.reply", "call_id": "call-x", "text": "hi", "add_to_history": "perhaps"}', "BAD_MESSAGE"),
        ('{"event": "session.pause", "session_id": "call-x"}', "UNKNOWN_CALL"),
        ('{"event": "session.send"}', "BAD_MESSAGE"),
        ('{"event": "session.pause", "agent_id": "desk"}', "UNKNOWN_AGENT"),
    ],
)
async def test_what_is_wrong_is_said(server: Server, message: str, code: str) -> None:
    async with program(server.url) as mara:
        await mara.socket.send_str(message)
        error = await mara.wait_for("error")
        assert error["code"] == code
        assert error["message"].endswith(".")
        await mara.send("ping")
        assert await mara.wait_for("pong"), "the socket is still good"


async def test_only_a_key_for_everything_creates_agents(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        for key in ("", "sk_nonsense", g.key):
            async with connected(Program, f"{g.server.url}/client") as each:
                await each.send("connect", api_key=key)
                assert (await each.wait_for("error"))["code"] == "UNAUTHORIZED"
                await asyncio.wait_for(each.closed.wait(), 5)
        secret, _ = await g.keys.create("backend", scopes=("admin",), tenant="acme")
        async with program(g.server.url, secret) as mara:
            await mara.create(agent_id="sofia")
            own, _ = await g.keys.create("pages", tenant="acme")
            async with Caller(g.server.url, "sofia", auth=own) as caller:
                await caller.wait_for("call.started")
            assert await refused(g.server.url, g.key, "sofia") == (404, "unknown_agent"), "of another tenant"


async def test_a_revoked_key_closes_what_it_opened(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        secret, key = await g.keys.create("backend", scopes=("admin",))
        admin = {"Authorization": f"Bearer {secret}"}
        async with (
            program(g.server.url, secret) as mara,
            aiohttp.ClientSession(g.server.url) as http,
            Caller(g.server.url, "luna", auth=g.key) as caller,
        ):
            await mara.create(agent_id="sofia")
            await caller.wait_for("call.started")
            wanted = {"agent_id": "luna"}
            async with http.get("/stream/token", params=wanted, headers=admin) as response:
                token = (await response.json())["token"]
            listening = f"{g.server.url}/live/{caller.call_id}/ws"
            async with (
                http.get("/v1/events", headers=admin) as stream,
                http.get(f"/v1/calls/{caller.call_id}/events", headers=admin) as one,
                connected(SocketClient, f"{g.server.url}/v1/events", headers=admin) as events,
                connected(SocketClient, listening, token=token) as person,
            ):
                await person.wait_for("metadata")
                await asyncio.sleep(2.5)
                assert not events.closed.is_set(), "a good key stays good"
                await g.keys.revoke(key.id)
                assert (await mara.wait_for("error"))["code"] == "UNAUTHORIZED"
                for each in (mara, events, person):
                    await asyncio.wait_for(each.closed.wait(), 5)
                for each_stream in (stream, one):
                    await asyncio.wait_for(each_stream.content.read(), 5)
            assert not caller.of("call.ended"), "calls under way end by themselves"
            assert await refused(g.server.url, g.key, "sofia") == (404, "unknown_agent"), "its program is gone"


async def test_programs_may_have_so_many_agents(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MAX_AGENTS", 2)
    async with program(server.url) as mara:
        for name in ("one", "two"):
            await mara.create(agent_id=name)
        full = await mara.failed("agent.create", **{**MARA, "agent_id": "three"})
        assert (full["code"], full["used"], full["limit"]) == ("SERVER_AT_CAPACITY", 2, 2)
        await mara.create(agent_id="two")
        await mara.nth("agent.created", 3)  # what is there already may be made anew


def _owner(method: Any) -> object:
    return method.__self__


async def test_a_program_that_does_not_read_is_let_go(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_server.doors.pinecall.program.MAX_UNSENT", 50)
    async with program(server.url) as mara:
        await mara.create()
        owners = [_owner(observe) for observe in server.sessions.observers]
        (every,) = [each for each in owners if isinstance(each, programs.Programs)]
        process = every.get("mara")
        assert process is not None
        for _ in range(60):
            process.send({"event": "pong"})  # faster than anything can be written
        await asyncio.wait_for(mara.closed.wait(), 10)
    await no_sessions(server)


async def test_a_program_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "FIRST_S", 0.3)
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=[Agent("mara")])
    async with running_server(settings) as server, connected(Program, f"{server.url}/client") as each:
        assert (await each.wait_for("error"))["code"] == "NOT_CONNECTED"
        await asyncio.wait_for(each.closed.wait(), 5)


async def test_a_name_is_taken_from_a_program_that_is_gone_without_a_word(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_server.doors.pinecall.program.ANSWER_S", 0.5)
    async with (
        aiohttp.ClientSession(server.url) as http,
        # as after a break of the network: nothing comes of it any more, and nothing says that it is gone
        http.ws_connect("/client", autoping=False, autoclose=False) as stale,
    ):
        await stale.send_json({"event": "connect"})
        await stale.send_json({"event": "agent.create", **MARA})
        while (await stale.receive_json())["event"] != "agent.created":
            pass
        async with program(server.url) as again:
            await again.create()
            async with chatting(server.url, agent="mara") as visitor:
                assert await visitor.ask("what is one plus two") == "One plus two is three."
                assert (await again.wait_for("chat.response"))["text"] == "One plus two is three."


async def test_what_a_tool_says_has_an_end_and_is_seen(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create()
        async with PinecallCaller(server.url, "mara", userId="ada") as caller:
            for message_id in ("m1", "m2"):
                since, mine = len(caller.events), len(mara.messages)
                caller.send(action="inject_text", text="where is my order four two seven")
                asked = await mara.wait_for("llm.tool_call", since=mine)
                of = {"call_id": asked["call_id"]}
                await mara.send("bot.reply", **of, message_id=message_id, text="One moment.", in_reply_to="")
                assert (await mara.wait_for("bot.finished", message_id=message_id))["text"] == "One moment."
                results = [{"tool_call_id": asked["tool_calls"][0]["id"], "result": {"status": "shipped"}}]
                await mara.send("llm.tool_result", **of, msg_id=asked["msg_id"], results=results)
                said = (await caller.wait_for("bot.finished", since=since))["text"]
                assert said == "One moment. The status is shipped."
            await mara.send("bot.reply", **of, message_id="m3", text="Anything else?", in_reply_to="")
            assert await mara.wait_for("bot.finished", message_id="m3")
    await no_sessions(server)


async def test_what_a_tool_says_in_a_chat_is_read(server: Server) -> None:
    async with program(server.url) as mara, aiohttp.ClientSession(server.url) as http:
        await mara.create(greeting="Welcome!")
        async with http.get("/chat/token", params={"agent_id": "mara"}) as response:
            token = (await response.json())["token"]
        async with connected(Program, f"{server.url}/ws", token=token) as page:
            await page.send("message", text="where is my order four two seven")
            asked = await mara.wait_for("llm.tool_call")
            of = {"call_id": asked["call_id"]}
            await mara.send("bot.reply", **of, message_id="m1", text="One moment.", in_reply_to="")
            assert await mara.wait_for("bot.finished", message_id="m1")
            results = [{"tool_call_id": asked["tool_calls"][0]["id"], "result": {"status": "shipped"}}]
            await mara.send("llm.tool_result", **of, msg_id=asked["msg_id"], results=results)
            assert (await page.wait_for("chat.done"))["text"] == "One moment. The status is shipped."
            assert "".join(m["token"] for m in page.of("chat.token")) == "One moment. The status is shipped."
        over = await mara.wait_for("llm.chat.ended")
        assert over["reason"] == "chat_completed", "as soon as the page has left"
        assert over["messages"][-1]["content"] == "One moment. The status is shipped."
    await no_sessions(server)


async def test_all_calls_of_an_agent_are_paused_and_resumed(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create()
        async with Caller(server.url, "mara") as first:
            await mara.wait_for("call.started")
            await mara.send("session.pause", agent_id="mara")
            await first.wait_for("call.paused")
            async with Caller(server.url, "mara") as second:
                await second.wait_for("call.paused")
                await mara.send("session.resume", agent_id="mara")
                await second.wait_for("call.resumed")
                await first.wait_for("call.resumed")
                assert await ask(second, "what is one plus two") == "One plus two is three."
    await no_sessions(server)


async def test_agents_are_listed_and_displaced_as_the_command_line_wants_it(server: Server) -> None:
    async with program(server.url) as mara, aiohttp.ClientSession(server.url) as http:
        await mara.create(agent_id="My Agent")
        async with http.get("/api/sdk/agents") as response:
            listed = await response.json()
        assert (listed["success"], listed["total"]) == (True, len(listed["agents"]))
        (mine,) = [a for a in listed["agents"] if a["slug"] == "my-agent"]
        assert {"webrtc", "chat"} == set(mine["channels"])
        async with http.get("/webrtc/token", params={"agent_id": "My Agent"}) as response:
            assert response.status == 200
        async with http.delete("/api/sdk/agents/my-agent") as response:
            assert (response.status, (await response.json())["displaced"]) == (200, "my-agent")
        assert (await mara.wait_for("agent.displaced"))["agent_id"] == "my-agent"
        for path in ("my-agent", "desk"):
            async with http.delete(f"/api/sdk/agents/{path}") as response:
                assert response.status == 404
        await mara.create(agent_id="My Agent")


async def test_a_program_that_is_late_is_told_so(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create(preparing={"timeout_ms": 100})
        async with Caller(server.url, "mara") as caller:
            assert await ask(caller, "what is one plus two") == "One plus two is three."
            late = await mara.wait_for("llm.preparing_timeout")
            assert (late["budget_ms"], late["agent_id"]) == (100, "mara")
    await no_sessions(server)


async def test_skills_are_loaded_and_unloaded(server: Server) -> None:
    look = {"type": "function", "function": {"name": "look_up", "description": "Look it up", "parameters": {}}}
    booking = {"name": "booking", "description": "Reserve", "instructions": "Confirm.", "tools": [look]}
    async with program(server.url) as mara:
        await mara.create(skills=[booking])
        async with PinecallCaller(server.url, "mara", userId="ada") as caller:
            call_id = (await mara.wait_for("call.started"))["call_id"]
            call = server.sessions.find_by_call_id(call_id).call
            assert [t.name for t in call.agent.tools] == ["get_order_status", "loadSkill", "unloadSkill"]
            await mara.send("skill.load", call_id=call_id, skill="booking")
            loaded = await mara.wait_for("skill.loaded")
            assert (loaded["skill"], loaded["by"], loaded["agent_id"]) == ("booking", "manual", "mara")
            assert (await caller.wait_for("skill.loaded"))["name"] == "booking"
            assert "look_up" in [t.name for t in call.agent.tools]
            assert call.agent.prompt.count("Confirm.") == 1
            await mara.send("skill.unload", call_id=call_id, skill="booking")
            assert (await mara.wait_for("skill.unloaded"))["skill"] == "booking"
            assert "look_up" not in [t.name for t in call.agent.tools]
            assert (await mara.failed("skill.load", call_id=call_id, skill="cooking"))["code"] == "UNKNOWN_SKILL"
    await no_sessions(server)


async def test_an_agent_calls_another_one(server: Server) -> None:
    async with program(server.url) as judge:
        await judge.create(agent_id="judge", llm=None, tools=[])
        await judge.send("call.bridge", agent_id="judge", target="greeter", metadata={"case": 4}, detect_turn_end=True)
        started = await judge.wait_for("call.started", agent_id="judge")
        assert (started["direction"], started["from"], started["to"]) == ("outbound", "judge", "greeter")
        assert started["metadata"] == {"case": 4}
        assert (await judge.wait_for("turn.end"))["text"], "the greeting was heard"
        await judge.send("bot.reply", call_id=started["call_id"], message_id="m1", text="What is one plus two?")
        assert await judge.wait_for("bot.finished", message_id="m1")
        await judge.send("call.hangup", call_id=started["call_id"])
        assert (await judge.wait_for("call.ended"))["reason"] == "hangup"
        await no_sessions(server)
        for wanted in (
            {"event": "call.dial", "to": "+15551110000", "from": "+1"},
            {"event": "call.bridge", "target": "x"},
        ):
            await judge.send(**wanted, agent_id="judge")
            error = await judge.wait_for("call.error", since=len(judge.messages))
            assert (error["code"], error["agent_id"]) == ("UNKNOWN_AGENT", "judge")
            assert "telephones" in error["error"]


async def test_a_developer_gets_their_own_version_of_an_agent(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        url = g.server.url
        key, _ = await g.keys.create("backend", scopes=("admin", "call"))
        async with program(url, key) as live, program(url, key) as mine:
            await live.create(agent_id="front-desk")
            await mine.create(agent_id="dev-ada-front-desk")
            await mine.send("dev.config", callers=["ada"])
            await mine.send("ping")
            await mine.wait_for("pong")
            for user, developer in (("ada", mine), ("bob", live)):
                query = {"agent_id": "front-desk", "metadata": json.dumps({"userId": user})}
                shown = {"Authorization": f"Bearer {key}"}
                async with g.http.get(f"{url}/chat/token", params=query, headers=shown) as response:
                    token = (await response.json())["token"]
                async with connected(Program, f"{url}/ws", token=token) as page:
                    await page.wait_for("chat.connected")
                    agent = (await developer.wait_for("llm.chat.started"))["agent_id"]
                    assert agent == ("dev-ada-front-desk" if user == "ada" else "front-desk")
            # a page that only says so is nobody
            async with Caller(url, "front-desk", auth=key, metadata={"userId": "ada"}):
                assert (await live.wait_for("call.started"))["agent_id"] == "front-desk"
        await no_sessions(g.server)


async def test_replies_are_cancelled_alone_and_not_said_when_they_are_late(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create(llm=None, tools=[])
        async with PinecallCaller(server.url, "mara") as caller:
            of = {"call_id": (await mara.wait_for("call.started"))["call_id"]}
            for message_id in ("m1", "m2", "m3"):
                text = "This is a sentence that takes a while to be said, word for word."
                await mara.send("bot.reply", **of, message_id=message_id, text=text, in_reply_to="")
            assert (await mara.wait_for("bot.speaking", message_id="m1"))["text"].startswith("This is")
            await mara.send("bot.cancel", **of, message_id="m2")
            assert (await mara.wait_for("bot.interrupted", message_id="m2"))["played_ms"] == 0
            await mara.send("bot.cancel", **of, message_id="m1")
            assert (await mara.wait_for("bot.interrupted", message_id="m1"))["reason"] == "cancelled"
            assert await mara.wait_for("bot.finished", message_id="m3"), "the others are said"

            turns = []
            for text in ("first", "second"):
                caller.send(action="inject_text", text=text)
                turns.append((await mara.wait_for("turn.end", text=text))["message_id"])
                await mara.send("bot.reply", **of, message_id=text, text="Yes.", in_reply_to=turns[-1])
                await mara.wait_for("bot.finished", message_id=text)
            await mara.send("bot.reply", **of, message_id="late", text="Late.", in_reply_to=turns[0])
            late = await mara.wait_for("reply.rejected")
            assert (late["message_id"], late["in_reply_to"], late["expected_reply_to"]) == ("late", *turns)
            assert await mara.wait_for("bot.interrupted", message_id="late"), "whoever waits for its end is told"

            await mara.send("bot.reply", **of, message_id="empty", text="", in_reply_to="")
            assert (await mara.wait_for("bot.interrupted", message_id="empty"))["agent_id"] == "mara"
    await no_sessions(server)


async def test_ways_to_an_agent_have_settings_of_their_own(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create(language="en", vars={"name": "Mara"}, greeting="I am {{name}}.")
        await mara.send(
            "channel.add", agent_id="mara", type="webrtc", ringing=True, vars={"name": "Ann"}, language="es"
        )
        added = await mara.wait_for("channel.added")
        assert (added["type"], added["unused"]) == ("webrtc", [])
        await mara.send("channel.add", agent_id="mara", type="phone", ref="+15551110000")
        assert "there is none here" in (await mara.wait_for("channel.added", type="phone"))["unused"][0]
        await mara.send("line.create", number="+15551110000", config={})
        assert (await mara.wait_for("line.error"))["number"] == "+15551110000", "else the line is waited for"

        async def accept() -> None:
            await mara.send("call.accept", call_id=(await mara.wait_for("call.ringing"))["call_id"])

        accepting = asyncio.create_task(accept())
        async with PinecallCaller(server.url, "mara") as caller:
            await accepting
            assert (await mara.wait_for("call.started"))["language"] == "es"
            assert (await caller.wait_for("bot.finished"))["text"] == "I am Ann."
        await mara.send("channel.remove", agent_id="mara", type="webrtc", ref="webrtc")
        await mara.wait_for("channel.removed")
        async with PinecallCaller(server.url, "mara") as caller:
            assert (await caller.wait_for("bot.finished"))["text"] == "I am Mara."
    await no_sessions(server)


async def test_a_contact_stays_paused(server: Server) -> None:
    async with program(server.url) as mara:
        await mara.create()
        await mara.send("session.pause", agent_id="mara", contact="ada")
        assert (await mara.wait_for("session.paused"))["contact"] == "ada"
        async with PinecallCaller(server.url, "mara", userId="ada") as caller:
            await caller.wait_for("session.paused")
            caller.send(action="inject_text", text="is anybody there")
            assert (await mara.wait_for("user.message"))["paused"]
            await mara.send("session.send", agent_id="mara", contact="ada", text="I am a person.")
            assert (await mara.wait_for("session.sent"))["contact"] == "ada"
            await mara.send("session.resume", agent_id="mara")
            await caller.wait_for("session.resumed")
        async with PinecallCaller(server.url, "mara", userId="ada") as caller:
            caller.send(action="inject_text", text="what is one plus two")
            assert (await caller.wait_for("bot.finished"))["text"] == "One plus two is three."
    await no_sessions(server)


async def test_a_call_that_is_forwarded_begins_for_the_other_agent(server: Server) -> None:
    async with program(server.url) as desk, program(server.url) as sales:
        await desk.create(agent_id="mara")
        await sales.create(agent_id="Sales Team", greeting="Sales speaking.")
        async with PinecallCaller(server.url, "mara", userId="ada") as caller:
            started = await desk.wait_for("call.started")
            await desk.send("call.forward", call_id=started["call_id"], to="Sales Team", message="", announce=False)
            assert (await desk.wait_for("call.forwarded"))["to"] == "sales-team"
            assert (await desk.wait_for("call.ended"))["reason"] == "forwarded"
            taken = await sales.wait_for("call.started")
            assert (taken["call_id"], taken["from"], taken["transport"]) == (started["call_id"], "ada", "webrtc")
            assert (await caller.wait_for("bot.finished"))["text"] == "Sales speaking."
            await sales.send("call.hangup", call_id=taken["call_id"])
            assert (await caller.wait_for("call.ended"))["reason"] == "hangup"
    await no_sessions(server)


async def test_a_chat_is_held_in_the_language_of_its_token(server: Server) -> None:
    async with program(server.url) as mara, aiohttp.ClientSession(server.url) as http:
        await mara.create(greeting={"en": "Welcome!", "es": "¡Hola!"}, language="en", greetingInChat=True)
        for lang, language, greeting in (("es-MX", "es", "¡Hola!"), ("nonsense!", "en", "Welcome!")):
            since = len(mara.messages)
            sealed = {"agent": "mara", "kind": "chat", "metadata": {"lang": lang}}
            async with http.post("/v1/tokens", json=sealed) as response:
                token = (await response.json())["token"]
            async with connected(Program, f"{server.url}/ws", token=token) as page:
                assert (await page.wait_for("chat.done"))["text"] == greeting
            assert (await mara.wait_for("llm.chat.started", since=since))["language"] == language
    await no_sessions(server)


async def test_what_is_said_while_muted_comes_with_the_end_of_it(
    server: Server, sentence: Callable[[str], Samples]
) -> None:
    async with program(server.url) as mara:
        await mara.create()
        async with PinecallCaller(server.url, "mara") as caller:
            of = {"call_id": (await mara.wait_for("call.started"))["call_id"]}
            await mara.send("call.mute", **of)
            await mara.wait_for("call.muted")
            said = [sentence("what is seven plus five"), quiet(1.0, CALL_RATE_HZ), sentence("my name is olivia")]
            await caller.speak(np.concatenate(said)).finished.wait()
            await mara.send("call.unmute", **of)
            heard = (await mara.wait_for("call.unmuted"))["muted_transcript"]
            assert heard == "what is seven plus five my name is olivia"
            assert not mara.of("user.message"), "nobody answers it"
            for what, done in (("mute", "muted"), ("hold", "held"), ("unhold", "unheld"), ("unmute", "unmuted")):
                await mara.send(f"call.{what}", **of)
                last = await mara.wait_for(f"call.{done}", since=len(mara.messages) - 1)
            assert last["muted_transcript"] is None, "nothing was said"
            caller.speak(sentence("what is my name"))
            assert await mara.wait_for("bot.finished"), "the agent listens again"
    await no_sessions(server)


async def test_a_page_s_language_is_that_of_the_greeting_and_its_changes_are_told(server: Server) -> None:
    async with program(server.url) as mara:
        # it prepares no turns: it is told all the same
        await mara.create(greeting={"en": "Welcome!", "es": "Hola!"}, language="en", preparing=False)
        caller = PinecallCaller(server.url, "mara")
        caller.config = {"language": "es-MX", "turnDetection": "smart_turn"}
        async with caller:
            started = await mara.wait_for("call.started")
            assert started["language"] == "es"
            assert (await caller.wait_for("bot.finished"))["text"] == "Hola!"
            caller.send(action="configure", language="en")
            caller.send(action="inject_text", text="what is one plus two")
            updated = await mara.wait_for("call.updated")
            assert (updated["call_id"], updated["language"]) == (started["call_id"], "en")
    await no_sessions(server)


async def test_a_program_outlives_half_a_surrogate_pair(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with program(server.url) as mara:
        for text in (
            '{"event": "agent.create", "agent_id": "a\\ud800", "prompt": 5}',
            '{"event": "history.get", "call_id": "x\\udfff", "request_id": "\\ud83d"}',
            '{"event": "agent.create", "agent_id": "mara", "voice": {"provider": "\\ud800"}, "\\ud800": 1}',
        ):
            since = len(mara.messages)
            await mara.socket.send_str(text)
            assert await mara.wait_for("error", since=since)
        assert await mara.create()
    assert not [r for r in caplog.records if r.exc_info]
