"""Agents in a folder, saved while calls are under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import Server, running_server


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
    before = server.sessions._agents.get(name)
    await asyncio.to_thread(file.write_text, text)
    async with asyncio.timeout(10):
        while server.sessions._agents.get(name) is before:  # noqa: ASYNC110 - nobody else waits for it
            await asyncio.sleep(0.02)


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
        assert call._taking.min_pause_ms == 700
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
