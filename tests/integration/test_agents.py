"""Agents in a folder, saved while calls are under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.caller import Caller
from media_server.config import Settings
from media_server.errors import ClientError
from media_server.server import Server, running_server
from tests.conftest import no_sessions


@contextlib.asynccontextmanager
async def with_folder(folder: Path) -> AsyncIterator[Server]:
    """A server with the agent `mara`."""
    (folder / "mara.toml").write_text('prompt = "You are Mara. Be brief."\n')
    async with running_server(Settings(port=0, agents_dir=folder, reload=True)) as server:
        await server.ready(60)
        yield server


async def heard(caller: Caller, text: str) -> str:
    since = len(caller.events)
    caller.send(type="text.send", text=text)
    return str((await caller.wait_for("agent.speech_stopped", since=since))["heard"])


async def saved(server: Server, file: Path, text: str, name: str) -> None:
    """Save a file and wait until the server has read it."""
    before = server.agents.get(name)
    await asyncio.to_thread(file.write_text, text)
    async with asyncio.timeout(10):
        while server.agents.get(name) is before:  # noqa: ASYNC110 - nobody else waits for it
            await asyncio.sleep(0.02)


async def speech_s(caller: Caller, text: str) -> float:
    since = len(caller.events)
    caller.send(type="agent.say", text=text)
    await caller.wait_for("agent.speech_stopped", since=since)
    return float([e for e in caller.events[since:] if e["type"] == "agent.word"][-1]["end_s"])


async def test_agents_have_voices(tmp_path: Path) -> None:
    (tmp_path / "calm.toml").write_text('voice = "calm"\n')
    (tmp_path / "quick.toml").write_text("voice_speed = 1.5\n")
    text = "Seven plus five is twelve."
    async with with_folder(tmp_path) as server, aiohttp.ClientSession() as http:
        taken = {}
        for name in ("mara", "calm", "quick"):
            async with Caller(server.url, name) as caller:
                await caller.wait_for("call.started")
                taken[name] = await speech_s(caller, text)
        assert taken["calm"] > 1.15 * taken["mara"] > 1.15 * 1.3 * taken["quick"]
        async with http.patch(f"{server.url}/v1/agents/mara", json={"voice": "nobody"}) as refused:
            assert refused.status == 400
            reason = (await refused.json())["error"]["message"]
            assert "the model pack has none called 'nobody'; there are: calm" in reason
        async with Caller(server.url, "mara") as caller:
            await caller.wait_for("call.started")
            async with http.patch(f"{server.url}/v1/agents/mara", json={"voice": "calm"}) as changed:
                assert changed.status == 200
            await heard(caller, "hello")
            assert await speech_s(caller, text) > 1.15 * taken["mara"], "from the next turn on"
            # its own code may change it for one call
            session = server.sessions.get(caller.session_id)
            session.call.update(voice="", voice_speed=1.5)
            assert await speech_s(caller, text) < 0.9 * taken["mara"]
            with pytest.raises(ValueError, match="has no voice 'nobody'"):
                session.call.update(voice="nobody")


async def test_a_saved_file_takes_effect_at_the_next_turn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "mara.toml"
    async with with_folder(tmp_path) as server, Caller(server.url, "mara") as caller:
        await caller.wait_for("call.started")
        await heard(caller, "my name is olivia")
        assert await heard(caller, "who are you") == "I am Mara, your voice assistant."
        await saved(server, file, 'prompt = "You are Luna. Be brief."\n', "mara")
        assert await heard(caller, "who are you") == "I am Luna, your voice assistant."
        file.write_text("prompt = 3 nonsense")
        async with asyncio.timeout(10):
            while "mara.toml:1" not in caplog.text:  # noqa: ASYNC110 - it is in the log and nowhere else
                await asyncio.sleep(0.02)
        assert await heard(caller, "who are you") == "I am Luna, your voice assistant."
        assert await heard(caller, "what is my name") == "Your name is Olivia."
        await saved(server, tmp_path / "max.toml", 'prompt = "You are Max."\n', "max")
        async with aiohttp.ClientSession() as http, http.get(f"{server.url}/v1/agents") as listed:
            assert {a["name"] for a in (await listed.json())["agents"]} == {"assistant", "mara", "max"}


async def test_a_call_is_changed_by_its_own_code(tmp_path: Path) -> None:
    async with with_folder(tmp_path) as server, Caller(server.url, "mara") as caller:
        await caller.wait_for("call.started")
        call = server.sessions._by_id[caller.session_id].call
        call.update(prompt="You are {{who}}. Be brief.", min_pause_ms=700)
        assert call.agent.min_pause_ms == 700
        assert call.floor is not None
        assert call.floor.taking.min_pause_ms == 700
        with pytest.raises(ValueError, match="turns"):
            call.update(turns="hasty")
        with pytest.raises(ValueError, match="name cannot be changed"):
            call.update(name="luna")
        with pytest.raises(ValueError, match="colour"):
            call.update(colour="red")
        call.update(prompt="You are Iris. Be brief.")
        assert await heard(caller, "who are you") == "I am Iris, your voice assistant."
        assert call.agent.min_pause_ms == 700
        since = len(caller.events)
        first = call.say("Hello there. How are you today? What can you do?")
        await caller.wait_for("agent.speech_started", since=since)
        second = call.say("Thank you!", interrupt=True)
        assert not await first
        assert await second
        call.hangup()
        assert (await caller.wait_for("call.ended"))["reason"] == "agent_hangup"
        assert not await call.say("Nobody hears this.")


async def test_an_agent_is_changed_over_http(tmp_path: Path) -> None:
    async with (
        with_folder(tmp_path) as server,
        Caller(server.url, "mara") as caller,
        aiohttp.ClientSession(server.url) as http,
    ):
        await caller.wait_for("call.started")
        async with http.patch("/v1/agents/mara", json={"prompt": "You are Zoe. Be brief.", "max_calls": 1}) as changed:
            body = await changed.json()
            assert changed.status == 200
            assert (body["prompt"], body["max_calls"]) == ("You are Zoe. Be brief.", 1)
        async with http.get("/v1/agents/mara") as shown:
            assert await shown.json() == body
        assert await heard(caller, "who are you") == "I am Zoe, your voice assistant."
        refusals: list[tuple[dict[str, Any], str]] = [
            ({"turns": "hasty"}, "turns"),
            ({"colour": 1}, "colour"),
            ({"name": "x"}, "name"),
            ({"tools": []}, "tools"),
        ]
        for changes, names in refusals:
            async with http.patch("/v1/agents/mara", json=changes) as refused:
                error = (await refused.json())["error"]
                assert (refused.status, error["code"]) == (400, "bad_request")
                assert names in error["message"]
        async with http.patch("/v1/agents/nobody", json={}) as refused:
            assert refused.status == 404
        async with http.patch("/v1/agents/mara", json=[1]) as refused:
            assert refused.status == 400
        await saved(server, tmp_path / "mara.toml", 'prompt = "You are Luna. Be brief."\n', "mara")
        assert await heard(caller, "who are you") == "I am Luna, your voice assistant.", "a saved file wins"


async def test_a_call_is_as_long_and_as_frequent_as_it_may_be(server: Server) -> None:
    async with Caller(server.url, "brief") as caller:
        await caller.wait_for("call.started")
        with pytest.raises(ClientError) as busy:
            async with Caller(server.url, "brief"):
                pass
        assert (busy.value.status, busy.value.code) == (503, "too_many_calls")
        warned = await caller.wait_for("warning")
        assert warned["code"] == "call_ending"
        ended = await caller.wait_for("call.ended")
        assert ended["reason"] == "max_duration"
        assert 1 < ended["duration_s"] < 3
    await no_sessions(server)
