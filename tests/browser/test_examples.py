"""The example pages, each in a conversation of two turns by voice."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from playwright.async_api import expect

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.paths import STATIC
from media_server.server import Server
from tests.browser.conftest import Open
from tests.browser.test_room import spoken
from tests.conftest import no_sessions
from tests.fetched import from_npm

TOLD, ASKED = "my name is olivia", "what is my name"


@pytest.mark.parametrize("page_name", ["plain", "flow", "nextevi"])
async def test_two_turns(open_page: Open, server: Server, sentence: Callable[[str], Samples], page_name: str) -> None:
    page = await open_page(spoken(2.0, sentence(TOLD), 5.0, sentence(ASKED), 30.0))
    await page.goto(f"{server.url}/static/examples/{page_name}.html")
    await page.get_by_role("button", name="Call").click()
    said = page.locator("#said li")
    yours = page.locator("#said li[data-who=you]")
    await expect(yours).to_have_text([TOLD, ASKED], timeout=25_000)
    await expect(said.last).to_have_text("Your name is Olivia.", timeout=10_000)
    await expect(page.get_by_role("alert")).to_have_text("")
    await expect(page.get_by_role("status")).to_have_text(re.compile("^(Listening|Speaking|Thinking|Connected)$"))
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_role("button", name="Call")).to_be_enabled()
    await expect(page.get_by_role("status")).to_have_text("Not connected")
    await no_sessions(server)


@pytest.fixture(scope="session")
def vendored_react() -> str:
    """React as `npm run react` vendors it."""
    npm = from_npm("react-19", "react@19", "react-dom@19", "esbuild@0.25.12")
    source = npm / "vendor-react.js"
    shutil.copy(STATIC / "examples" / "vendor-react.js", source)
    command = [npm / "node_modules" / ".bin" / "esbuild", source, "--bundle", "--format=esm"]
    made = subprocess.run(
        [*map(str, command), '--define:process.env.NODE_ENV="production"'], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


async def test_the_react_page(
    open_page: Open, server: Server, sentence: Callable[[str], Samples], vendored_react: str
) -> None:
    page = await open_page(spoken(2.0, sentence(TOLD), 5.0, sentence(ASKED), 30.0))
    await page.route(
        "**/examples/vendor/react.js", lambda route: route.fulfill(body=vendored_react, content_type="text/javascript")
    )
    await page.goto(f"{server.url}/static/examples/react.html")
    await page.get_by_role("button", name="Call").click()
    await expect(page.locator("#said li[data-who=you]")).to_have_text([TOLD, ASKED], timeout=25_000)
    await expect(page.locator("#said li").last).to_have_text("Your name is Olivia.", timeout=10_000)
    await expect(page.get_by_role("alert")).to_have_text("")
    await page.get_by_role("button", name="Mute").click()
    await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_role("status")).to_have_text("Not connected")
    await no_sessions(server)


async def test_the_vue_page(open_page: Open, server: Server, sentence: Callable[[str], Samples]) -> None:
    vue = from_npm("vue-3", "vue@3") / "node_modules" / "vue" / "dist" / "vue.runtime.esm-browser.prod.js"
    page = await open_page(spoken(2.0, sentence(TOLD), 5.0))
    await page.goto(f"{server.url}/static/examples/vue.html")
    await expect(page.get_by_text("Vue is not shipped with the server.")).to_be_visible()
    await page.route("**/examples/vendor/vue.js", lambda route: route.fulfill(path=vue, content_type="text/javascript"))
    await page.reload()
    await page.get_by_role("button", name="Call").click()
    await expect(page.locator("#said li")).to_have_text(
        [TOLD, "Nice to meet you, Olivia! How can I help you?"], timeout=15_000
    )
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_role("status")).to_have_text("Not connected")
    await no_sessions(server)


async def test_the_kiosks_page_answers_when_the_button_is_let_go(
    open_page: Open, server: Server, sentence: Callable[[str], Samples]
) -> None:
    page = await open_page(spoken(3.0, sentence(TOLD), 1.0, sentence(TOLD), 1.0, sentence(TOLD), 30.0))
    await page.goto(f"{server.url}/static/examples/kiosk.html?agent=push-to-talk")
    button = page.get_by_role("button")
    await button.click()
    await expect(button).to_have_text("Hold to talk", timeout=15_000)
    await page.keyboard.down("Space")
    await expect(page.get_by_role("status")).to_have_text("Speak")
    await expect(page.locator("#said li[data-who=you]").first).to_contain_text("olivia", timeout=15_000)
    await expect(page.locator("#said li[data-who=agent]")).to_have_count(0)
    await page.keyboard.up("Space")
    await expect(page.locator("#said li[data-who=agent]")).to_have_count(1, timeout=15_000)
    await page.close()
    await no_sessions(server)


async def test_the_widgets_page(open_page: Open, server: Server, sentence: Callable[[str], Samples]) -> None:
    page = await open_page(spoken(2.0, sentence(TOLD), 5.0, sentence(ASKED), 30.0))
    await page.goto(f"{server.url}/static/examples/widget.html")
    await page.get_by_role("button", name="Talk").click()
    await expect(page.get_by_role("log").locator("li").last).to_have_text("Your name is Olivia.", timeout=25_000)
    await page.get_by_role("button", name="Hang up").last.click()
    await no_sessions(server)


@pytest.mark.parametrize("page_name", ["plain", "nextevi"])
async def test_a_refused_microphone_is_said(open_page: Open, server: Server, page_name: str) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), allow=False)
    await page.goto(f"{server.url}/static/examples/{page_name}.html")
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("alert")).to_have_text(re.compile("refused|denied|not allowed", re.I))
    await expect(page.get_by_role("button", name="Call")).to_be_enabled()
