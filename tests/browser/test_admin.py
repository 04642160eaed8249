"""The operator's console: calls and what can be done with one, and with a key where there are keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.async_api import Page, expect

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.browser.conftest import Open, press
from tests.conftest import DATA, no_sessions

SILENCE = np.zeros(CALL_RATE_HZ, np.int16)
FLOW_AGENT = 'name = "clerk"\nprompt = "You are a clerk."\ngreeting = "Hello."\n'


async def test_a_call_is_shown_while_it_goes_on_and_can_be_acted_in(
    open_page: Open, server: Server, sentence: Callable[[str], Samples]
) -> None:
    async with Caller(server.url, "desk", metadata={"customer": 7}) as caller:
        await caller.wait_for("call.started")
        caller.speak(sentence("where is my order four two seven"))
        await caller.wait_for("agent.speech_stopped")
        page = await open_page(SILENCE, viewport={"width": 1300, "height": 900})
        await page.goto(f"{server.url}/admin")
        await expect(page.get_by_role("status").first).to_have_text("1 call in progress")
        row = page.locator("tbody tr").first
        await expect(row).to_contain_text("In progress")
        await row.get_by_role("link").click()
        await expect(page).to_have_url(re.compile(r"#/calls/call-"))
        await expect(page).to_have_title(f"{caller.call_id} · Calls · Console")
        await expect(page.locator("#call-title")).to_be_focused()
        await expect(page.locator("#words li")).to_have_text(
            [
                re.compile("Caller.*where is my order four two seven"),
                re.compile('Tool.*get_order_status {"order_id":"427"}'),
                re.compile('Result.*{"status":"shipped"}'),
                re.compile(r"Agent.*The status is shipped\."),
            ]
        )
        await expect(page.locator("#facts")).to_contain_text('{"customer":7}')
        for kind in ("user", "wait", "agent", "tool"):
            # a stop within the question makes two of it
            await expect(page.locator(f"#timeline rect.{kind}").first).to_be_attached()
        wide = [await page.locator(f"#timeline rect.{kind}").first.get_attribute("width") for kind in ("user", "agent")]
        assert all(float(w or 0) > 10 for w in wide), "speech has its length"
        await expect(page.locator(".chart small").first).to_have_text(re.compile(r"^\d+ turns? · median up to "))
        await _listen_and_take_over(page, caller)
        await press(page, "Hang up")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await press(page.get_by_role("dialog"), "Hang up")
        ended = await caller.wait_for("call.ended")
        assert ended["reason"] == "operator_hangup"
    await no_sessions(server)
    await expect(page.locator("#words li").last).to_contain_text("Hung up from the console")
    await expect(page.get_by_role("status").first).to_have_text("No calls in progress", timeout=10_000)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await _find_export_and_delete(page, server)


async def _listen_and_take_over(page: Page, caller: Caller) -> None:
    """By the keyboard alone."""
    await press(page, "Listen in")
    await expect(page.get_by_text("You are listening. Nobody in the call hears you.")).to_be_visible()
    await expect(page.get_by_role("button", name="Take over")).to_be_focused()
    since = len(caller.events)
    await press(page, "Say in the agent's voice", "o")
    await page.keyboard.type("ne moment please")
    await page.keyboard.press("Enter")
    said = await caller.wait_for("agent.speech_stopped", since=since)
    assert said["heard"].lower().startswith("one moment please")
    await press(page, "Take over")
    await expect(page.get_by_text("the caller hears you")).to_be_visible()
    await expect(page.get_by_role("button", name="Hand back to the agent")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("You are listening.")).to_be_visible()
    await press(page, "Stop listening")
    await expect(page.get_by_role("button", name="Listen in")).to_be_focused()


async def _find_export_and_delete(page: Page, server: Server) -> None:
    call_id = page.url.rpartition("/")[2]
    async with page.expect_download() as download:
        await page.get_by_role("button", name="WebVTT").click()
    vtt = (await (await download.value).path()).read_text()
    assert vtt.startswith("WEBVTT\n\n00:00:")
    assert "<v Caller>where is my order four two seven" in vtt
    words = page.get_by_role("searchbox", name="Words")
    await words.fill("ORDER FOUR TWO")
    await words.press("Enter")
    found = page.locator(f'[data-call="{call_id}"]')
    await expect(found).to_have_attribute("href", re.compile("words="))
    await expect(words).to_be_focused()
    await words.fill("nobody said this")
    await words.press("Enter")
    # a date that is typed is a date from its year's first digit on
    year = await page.evaluate("new Date().getFullYear()")
    await page.get_by_label("From").focus()
    await page.keyboard.type(f"0101{year}")
    await expect(page.get_by_label("From")).to_have_value(f"{year}-01-01")
    await expect(page.get_by_text("No call fits these filters.")).to_be_visible()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator("#call-title")).to_have_count(0)
    await page.goto(f"{server.url}/admin#/calls/{call_id}")
    await expect(page.get_by_role("alert")).to_contain_text("There is no record of such a call.")


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[tuple[Server, str, str, Path]]:
    """A server with keys and a file of an agent; an admin's key, a caller's, and the file."""
    url, folder = f"sqlite:///{tmp_path}/x.sqlite", tmp_path / "agents"
    folder.mkdir()
    (folder / "clerk.toml").write_text(FLOW_AGENT)
    async with Database.open(url) as database:
        admin, _ = await Keys(database).create("me", ["admin"])
        caller, _ = await Keys(database).create("backend")
        async with running_server(Settings(port=0, database=url, agents_dir=folder)) as server:
            await server.ready(60)
            yield server, admin, caller, folder / "clerk.toml"


async def test_it_asks_for_a_key_and_shows_what_the_operator_may_change(
    open_page: Open, closed: tuple[Server, str, str, Path]
) -> None:
    server, admin, caller, file = closed
    page = await open_page(SILENCE, viewport={"width": 390, "height": 800})
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
    await expect(page.get_by_text("No calls yet.")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_hidden()
    await expect(box).to_be_hidden()
    await page.reload()
    await expect(page.get_by_text("No calls yet.")).to_be_visible()

    # an agent's file: what is wrong is said, and what is right is in force
    await page.goto(f"{server.url}/admin#/agents/clerk")
    area = page.locator("textarea")
    await expect(area).to_have_value(FLOW_AGENT)
    await area.fill(FLOW_AGENT + "max_reply_tokens = many\n")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".said")).to_contain_text("The file is not valid: line 4")
    await area.fill(FLOW_AGENT.replace("a clerk", "a friendly clerk"))
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".said")).to_contain_text("Saved.")
    assert "friendly" in file.read_text()
    assert [f.read_text() for f in file.parent.glob(".clerk.toml.*")] == [FLOW_AGENT]

    # a key is made, shown once, and revoked
    await page.goto(f"{server.url}/admin#/keys")
    await page.get_by_label("Name", exact=True).fill("website")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.locator(".secret")).to_have_text(re.compile(r"sk_[0-9a-f]{12}_\S+"))
    row = page.get_by_role("row", name="website")
    await row.get_by_role("button", name="Revoke").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("Revoked")
    await expect(page.locator("#view")).to_be_focused()

    for view, text in (("server", "speech recognition"), ("webhooks", "No webhooks are set."), ("log", "Lowest level")):
        await page.goto(f"{server.url}/admin#/{view}")
        await expect(page.locator("#view")).to_contain_text(text)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


async def test_nobody_is_kept_from_using_it(open_page: Open, closed: tuple[Server, str, str, Path], axe: str) -> None:
    server, admin, _, _ = closed
    page = await open_page(SILENCE, viewport={"width": 1200, "height": 800}, bypass_csp=True)
    await page.goto(f"{server.url}/admin")
    await page.get_by_placeholder("sk_…").fill(admin)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No calls yet.")).to_be_visible()
    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        for view in ("calls", "agents/clerk", "server", "keys", "webhooks", "log"):
            await page.goto(f"{server.url}/admin#/{view}")
            await expect(page.get_by_role("heading").first).to_be_visible()
            await page.evaluate(axe)
            found = await page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
            assert found == [], f"{view}, {scheme}"
    # where colours are the system's, the view that is shown has an edge
    await page.emulate_media(forced_colors="active")
    outlined = "getComputedStyle(document.querySelector('#nav [aria-current]')).outlineStyle"
    assert await page.evaluate(outlined) == "solid"
    await page.reload()
    await expect(page.get_by_role("heading").first).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


async def test_the_first_key_stays_in_view_and_the_servers_death_is_said(open_page: Open, tmp_path: Path) -> None:
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents_dir=DATA / "agents")
    async with running_server(settings) as server:
        await server.ready(60)
        page = await open_page(SILENCE)
        await page.goto(f"{server.url}/admin")
        await expect(page.get_by_text("No calls yet.")).to_be_visible()
        await page.goto(f"{server.url}/admin#/keys")
        await page.get_by_label("Name", exact=True).fill("me")
        await page.get_by_role("button", name="Make the key").click()
        await expect(page.get_by_text("The server is closed from now on")).to_be_visible()
        async with page.expect_response(lambda response: "status=active" in response.url) as answer:
            pass  # who has no key now is asked for one
        assert (await answer.value).status == 200
        await expect(page.locator(".secret")).to_have_text(re.compile(r"sk_[0-9a-f]{12}_\S+"))
    await expect(page.get_by_role("alert")).to_contain_text("does not answer", timeout=10_000)
