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
from tests.clock import in_no_time


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


async def sent(*chunks: tuple[float, float]) -> list[Frame]:
    """The frames of a sentence in chunks of that many seconds, each sent that long after the one before."""
    paced = Paced()
    running, listening = asyncio.create_task(paced.sound.run()), asyncio.create_task(take_all(paced.microphone))
    for after_s, length_s in chunks:
        await asyncio.sleep(after_s)
        await paced.sound.push(ramp(round(length_s * MODEL_RATE_HZ)), MODEL_RATE_HZ)
    await paced.sound.drained()
    for task in (running, listening):
        task.cancel()
        await asyncio.wait([task])
    return [frame for _, frame in paced.frames]


async def take_all(microphone: Microphone) -> None:
    async for _ in microphone:
        pass


def silence_s(frames: list[Frame]) -> float:
    return sum(len(frame.samples) for frame in frames if not frame.samples.any()) / MODEL_RATE_HZ


@pytest.mark.parametrize(
    ("every_s", "length_s", "at_once"),
    [
        pytest.param(0.27, 0.17, 1, id="large chunks, slower than speech"),
        pytest.param(0.031, 0.02, 1, id="a timer that ticks 64 times a second"),
        pytest.param(0.16, 0.02, 5, id="several at once, slower than speech"),
        pytest.param(0.1, 0.1, 1, id="in real time"),
        pytest.param(0.02, 0.02, 1, id="packets in real time"),
        pytest.param(0.7, 0.5, 1, id="seldom"),
    ],
)
@in_no_time
async def test_a_client_that_sends_slower_than_people_speak_makes_no_pauses(
    every_s: float, length_s: float, at_once: int
) -> None:
    n = int(6 / every_s)
    frames = await sent(*[(0.0 if i % at_once else every_s, length_s) for i in range(n * at_once)])
    # a client that sends twice a second has its first gap before anything is known of it
    allowed_s = 0.7 if every_s > 0.5 else 0
    assert silence_s(frames) <= allowed_s
    said = sum(len(frame.samples) for frame in frames) / MODEL_RATE_HZ
    assert said == pytest.approx(n * at_once * length_s, abs=allowed_s + 0.001)
    # the times are those of the arrival
    ends_s = frames[-1].captured_at_s + len(frames[-1].samples) / MODEL_RATE_HZ
    assert ends_s == pytest.approx(n * every_s, abs=0.15)


@pytest.mark.parametrize(("every_s", "length_s"), [(0.27, 0.17), (0.02, 0.02), (0.1, 0.1)])
@pytest.mark.parametrize("pause_s", [0.8, 2.0])
@in_no_time
async def test_a_pause_of_the_client_is_silence(every_s: float, length_s: float, pause_s: float) -> None:
    chunks = [(every_s, length_s)] * 20
    frames = await sent(*chunks, (pause_s, length_s), *chunks)
    assert silence_s(frames) == pytest.approx(pause_s - length_s, abs=0.12)


@in_no_time
async def test_packets_that_a_network_held_up_for_a_moment_leave_no_hole() -> None:
    held = [(0.02, 0.02)] * 20 + [(0.09, 0.02)] + [(0.0, 0.02)] * 4 + [(0.02, 0.02)] * 20
    frames = await sent(*held)
    assert silence_s(frames) == 0
    ends_s = frames[-1].captured_at_s + len(frames[-1].samples) / MODEL_RATE_HZ
    assert ends_s == pytest.approx(0.97, abs=0.021), "and what came late counts as said late"
