"""The operator's page: calls, one of them in detail, how long callers wait; with a key where there are keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.async_api import expect

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.browser.conftest import Open
from tests.conftest import DATA, no_sessions


async def test_calls_and_their_course_are_shown(
    open_page: Open, server: Server, sentence: Callable[[str], Samples]
) -> None:
    async with Caller(server.url, "desk", metadata={"customer": 7}) as caller:
        await caller.wait_for("call.started")
        caller.speak(sentence("where is my order four two seven"))
        await caller.wait_for("agent.speech_stopped")
        page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), viewport={"width": 1000, "height": 900})
        await page.goto(f"{server.url}/admin")
        await expect(page.get_by_role("status")).to_have_text("1 call going on")
        row = page.locator("#calls tr").first
        await expect(row).to_contain_text("going on")
        await row.get_by_role("button").click()
        await expect(page.locator("#words li")).to_have_text(
            [
                re.compile("caller.*where is my order four two seven"),
                re.compile('tool.*get_order_status {"order_id":"427"}'),
                re.compile('{"status":"shipped"}'),
                re.compile(r"agent.*The status is shipped\."),
            ]
        )
        await expect(page.locator("#facts")).to_contain_text('metadata: {"customer":7}')
        for kind in ("user", "wait", "agent", "tool"):
            await expect(page.locator(f"#timeline rect.{kind}")).to_have_count(1)
        wide = [await page.locator(f"#timeline rect.{kind}").get_attribute("width") for kind in ("user", "agent")]
        assert all(float(w or 0) > 10 for w in wide), "speech has its length"
        # the call goes on while it is looked at
        caller.send(type="text.send", text="what is one plus two")
        await expect(page.locator("#words li").last).to_contain_text("One plus two is three.", timeout=10_000)
        await expect(page.locator("#timeline rect.agent")).to_have_count(2)
        await expect(page.locator("#speed .bars")).not_to_have_count(0, timeout=10_000)
        await expect(page.locator("#speed small").first).to_have_text(re.compile(r"half ≤ \d+ ms, 95 % "))
        caller.send(type="call.end")
        await caller.wait_for("call.ended")
    await no_sessions(server)
    await expect(page.locator("#words li").last).to_contain_text("ended: client_hangup")
    await expect(page.get_by_role("status")).to_have_text("No calls going on", timeout=10_000)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_it_asks_for_a_key_and_says_what_is_wrong_with_it(open_page: Open, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(url) as database:
        admin, _ = await Keys(database).create("me", ["admin"])
        caller, _ = await Keys(database).create("backend")
        async with running_server(Settings(port=0, database=url, agents_dir=DATA / "agents")) as server:
            await server.ready(60)
            page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), viewport={"width": 390, "height": 800})
            await page.goto(f"{server.url}/admin")
            box = page.get_by_placeholder("sk_…")
            await expect(box).to_be_visible()
            await expect(page.get_by_role("alert")).to_be_hidden()
            for key, reason in (("sk_x_y", "There is no such API key."), (caller, "lacks the scope 'admin'")):
                await box.fill(key)
                await box.press("Enter")
                await expect(page.get_by_role("alert")).to_contain_text(reason)
            await box.fill(admin)
            await box.press("Enter")
            await expect(page.get_by_text("There were no calls yet.")).to_be_visible()
            await expect(page.get_by_role("alert")).to_be_hidden()
            await expect(box).to_be_hidden()
            await page.reload()
            await expect(page.get_by_text("There were no calls yet.")).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("does not answer", timeout=10_000)
