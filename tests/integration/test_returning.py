"""Returning callers are recognised; and the agent's code decides who is let in, and what the model is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from media_server.agents import Agent, Call
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import Server, running_server
from tests.conftest import no_sessions
from tests.integration.test_access import PAGE, Guarded, guarded, refused
from tests.integration.test_chat import chatting


async def asked(g: Guarded, text: str, agent: str = "mara", **token: Any) -> str:
    """Say it in a call with a token of its own; the answer."""
    async with Caller(g.server.url, agent, auth=await g.token(agent=agent, **token)) as caller:
        await caller.wait_for("call.started")
        caller.send(type="text.send", text=text)
        stopped = await caller.wait_for("agent.speech_stopped")
    await no_sessions(g.server)
    return str(stopped["heard"])


KNOWN = "Your name is Olivia."


async def test_who_calls_again_is_known(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        ada = {"contact": "ada"}
        token = await g.token(kind="chat", metadata=ada)
        async with chatting(g.server.url, agent="mara", token=token) as chat:
            await chat.wait_for("call.started")
            await chat.ask("my name is olivia")
            await chat.socket.send_json({"type": "call.end"})
            await chat.wait_for("call.ended")
        assert await asked(g, "what is my name", metadata=ada) == KNOWN, "from a chat to a call"
        assert await asked(g, "what is my name", metadata={"userId": "ada"}) == KNOWN
        assert await asked(g, "what is my name", metadata={"contact": "bob"}) != KNOWN
        assert await asked(g, "what is my name") != KNOWN
        assert await asked(g, "what is my name", agent="luna", metadata=ada) != KNOWN, "another agent"
        _, calls = await g.ask("GET", "/v1/calls", await admin(g))
        _, record = await g.ask("GET", f"/v1/calls/{calls['calls'][0]['id']}", await admin(g))
        assert [m["text"] for m in record["transcript"] if m["role"] == "user"] == ["what is my name"]


async def admin(g: Guarded) -> str:
    secret, _ = await g.keys.create("admin", scopes=("admin",))
    return secret


async def test_what_a_page_says_of_its_visitor_is_not_believed(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        assert await asked(g, "my name is olivia", metadata={"contact": "ada"})
        secret, _ = await g.keys.create("page", origins=(PAGE,))
        wanted = {"agent": "mara", "metadata": {"contact": "ada"}}
        status, minted = await g.ask("POST", "/v1/tokens", secret, json=wanted, headers={"Origin": PAGE})
        assert status == 201
        async with Caller(g.server.url, "mara", auth=minted["token"]) as caller:
            await caller.wait_for("call.started")
            caller.send(type="text.send", text="what is my name")
            assert (await caller.wait_for("agent.speech_stopped"))["heard"] != KNOWN
        async with Caller(g.server.url, "mara", auth=g.key, metadata={"contact": "ada"}) as caller:
            await caller.wait_for("call.started")
            caller.send(type="text.send", text="what is my name")
            assert (await caller.wait_for("agent.speech_stopped"))["heard"] != KNOWN, "it is not sealed"


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, agent: Agent) -> AsyncIterator[Server]:
    settings = Settings(port=0, agents=[agent], database=f"sqlite:///{tmp_path}/calls.sqlite")
    async with running_server(settings) as server:
        await server.ready(60)
        yield server


async def test_an_agents_code_decides_whom_it_takes(tmp_path: Path) -> None:
    agent = Agent("mara")
    rang: list[str] = []

    @agent.on("call.ringing")
    async def ringing(call: Call) -> None:
        rang.append(call.id)
        if wanted := call.metadata.get("reject"):
            call.reject(wanted)
        if call.metadata.get("early"):
            call.send("too", "early")

    async with serving(tmp_path, agent) as server:
        assert await refused_with(server, "busy") == (409, "busy")
        assert await refused_with(server, "rejected") == (403, "call_rejected")
        async with Caller(server.url, "mara", metadata={"early": True}) as caller:
            await caller.wait_for("call.started")
            assert not caller.of("agent.event"), "there is no call yet in which to send anything"
            assert caller.call_id == rang[-1]
        async with chatting(server.url, agent="mara") as chat:
            await chat.wait_for("call.started")
            await chat.socket.send_json({"type": "call.end"})
            await chat.wait_for("call.ended")
        assert len(rang) == 4
        await no_sessions(server, 20)
        async with aiohttp.ClientSession() as http, http.get(f"{server.url}/v1/calls") as response:
            assert len((await response.json())["calls"]) == 2, "calls that were refused are none"


async def refused_with(server: Server, reason: str) -> tuple[int, str]:
    return await refused(server.url, "", metadata={"reject": reason})


async def test_an_agents_code_puts_things_right_before_the_model_is_asked(tmp_path: Path) -> None:
    agent = Agent("mara", prompt="You are {{name}}, a voice assistant. Today is {{date}}.", tell_prompts=True)
    names = iter(["Sofia", "Clara"])

    @agent.on("call.preparing")
    async def preparing(call: Call) -> None:
        if name := next(names, None):
            call.set_variables(name=name)
        else:
            await asyncio.sleep(10)

    async with serving(tmp_path, agent) as server, Caller(server.url, "mara") as caller:
        await caller.wait_for("call.started")
        prompts = []
        for _ in range(3):
            since = len(caller.events)
            caller.send(type="text.send", text="what is your name")
            await caller.wait_for("agent.speech_stopped", since=since)
            shown = (await caller.wait_for("agent.prompted", since=since))["prompt"]
            prompts.append(shown[0]["content"].split("Today")[0])
        assert prompts[0] == "You are Sofia, a voice assistant. "
        assert prompts[1] == prompts[2] == "You are Clara, a voice assistant. ", (
            "code that takes too long is not waited for"
        )
        assert "{{" not in shown[0]["content"]
