"""Keys that are bound to agents, and names of agents that belong to a tenant: nobody reaches beyond their own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.agents import Agent
from media_server.caller import Caller
from media_server.doors.pinecall import programs
from tests.conftest import no_sessions
from tests.doors.test_pinecall_process import program
from tests.integration.test_closed import Box, box


async def test_a_key_that_is_bound_to_an_agent_sees_and_leads_the_calls_of_that_agent_alone(tmp_path: Path) -> None:
    agents = [Agent("alpha", tenant="acme", recording=True), Agent("beta", tenant="acme", recording=True)]
    async with box(tmp_path, ready=True, agents=agents, recordings_dir=tmp_path / "sound") as b:
        whole, _ = await b.keys.create("whole", ["admin"], tenant="acme")
        bound, _ = await b.keys.create("bound", ["admin"], tenant="acme", agents=["alpha"])
        answers: list[tuple[int, Any]] = []
        heard: list[str] = []

        async def listen(path: str) -> None:
            async with b.http.get(b.server.url + path, headers={"Authorization": f"Bearer {bound}"}) as stream:
                async for line in stream.content:
                    heard.append(line.decode())

        streams = [asyncio.ensure_future(listen(path)) for path in ("/v1/events", "/v1/events?agents=alpha,beta")]
        socket = await b.http.ws_connect(f"{b.server.url}/v1/events", headers={"Authorization": f"Bearer {bound}"})
        async with Caller(b.server.url, "beta", auth=whole) as beta, Caller(b.server.url, "alpha", auth=whole) as alpha:
            await beta.wait_for("call.started")
            await alpha.wait_for("call.started")
            await asyncio.sleep(0.5)  # until both are written
            for path, method, body in (
                ("/v1/calls/{}", "GET", None),
                ("/v1/calls/{}/recording", "GET", None),
                ("/v1/calls/{}", "DELETE", None),
                ("/v1/calls/{}/pause", "POST", None),
                ("/v1/calls/{}/resume", "POST", None),
                ("/v1/calls/{}/say", "POST", {"text": "Boo."}),
                ("/api/v1/calls/{}", "GET", None),
                ("/api/v1/embed/calls/{}/mute", "POST", {"muted": True}),
                ("/api/v1/embed/calls/{}/messages", "POST", {"message": "Boo."}),
                ("/api/v1/embed/calls/{}/messages", "GET", None),
                ("/api/v1/embed/calls/{}/end", "POST", None),
            ):
                answers = [
                    await b.ask(method, path.format(call_id), bound, json=body)
                    for call_id in (beta.call_id, "call-nothing", alpha.call_id)
                ]
                assert answers[0] == answers[1], f"{method} {path}: as if there were none"
                assert answers[0][0] == 404, path
                assert answers[2][0] != 404, f"{method} {path}: its own call"
            async with b.http.get(
                f"{b.server.url}/v1/calls/{beta.call_id}/events", headers={"Authorization": f"Bearer {bound}"}
            ) as refused:
                assert refused.status == 404
            assert not beta.of("call.paused")
            listed = (await b.ask("GET", "/v1/calls", bound))[1]["calls"]
            assert [c["agent"] for c in listed] == ["alpha"]
            assert (await b.ask("GET", "/v1/calls?agent=beta", bound))[1]["calls"] == []
            assert (await b.ask("GET", f"/v1/calls?before={beta.call_id}", bound))[1]["calls"] == []
            told = (await b.ask("GET", "/api/v1/calls", bound))[1]["data"]["calls"]
            assert [c["assistantId"] for c in told] == ["alpha"]
            assert await b.ask("GET", "/stream/token?agent_id=beta", bound) == (403, "key_agent")
            assert (await b.ask("GET", "/metrics", bound))[0] == 404
        await no_sessions(b.server)
        await asyncio.sleep(0.5)
        for stream in streams:
            stream.cancel()
        assert alpha.call_id in "".join(heard)
        assert beta.call_id not in "".join(heard)
        over_socket = []
        while not socket.closed:
            try:
                over_socket.append((await socket.receive(0.3)).data)
            except TimeoutError:
                break
        assert alpha.call_id in str(over_socket)
        assert beta.call_id not in str(over_socket)
        await socket.close()


async def test_who_listens_in_leaves_when_the_call_goes_to_another_agent(tmp_path: Path) -> None:
    agents = [Agent("alpha", tenant="acme"), Agent("beta", tenant="acme")]
    async with box(tmp_path, ready=True, agents=agents) as b:
        bound, _ = await b.keys.create("bound", ["admin"], tenant="acme", agents=["alpha"])
        stream = (await b.ask("GET", "/stream/token?agent_id=alpha&scope=supervise", bound))[1]["token"]
        async with Caller(b.server.url, "alpha", auth=bound) as caller:
            await caller.wait_for("call.started")
            async with b.http.ws_connect(f"{b.server.url}/live/{caller.call_id}/ws?token={stream}") as listening:
                assert json.loads((await listening.receive()).data)["type"] == "metadata"
                b.server.sessions.get(caller.session_id).call.forward("beta")
                await caller.wait_for("call.forwarded")
                async with asyncio.timeout(15):
                    async for _ in listening:  # of silence there is a sign every five seconds
                        pass
                assert listening.closed
        await no_sessions(b.server)


async def acme_and_bolt(b: Box) -> tuple[str, str]:
    acme, _ = await b.keys.create("acme", ["admin"], tenant="acme")
    bolt, _ = await b.keys.create("bolt", ["admin"], tenant="bolt")
    return acme, bolt


async def test_another_tenants_program_does_not_take_a_name_while_the_first_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_server.doors.pinecall.program.AWAY_S", 30.0)
    async with box(tmp_path, ready=True, agents=[]) as b:
        acme, bolt = await acme_and_bolt(b)
        async with program(b.server.url, acme) as first:
            await first.create(agent_id="sales", llm="local", tools=[])
            token = await b.token("/v1/tokens", acme, agent="sales", kind="chat")
            chat_token = await b.token("/v1/tokens", acme, agent="sales", kind="chat")
            chat = await b.http.ws_connect(f"{b.server.url}/v1/chat?token={chat_token}")
            opened = json.loads((await chat.receive()).data)
            call_id = opened["call_id"]
            await first.wait_for("llm.chat.started")
        async with program(b.server.url, bolt) as second:
            taken = await second.failed("agent.create", agent_id="sales", prompt="You are bolt's.", llm=None)
            assert taken["code"] == "AGENT_CONFLICT"
            await second.create(agent_id="sales-of-bolt")
            await chat.send_json({"type": "text.send", "text": "my pin is 9912"})
            async with asyncio.timeout(15):
                while json.loads((await chat.receive()).data)["type"] != "agent.text":
                    pass
            assert "9912" not in json.dumps(second.messages)
            for event in ("history.get", "call.hangup"):
                assert (await second.failed(event, call_id=call_id))["code"] in ("UNKNOWN_CALL", "BAD_MESSAGE")
            assert (await b.ask("POST", f"/v1/calls/{call_id}/pause", bolt))[0] == 404
            assert await b.ask("GET", "/stream/token?agent_id=sales", bolt) == (404, "unknown_agent")
            # not even with a name of its own does a token of the other's begin a call
            assert await b.upgrade(f"/v1/chat?token={token}") == 404
        async with program(b.server.url, acme) as back:
            await back.create(agent_id="sales", llm="local", tools=[])
            since = len(back.messages)
            await chat.send_json({"type": "text.send", "text": "hello again"})
            await back.wait_for("chat.message", since=since)
            await chat.send_json({"type": "call.end"})
            await chat.close()
        await no_sessions(b.server)


async def test_a_name_that_was_given_away_is_no_version_of_a_call_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a name came to another tenant: calls, tokens, who listens and who pauses stay apart."""
    monkeypatch.setattr(programs.Programs, "_belongs_to_another", lambda *_: False)
    monkeypatch.setattr("media_server.doors.pinecall.program.AWAY_S", 30.0)
    async with box(tmp_path, ready=True, agents=[]) as b:
        acme, bolt = await acme_and_bolt(b)
        async with program(b.server.url, acme) as first:
            await first.create(agent_id="sales", prompt="You are acme's.", greeting="", llm="local", tools=[])
            token = await b.token("/v1/tokens", acme, agent="sales")
            chat_token = await b.token("/v1/tokens", acme, agent="sales", kind="chat")
            caller = Caller(b.server.url, "sales", auth=acme)
            await caller.__aenter__()
            await caller.wait_for("call.started")
        async with program(b.server.url, bolt) as second:
            await second.create(agent_id="sales", prompt="You are bolt's.", llm=None, tools=[])
            await second.create(agent_id="sales", prompt="You are bolt's.", llm=None, tools=[])
            caller.send(type="text.send", text="my pin is 9912")
            await caller.wait_for("agent.speech_stopped")
            session = b.server.sessions.get(caller.session_id)
            assert (session.call.agent.tenant, session.call.agent.prompt) == ("acme", "You are acme's.")
            assert "9912" not in json.dumps(second.messages)
            assert not second.of("call.started")
            stream = (await b.ask("GET", "/stream/token?agent_id=sales&scope=supervise", bolt))[1]["token"]
            assert await b.upgrade(f"/live/{caller.call_id}/ws?token={stream}") == 404
            for what in ("pause", "resume"):
                assert (await b.ask("POST", f"/v1/calls/{caller.call_id}/{what}", bolt))[0] == 404
            assert await b.ask("POST", "/v1/sessions", token, json={"type": "offer", "sdp": "v=0"}) == (
                404,
                "unknown_agent",
            )
            assert await b.upgrade(f"/v1/chat?token={chat_token}") == 404
            session.call.forward("sales")
            assert not (await caller.wait_for("call.forwarded"))["agent"]
        await caller.__aexit__(None, None, None)
        await no_sessions(b.server)


async def test_programs_of_one_tenant_still_take_turns_at_a_name(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True, agents=[]) as b:
        acme, bolt = await acme_and_bolt(b)
        for key in (acme, acme):
            async with program(b.server.url, key) as each:
                await each.create(agent_id="sales")
        async with program(b.server.url, bolt) as other:
            assert (await other.failed("agent.create", agent_id="sales"))["code"] == "AGENT_CONFLICT"
        async with program(b.server.url, acme) as each:
            await each.create(agent_id="sales")


async def test_names_of_connections_are_each_tenants_own(tmp_path: Path) -> None:
    agents = [Agent("alpha", tenant="acme"), Agent("beta", tenant="bolt")]
    async with box(tmp_path, ready=True, agents=agents) as b:
        acme, bolt = await acme_and_bolt(b)

        async def session_id(key: str, agent: str) -> str:
            address = f"{b.server.url}/ws/voice/desk?config_id={agent}&api_key={key}"
            socket = await b.http.ws_connect(address)
            sockets.append(socket)
            return str(json.loads((await socket.receive()).data)["session_id"])

        sockets: list[aiohttp.ClientWebSocketResponse] = []
        mine, theirs = await session_id(acme, "alpha"), await session_id(bolt, "beta")
        assert mine != theirs
        assert await session_id(acme, "alpha") == mine
        assert await session_id(bolt, "beta") == theirs
        for socket in sockets:
            await socket.close()
        await no_sessions(b.server)
