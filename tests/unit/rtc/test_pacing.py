"""Sound that arrives at any pace is heard at the pace at which it is spoken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.rtc.microphone import Frame, Microphone
from media_server.rtc.pacing import WAITING_S, PacedSound


class Paced:
    """Paced sound in real time, and what the microphone was given, with the times at which it was."""

    def __init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.microphone = Microphone(self.clock)
        self.frames: list[tuple[float, Frame]] = []
        self.microphone.taps.append(lambda frame: self.frames.append((self.clock(), frame)))
        self.sound = PacedSound(self.microphone, self.clock)

    @property
    def heard(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *(f.samples for _, f in self.frames)])


@pytest.fixture
async def paced() -> AsyncIterator[Paced]:
    paced = Paced()
    running = asyncio.create_task(paced.sound.run())
    yield paced
    paced.sound.close()
    running.cancel()
    await asyncio.wait([running])


def ramp(n: int) -> Samples:
    return (np.arange(n) % 30_000 + 1).astype(np.int16)[:, None]


async def test_a_chunk_of_a_live_microphone_is_heard_at_once(paced: Paced) -> None:
    began_s = paced.clock()
    await paced.sound.push(ramp(MODEL_RATE_HZ // 4), MODEL_RATE_HZ)
    await paced.sound.drained()
    assert paced.clock() - began_s < 0.15, "it was spoken before it came"
    assert paced.heard.tolist() == ramp(MODEL_RATE_HZ // 4)[:, 0].tolist()
    assert paced.frames[0][1].captured_at_s == pytest.approx(began_s - 0.25, abs=0.05)


async def test_a_file_sent_at_once_takes_its_time(paced: Paced) -> None:
    began_s = paced.clock()
    for _ in range(4):
        await paced.sound.push(ramp(MODEL_RATE_HZ // 5), MODEL_RATE_HZ)
    await paced.sound.drained()
    # the first fifth of a second was spoken before it came
    assert paced.clock() - began_s > 0.5
    assert len(paced.heard) == MODEL_RATE_HZ * 4 // 5
    for heard_s, frame in paced.frames:
        assert heard_s - (frame.captured_at_s + len(frame.samples) / MODEL_RATE_HZ) > -0.03, "nothing is ahead"
    captured = [frame.captured_at_s for _, frame in paced.frames]
    lengths = [len(frame.samples) / MODEL_RATE_HZ for _, frame in paced.frames]
    assert np.diff(captured) == pytest.approx(lengths[:-1], abs=0.001), "without a gap"


async def test_crumbs_are_heard_in_pieces_and_none_is_lost(paced: Paced) -> None:
    whole = ramp(3000)
    for i in range(0, 3000, 7):
        await paced.sound.push(whole[i : i + 7], MODEL_RATE_HZ)
    await paced.sound.drained()
    assert paced.heard.tolist() == whole[:, 0].tolist()
    assert len(paced.frames) < 60


async def test_who_sends_too_much_has_to_wait_and_is_let_go_at_the_end(paced: Paced) -> None:
    await paced.sound.push(ramp(MODEL_RATE_HZ), MODEL_RATE_HZ)
    pushing = asyncio.create_task(paced.sound.push(ramp(int((WAITING_S + 1) * MODEL_RATE_HZ)), MODEL_RATE_HZ))
    await asyncio.sleep(0.1)
    assert not pushing.done()
    draining = asyncio.create_task(paced.sound.drained())
    paced.sound.close()
    async with asyncio.timeout(1):
        await pushing
        await draining


async def test_rates_and_channels_may_change_in_mid_stream(paced: Paced) -> None:
    await paced.sound.push(np.full((4800, 2), 2000, np.int16), 48_000)
    await paced.sound.push(np.full((800, 1), 2000, np.int16), 8000)
    await paced.sound.push(np.full((1600, 1), 2000, np.int16), MODEL_RATE_HZ)
    await paced.sound.drained()
    assert len(paced.heard) == pytest.approx(0.3 * MODEL_RATE_HZ, abs=200)
    assert np.median(paced.heard) == pytest.approx(2000, abs=20)


async def test_nothing_is_nothing(paced: Paced) -> None:
    await paced.sound.push(np.zeros((0, 1), np.int16), MODEL_RATE_HZ)
    async with asyncio.timeout(1):
        await paced.sound.drained()
    assert not paced.frames


async def test_it_can_be_cancelled_at_any_time() -> None:
    paced = Paced()
    running = asyncio.create_task(paced.sound.run())
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
