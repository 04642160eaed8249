"""The page in a real Chromium, with a recording as its microphone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Request, Route, expect

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.config import Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.browser.conftest import Open, press
from tests.conftest import no_sessions
from tests.proxies import under_a_path


@pytest.fixture
def question(sentence: Callable[[str], Samples]) -> Samples:
    """A question after a moment of silence: the recording runs from the moment the microphone opens."""
    gap = np.zeros(CALL_RATE_HZ * 2, np.int16)
    return np.concatenate([gap, sentence("what is seven plus five"), np.zeros(CALL_RATE_HZ * 20, np.int16)])


async def test_a_question_is_answered_in_the_browser(open_page: Open, question: Samples, server: Server) -> None:
    page = await open_page(question)
    elsewhere: list[str] = []

    def watch(request: Request) -> None:
        if not request.url.startswith((server.url, "data:", "blob:")):
            elsewhere.append(request.url)

    page.on("request", watch)
    await page.get_by_role("button", name="Developer view").click()
    # what the agent's voice amounts to in the page, by the page's own audio element
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
    await expect(page.locator(".bubble.user")).to_have_text("what is seven plus five", timeout=15_000)
    await expect(page.locator(".bubble.user")).not_to_have_class(re.compile("partial"))
    await expect(page.get_by_role("status")).to_have_text("Speaking", timeout=10_000)
    loudest = await page.evaluate(LOUDEST)
    await expect(page.locator(".bubble.agent")).to_have_text("Seven plus five is twelve.")
    await expect(page.locator(".latency b")).to_have_text(re.compile(r"\d+ ms"))
    await expect(page.locator(".latency .row span")).to_have_text(["pause", "recognition", "model", "voice"])
    assert loudest > 0.02
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_role("button", name="Call")).to_be_visible()
    await no_sessions(server)
    await page.get_by_role("button", name="Save").click()
    async with page.expect_download() as saved:
        await page.get_by_role("button", name="Download WebVTT subtitles").click()
    subtitles = (await (await saved.value).path()).read_text()
    assert re.search(r"WEBVTT\n\n00:00:\d\d\.\d{3} --> \S+\n<v You>what is seven plus five\n\n\S+ --> ", subtitles)
    assert subtitles.endswith("<v Assistant>Seven plus five is twelve.\n")
    assert elsewhere == []


async def test_the_page_shows_what_tools_do(
    open_page: Open, sentence: Callable[[str], Samples], server: Server
) -> None:
    silence = np.zeros(CALL_RATE_HZ * 2, np.int16)
    spoken = np.concatenate([silence, sentence("where is my order four two seven"), *[silence] * 8])
    page = await open_page(spoken)
    await page.goto(f"{server.url}/?agent=desk")
    await page.get_by_role("button", name="Call").click()
    tool = page.locator(".note.tool")
    await expect(tool.locator("summary")).to_have_text("Get order status: done", timeout=15_000)
    await expect(tool.locator("code")).to_have_text('get_order_status (order_id: 427) → {"status":"shipped"}')
    await expect(page.locator(".bubble.agent")).to_have_text("The status is shipped.")
    await page.get_by_role("textbox").fill("transfer me to sales")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Call")).to_be_visible(timeout=15_000)
    await expect(page.locator(".note", has_text="Transferred to")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_hidden()


LOUDEST = """async () => {
  const stream = document.getElementById("voice").srcObject;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (const end = performance.now() + 1500; performance.now() < end; ) {
    analyser.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples.map(Math.abs));
    await new Promise(requestAnimationFrame);
  }
  await context.close();
  return loudest;
}"""


async def test_typing_works_and_words_appear_as_they_are_spoken(open_page: Open) -> None:
    """By the keyboard alone, from the page's beginning to the next call."""
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), viewport={"width": 390, "height": 800})
    await expect(page.get_by_role("heading", name="Assistant")).to_be_visible()
    await press(page, "Call")
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
    await press(page, "Mute")
    await expect(page.get_by_role("status")).to_have_text("Muted: the agent cannot hear you")
    await page.keyboard.press("m")
    await expect(page.get_by_role("status")).to_have_text("Listening")
    await press(page, "Type to the agent", "w")
    await page.keyboard.type("hat can you do")
    await page.keyboard.press("Enter")
    await expect(page.locator(".bubble.user")).to_have_text("what can you do")
    unspoken = page.locator(".bubble.agent .unspoken")
    await expect(unspoken).to_contain_text("billing", timeout=10_000)  # the end is still to be said
    await expect(unspoken).to_have_text("", timeout=20_000)
    await page.locator("#documents").evaluate("link => { link.hidden = false; }")  # as where the documents were built
    for width in (320, 390, 480, 768):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    await press(page, "Hang up")
    await expect(page.get_by_role("button", name="Call")).to_be_focused()
    await press(page, "Save")
    await press(page, "Clear")
    await expect(page.locator(".bubble")).to_have_count(0)
    await page.set_viewport_size({"width": 320, "height": 256})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "at 400 % of a laptop's window"


SAY = """async (turns) => {
  const { Transcript } = await import("/static/js/transcript.js");
  const $ = (id) => document.getElementById(id);
  $("welcome").hidden = true;
  const t = (globalThis.t ??= new Transcript($("transcript"), $("said"), { newer: $("newer"), announce: () => {} }));
  if (!t.calls.length) t.begin("Assistant");
  const text = "A long answer that goes over more than one line of the bubble, as many do. ".repeat(4);
  for (let i = 0; i < turns; i++) {
    const turn_id = String((t.count = (t.count ?? 0) + 1));
    t.user({ turn_id, text: "a question", final: true });
    t.agentText({ turn_id, text });
  }
  for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
}"""
LEFT_BELOW = "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)(transcript)"


async def test_a_long_conversation_is_followed_and_can_be_read(open_page: Open) -> None:
    page = await open_page(viewport={"width": 360, "height": 740})
    await expect(page.get_by_text("Try saying")).to_be_visible()
    assert await page.evaluate("transcript.scrollTop") == 0, "what there is to read first is in view"
    await page.evaluate(SAY, 400)
    assert abs(await page.evaluate(LEFT_BELOW)) < 2
    await page.evaluate(SAY, 1)
    assert abs(await page.evaluate(LEFT_BELOW)) < 2
    newer = page.get_by_role("button", name="New messages")
    await expect(newer).to_be_hidden()
    await page.locator("#transcript").hover()
    await page.mouse.wheel(0, -3000)
    await page.wait_for_function(f"{LEFT_BELOW} > 1000")
    await page.evaluate(SAY, 1)
    await expect(newer).to_be_visible()
    assert await page.evaluate(LEFT_BELOW) > 1000, "who reads what was said before is left there"
    await newer.click()
    await page.wait_for_function(f"Math.abs({LEFT_BELOW}) < 2")
    await expect(newer).to_be_hidden()
    # what is far out of view is not laid out, and is there for screen readers all the same
    assert await page.evaluate("getComputedStyle(said.children[5]).contentVisibility") == "auto"
    assert "A long answer" in await page.locator("#said").aria_snapshot()


async def test_a_refused_microphone_is_explained(open_page: Open) -> None:
    page = await open_page(allow=False)
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("alert")).to_contain_text("Microphone access was denied")
    await expect(page.get_by_role("button", name="Call")).to_be_enabled()


async def test_what_is_clicked_before_the_page_is_ready_is_not_lost(open_page: Open, server: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    arrived = asyncio.Event()

    async def late(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    await page.route("**/app.js", late)
    await page.goto(server.url, wait_until="commit")
    for name in ("Call", "Settings", "Developer view"):
        await expect(page.get_by_role("button", name=name)).to_be_disabled()
    arrived.set()
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("button", name="Hang up")).to_be_visible(timeout=15_000)
    await page.context.clear_permissions()
    await expect(page.get_by_role("alert")).to_contain_text("The microphone is gone")
    await expect(page.get_by_role("status")).to_have_text("The agent cannot hear you")
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_an_unknown_agent_is_explained(open_page: Open, server: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    await page.goto(f"{server.url}/?agent=nobody")
    await expect(page.get_by_role("alert")).to_contain_text("no agent called 'nobody'")
    await expect(page.get_by_role("button", name="Call")).to_be_disabled()
    await expect(page.locator("#welcome")).to_be_hidden()
    await page.get_by_role("button", name="Change agent").click()
    await page.get_by_role("button", name="Assistant").click()
    await expect(page.get_by_role("button", name="Call")).to_be_enabled()
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_with_a_key_the_page_works_and_its_home_is_switched(open_page: Open, tmp_path: Path) -> None:
    """A server with keys, and no agents of its own: a simulated home is the page's second one."""
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    database = f"sqlite:///{tmp_path}/keys.sqlite"
    async with Database.open(database) as keys, running_server(Settings(port=0, database=database)) as server:
        await server.ready(60)
        secret, _ = await Keys(keys).create("me", ("admin",))
        await page.goto(f"{server.url}/?agent=home")
        await expect(page.get_by_role("button", name="Call")).to_be_disabled()
        await page.get_by_label("API key").fill("sk_nonsense")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_have_text("There is no such API key.")
        await page.get_by_label("API key").fill(secret)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Call")).to_be_enabled()
        await page.reload()
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_label("Greeting").fill("Ahoy!")
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator(".bubble.agent").first).to_have_text("Ahoy!", timeout=15_000)
        await page.get_by_label("Type to the agent").fill("turn on the light in the kitchen")
        await page.keyboard.press("Enter")
        kitchen = page.locator("#rooms li", has_text="Kitchen")
        await expect(kitchen).to_contain_text("Light on", timeout=15_000)
        await expect(page.locator(".note.tool summary")).to_have_text("Set light: done")
        (session,) = server.sessions._by_id.values()
        session.call.pause()
        await expect(page.get_by_role("status")).to_have_text("A person is on the line")
        await page.keyboard.press("Escape")
        await no_sessions(server)


async def test_push_to_talk_is_heard_while_the_key_is_held(
    open_page: Open, server: Server, sentence: Callable[[str], Samples]
) -> None:
    spoken = np.concatenate([sentence("what is seven plus five"), np.zeros(CALL_RATE_HZ, np.int16)])
    page = await open_page(np.tile(spoken, 12))
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_label("Push to talk").check()
    await page.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("status")).to_have_text("Hold to talk", timeout=15_000)
    await page.get_by_role("button", name="Hold to talk").focus()
    await asyncio.sleep(2.5)
    await expect(page.locator(".bubble")).to_have_count(0)
    await page.keyboard.down(" ")
    await expect(page.locator(".bubble.user")).to_contain_text("seven", timeout=15_000)
    await page.keyboard.up(" ")
    await expect(page.locator(".bubble.user").first).not_to_have_class(re.compile("partial"), timeout=10_000)
    await expect(page.locator(".bubble.agent").first).not_to_be_empty(timeout=10_000)
    await page.get_by_role("button", name="Hang up").click()
    await no_sessions(server)


async def test_a_closed_tab_ends_the_call(open_page: Open, server: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
    assert len(server.sessions) == 1
    await page.close()
    await no_sessions(server, timeout_s=8)


async def test_without_webrtc_the_call_goes_over_a_websocket(
    server: Server, question: Samples, open_page: Open, sentence: Callable[[str], Samples]
) -> None:
    """As on a machine whose browser may use no UDP at all."""
    page = await open_page(question, flags=["--webrtc-ip-handling-policy=disable_non_proxied_udp"])
    await page.get_by_role("button", name="Call").click()
    await expect(page.locator(".note", has_text="Connected over WebSocket: no WebRTC here.")).to_be_visible(
        timeout=15_000
    )
    await expect(page.locator(".bubble.user")).to_have_text("what is seven plus five", timeout=15_000)
    await expect(page.get_by_role("status")).to_have_text("Speaking", timeout=10_000)
    assert await page.evaluate(LOUDEST) > 0.02
    await expect(page.locator(".bubble.agent")).to_have_text("Seven plus five is twelve.")
    (session,) = server.sessions._by_id.values()
    assert session.call.floor is not None
    assert type(session.line).__name__ == "SocketLine"  # type: ignore[attr-defined]
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_role("button", name="Call")).to_be_visible()
    await no_sessions(server)


async def test_the_page_works_under_a_path_of_a_proxy(open_page: Open, server: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16))
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(f"{m.text} {m.location}") if m.type == "error" else None)
    # a request to hang up would come after the session's end where it takes its time
    page.on("request", lambda r: wrong.append(f"{r.method} {r.url}") if r.method == "DELETE" else None)
    async with under_a_path(server.url) as url:
        await page.goto(url)
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
        await page.get_by_role("button", name="Hang up").click()
        await no_sessions(server)
        await page.goto(url + "admin")
        await page.wait_for_load_state("networkidle")
    assert wrong == []
