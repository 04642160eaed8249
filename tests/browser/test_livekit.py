"""npm's `livekit-client`, unmodified, in Chromium: much happens to two, an old one holds a plain call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from playwright.async_api import Page

from media_server.agents import Agent
from media_server.audio import Samples
from media_server.config import Settings
from media_server.server import Server
from tests.browser.conftest import Open
from tests.browser.livekit import client, hold_a_call, join_and_be_left, site_with
from tests.browser.test_room import spoken
from tests.conftest import DATA, kept, no_sessions
from tests.doors.livekit import own_token, way_to

NEWEST, TWO_CONNECTIONS, OLD = "2.23.0", "2.16.0", "2.5.10"
PAGE = """
  window.told = []; window.said = [];
  window.room = new LivekitClient.Room(OPTIONS);
  for (const name of Object.values(LivekitClient.RoomEvent)) room.on(name, () => told.push(name));
  room.on('disconnected', (reason) => { window.reason = reason; });
  room.on('trackSubscribed', (track) => document.body.append(window.voice = track.attach()));
  room.on('dataReceived', (payload, who) => said.push([who?.identity, JSON.parse(new TextDecoder().decode(payload))]));
  window.transcriptions = [];
  if (room.registerTextStreamHandler) room.registerTextStreamHandler('lk.transcription', async (reader, who) => {
    const text = await reader.readAll();
    transcriptions.push([who.identity, text, reader.info.attributes['lk.transcription_final']]);
  });
  else room.on('transcriptionReceived', (segments, who) => { // before there were text streams
    for (const { text, final } of segments) transcriptions.push([who?.identity, text, String(final)]);
  });
  window.send = (message) => room.localParticipant.publishData(
    new TextEncoder().encode(JSON.stringify(message)), { reliable: true });
  window.states = [];
  room.on('participantAttributesChanged', (changed) => states.push(changed['lk.agent.state']));
"""


@pytest.fixture(scope="module")
async def host(database: None) -> AsyncIterator[Server]:
    """A server that pages of other sites may call."""
    agents = [Agent("open", allowed_origins=("http://localhost:*",))]
    settings = Settings(port=0, idle_timeout_s=2, agents=agents, agents_dir=DATA / "agents")
    async for server in kept(settings):
        yield server


@pytest.mark.parametrize("version", [NEWEST, TWO_CONNECTIONS])
async def test_a_call_where_much_happens(open_page: Open, host: Server, version: str) -> None:
    page = await open_page()
    async with site_with(version) as site, way_to(host) as way:
        await page.goto(site)
        await hold_a_call(page, host, way)
        await join_and_be_left(page, host, way, loses_socket=version == NEWEST)


async def join(page: Page, server: Server, version: str, options: str = "{}") -> None:
    """Connect with a token of our own, and publish the microphone."""
    await page.goto(f"{server.url}/healthz")  # a page without anything of its own
    await page.add_script_tag(content=client(version))
    await page.evaluate(PAGE.replace("OPTIONS", options))
    token = await own_token(server)
    await page.evaluate("([url, token]) => room.connect(url, token)", [server.url, token])
    await page.evaluate("room.localParticipant.setMicrophoneEnabled(true)")


@pytest.mark.parametrize(
    ("version", "options"),
    [(NEWEST, "{singlePeerConnection: false}"), (OLD, "{}")],
    ids=["newest, two connections", OLD],
)
async def test_two_turns_with_data_both_ways(
    open_page: Open, server: Server, sentence: Callable[[str], Samples], version: str, options: str
) -> None:
    first, second = sentence("where is my order four two seven"), sentence("what is seven plus five")
    page = await open_page(spoken(2.5, first, 8.0, second, 60.0), bypass_csp=True)
    await join(page, server, version, options)
    finals = "said.filter(([_, m]) => m.type == 'user.transcript' && m.final).map(([_, m]) => m.text)"
    answers = "said.filter(([_, m]) => m.type == 'agent.text').map(([_, m]) => m.text)"
    await page.wait_for_function(f"{answers}.length >= 2", timeout=60_000)
    assert await page.evaluate(finals) == ["where is my order four two seven", "what is seven plus five"]
    assert await page.evaluate(answers) == ["The status is shipped.", "Seven plus five is twelve."]
    assert set(await page.evaluate("said.map(([who]) => who)")) == {"agent"}
    await page.wait_for_function("transcriptions.some(([who, text]) => who == 'agent' && /twelve/.test(text))")
    assert "speaking" in await page.evaluate("states")
    told = set(await page.evaluate("told"))
    assert {"connected", "trackSubscribed", "localTrackPublished", "activeSpeakersChanged"} <= told
    # typed, with the agent's voice heard in the page
    await page.evaluate("send({type: 'text.send', text: 'what is one plus two'})")
    await page.wait_for_function(f"{answers}.includes('One plus two is three.')", timeout=40_000)
    await page.wait_for_function("window.voice.currentTime > 1")
    await page.evaluate("room.localParticipant.setMicrophoneEnabled(false)")
    assert await page.evaluate("room.localParticipant.isMicrophoneEnabled") is False
    await page.evaluate("room.disconnect()")
    await page.wait_for_function("window.reason === 1")
    await no_sessions(server)
