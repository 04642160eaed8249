"""Listening: the utterance that is handed on holds all of the speech, from before its onset."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable

import numpy as np
import pytest

from bench.activity import Recording
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.call.listen import Heard, Listener
from media_server.call.turns import SpeechPaused, SpeechResumed, SpeechStarted, TurnEnded, TurnMachine, TurnSettings
from media_server.engines.silero import VoiceActivity, VoiceActivityModel
from media_server.rtc import Frame


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


class Silenced:
    """A microphone whose sound stays away after a recording, in real time."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.stopped_s = 0.0

    async def frames(self, patience_s: Callable[[], float | None]) -> AsyncGenerator[Frame | None, None]:
        async for frame in Recording(self._samples).frames(patience_s):
            yield frame
        self.stopped_s = time.monotonic()
        while True:
            await asyncio.sleep(patience_s() or 0.1)
            yield None


async def test_a_caller_whose_sound_stays_away_has_fallen_silent(sentence: Callable[[str], Samples]) -> None:
    speech = resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)
    loud = np.nonzero(np.abs(speech.astype(int)) > 500)[0]
    microphone = Silenced(np.concatenate([quiet(1), speech[: loud[-1]]]))
    listener = Listener(
        microphone,  # type: ignore[arg-type]
        VoiceActivity(VoiceActivityModel()),
        TurnMachine(TurnSettings(pause_ms=200)),
    )
    async with asyncio.timeout(30):
        async for heard in listener:
            if isinstance(heard.decision, TurnEnded):
                break
    assert time.monotonic() - microphone.stopped_s < 0.5
    assert isinstance(heard.decision, TurnEnded)
    assert heard.decision.speech_ended_at_s == pytest.approx(1 + loud[-1] / MODEL_RATE_HZ, abs=0.1)
