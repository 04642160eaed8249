"""Agents that look things up: at every turn or when the model asks, from files that change."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.config import Settings
from media_server.server import Server, running_server
from tests.conftest import STARTER
from tests.integration.test_chat import Client, chatting

AGENTS = """
[[agents]]
name = "guide"
knowledge = "documents"
knowledge_passages = 1

[[agents]]
name = "asker"
knowledge = "documents"
knowledge_use = "tool"
knowledge_description = "Get the weather in a city"

[[agents]]
name = "placed"
prompt = "Be brief. What we know: {{RAG_CONTEXT}}."
knowledge = "documents"
knowledge_passages = 1
tell_prompts = true

[[agents]]
name = "plain"
"""


def agents_in(folder: Path) -> Path:
    """A folder with agents and their documents."""
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "museum.md").write_text("# Museum\n\nsunny and free\n")
    (folder / "documents" / "berlin.md").write_text("windy and 12 degrees in berlin")
    (folder / "documents" / "shop.txt").write_text("The shop sells bread and cake on Mondays.")
    (folder / "agents.toml").write_text(AGENTS)
    return folder


async def sources(client: Client, question: str) -> tuple[list[str], str]:
    """The files whose passages the model was shown, and its answer."""
    before = len(client.events)
    answer = await client.ask(question)
    used = [e for e in client.events[before:] if e["type"] == "knowledge.used"]
    return [s["file"] for e in used for s in e["sources"]], answer


async def knows(server: Server, question: str, file: str) -> None:
    """Ask in new conversations until this file is among what is found."""
    async with asyncio.timeout(20):
        while True:
            async with chatting(server.url, agent="guide") as client:
                if file in (await sources(client, question))[0]:
                    return


async def becomes(client: Client, files: list[str]) -> None:
    """Ask about the zoo until these files are found."""
    async with asyncio.timeout(10):
        while (await sources(client, "when does the zoo open"))[0] != files:
            pass


async def test_what_fits_stands_where_the_prompt_wants_it(tmp_path: Path) -> None:
    settings = Settings(port=0, agents_dir=agents_in(tmp_path / "agents"), database=f"sqlite:///{tmp_path}/x.sqlite")
    async with running_server(settings) as server:
        await server.ready(60)
        await knows(server, "tell me about the museum", "museum.md")
        async with chatting(server.url, agent="placed") as client:
            assert (await sources(client, "what is the weather at the museum"))[0] == ["museum.md"]
            await client.ask("what is one plus two")
            prompts = [e["prompt"] for e in client.events if e["type"] == "agent.prompted"]
            assert [m["role"] for m in prompts[0]] == ["system", "user"]
            assert prompts[0][0]["content"] == "Be brief. What we know: Museum: sunny and free."
            assert prompts[1][0]["content"] == "Be brief. What we know: ."


async def test_what_fits_is_shown_to_the_model_and_told(tmp_path: Path) -> None:
    settings = Settings(port=0, agents_dir=agents_in(tmp_path / "agents"), database=f"sqlite:///{tmp_path}/x.sqlite")
    async with running_server(settings) as server, aiohttp.ClientSession() as http:
        await server.ready(60)
        await knows(server, "tell me about the museum", "museum.md")
        async with chatting(server.url, agent="guide") as client:
            call_id = (await client.wait_for("call.started"))["call_id"]
            found, answer = await sources(client, "what is the weather at the museum")
            assert found == ["museum.md"]
            assert "sunny and free" in answer.lower(), "the model was shown the passage"
            assert await sources(client, "what is one plus two") == ([], "One plus two is three.")
            used = next(e for e in client.events if e["type"] == "knowledge.used")
            assert used["query"] == "what is the weather at the museum"
            assert used["sources"][0]["title"] == "Museum"
            assert used["sources"][0]["score"] == 1
            await client.socket.send_json({"type": "call.end"})
            await client.wait_for("call.ended")
        async with asyncio.timeout(5):
            record: dict[str, Any] = {"knowledge": []}
            while not record["knowledge"]:
                async with http.get(f"{server.url}/v1/calls/{call_id}") as response:
                    record = await response.json()
        assert [s["file"] for s in record["knowledge"][0]["sources"]] == ["museum.md"]
        async with chatting(server.url, agent="plain") as client:
            assert (await sources(client, "tell me about the museum"))[0] == [], "others have no documents"


async def test_changed_files_are_found_in_calls_under_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = agents_in(tmp_path / "agents")
    async with running_server(Settings(port=0, agents_dir=folder)) as server:
        await server.ready(60)
        await knows(server, "tell me about the museum", "museum.md")
        async with chatting(server.url, agent="guide") as client:
            assert (await sources(client, "when does the zoo open"))[0] == []
            with caplog.at_level(logging.ERROR):
                (folder / "documents" / "broken.pdf").write_bytes(b"no pdf")
                (folder / "documents" / "zoo.md").write_text("# Zoo\n\nThe zoo opens at nine.")
                await becomes(client, ["zoo.md"])
            assert "broken.pdf: it is no PDF" in caplog.text
            (folder / "documents" / "zoo.md").unlink()
            await becomes(client, [])


async def test_the_model_may_ask_for_it(tmp_path: Path) -> None:
    async with running_server(Settings(port=0, agents_dir=agents_in(tmp_path / "agents"))) as server:
        await server.ready(60)
        await knows(server, "tell me about the museum", "museum.md")
        async with chatting(server.url, agent="asker") as client:
            assert (await sources(client, "what is one plus two"))[0] == []
            found, answer = await sources(client, "what is the weather in berlin")
            called = [e for e in client.events if e["type"] == "tool.called"]
            assert [c["name"] for c in called] == ["search_knowledge"]
            assert found == ["berlin.md"], called
            assert "windy and 12" in answer.lower()


async def test_a_pack_may_have_a_model_of_embeddings(tmp_path: Path) -> None:
    # the starter chat model stands in for one: what it finds alike says little, but it is found
    shutil.copytree(STARTER, tmp_path / "models" / "embeds")
    manifest = tmp_path / "models" / "embeds" / "pack.toml"
    table = '[embedding]\npath = "chat/starter-chat.gguf"\nthreads = 1\nrelated_at = -0.9\n\n[tts]'
    manifest.write_text(manifest.read_text().replace("[tts]", table, 1).replace('"starter"', '"embeds"', 1))
    folder = agents_in(tmp_path / "agents")
    settings = Settings(port=0, agents_dir=folder, pack="embeds", models_dir=tmp_path / "models")
    settings.knowledge_dir = tmp_path / "index"
    async with running_server(settings) as server, aiohttp.ClientSession() as http:
        await server.ready(60)
        async with http.get(f"{server.url}/readyz") as ready:
            assert (await ready.json())["engines"]["embedding"]
        async with chatting(server.url, agent="guide") as client:
            async with asyncio.timeout(20):
                # words that are in no document: vectors alone can have found it
                while not (await sources(client, "zebra crossing"))[0]:
                    pass


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "guide.toml").write_text('knowledge = "nowhere"')
    with caplog.at_level(logging.ERROR):
        async with running_server(Settings(port=0, agents_dir=tmp_path / "agents")):
            pass
    assert "knowledge: there is no folder" in caplog.text
    assert "nowhere" in caplog.text
