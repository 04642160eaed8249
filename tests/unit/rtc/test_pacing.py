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


async def sent(*chunks: tuple[float, float]) -> list[tuple[float, Frame]]:
    """When the frames were heard of a sentence in chunks of that many seconds, each sent that long after the last."""
    paced = Paced()
    running, listening = asyncio.create_task(paced.sound.run()), asyncio.create_task(take_all(paced.microphone))
    for after_s, length_s in chunks:
        await asyncio.sleep(after_s)
        await paced.sound.push(ramp(round(length_s * MODEL_RATE_HZ)), MODEL_RATE_HZ)
    await paced.sound.drained()
    for task in (running, listening):
        task.cancel()
        await asyncio.wait([task])
    return paced.frames


async def take_all(microphone: Microphone) -> None:
    async for _ in microphone:
        pass


def frames(heard: list[tuple[float, Frame]]) -> list[Frame]:
    return [frame for _, frame in heard]


def behind_s(heard: list[tuple[float, Frame]]) -> float:
    """How long after they were spoken frames were heard, at most."""
    return max(at_s - (frame.captured_at_s + len(frame.samples) / MODEL_RATE_HZ) for at_s, frame in heard)


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
    heard = await sent(*[(0.0 if i % at_once else every_s, length_s) for i in range(n * at_once)])
    # a client that sends twice a second has its first gap before anything is known of it
    allowed_s = 0.7 if every_s > 0.5 else 0
    assert silence_s(frames(heard)) <= allowed_s
    said = sum(len(frame.samples) for _, frame in heard) / MODEL_RATE_HZ
    assert said == pytest.approx(n * at_once * length_s, abs=allowed_s + 0.001)
    # the times are those of the arrival
    ends_s = heard[-1][1].captured_at_s + len(heard[-1][1].samples) / MODEL_RATE_HZ
    assert ends_s == pytest.approx(n * every_s, abs=max(0.15, every_s / 3))


@pytest.mark.parametrize(("every_s", "length_s"), [(0.27, 0.17), (0.02, 0.02), (0.1, 0.1)])
@pytest.mark.parametrize("pause_s", [0.8, 2.0])
@in_no_time
async def test_a_pause_of_the_client_is_silence(every_s: float, length_s: float, pause_s: float) -> None:
    chunks = [(every_s, length_s)] * 20
    heard = await sent(*chunks, (pause_s, length_s), *chunks)
    assert silence_s(frames(heard)) == pytest.approx(pause_s - length_s, abs=0.25 if every_s > 0.2 else 0.12)


LIVE = [(0.02, 0.02)] * 20
"""Packets of a microphone."""


def held_up(stall_s: float) -> list[tuple[float, float]]:
    """What comes of a microphone's packets when the network stands still for a while."""
    return [(stall_s, 0.02)] + [(0.0, 0.02)] * (round(stall_s / 0.02) - 1)


@pytest.mark.parametrize("stall_s", [0.04, 0.08, 0.12, 0.2, 0.44])
@in_no_time
async def test_what_a_network_held_up_leaves_no_hole_and_has_its_time(stall_s: float) -> None:
    heard = await sent(*LIVE, *held_up(stall_s), *LIVE)
    assert silence_s(frames(heard)) == 0
    sound_s = 0.8 + round(stall_s / 0.02) * 0.02
    assert sum(len(frame.samples) for _, frame in heard) == pytest.approx(sound_s * MODEL_RATE_HZ, abs=2)
    captured_s = [frame.captured_at_s for _, frame in heard]
    ends_s = [frame.captured_at_s + len(frame.samples) / MODEL_RATE_HZ for _, frame in heard]
    assert captured_s[1:] == pytest.approx(ends_s[:-1], abs=0.001)
    assert ends_s[-1] == pytest.approx(sound_s, abs=0.021)
    assert behind_s(heard[-10:]) < 0.03, "a call does not stay behind what its network did once"


@pytest.mark.parametrize("stall_s", [0.6, 1.0, 3.0])
@in_no_time
async def test_what_a_network_held_up_for_long_is_heard_where_it_was_said(stall_s: float) -> None:
    heard = await sent(*LIVE, *held_up(stall_s), *LIVE)
    said = [frame for _, frame in heard if frame.samples.any()]
    ends_s = [frame.captured_at_s + len(frame.samples) / MODEL_RATE_HZ for frame in said]
    assert [frame.captured_at_s for frame in said[1:]] == pytest.approx(ends_s[:-1], abs=0.001)
    assert behind_s(heard[-10:]) < 0.03


@in_no_time
async def test_packets_that_come_unevenly_do_not_add_up() -> None:
    uneven = [(wait_s, 0.02) for _ in range(20) for wait_s in (0.005, 0.045, 0.01, 0.02, 0.03, 0.01)]
    heard = await sent(*LIVE, *uneven, *LIVE)
    assert silence_s(frames(heard)) == 0
    assert behind_s(heard[-10:]) < 0.05


@pytest.mark.parametrize("kept_s", [0.1, 0.3, 0.5])
@in_no_time
async def test_a_client_that_sends_nothing_in_silence_and_then_a_little_of_it_has_paused(kept_s: float) -> None:
    heard = await sent(*LIVE, (3.0, 0.02), *[(0.0, 0.02)] * round(kept_s / 0.02), *LIVE)
    assert silence_s(frames(heard)) == pytest.approx(2.98, abs=0.12)


@in_no_time
async def test_a_client_that_sends_sentences_at_once_has_paused_between_them() -> None:
    """Also where the pause was as long as the sentence, which looks like a network that stood still."""
    sentence = [(0.0, 0.1)] * 20
    heard = await sent(*sentence, (2.5, 0.1), *sentence, (2.5, 0.1), *sentence)
    assert silence_s(frames(heard)) > 0.5
    for heard_s, frame in heard:
        assert heard_s - (frame.captured_at_s + len(frame.samples) / MODEL_RATE_HZ) < 0.2, "none is said to be older"
