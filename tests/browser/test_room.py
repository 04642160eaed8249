"""Pages written for Wespoke and Speechmatics Flow, with `livekit-client` taken from this server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from aiohttp import web
from playwright.async_api import expect

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples
from media_server.config import Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys, Scope
from tests.browser.conftest import Open
from tests.conftest import DATA, no_sessions
from tests.served import served

PAGES = Path(__file__).parent / "pages"
OPEN = Agent("open", allowed_origins=("http://localhost:*",))


def spoken(*parts: Samples | float) -> Samples:
    """Sentences, and silences in seconds."""
    return np.concatenate(
        [p if isinstance(p, np.ndarray) else np.zeros(int(p * CALL_RATE_HZ), np.int16) for p in parts]
    )


@contextlib.asynccontextmanager
async def site(
    tmp_path: Path,
    script: str = "",
    keys: bool = True,
    files: Mapping[str, str] = MappingProxyType({}),
    scopes: Sequence[Scope] = ("call",),
) -> AsyncIterator[tuple[Server, str]]:
    """A server with keys, and somebody's site on another origin, whose pages have a key for it, and a script.

    Args:
        files: texts of the site by their names, in place of those in `pages`.
        scopes: what the pages' key is for.
    """
    database_url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(database_url) as database:
        key = (await Keys(database).create("site", scopes, origins=["http://localhost:*"]))[0] if keys else "sk_none"
        settings = Settings(port=0, database=database_url, agents_dir=DATA / "agents", agents=[OPEN])
        async with running_server(settings) as server:
            await server.ready(60)

            async def page(request: web.Request) -> web.Response:
                name = request.match_info["name"]
                text = files[name] if name in files else (PAGES / name).read_text()
                shown = f"pk_live_{key.removeprefix('sk_')}"
                if name.endswith("js"):
                    # in quotes: names in bundles have the words in them too
                    text = re.sub('(["`])SERVER/', rf"\1{server.url}/", text).replace('"KEY"', f'"{shown}"')
                    return web.Response(text=text, content_type="text/javascript")
                text = text.replace("SERVER", server.url).replace("KEY", shown)
                return web.Response(text=text, content_type="text/html")

            async def bundle(_: web.Request) -> web.Response:
                # in quotes, as the page has it: names in its bundle have the word in them too
                return web.Response(text=script.replace('"SERVER"', f'"{server.url}"'), content_type="text/javascript")

            app = web.Application()
            app.router.add_get("/bundle.js", bundle)
            app.router.add_get(r"/{name:\w+\.(html|js)}", page)
            async with served(app) as site:
                yield server, site
                await no_sessions(server)


@pytest.mark.parametrize("flags", [[], ["--webrtc-ip-handling-policy=disable_non_proxied_udp"]])
async def test_a_wespoke_page_talks(
    open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples], flags: list[str]
) -> None:
    # the recording runs from the moment the microphone opens, which is after the call is up
    first, second = sentence("where is my order four two seven"), sentence("what is seven plus five")
    page = await open_page(spoken(1.5, first, 4.5, second, 30.0), flags=flags)
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/wespoke.html")
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status")).to_have_text("connected", timeout=15_000)
        said = page.locator("#said li")
        await expect(said).to_have_text(
            [
                "user: where is my order four two seven",
                "assistant: The status is shipped.",
                "user: what is seven plus five",
                "assistant: Seven plus five is twelve.",
            ],
            timeout=20_000,
        )
        await expect(page.locator("audio[data-call-audio]")).to_have_count(1)
        await page.wait_for_function("window.loudest > 0.1")
        assert await page.evaluate("room.localParticipant.isMicrophoneEnabled") is True
        await page.get_by_role("button", name="Mute").click()
        assert await page.evaluate("room.localParticipant.isMicrophoneEnabled") is False
        await page.get_by_role("button", name="Leave").click()
        await expect(page.get_by_role("status")).to_have_text("disconnected")
        await expect(page.locator("#reason")).to_have_text("undefined")  # the page itself left
        await expect(page.locator("audio[data-call-audio]")).to_have_count(0)


async def test_an_agent_that_hangs_up_is_a_reason(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(spoken(1.0))
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/wespoke.html")
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status")).to_have_text("connected", timeout=15_000)
        (session,) = server.sessions._by_id.values()
        session.call.hangup()
        await expect(page.locator("#reason")).to_have_text("agent_hangup")
        await expect(page.get_by_role("status")).to_have_text("disconnected")


async def test_a_flow_page_talks(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    page = await open_page(spoken(1.5, sentence("what is seven plus five"), 30.0))
    failed: list[str] = []
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 and "favicon" not in r.url else None)
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/flow.html")
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status")).to_have_text("connected", timeout=15_000)
        said = page.locator("#said li")
        await expect(said.last).to_have_text(re.compile("^ResponseCompleted .*twelve.$"), timeout=20_000)
        first, heard, *answer = await said.all_inner_texts()
        assert first.startswith("ConversationStarted")
        assert heard.strip() == "AddTranscript what is seven plus five"
        # a model that is slow is spoken before its sentence is whole
        begun, completed = ([kind.partition(" ") for kind in answer[n::2]] for n in (0, 1))
        assert {kind for kind, _, _ in begun} == {"ResponseStarted"}
        assert {kind for kind, _, _ in completed} == {"ResponseCompleted"}
        assert " ".join(text for _, _, text in completed) == "Seven plus five is twelve."
        await page.get_by_role("button", name="End").click()
        await expect(page.locator("#said li").last).to_have_text(re.compile("^ConversationEnded"))
        await expect(page.get_by_role("status")).to_have_text("disconnected")
        assert not failed, "nothing is asked for that is over"


async def test_a_pinecall_page_talks(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    page = await open_page(spoken(2.0, sentence("my name is olivia"), 5.0, sentence("what is my name"), 30.0))
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/pinecall.html")
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status")).to_have_text("connected", timeout=15_000)
        await expect(page.locator("#said li")).to_have_text(
            [
                "user: my name is olivia",
                "bot: Nice to meet you, Olivia! How can I help you?",
                "user: what is my name",
                "bot: Your name is Olivia.",
            ],
            timeout=25_000,
        )
        kinds = set(await page.evaluate("events.map((e) => e.event)"))
        assert {"speech.started", "speech.ended", "turn.pause", "turn.end", "bot.speaking", "bot.finished"} <= kinds
        (session,) = server.sessions._by_id.values()
        assert session.call.metadata == {"page": "shop"}
        await page.get_by_role("button", name="End").click()
        await expect(page.get_by_role("status")).to_have_text("idle")
