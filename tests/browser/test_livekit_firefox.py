"""npm's newest `livekit-client`, unmodified, in Firefox: all that it does in Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_server.agents import Agent
from media_server.config import Settings
from media_server.server import Server
from tests.browser.firefox import FirefoxPage, firefox, needs_firefox
from tests.browser.livekit import hold_a_call, join_and_be_left, site_with
from tests.browser.test_livekit import NEWEST
from tests.conftest import DATA, kept
from tests.doors.livekit import way_to

pytestmark = needs_firefox


@pytest.fixture(scope="module")
async def host(database: None) -> AsyncIterator[Server]:
    """A server that pages of other sites may call."""
    agents = [Agent("open", allowed_origins=("http://localhost:*",))]
    async for server in kept(Settings(port=0, idle_timeout_s=2, agents=agents, agents_dir=DATA / "agents")):
        yield server


async def test_a_call_where_much_happens(host: Server, tmp_path: Path) -> None:
    page = FirefoxPage()
    async with (
        site_with(NEWEST, page.SCRIPT, page.routes) as site,
        way_to(host) as way,
        firefox(tmp_path / "profile", site),
    ):
        await hold_a_call(page, host, way)
        await join_and_be_left(page, host, way, loses_socket=False)
