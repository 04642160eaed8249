"""Recordings: each side where it was heard, packets as they came, late sound in its place, little lost at a kill."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.rtc import ogg, recording
from media_server.rtc.encoding import FRAME, opus_encoder
from media_server.rtc.microphone import Frame
from media_server.rtc.recording import PAGE, SLOT_S, Recorder

SECOND = np.full(48_000, 100, np.int16)
SMALL = MODEL_RATE_HZ // 50


class Tape:
    """A recorder on a clock that the test moves; `write` does what half a second does."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.path = folder / "call.ogg"
        self.recorder = Recorder(self.path, lambda: self.now)
        self.writer = recording._Writer(self.path)

    def hear(self, at_s: float, packet: bytes | None, level: int = 5000) -> None:
        sound = (np.sin(np.arange(SMALL) * 0.3) * level).astype(np.int16)
        self.recorder.heard(Frame(sound, at_s, packet=packet))

    def write(self) -> None:
        until = int((self.now - recording.BEHIND_S) / SLOT_S) // PAGE * PAGE
        self.writer.write(*self.recorder._due(until))

    def close(self) -> None:
        self.writer.close(*self.recorder._due(round(self.now / SLOT_S)))

    def sides(self) -> tuple[Samples, Samples]:
        """The file as it is on the disk."""
        with av.open(str(self.path), "r") as container:
            sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
        return sound[0], sound[1]

    def has_sound(self, side: int, *expected: tuple[float, float]) -> None:
        """Check from when to when there is sound, in seconds."""
        sound = self.sides()[side]
        sound = np.concatenate([np.zeros(ogg.PRE_SKIP, sound.dtype), sound])
        slots = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME).std(axis=1) > 0.02
        edges = np.flatnonzero(np.diff(np.concatenate([[False], slots, [False]]).astype(int)))
        found = edges.reshape(-1, 2) * SLOT_S
        assert len(found) == len(expected), found
        np.testing.assert_allclose(found, np.reshape(expected, (-1, 2)), atol=0.031)


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    return Tape(tmp_path)


def packets(n: int, hz: float = 500) -> list[bytes]:
    encoder = opus_encoder()
    samples = (np.sin(2 * np.pi * hz * np.arange(n * FRAME) / CALL_RATE_HZ) * 8000).astype(np.int16)
    return [encoder.encode(samples[i : i + FRAME]) for i in range(0, len(samples), FRAME)]


def test_packets_are_kept_as_they_came(tape: Tape) -> None:
    caller, agent = packets(50), packets(50, 900)
    for n in range(50):
        tape.now = 1 + n * SLOT_S
        tape.hear(tape.now - 0.02, caller[n])
        tape.recorder.spoken(np.full(FRAME, 9, np.int16))
        tape.recorder.sent(agent[n])
    tape.now = 3
    tape.close()
    data = tape.path.read_bytes()
    assert all(packet[1:] in data for packet in (*caller, *agent))
    tape.has_sound(0, (0.98, 1.98))
    tape.has_sound(1, (1.0, 2.0))


def test_sound_that_comes_late_takes_the_place_of_the_silence_written_for_it(tape: Tape) -> None:
    sound = packets(150)
    for n in range(150):
        tape.now = n * SLOT_S
        if not 50 <= n < 125:  # held up for 1.5 s
            tape.hear(tape.now, sound[n])
        if n == 125:
            for late in range(50, 125):
                tape.hear(late * SLOT_S, sound[late])
        if n % 25 == 0:
            tape.write()
        if n == 124:
            tape.has_sound(0, (0.0, 1.0))
    tape.now = 3.5
    tape.close()
    tape.has_sound(0, (0.0, 3.0))


def test_sound_that_comes_too_late_changes_nothing(tape: Tape) -> None:
    for n in range(400):
        tape.now = n * SLOT_S
        if n % 25 == 0:
            tape.write()
    tape.hear(0.5, packets(1)[0])
    tape.write()
    tape.close()
    tape.has_sound(0)
    assert len(tape.sides()[0]) == 399 * FRAME - ogg.PRE_SKIP


@pytest.mark.parametrize("kind", ["packets", "samples"])
@pytest.mark.parametrize("drift", [1.001, 0.999])
def test_a_clock_that_runs_fast_or_slow_does_not_part_the_sides(tape: Tape, kind: str, drift: float) -> None:
    sound = packets(2)[1]
    for n in range(5_000):  # 100 s
        tape.now = n * SLOT_S * drift
        tape.hear(tape.now, sound if kind == "packets" else None)
        side = tape.recorder._caller
        assert abs(side._end / MODEL_RATE_HZ - tape.now) < 0.1
        side.take(n)
        side.forget(n - 250)


def test_a_server_that_is_killed_loses_less_than_a_second(tape: Tape) -> None:
    sound = packets(500)
    for n in range(500):
        tape.now = n * SLOT_S
        tape.hear(tape.now, sound[n])
        if n % 25 == 0:
            tape.write()
            if n % 100 == 75:
                # nothing is closed
                assert len(tape.sides()[0]) / CALL_RATE_HZ > tape.now - 0.45


def test_sound_without_packets_is_encoded_and_stands_beside_those(tape: Tape) -> None:
    sound = packets(50)
    for n in range(100):
        tape.now = n * SLOT_S
        tape.hear(tape.now, sound[n - 50] if n >= 50 else None)
        if n < 50:
            tape.recorder.spoken((np.sin(np.arange(FRAME) * 0.1) * 5000).astype(np.int16))
        else:
            tape.recorder.spoken(np.zeros(FRAME, np.int16))
    tape.close()
    tape.has_sound(0, (0.0, 1.98))
    tape.has_sound(1, (0.0, 1.0))


def test_pieces_of_any_length_find_their_places(tape: Tape) -> None:
    t, rng = 0.0, np.random.default_rng(0)
    sound = (np.sin(np.arange(3 * MODEL_RATE_HZ) * 0.3) * 5000).astype(np.int16)
    while len(sound):
        n = int(rng.integers(1, 3000))
        piece, sound = sound[:n], sound[n:]
        tape.recorder.heard(Frame(piece, t + float(rng.uniform(-0.02, 0.02))))
        t += len(piece) / MODEL_RATE_HZ
    tape.now = 3.5
    tape.close()
    tape.has_sound(0, (0.0, 3.0))


def test_a_short_gap_in_the_agents_voice_stays_one(tape: Tape) -> None:
    for n in range(60):
        tape.now = n * SLOT_S
        level = 0 if 20 <= n < 30 else 5000
        tape.recorder.spoken((np.sin(np.arange(FRAME) * 0.1) * level).astype(np.int16))
    tape.close()
    tape.has_sound(1, (0.0, 0.4), (0.6, 1.18))


def test_a_call_without_a_sound_is_a_file_all_the_same(tape: Tape) -> None:
    tape.close()
    assert len(tape.sides()[0]) > 0


async def test_the_file_is_closed_after_what_is_just_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing_now: list[int] = [0]
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(recording._Writer):
        def write(
            self,
            caller: Mapping[int, bytes | Samples],
            agent: Mapping[int, bytes | Samples],
            until: int,
            flags: int = 0,
        ) -> None:
            loop.call_soon_threadsafe(begun.set)
            writing_now.append(writing_now[-1] + 1)
            time.sleep(0.2)
            super().write(caller, agent, until, flags)
            writing_now.append(writing_now[-1] - 1)

    monkeypatch.setattr(recording, "_Writer", Slow)
    monkeypatch.setattr(recording, "WRITE_S", 0.01)
    recorder = Recorder(tmp_path / "call.ogg", lambda: 1.0)
    recorder.spoken(SECOND)
    writing = asyncio.create_task(recorder.run())
    await begun.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert writing_now == [0, 1, 0, 1, 0]


async def test_what_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recorder = Recorder(tmp_path / "file" / "call.ogg", lambda: 1.0)
    recorder.spoken(SECOND)
    await recorder.run()
    recorder.spoken(SECOND)
    assert not recorder._agent.slots
