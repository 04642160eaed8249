"""npm's `livekit-client`, unmodified: the newest in Chromium and Firefox, and older ones that use two connections."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from media_server.agents import Agent
from media_server.config import Settings
from media_server.server import Server
from tests.browser.conftest import Open
from tests.browser.livekit import PAGE, hold_a_call, join_and_lose_the_socket, site_with
from tests.browser.test_firefox import FIREFOX, firefox
from tests.conftest import DATA, kept
from tests.doors.livekit import way_to

NEWEST, TWO_CONNECTIONS, OLD = "2.23.0", "2.16.0", "2.5.10"


@pytest.fixture(scope="module")
async def host(database: None) -> AsyncIterator[Server]:
    """A server that pages of other sites may call."""
    agents = [Agent("open", allowed_origins=("http://localhost:*",))]
    settings = Settings(port=0, idle_timeout_s=2, agents=agents, agents_dir=DATA / "agents")
    async for server in kept(settings):
        yield server


@pytest.mark.parametrize("version", [NEWEST, TWO_CONNECTIONS, OLD])
async def test_a_call_in_chromium(open_page: Open, host: Server, version: str) -> None:
    page = await open_page()
    async with site_with(version) as site, way_to(host) as way:
        await page.goto(site)
        await hold_a_call(page, host, way)
        await join_and_lose_the_socket(page, host, way)


LOOP = """
(async () => {
  for (;;) {
    const { number, expression } = await (await fetch("/next")).json();
    const answer = { number };
    try { answer.value = await (0, eval)(expression); } catch (error) { answer.error = String(error); }
    await fetch("/done", { method: "POST", body: JSON.stringify(answer) });
  }
})();
"""
"""Added to a page, it does what the test says."""


class FirefoxPage:
    """A page that asks what it is to do; `routes` belong to its site."""

    def __init__(self) -> None:
        self.routes = [web.get("/loop.html", self._page), web.get("/next", self._next), web.post("/done", self._done)]
        self._numbers = itertools.count()
        self._wanted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=f"{PAGE}<script>{LOOP}</script>", content_type="text/html")

    async def _next(self, _: web.Request) -> web.Response:
        return web.json_response(await self._wanted.get())

    async def _done(self, request: web.Request) -> web.Response:
        answer = await request.json()
        self._answers.pop(answer["number"]).set_result(answer)
        return web.Response()

    async def evaluate(self, expression: str) -> Any:
        number = next(self._numbers)
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answered
        self._wanted.put_nowait({"number": number, "expression": expression})
        async with asyncio.timeout(60):
            answer = await answered
        assert "error" not in answer, f"{expression}: {answer['error']}"
        return answer.get("value")

    async def wait_for_function(self, expression: str, *, timeout: float = 30_000) -> Any:
        until = time.monotonic() + timeout / 1000
        while not (value := await self.evaluate(expression)):
            assert time.monotonic() < until, f"{expression}: not within {timeout} ms"
            await asyncio.sleep(0.1)
        return value


@pytest.mark.skipif(FIREFOX is None, reason="no Firefox here: install Debian's `firefox-esr`")
async def test_a_call_in_firefox(host: Server, tmp_path: Path) -> None:
    page = FirefoxPage()
    async with (
        site_with(NEWEST, page.routes) as site,
        way_to(host) as way,
        firefox(tmp_path / "profile", f"{site}loop.html"),
    ):
        await hold_a_call(page, host, way)
        await join_and_lose_the_socket(page, host, way)
