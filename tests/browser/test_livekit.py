"""npm's `livekit-client`, unmodified, in Chromium: much happens to several versions, and a hundred join."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from media_server.agents import Agent
from media_server.config import Settings
from media_server.server import Server, running_server
from tests.browser.conftest import Open
from tests.browser.livekit import hold_a_call, join_and_be_left, site_with
from tests.conftest import DATA, kept, left_empty, no_sessions
from tests.doors.livekit import own_token, way_to

NEWEST, TWO_CONNECTIONS, OLD = "2.23.0", "2.16.0", "2.5.10"


@pytest.fixture
async def host(one_host: Server) -> AsyncIterator[Server]:
    """A server that pages of other sites may call."""
    async for server in left_empty(one_host):
        yield server


@pytest.fixture(scope="module")
async def one_host(database: None) -> AsyncIterator[Server]:
    agents = [Agent("open", allowed_origins=("http://localhost:*",))]
    settings = Settings(port=0, idle_timeout_s=2, agents=agents, agents_dir=DATA / "agents")
    async for server in kept(settings):
        yield server


@pytest.mark.parametrize(
    ("version", "options"),
    [(NEWEST, "{}"), (NEWEST, "{singlePeerConnection: false}"), (TWO_CONNECTIONS, "{}"), (OLD, "{}")],
    ids=[NEWEST, f"{NEWEST}, two connections", TWO_CONNECTIONS, OLD],
)
async def test_a_call_where_much_happens(open_page: Open, host: Server, version: str, options: str) -> None:
    page = await open_page()
    async with site_with(version) as site, way_to(host) as way:
        await page.goto(site)
        await hold_a_call(page, host, way, options)
        await join_and_be_left(page, host, way, loses_socket=version == NEWEST)


JOINS = """async ([url, count]) => {
  const oscillator = new OscillatorNode(context), without = [];
  oscillator.connect(microphone);
  oscillator.start();
  async function joins() {
    // minted now: on a busy machine one that was minted with all others would expire
    const token = await window.newToken(), room = new LivekitClient.Room(), caller = room.localParticipant;
    const isHeard = new Promise((done) => caller.on('localTrackSubscribed', done));
    const hears = new Promise((done) => room.on('trackSubscribed', async (track) => {
      track.attach();
      const energy = async () => [...(await track.receiver.getStats()).values()].map((s) => s.totalAudioEnergy ?? 0);
      while (!(await energy()).some((e) => e > 0)) await new Promise((go) => setTimeout(go, 50));
      done();
    }));
    const late = new Promise((_, no) => setTimeout(() => no(new Error('no sound')), 30_000));
    // the microphone is published while the connection comes about
    const all = [room.connect(url, token), caller.setMicrophoneEnabled(true), isHeard, hears];
    await Promise.race([Promise.all(all), late]).catch((error) => without.push(String(error)));
    await room.disconnect();
  }
  await Promise.all(Array.from({ length: 10 }, async () => { while (count-- > 0) await joins(); }));
  return without;
}"""


async def test_a_hundred_join_and_publish_meanwhile(open_page: Open, tmp_path: Path) -> None:
    welcome = "Hello there, and welcome to all of you."
    agent = Agent("greeter", greeting=welcome, greeting_interruptible=False, allowed_origins=("http://localhost:*",))
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", max_calls=20, agents=[agent])
    page = await open_page()
    async with running_server(settings) as server, site_with(NEWEST) as site:
        await server.ready(60)
        await page.goto(site)
        await page.expose_function("newToken", partial(own_token, server, "greeter"))
        assert await page.evaluate(JOINS, [server.url, 100]) == []
        await no_sessions(server)
