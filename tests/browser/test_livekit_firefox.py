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
QUIET_S = 100.0
"""Silence behind each sentence: longer than anything in the test takes."""
# where there is no sound card Firefox runs no AudioContext: its microphone is a tape
TAPE = """
const tape = new Audio('/tape.wav'), places = PLACES;
navigator.mediaDevices.getUserMedia = async () => {
  await tape.play();
  return new MediaStream(tape.mozCaptureStream().getAudioTracks());
};
speak = async (sentence) => {
  const [at_s, length_s] = places[sentence];
  tape.currentTime = at_s;
  await new Promise((over) => setTimeout(over, 1000 * length_s + 300));
};
"""


def tape(file: Path) -> str:
    """Write all sentences into one file, and make the script that speaks them."""
    parts, places, end_s = [np.zeros(int(QUIET_S * RATE_HZ), np.int16)], {}, QUIET_S
    for text in (ORDER, SUM):
        said = read_wav(sentence_file(text), RATE_HZ)
        places[text] = end_s, len(said) / RATE_HZ
        parts += [said, np.zeros(int(QUIET_S * RATE_HZ), np.int16)]
        end_s += len(said) / RATE_HZ + QUIET_S
    write_wav(file, np.concatenate(parts), RATE_HZ)
    return TAPE.replace("PLACES", json.dumps(places))


@pytest.fixture(scope="module")
async def host(database: None) -> AsyncIterator[Server]:
    """A server that pages of other sites may call."""
    agents = [Agent("open", allowed_origins=("http://localhost:*",))]
    async for server in kept(Settings(port=0, idle_timeout_s=2, agents=agents, agents_dir=DATA / "agents")):
        yield server


async def test_a_call_where_much_happens(host: Server, tmp_path: Path) -> None:
    page, file = FirefoxPage(), tmp_path / "tape.wav"

    async def recording(_: web.Request) -> web.FileResponse:
        return web.FileResponse(file)

    script = await asyncio.to_thread(tape, file) + page.SCRIPT
    async with (
        site_with(NEWEST, script, [*page.routes, web.get("/tape.wav", recording)]) as site,
        way_to(host) as way,
        firefox(tmp_path / "profile", site),
    ):
        await hold_a_call(page, host, way)
        await join_and_be_left(page, host, way, loses_socket=False)
