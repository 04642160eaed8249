"""The React hooks and components, in the React that a page brings."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect

from media_server.audio import Samples
from media_server.paths import STATIC
from tests.browser.conftest import Open
from tests.browser.test_room import PAGES, site, spoken
from tests.fetched import from_npm


def bundled(folder: Path, react: str) -> str:
    """The page's script with React of this version in it, as a developer's bundler makes it."""
    npm = from_npm(f"react-{react}", f"react@{react}", f"react-dom@{react}", "esbuild@0.25.12")
    shutil.copytree(STATIC, npm / "node_modules" / "media-server-browser", dirs_exist_ok=True)
    source = npm / "page.jsx"
    shutil.copy(PAGES / "react.jsx", source)
    command = [npm / "node_modules" / ".bin" / "esbuild", source, "--bundle", "--jsx=automatic", "--format=esm"]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(params=["18", "19"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return bundled(tmp_path, request.param)


async def test_a_conversation_in_react(
    open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples], script: str
) -> None:
    speech = spoken(2.0, sentence("my name is olivia"), 5.0, sentence("what is my name"), 30.0)
    page = await open_page(speech)
    async with site(tmp_path, script) as (server, origin):
        await page.goto(f"{origin}/react.html")
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status").first).to_have_text("connected", timeout=15_000)
        expected = [
            "user: my name is olivia",
            "bot: Nice to meet you, Olivia! How can I help you?",
            "user: what is my name",
            "bot: Your name is Olivia.",
        ]
        await expect(page.get_by_role("listitem")).to_have_text(expected, timeout=20_000)
        (session,) = server.sessions._by_id.values()
        assert session.call.metadata == {"from": "react"}
        await page.get_by_role("button", name="Mute").click()
        await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_role("status").first).to_have_text("disconnected")
        await page.get_by_role("button", name="Ask us").click()
        await expect(page.locator("#widget")).to_have_text("connected", timeout=15_000)
        await page.get_by_role("button", name="Hang up").last.click()
        await expect(page.locator("#widget")).to_have_text("idle")
