"""Recordings of calls, in the players of a real browser."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from media_server.audio import MODEL_RATE_HZ
from media_server.rtc import recording
from media_server.rtc.encoding import FRAME, opus_encoder
from media_server.rtc.microphone import Frame
from media_server.rtc.recording import PAGE, SLOT_S, Recorder
from tests.browser.conftest import Open

# what the console's player does, and what of each side is in the file, by the decoder that plays it
PLAY = """async (encoded) => {
  const bytes = await (await fetch(`data:audio/ogg;base64,${encoded}`)).arrayBuffer();
  const sound = await new AudioContext({ sampleRate: 48000 }).decodeAudioData(bytes.slice(0));
  const level = (side, from) => Math.max(...sound.getChannelData(side).subarray(from * 48000, (from + 1) * 48000));
  const player = new Audio(URL.createObjectURL(new Blob([bytes], { type: "audio/ogg" })));
  const next = (type) => new Promise((resolve) => player.addEventListener(type, resolve, { once: true }));
  await next("loadedmetadata");
  const duration = player.duration;
  player.currentTime = 6;
  await next("seeked");
  await player.play();
  await next("ended");
  return { duration, levels: [level(0, 1), level(0, 6.5), level(1, 1), level(1, 6.5)], end: player.currentTime };
}"""


def recorded(path: Path) -> bytes:
    """Eight seconds: the caller speaks in the first half, the agent in the second."""
    now = 0.0
    recorder = Recorder(path, lambda: now)
    writer = recording._Writer(path)
    encoder = opus_encoder()
    for n in range(400):
        now = n * SLOT_S
        packet = encoder.encode((np.sin(np.arange(n * FRAME, (n + 1) * FRAME) * 0.05) * 8000).astype(np.int16))
        if n < 200:
            recorder.heard(Frame(np.ones(MODEL_RATE_HZ // 50, np.int16), now, packet=packet))
        else:
            recorder.spoken(np.ones(FRAME, np.int16))
            recorder.sent(packet)
        if n % 25 == 0:
            writer.write(*recorder._due(n // PAGE * PAGE))
    writer.close(*recorder._due(400))
    return path.read_bytes()


async def test_a_browser_plays_both_sides_and_finds_any_time(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(bypass_csp=True)
    played = await page.evaluate(PLAY, base64.b64encode(recorded(tmp_path / "call.ogg")).decode())
    assert played["duration"] == pytest.approx(8, abs=0.05)
    assert played["end"] == pytest.approx(8, abs=0.05)
    caller_first, caller_then, agent_first, agent_then = played["levels"]
    assert caller_first > 0.2
    assert agent_then > 0.2
    assert caller_then < 0.01
    assert agent_first < 0.01
