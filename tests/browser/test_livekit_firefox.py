"""npm's newest `livekit-client`, unmodified, in Firefox: all that it does in Chromium."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from media_server.agents import Agent
from media_server.audio import read_wav, write_wav
from media_server.config import Settings
from media_server.server import Server
from tests.browser.firefox import FirefoxPage, firefox, needs_firefox
from tests.browser.livekit import ORDER, SUM, hold_a_call, join_and_be_left, site_with
from tests.browser.test_livekit import NEWEST
from tests.conftest import DATA, kept, sentence_file
from tests.doors.livekit import way_to

pytestmark = needs_firefox
RATE_HZ = 16_000
BEFORE_S, BEHIND_S = 0.7, 100.0
"""Silence around each sentence: until it is the microphone, and longer than anything in the test takes."""
# where there is no sound card Firefox runs no AudioContext: its microphone is one recording after the other
MICROPHONE = """
const kept = [], seconds = SECONDS;
async function recorded(sentence) {
  const audio = new Audio(`/recorded/${sentence}`);
  kept.push(audio);
  await audio.play();
  return audio.mozCaptureStream().getAudioTracks()[0];
}
navigator.mediaDevices.getUserMedia = async () => new MediaStream([await recorded('silence')]);
speak = async (sentence) => {
  const track = await recorded(sentence);
  await room.localParticipant.getTrackPublication('microphone').track.replaceTrack(track);
  await new Promise((over) => setTimeout(over, 1000 * seconds[sentence]));
};
"""


def record(folder: Path) -> str:
    """Write the recordings, and make the script that plays them."""
    seconds = {}
    spoken = {text: read_wav(sentence_file(text), RATE_HZ) for text in (ORDER, SUM)}
    for name, said in (("silence", np.zeros(0, np.int16)), *spoken.items()):
        before, behind = (np.zeros(int(RATE_HZ * s), np.int16) for s in (BEFORE_S, BEHIND_S))
        write_wav(folder / name, np.concatenate([before, said, behind]), RATE_HZ)
        seconds[name] = BEFORE_S + len(said) / RATE_HZ
    return MICROPHONE.replace("SECONDS", json.dumps(seconds))


@pytest.fixture(scope="module")
async def host(database: None) -> AsyncIterator[Server]:
    """A server that pages of other sites may call."""
    agents = [Agent("open", allowed_origins=("http://localhost:*",))]
    async for server in kept(Settings(port=0, idle_timeout_s=2, agents=agents, agents_dir=DATA / "agents")):
        yield server


async def test_a_call_where_much_happens(host: Server, tmp_path: Path) -> None:
    page = FirefoxPage()

    async def recorded(request: web.Request) -> web.FileResponse:
        return web.FileResponse(tmp_path / request.match_info["name"], headers={"Content-Type": "audio/wav"})

    script = await asyncio.to_thread(record, tmp_path) + page.SCRIPT
    async with (
        site_with(NEWEST, script, [*page.routes, web.get("/recorded/{name}", recorded)]) as site,
        way_to(host) as way,
        firefox(tmp_path / "profile", site),
    ):
        await hold_a_call(page, host, way)
        await join_and_be_left(page, host, way, loses_socket=False)
