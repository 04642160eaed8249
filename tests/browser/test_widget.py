"""The widget in somebody's page, by mouse and by keyboard; and what axe-core finds in all pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.server import Server
from tests.browser.conftest import Open
from tests.browser.test_room import site, spoken
from tests.conftest import no_sessions

UNAVAILABLE = "Sorry, this is not available right now."


async def test_a_conversation_of_two_turns(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    first, second = sentence("my name is olivia"), sentence("what is my name")
    page = await open_page(spoken(2.0, first, 5.0, second, 30.0))
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/widget.html")
        orb = page.get_by_role("button", name="Ask us")
        await orb.focus()
        await page.keyboard.press("Enter")
        status = page.get_by_role("status")
        await expect(status).to_have_text("Listening", timeout=15_000)
        said = page.get_by_role("log").locator("li")
        await expect(said).to_have_text(
            [
                "my name is olivia",
                "Nice to meet you, Olivia! How can I help you?",
                "what is my name",
                "Your name is Olivia.",
            ],
            timeout=20_000,
        )
        await expect(status).to_have_text("Speaking")
        level = "parseFloat(document.querySelector('voice-widget').style.getPropertyValue('--level')) > 0.2"
        await page.wait_for_function(level)
        (session,) = server.sessions._by_id.values()
        assert session.call.floor is not None
        await page.get_by_role("button", name="Mute").click()
        await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Ask us")).to_be_visible()
        await expect(page.get_by_role("alert")).to_be_hidden()


async def test_a_visitor_holds_a_button_while_they_speak(
    open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]
) -> None:
    told = sentence("my name is olivia")
    page = await open_page(spoken(2.0, told, 1.0, told, 1.0, told, 1.0, told, 30.0))
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/widget.html")
        await page.evaluate("document.querySelector('voice-widget').setAttribute('push-to-talk', 'on')")
        await page.get_by_role("button", name="Ask us").click()
        hold, said = page.get_by_role("button", name="Hold to talk"), page.get_by_role("log").locator("li")
        await expect(hold).to_be_visible(timeout=15_000)
        await expect(page.get_by_role("button", name="Mute")).to_be_hidden()
        await hold.focus()
        await page.keyboard.down("Enter")
        await expect(page.get_by_role("button", name="Release to send")).to_be_visible()
        await expect(said.first).to_contain_text("olivia", timeout=15_000)
        await expect(page.locator("li.agent")).to_have_count(0)
        await page.keyboard.up("Enter")
        await expect(hold).to_be_visible()
        await expect(page.locator("li.agent").first).to_contain_text("Olivia", timeout=15_000)
        await page.keyboard.press("Escape")
        await no_sessions(server)


async def test_in_writing(open_page: Open, tmp_path: Path, axe: str) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), allow=False)
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/modes.html")
        chat = page.locator("voice-widget[mode=chat]")
        await page.evaluate("document.querySelector('voice-widget').setAttribute('consent', 'May this be kept?')")
        await chat.get_by_label("Write to the agent").fill("my name is olivia")
        await page.keyboard.press("Enter")
        await chat.get_by_role("button", name="I agree").click()
        said = chat.get_by_role("log").locator("li")
        await expect(said).to_have_text(["my name is olivia", "Nice to meet you, Olivia! How can I help you?"])
        await expect(chat.get_by_label("Write to the agent")).to_have_value("")
        await chat.get_by_label("Write to the agent").fill("what is my name")
        await chat.get_by_role("button", name="Send").click()
        await expect(said.last).to_have_text("Your name is Olivia.")
        for theme in ("light", "dark", "midnight", "aurora", "sunset"):
            await page.evaluate(f"document.querySelector('voice-widget').setAttribute('theme', '{theme}')")
            assert await serious(page, axe) == [], theme
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a theme's edge fits in"
        (conversation,) = server.sessions._by_id.values()
        conversation.hang_up("agent_hangup")
        await expect(chat.get_by_role("status")).to_have_text("Write to us")
        await chat.get_by_label("Write to the agent").fill("what is my name")
        await page.keyboard.press("Enter")
        await expect(said).to_have_count(2)
        await expect(said.last).not_to_have_text("Your name is Olivia.")
        await page.goto("about:blank")
        for each in list(server.sessions._by_id.values()):
            each.hang_up("client_hangup")


async def test_in_writing_what_cannot_be_is_said(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), allow=False)
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/modes.html")
        chat = page.locator("voice-widget[mode=chat]")
        reasons: list[str] = []
        page.on("console", lambda m: reasons.append(m.text) if m.type == "warning" else None)
        await page.evaluate("document.querySelector('voice-widget').setAttribute('agent', 'nobody')")
        await chat.get_by_label("Write to the agent").fill("hello")
        await page.keyboard.press("Enter")
        await expect(chat.get_by_role("alert")).to_have_text(UNAVAILABLE)
        assert any("no agent of that name" in reason for reason in reasons)
        await expect(chat.get_by_label("Write to the agent")).to_have_value("hello")


async def test_in_a_panel(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples], axe: str) -> None:
    page = await open_page(spoken(2.0, sentence("my name is olivia"), 30.0))
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/modes.html")
        await page.get_by_role("button", name="Our assistant").click()
        panel = page.get_by_role("dialog", name="Our assistant")
        said = panel.get_by_role("log").locator("li")
        await expect(said).to_have_text(
            ["my name is olivia", "Nice to meet you, Olivia! How can I help you?"], timeout=20_000
        )
        await expect(panel.get_by_role("status")).to_have_text("Listening", timeout=10_000)
        await panel.get_by_label("Write to the agent").fill("what is my name")
        await page.keyboard.press("Enter")
        await expect(said.last).to_have_text("Your name is Olivia.", timeout=10_000)
        assert await serious(page, axe) == []
        await panel.get_by_role("button", name="Close").click()
        await expect(panel).to_be_hidden()
        await no_sessions(server)
        await page.get_by_role("button", name="Our assistant").click()
        await expect(panel.get_by_role("status")).to_have_text("Listening", timeout=15_000)
        await page.keyboard.press("Escape")
        await expect(panel).to_be_hidden()


@pytest.mark.parametrize(
    ("allow", "agent", "reason"),
    [
        (False, "open", "Microphone access was denied"),
        (True, "nobody", "no agent of that name"),
        (True, "desk", "may not call"),
    ],
)
async def test_visitors_are_told_what_they_can_mend_and_the_console_the_reason(
    open_page: Open, tmp_path: Path, allow: bool, agent: str, reason: str
) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), allow=allow)
    reasons: list[str] = []
    page.on("console", lambda m: reasons.append(m.text) if m.type == "warning" else None)
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/widget.html")
        await page.evaluate(f"document.querySelector('voice-widget').setAttribute('agent', '{agent}')")
        await page.get_by_role("button", name="Ask us").click()
        await expect(page.get_by_role("alert")).to_contain_text(UNAVAILABLE if allow else reason)
        assert any(reason in each for each in reasons)
        await expect(page.get_by_role("button", name="Ask us")).to_be_enabled()


async def test_a_wrong_token_is_said(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/widget.html")
        await page.evaluate(
            "() => { document.querySelector('voice-widget').tokenProvider = async () => 'wrtc_nonsense'; }"
        )
        await page.get_by_role("button", name="Ask us").click()
        await expect(page.get_by_role("alert")).to_have_text(UNAVAILABLE)
        await expect(page.get_by_role("button", name="Ask us")).to_be_enabled()


async def test_a_server_that_is_gone_is_said(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/widget.html")
        await page.evaluate("document.querySelector('voice-widget').setAttribute('server', 'http://127.0.0.1:1')")
        await page.get_by_role("button", name="Ask us").click()
        await expect(page.get_by_role("alert")).to_have_text(UNAVAILABLE)


async def serious(page: Page, axe: str) -> list[str]:
    """What axe-core finds of what counts."""
    # what slides in is pale for a moment
    await page.evaluate(
        "Promise.allSettled(document.getAnimations()"
        ".filter((a) => a.effect.getTiming().iterations !== Infinity).map((a) => a.finished))"
    )
    await page.evaluate(axe)
    found: dict[str, Any] = await page.evaluate("axe.run()")
    bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    return [f"{v['id']}: {node['html'][:80]} {node['failureSummary'][:200]}" for v in bad for node in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_pages(
    open_page: Open, server: Server, tmp_path: Path, axe: str, scheme: str
) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), color_scheme=scheme, bypass_csp=True)
    assert await serious(page, axe) == []
    await page.get_by_role("button", name="Settings").click()
    assert await serious(page, axe) == []
    await page.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Developer view").click()
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
    await page.get_by_label("Type to the agent").fill("what is one plus two")
    await page.keyboard.press("Enter")
    await expect(page.locator(".latency b")).to_be_visible(timeout=10_000)
    assert await serious(page, axe) == []
    await page.goto(f"{server.url}/admin")
    await page.locator("tbody a").first.click()
    await expect(page.locator("#timeline svg")).to_be_visible()
    assert await serious(page, axe) == []
    async with site(tmp_path) as (_, origin):
        await page.goto(f"{origin}/widget.html")
        await page.get_by_role("button", name="Ask us").click()
        await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
        assert await serious(page, axe) == []
        await page.get_by_role("button", name="Hang up").last.click()
