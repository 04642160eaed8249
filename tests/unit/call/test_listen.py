"""Listening: the utterance that is handed on holds all of the speech, from before its onset."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.activity import Recording
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.call.listen import Heard, Listener
from media_server.call.turns import SpeechPaused, SpeechResumed, SpeechStarted, TurnEnded, TurnMachine, TurnSettings
from media_server.engines.silero import CHUNK, VoiceActivity, VoiceActivityModel
from media_server.rtc import Frame, Microphone

MODEL = VoiceActivityModel()


async def listen(samples: Samples) -> list[Heard]:
    listener = Listener(
        Recording(samples),  # type: ignore[arg-type]
        VoiceActivity(VoiceActivityModel()),
        TurnMachine(TurnSettings()),
    )
    return [heard async for heard in listener]


def quiet(seconds: float) -> Samples:
    return (np.random.default_rng(0).normal(size=int(seconds * MODEL_RATE_HZ)) * 5).astype(np.int16)


async def test_an_utterance_is_whole(sentence: Callable[[str], Samples]) -> None:
    speech = resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)
    loud = np.nonzero(np.abs(speech.astype(int)) > 500)[0]
    begins_s, ends_s = 3 + loud[0] / MODEL_RATE_HZ, 3 + loud[-1] / MODEL_RATE_HZ
    heard = await listen(np.concatenate([quiet(3), speech, quiet(2)]))

    started = next(h for h in heard if isinstance(h.decision, SpeechStarted))
    paused = next(h for h in heard if isinstance(h.decision, SpeechPaused))
    ended = next(h for h in heard if isinstance(h.decision, TurnEnded))
    assert isinstance(started.decision, SpeechStarted)
    assert abs(started.decision.at_s - begins_s) < 0.1
    assert isinstance(paused.decision, SpeechPaused)
    assert abs(paused.decision.ended_at_s - ends_s) < 0.25
    # from before the onset to the pause, and not the three seconds of nothing before
    at = int(begins_s * MODEL_RATE_HZ)
    whole = np.concatenate([quiet(3), speech, quiet(2)])
    n = len(paused.utterance)
    assert n > len(loud)
    assert n < len(speech) + MODEL_RATE_HZ
    start = next(i for i in range(len(whole) - n) if np.array_equal(whole[i : i + 2000], paused.utterance[:2000]))
    assert start < at
    assert isinstance(ended.decision, TurnEnded)


async def test_silence_and_noise_are_no_speech() -> None:
    rng = np.random.default_rng(1)
    noise = (rng.normal(size=3 * MODEL_RATE_HZ) * 800).astype(np.int16)
    assert await listen(np.concatenate([np.zeros(MODEL_RATE_HZ, np.int16), noise])) == []


async def test_a_segment_begins_anew_but_the_turn_is_kept(sentence: Callable[[str], Samples]) -> None:
    first = resample(sentence("my name is olivia"), CALL_RATE_HZ, MODEL_RATE_HZ)
    second = resample(sentence("what is my name"), CALL_RATE_HZ, MODEL_RATE_HZ)
    listener = Listener(
        Recording(np.concatenate([quiet(1), first, quiet(0.25), second, quiet(2)])),  # type: ignore[arg-type]
        VoiceActivity(VoiceActivityModel()),
        TurnMachine(TurnSettings(pause_ms=1200)),
    )
    last = None
    async for heard in listener:
        if isinstance(heard.decision, SpeechResumed):
            listener.begin_segment(heard.decision.at_s, 0)
        if isinstance(heard.decision, TurnEnded):
            last = heard
    assert last is not None
    assert len(last.utterance) < len(second) + 1.3 * MODEL_RATE_HZ
    assert len(last.turn) > len(first) + len(second)
    assert abs(last.start_s - (1 + (len(first) + 4000) / MODEL_RATE_HZ)) < 0.5


async def test_a_turn_can_be_ended_without_silence(sentence: Callable[[str], Samples]) -> None:
    speech = resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)
    listener = Listener(
        Recording(np.concatenate([quiet(1), speech])),  # type: ignore[arg-type]
        VoiceActivity(VoiceActivityModel()),
        TurnMachine(TurnSettings(pause_ms=math.inf)),
    )
    heard = [h async for h in listener]
    assert not any(isinstance(h.decision, TurnEnded) for h in heard)
    ended = listener.finish(1 + len(speech) / MODEL_RATE_HZ)
    assert isinstance(ended[-1].decision, TurnEnded)
    assert len(ended[-1].utterance) > 0.9 * len(speech)
    assert listener.finish(9) == []


async def test_a_caller_whose_sound_stays_away_has_fallen_silent(sentence: Callable[[str], Samples]) -> None:
    speech = resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)
    loud = np.nonzero(np.abs(speech.astype(int)) > 500)[0]
    clock = asyncio.get_running_loop().time
    microphone = Microphone(clock)
    microphone.quiet_s = 0.2
    listener = Listener(microphone, VoiceActivity(VoiceActivityModel()), TurnMachine(TurnSettings(pause_ms=200)))
    said = np.concatenate([quiet(1), speech[: loud[-1]]])
    stopped_s = clock()
    microphone.push(said, stopped_s - len(said) / MODEL_RATE_HZ)
    async with asyncio.timeout(30), contextlib.aclosing(aiter(listener)) as all_heard:
        async for heard in all_heard:
            if isinstance(heard.decision, TurnEnded):
                break
    assert 0.15 < clock() - stopped_s < 0.8
    assert isinstance(heard.decision, TurnEnded)
    assert heard.decision.speech_ended_at_s == pytest.approx(stopped_s, abs=0.1)


class Frames:
    """A microphone that hands out these."""

    def __init__(self, *frames: Frame) -> None:
        self._frames = frames

    async def __aiter__(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            yield frame


SOUND = (np.random.default_rng(2).normal(size=4 * MODEL_RATE_HZ) * 3000).astype(np.int16)


FRAMES = st.tuples(
    st.integers(1, MODEL_RATE_HZ),
    st.sampled_from([0, 0, 0, 0.3, -0.5, -3]),
    st.sampled_from(["assumed", "quiet", "loud"]),
)


class Loudness(VoiceActivity):
    """Takes every sound for speech."""

    def probabilities(self, samples: Samples, attentive: bool = True) -> list[float]:
        return [float(chunk.any()) for chunk in samples.reshape(-1, CHUNK)]


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=30))
def test_frames_of_any_times_do_no_harm(frames: list[tuple[int, float, str]]) -> None:
    def made() -> Iterator[Frame]:
        at_s = 5.0
        for n, step_s, kind in frames:
            at_s += step_s
            yield Frame(SOUND[:n] if kind == "loud" else np.zeros(n, np.int16), at_s, kind == "assumed")
            at_s += n / MODEL_RATE_HZ
            kept = sum(len(chunk) for chunk in listener._kept)
            assert listener._kept_samples == kept >= max(listener._segment_samples, listener._assumed_samples)

    class Microphone:
        async def __aiter__(self) -> AsyncIterator[Frame]:
            for frame in made():
                yield frame

    async def listen() -> None:
        async for heard in listener:
            assert len(heard.utterance) <= len(heard.turn) or len(heard.turn) == 8 * MODEL_RATE_HZ

    machine = TurnMachine(TurnSettings(pause_ms=200))
    listener = Listener(Microphone(), Loudness(MODEL), machine)  # type: ignore[arg-type]
    asyncio.run(listen())


@pytest.mark.parametrize("at", range(50, 58))
@pytest.mark.parametrize("back_s", [0.004, 0.022, 0.025, 0.028, 0.1])
async def test_times_that_go_back_a_little_cost_no_sound(back_s: float, at: int) -> None:
    """As where a network turns out to be faster than it seemed: what came before was captured earlier too."""
    frames = [Frame(SOUND[n * 320 : (n + 1) * 320], 5 + n * 0.02 - back_s * (n >= at)) for n in range(100)]
    microphone = Frames(*frames)
    listener = Listener(microphone, Loudness(MODEL), TurnMachine(TurnSettings()))  # type: ignore[arg-type]
    async for _ in listener:
        pass
    (*_, over) = listener.finish(7.0)
    assert len(over.utterance) > 99 * 320 - 512


async def test_what_a_stalled_network_held_up_goes_where_it_was_said(sentence: Callable[[str], Samples]) -> None:
    speech = resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)
    loud = np.nonzero(np.abs(speech.astype(int)) > 500)[0]
    cut = int(loud[0] + 0.4 * (loud[-1] - loud[0]))
    before, after = np.concatenate([quiet(1), speech[:cut]]), np.concatenate([speech[cut:], quiet(1)])
    cut_s = len(before) / MODEL_RATE_HZ
    missing = np.zeros(int(0.1 * MODEL_RATE_HZ), np.int16)
    stalled = [Frame(missing, cut_s + i / 10, assumed=True) for i in range(12)]

    async def heard(*frames: Frame) -> list[Heard]:
        machine = TurnMachine(TurnSettings(pause_ms=200))
        listener = Listener(Frames(*frames), VoiceActivity(VoiceActivityModel()), machine)  # type: ignore[arg-type]
        return [each async for each in listener]

    plain = await heard(Frame(before, 0.0), Frame(after, cut_s))
    late = await heard(Frame(before, 0.0), *stalled, Frame(after, cut_s))
    (whole,) = [each for each in plain if isinstance(each.decision, TurnEnded)]
    (held,) = [each for each in late if isinstance(each.decision, TurnEnded)]
    assert len(held.utterance) == pytest.approx(len(whole.utterance), abs=0.07 * MODEL_RATE_HZ)
    assert held.start_s == pytest.approx(whole.start_s, abs=0.07)
    assert isinstance(held.decision, TurnEnded)
    assert isinstance(whole.decision, TurnEnded)
    assert held.decision.speech_ended_at_s == pytest.approx(whole.decision.speech_ended_at_s, abs=0.07)
    silent = await heard(Frame(before, 0.0), *[replace(f, assumed=False) for f in stalled], Frame(after, cut_s))
    assert [type(each.decision) for each in silent].count(TurnEnded) == 2, "what is silent for certain ends the turn"
