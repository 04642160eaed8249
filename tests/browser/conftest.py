"""A real Chromium, with a recording as its microphone."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, async_playwright

from media_server.audio import CALL_RATE_HZ, Samples, write_wav
from media_server.server import Server
from tests.conftest import no_sessions
from tests.fetched import from_npm

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
]
Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page(server: Server, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the page with `speech` (48 kHz) as microphone; `allow` answers the question for it."""
    async with async_playwright() as playwright:

        async def open_(
            speech: Samples | None = None, *, allow: bool = True, flags: Sequence[str] = (), **context: object
        ) -> Page:
            flags = [*FLAGS, *flags]
            if speech is not None:
                wav = tmp_path / "microphone.wav"
                write_wav(wav, speech, CALL_RATE_HZ)
                flags.append(f"--use-file-for-fake-audio-capture={wav}%noloop")
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            ctx = await browser.new_context(permissions=["microphone"] if allow else [], **context)  # type: ignore[arg-type]
            page = await ctx.new_page()
            page.on("pageerror", lambda e: pytest.fail(f"the page threw: {e}"))
            await page.goto(server.url)
            return page

        yield open_
    await no_sessions(server)


async def press(where: Page | Locator, name: str, key: str = "Enter") -> None:
    """Go to a button or a field by the keyboard alone, on from where the focus is, and press a key on it."""
    page = where if isinstance(where, Page) else where.page
    wanted = where.get_by_role("button", name=name, exact=True).or_(where.get_by_label(name, exact=True)).first
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("e => e === document.activeElement"):
            return await page.keyboard.press(key)
    pytest.fail(f"the keyboard does not get to {name!r}")


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that looks for what keeps people from using a page."""
    return (from_npm("axe", "axe-core@4.11.0") / "node_modules" / "axe-core" / "axe.min.js").read_text()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = CHROMIUM is None and "MEDIA_SERVER_TESTS_NEED_BROWSER" not in os.environ
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            if missing:
                reason = "no Chromium here: install Debian's `chromium` to run the page's tests"
                item.add_marker(pytest.mark.skip(reason=reason))
