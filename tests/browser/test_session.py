"""`VoiceSession` and `ChatSession` as pages use them, and the global of pages without modules."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from playwright.async_api import Page, expect

from media_server.agents import Agent, client_tool
from media_server.audio import CALL_RATE_HZ, Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import Server, running_server
from tests.browser.conftest import Open
from tests.browser.test_room import site, spoken
from tests.conftest import no_sessions

SCHEMA = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
LOOKUP = client_tool("get_order_status", "Get the status of an order", SCHEMA)
BEGIN = """async () => {
  const { VoiceSession } = await import("/static/voice-session.js");
  window.statuses = [];
  window.call = new VoiceSession({ agent: "AGENT", tools: TOOLS });
  call.addEventListener("status", (e) => statuses.push(e.detail));
  await call.connect();
}"""


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Server]:
    agents = [Agent("shop", tools=[LOOKUP]), Agent("assistant")]
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=agents)
    async with running_server(settings) as server:
        await server.ready(60)
        yield server
        await no_sessions(server)


async def begin(page: Page, server: Server, agent: str, tools: str = "({})") -> None:
    await page.goto(server.url)
    await page.evaluate(BEGIN.replace("AGENT", agent).replace("TOOLS", tools))


async def state_has(page: Page, condition: str) -> Any:
    await page.wait_for_function(f"(({condition}))(call.getState())", timeout=20_000)
    return await page.evaluate("call.getState()")


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("({ get_order_status: async ({ order_id }) => (window.asked = order_id, 'shipped') })", "Shipped."),
        (
            "({ get_order_status: ({ order_id }) => { window.asked = order_id; throw new Error('no connection'); } })",
            "I am sorry, that did not work: no connection.",
        ),
    ],
)
async def test_tools_run_in_the_page(
    open_page: Open, shop: Server, sentence: Callable[[str], Samples], tool: str, says: str
) -> None:
    page = await open_page(spoken(2.0, sentence("where is my order four two seven"), 30.0), bypass_csp=True)
    await begin(page, shop, "shop", tool)
    state = await state_has(page, f"(s) => s.messages.some((m) => m.role === 'bot' && m.text === '{says}')")
    assert await page.evaluate("window.asked") == "427"
    (called,) = state["toolCalls"]
    assert (called["name"], called["arguments"]) == ("get_order_status", {"order_id": "427"})
    assert [m["text"] for m in state["messages"] if m["role"] == "user"] == ["where is my order four two seven"]
    await page.evaluate(f"call.dismissTool('{called['toolCallId']}')")
    assert (await page.evaluate("call.getState()"))["toolCalls"] == []
    await page.evaluate("call.disconnect()")
    assert await page.evaluate("statuses") == ["connecting", "connected", "idle"]


async def test_another_microphone_levels_and_mute(
    open_page: Open, shop: Server, sentence: Callable[[str], Samples]
) -> None:
    again = (part for _ in range(6) for part in (sentence("what is seven plus five"), 3.0))
    page = await open_page(spoken(1.0, *again), bypass_csp=True)
    await begin(page, shop, "assistant")
    devices = await page.evaluate("call.microphones().then((all) => all.map((d) => d.deviceId))")
    assert len(devices) > 1
    await page.evaluate("call.setMuted(true)")
    assert (await page.evaluate("call.getState()"))["isMuted"]
    assert not await page.evaluate("call.microphone.getAudioTracks()[0].enabled")
    await page.evaluate(f"call.setMicrophone('{devices[1]}')")
    assert not await page.evaluate("call.microphone.getAudioTracks()[0].enabled"), "the other one is mute as well"
    await page.evaluate("call.toggleMute()")
    await page.wait_for_function("call.level('user') > 0.4", timeout=20_000)
    await state_has(page, "(s) => s.messages.some((m) => m.role === 'bot')")
    await page.wait_for_function("call.level('agent') > 0.4", timeout=20_000)
    speakers = await page.evaluate("call.speakers().then((all) => all.map((d) => d.deviceId))")
    await page.evaluate(f"call.setSpeaker('{speakers[-1]}')")
    refused = "call.setMicrophone('nonsense').catch((e) => e.code)"
    assert await page.evaluate(refused) == "no_microphone"
    assert await page.evaluate("call.setSpeaker('nonsense').catch((e) => e.code)") == "no_speaker"
    await page.evaluate("call.disconnect()")
    assert await page.evaluate("call.level('user')") == 0


async def test_keys_that_the_browser_sends_with_its_sound_are_a_turn(open_page: Open, shop: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), bypass_csp=True)
    await begin(page, shop, "assistant")
    await page.evaluate("call.line.sender.dtmf.insertDTMF('427#')")
    state = await state_has(page, "(s) => s.messages.some((m) => m.role === 'bot')")
    assert [m["text"] for m in state["messages"] if m["role"] == "user"] == ["427"]
    await page.evaluate("call.disconnect()")


async def test_a_microphone_that_is_taken_away_is_opened_again_or_missed(open_page: Open, shop: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), bypass_csp=True)
    await begin(page, shop, "assistant")
    unplug = """() => {
      window.before = call.microphone;
      const [track] = before.getAudioTracks();
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }"""
    await page.evaluate(unplug)
    await page.wait_for_function("call.microphone !== before && call.microphone.active")
    assert not await page.evaluate("call.getState().microphoneLost")
    await page.context.clear_permissions()
    await state_has(page, "(s) => s.microphoneLost")
    await page.context.grant_permissions(["microphone"])
    await page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    await state_has(page, "(s) => !s.microphoneLost")
    await page.evaluate("call.disconnect()")


async def test_sound_that_the_browser_does_not_play_before_a_click(open_page: Open, shop: Server) -> None:
    policy = "--autoplay-policy=user-gesture-required"
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), flags=[policy], bypass_csp=True)
    await begin(page, shop, "assistant")
    # a page that captures a microphone may play in Chromium; what a stricter browser says is said here
    refuse = "Promise.reject(new DOMException('', 'NotAllowedError'))"
    await page.evaluate(f"() => {{ call.audio.play = () => window.clicked ? Promise.resolve() : {refuse}; }}")
    await page.evaluate("call.startAudio()")
    await state_has(page, "(s) => s.playbackBlocked")
    await page.evaluate("window.clicked = true")
    await page.mouse.click(5, 5)
    await state_has(page, "(s) => !s.playbackBlocked")
    await page.evaluate("call.disconnect()")


async def test_the_same_state_until_something_changes(open_page: Open, shop: Server) -> None:
    page = await open_page(np.zeros(CALL_RATE_HZ, np.int16), bypass_csp=True)
    await begin(page, shop, "assistant")
    assert await page.evaluate("call.getState() === call.getState()")
    await page.evaluate(
        "window.before = call.getState(); window.told = 0; window.end = call.subscribe(() => told++); 0"
    )
    await page.evaluate("call.sendText('what can you do')")
    state = await state_has(page, "(s) => s.agentSpeaking && s.messages.some((m) => m.role === 'bot' && m.speaking)")
    assert state["transport"] == "webrtc"
    assert await page.evaluate("told > 0 && before !== call.getState()")
    await page.evaluate("end()")
    await page.evaluate("call.setContext('page', 'shoes'), call.configure({ turns: 'patient', language: 'en' })")
    await page.evaluate("call.send({ type: 'agent.interrupt' })")
    cut = await state_has(page, "(s) => s.messages.some((m) => m.interrupted)")
    assert not any(m.get("speaking") for m in cut["messages"])
    await page.evaluate("call.send({ type: 'nonsense' })")
    assert (await state_has(page, "(s) => s.error"))["error"]["code"] == "bad_message"
    await page.evaluate("call.disconnect()")


async def test_a_chat_that_breaks_goes_on(open_page: Open, shop: Server) -> None:
    page = await open_page(bypass_csp=True)
    await page.goto(shop.url)
    await page.evaluate(
        """async () => {
          const whole = window.WebSocket;
          window.sockets = [];
          window.WebSocket = class extends whole { constructor(...a) { super(...a); sockets.push(this); } };
          const { ChatSession } = await import("/static/chat-session.js");
          window.channels = [];
          const tokenProvider = async (channel) => {
            channels.push(channel);
            const answer = await fetch("/chat/token?agent_id=shop");
            return answer.json();
          };
          window.call = new ChatSession({ tokenProvider, tools: { get_order_status: () => "shipped" } });
          await call.connect();
          call.send("my name is olivia");
        }"""
    )
    await state_has(page, "(s) => s.messages.length === 2 && !s.typing")
    assert await page.evaluate("channels") == ["chat"]
    await page.evaluate("sockets[0].close()")
    await state_has(page, "(s) => s.status === 'connected' && sockets.length === 2")
    await page.evaluate("call.send('what is my name')")
    state = await state_has(page, "(s) => s.messages.length === 4")
    assert [m["text"] for m in state["messages"]][2:] == ["what is my name", "Your name is Olivia."]
    await page.evaluate("call.send('where is my order four two seven')")
    state = await state_has(page, "(s) => s.messages.length === 6")
    assert state["messages"][-1]["text"] == "Shipped."
    assert state["streamingText"] == ""
    await page.evaluate("call.disconnect()")
    assert (await page.evaluate("call.getState()"))["status"] == "idle"
    wrong = """async () => {
      const { ChatSession } = await import("/static/chat-session.js");
      const chat = new ChatSession({ agent: "nobody" });
      return chat.connect().catch((e) => [e.code, chat.getState().status]);
    }"""
    assert await page.evaluate(wrong) == ["unknown_agent", "error"]


async def test_a_page_without_modules_has_the_global(
    open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]
) -> None:
    page = await open_page(spoken(1.5, sentence("what is seven plus five"), 30.0))
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/wespoke.html")
        await page.add_script_tag(url=f"{server.url}/static/room.umd.js")
        await page.evaluate(
            """async ([server, key]) => {
              const { Room, RoomEvent, ConnectionState, Track, DisconnectReason } = LivekitClient;
              const answer = await fetch(`${server}/v1/flow/livekit`, {
                method: "POST",
                headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
                body: JSON.stringify({ message: "StartConversation", conversation_config: { template_id: "open" } }),
              });
              const { url, token } = await answer.json();
              window.said = [];
              window.room = new Room({});
              room.on(RoomEvent.DataReceived, (payload) => said.push(JSON.parse(new TextDecoder().decode(payload))));
              await room.connect(url, token);
              await room.localParticipant.setCameraEnabled(false);
              await room.localParticipant.setMicrophoneEnabled(true, { voiceIsolation: true });
            }""",
            [server.url, await page.evaluate("document.documentElement.innerHTML.match(/pk_live_[\\w-]+/)[0]")],
        )
        await page.wait_for_function("said.some((m) => m.message === 'ResponseCompleted')", timeout=20_000)
        await page.evaluate("room.disconnect()")
        await expect(page.get_by_role("status")).to_have_text("disconnected")
    with contextlib.suppress(Exception):
        await page.close()


async def test_somebody_listens_in(open_page: Open, shop: Server, sentence: Callable[[str], Samples]) -> None:
    async with Caller(shop.url) as caller:
        await caller.wait_for("call.started")
        async with (
            aiohttp.ClientSession(shop.url) as http,
            http.get("/stream/token", params={"agent_id": "assistant"}) as response,
        ):
            token = (await response.json())["token"]
        page = await open_page()
        await page.goto(f"{shop.url}/live/{caller.call_id}/player?token={token}")
        await expect(page.locator("#call")).to_have_text(caller.call_id)
        await page.get_by_role("button", name="Listen").click()
        await expect(page.get_by_role("status")).to_have_text("Listening")
        caller.speak(sentence("goodbye"))
        await caller.wait_for("agent.speech_stopped")
        caller.send(type="call.end")
        await expect(page.get_by_role("status")).to_have_text("The call is over.")
        await expect(page.get_by_role("alert")).to_have_text("")
        await page.reload()
        await page.get_by_role("button", name="Listen").click()
        await expect(page.get_by_role("alert")).to_contain_text("ask for a new one")


async def test_somebody_takes_a_call_over_in_a_page(
    open_page: Open, shop: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with Caller(shop.url) as caller:
        await caller.wait_for("call.started")
        async with (
            aiohttp.ClientSession(shop.url) as http,
            http.get("/stream/token", params={"agent_id": "assistant", "scope": "supervise"}) as response,
        ):
            token = (await response.json())["token"]
        page = await open_page(spoken(3.0, sentence("what is seven plus five"), 30.0))
        await page.goto(f"{shop.url}/live/{caller.call_id}/player?token={token}")
        await page.get_by_role("button", name="Listen").click()
        await page.get_by_role("button", name="Take over").click()
        await expect(page.get_by_role("status")).to_have_text("The caller hears you")
        await caller.wait_for("call.paused")
        said = await caller.wait_for("agent.text", timeout_s=40)
        assert said["text"] == "what is seven plus five"
        assert "seven plus five" in hear(caller.recording())
        await page.get_by_role("button", name="Hand back to the agent").click()
        await caller.wait_for("call.resumed")
        await page.get_by_label("Say in the agent's voice").fill("One moment.")
        await page.get_by_role("button", name="Say", exact=True).click()
        await caller.wait_for("agent.speech_stopped", lambda e: e["heard"] == "One moment.")
        since = len(caller.events)
        await page.get_by_role("button", name="Take over").click()
        await caller.wait_for("call.paused", since=since)
        since = len(caller.events)
        await page.close()
        await caller.wait_for("call.resumed", since=since)
