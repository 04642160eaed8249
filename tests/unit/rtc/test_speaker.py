"""The speaker on a clock that the test moves."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from media_server.audio import Samples
from media_server.rtc.speaker import FRAME, Speaker, Speech, SpokenWord
from media_server.rtc.tracks import SpeakerTrack


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def speech(frames: float, value: int = 1000, words: tuple[SpokenWord, ...] = ()) -> Speech:
    return Speech(np.full(int(frames * FRAME), value, np.int16), words)


async def frames(speaker: Speaker, n: int) -> Samples:
    return np.concatenate([speaker.take() for _ in range(n)])


async def played(track: SpeakerTrack, n: int) -> None:
    for _ in range(n):
        await track.recv()


async def test_silence_while_there_is_nothing_to_say() -> None:
    out = await frames(Speaker(), 5)
    assert len(out) == 5 * FRAME
    assert not out.any()


async def test_frames_come_every_20_ms_and_the_clock_does_not_drift(clock: Clock) -> None:
    speaker = Speaker()
    track = SpeakerTrack(speaker, clock, clock.sleep)
    began = clock.now
    for _ in range(500):
        await track.recv()
        clock.now += 0.003  # somebody else takes time between the frames
    await track.recv()
    assert clock.now - began == pytest.approx(500 * 0.02, abs=0.004)
    assert speaker.late_frames == 0


async def test_a_late_frame_is_counted_and_caught_up(clock: Clock) -> None:
    speaker = Speaker()
    track = SpeakerTrack(speaker, clock, clock.sleep)
    await played(track, 2)
    clock.now += 0.1
    await played(track, 10)
    assert speaker.late_frames > 0
    assert clock.now == pytest.approx(100 + 11 * 0.02)


async def test_after_a_long_stall_nothing_is_rushed(clock: Clock) -> None:
    track = SpeakerTrack(Speaker(), clock, clock.sleep)
    await played(track, 2)
    clock.now += 60
    before = clock.now
    await played(track, 10)
    assert clock.now - before == pytest.approx(9 * 0.02)


async def test_speech_is_played_in_order_without_a_gap() -> None:
    speaker = Speaker()
    first, second = speaker.play(speech(1.5, 100)), speaker.play(speech(1.5, 200))
    out = await frames(speaker, 4)
    assert (out[: FRAME * 3 // 2] == 100).all()
    assert (out[FRAME * 3 // 2 : FRAME * 3] == 200).all()
    assert not out[FRAME * 3 :].any()
    assert first.finished.is_set()
    assert second.finished.is_set()
    assert second.started_at_s - first.started_at_s == pytest.approx(0.03)
    assert speaker.drained.is_set()


async def test_an_interruption_fades_and_tells_what_was_heard() -> None:
    speaker = Speaker()
    words = tuple(SpokenWord(str(i), i * 0.02, (i + 1) * 0.02) for i in range(10))
    playback, waiting = speaker.play(speech(10, 1000, words)), speaker.play(speech(1))
    await frames(speaker, 3)
    assert speaker.interrupt() == pytest.approx(0.06)
    assert [w.text for w in playback.heard_words] == ["0", "1", "2"]
    assert waiting.finished.is_set()
    assert waiting.heard_words == ()
    out = (await frames(speaker, 2)).astype(int)
    assert out[0] == 1000
    assert np.abs(np.diff(out)).max() < 20  # no click
    assert not out[FRAME:].any()
    assert speaker.drained.is_set()


async def test_words_are_told_when_they_go_out() -> None:
    speaker = Speaker()
    words = (SpokenWord("a", 0.0, 0.02), SpokenWord("b", 0.05, 0.1))
    playback = speaker.play(speech(5, words=words))
    told: list[str] = []

    async def follow() -> None:
        async for word in playback.words():
            told.append(word.text)

    task = asyncio.create_task(follow())
    await frames(speaker, 1)
    await asyncio.wait([task], timeout=0.01)
    assert told == ["a"]
    await frames(speaker, 5)
    await task
    assert told == ["a", "b"]


async def test_a_stopped_track_gives_no_frames(clock: Clock) -> None:
    track = SpeakerTrack(Speaker(), clock, clock.sleep)
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_what_comes_next_can_be_looked_at() -> None:
    speaker = Speaker()
    speaker.play(speech(1.5, 100))
    speaker.play(speech(1.5, 200))
    ahead = speaker.ahead(FRAME // 2, 2 * FRAME)
    assert (ahead[:FRAME] == 100).all()
    assert (ahead[FRAME:] == 200).all()
    assert len(ahead) == 2 * FRAME
    await frames(speaker, 1)
    assert len(speaker.ahead(0, 10 * FRAME)) == 2 * FRAME
    before = speaker.epoch
    speaker.hold()
    assert speaker.epoch != before
    assert speaker.fades
    await frames(speaker, 1)
    assert speaker.is_silent


def test_time_that_is_skipped_counts_like_time_that_is_taken() -> None:
    skipped, taken = Speaker(), Speaker()
    for speaker in (skipped, taken):
        for _ in range(5):
            speaker.skip() if speaker is skipped else speaker.take()
    playbacks = [speaker.play(Speech(np.full(2000, 7, np.int16))) for speaker in (skipped, taken)]
    for _ in range(5):
        skipped.skip()
        taken.take()
    assert [playback.played for playback in playbacks] == [2000, 2000]
    assert [playback.started_at_s for playback in playbacks] == [pytest.approx(0.1)] * 2
    heard: list[Samples] = []
    skipped.taps.append(heard.append)
    skipped.skip()
    assert len(heard) == 1, "who listens in gets silence too"


MUSIC = (np.sin(np.arange(10 * FRAME) / FRAME * 2 * np.pi * 8) * 2000).astype(np.int16)


def jump(samples: Samples) -> int:
    """The largest step from one sample to the next."""
    return int(np.abs(np.diff(samples.astype(np.int32))).max())


async def test_a_sound_behind_is_repeated_while_nothing_is_said() -> None:
    speaker = Speaker()
    speaker.play_behind(MUSIC)
    assert not speaker.is_silent
    out = await frames(speaker, 40)
    assert np.abs(out[:FRAME]).max() < np.abs(out[-FRAME:]).max() / 5, "it swells"
    assert np.array_equal(out[20 * FRAME : 30 * FRAME], out[30 * FRAME :])
    assert speaker.drained.is_set(), "it is not speech"
    assert speaker.said_s == 0
    speaker.play_behind(None)
    end = await frames(speaker, 2)
    assert jump(np.concatenate([out, end])) <= jump(MUSIC)
    assert speaker.is_silent
    assert not end[FRAME:].any()


@pytest.mark.parametrize("how", ["speech", "hold", "interrupt"])
async def test_what_cuts_it_is_heard_at_once_and_without_a_click(how: str) -> None:
    speaker = Speaker()
    speaker.play_behind(MUSIC)
    before = await frames(speaker, 33)
    match how:
        case "speech":
            speaker.play(speech(2, value=0))
        case "hold":
            speaker.hold()
        case _:
            speaker.interrupt()
    after = await frames(speaker, 2)
    assert jump(np.concatenate([before, after])) <= jump(MUSIC)
    assert not after[FRAME:].any()
    if how == "speech":
        assert speaker.said_s == pytest.approx(0.04)
        assert not (await frames(speaker, 1)).any(), "it does not come back by itself"
    if how == "hold":
        speaker.resume()
        assert (await frames(speaker, 20)).any(), "it comes back with the agent's turn to wait"


async def test_music_that_is_played_already_goes_on() -> None:
    speaker = Speaker()
    speaker.play_behind(MUSIC)
    before = await frames(speaker, 33)
    speaker.play_behind(MUSIC)
    after = await frames(speaker, 20)
    assert np.array_equal(after[: 10 * FRAME], np.concatenate([before, after])[23 * FRAME : 33 * FRAME])
