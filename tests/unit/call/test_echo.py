"""The agent's own voice in the caller's microphone is told from other sounds by its waveform."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.call.echo import OwnVoice
from media_server.rtc import Speaker, Speech

FRAME_S = 0.02
Sentence = Callable[[str], Samples]
NOISE = 150
SAID, OTHER = "what-is-seven-plus-five", "turn-on-the-light-in-the-kitchen"


class Line:
    """A line on which the agent said something at 1 s, all of it by now."""

    def __init__(self, said: Samples) -> None:
        self.now_s = 1.0
        self.voice = OwnVoice(lambda: self.now_s)
        self.speaker = Speaker()
        self.voice.follow(self.speaker)
        self.speaker.play(Speech(said))
        while self.speaker.ahead_s > 0:
            self.speaker.take()
            self.now_s += FRAME_S

    def hears(self, sound: NDArray[np.float64], at_s: float) -> bool:
        """Whether a sound that the caller's microphone brought from then on is the agent's voice."""
        noise = np.random.default_rng(0).normal(size=len(sound)) * 15
        return self.voice.is_all_of((sound + noise).clip(-32768, 32767).astype(np.int16), at_s)


@pytest.fixture
def said(sentence: Sentence) -> Samples:
    return _loud(sentence(SAID))


def _loud(samples: Samples) -> Samples:
    """A recording at 48 kHz without the silence around it."""
    sounds = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    return samples[sounds[0] : sounds[-1]]


def _heard(samples: Samples) -> NDArray[np.float64]:
    """The same as a microphone has it, at 16 kHz."""
    by = CALL_RATE_HZ // MODEL_RATE_HZ
    return np.asarray(samples[: len(samples) // by * by].reshape(-1, by).mean(axis=1), np.float64)


def _in_a_room(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    r = np.random.default_rng(1)
    n = MODEL_RATE_HZ // 5
    echoes = r.normal(size=n) * np.exp(-6.9 * np.arange(n) / n) * 0.05
    echoes[0] = 1
    return np.convolve(sound, echoes)[: len(sound)]


@pytest.mark.parametrize("delay_s", [0.0, 0.06, 0.2, 0.45, 0.9])
@pytest.mark.parametrize(("from_s", "to_s"), [(0.1, 0.5), (0.3, 1.0), (0.0, 1.4)])
def test_an_echo_is_told_whatever_its_delay(said: Samples, delay_s: float, from_s: float, to_s: float) -> None:
    line, heard = Line(said), _heard(said)
    piece = heard[int(from_s * MODEL_RATE_HZ) : int(to_s * MODEL_RATE_HZ)]
    assert line.hears(0.3 * piece, 1 + from_s + delay_s)
    assert line.hears(0.2 * piece, 1 + from_s + delay_s), "again, now that the delay is known"


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("delay_s", [0.06, 0.2, 0.45])
def test_somebody_who_speaks_over_an_echo_is_somebody_else(
    said: Samples, sentence: Sentence, delay_s: float, is_known: bool
) -> None:
    line, echo = Line(said), 0.3 * _heard(said)
    if is_known:
        assert line.hears(echo[:MODEL_RATE_HZ], 1 + delay_s)
    other = _heard(_loud(sentence(OTHER)))
    for from_s in (0.0, 0.3, 0.5):
        piece = echo[int(from_s * MODEL_RATE_HZ) :][: int(0.8 * MODEL_RATE_HZ)]
        begins_s = 1 + from_s + delay_s
        assert not line.voice.is_other(piece.astype(np.int16), begins_s)
        assert not line.voice.is_other(_in_a_room(piece).clip(-32768, 32767).astype(np.int16), begins_s)
        over = piece.copy()
        over[-int(0.4 * MODEL_RATE_HZ) :] += other[: int(0.4 * MODEL_RATE_HZ)]
        assert line.voice.is_other(over.clip(-32768, 32767).astype(np.int16), begins_s)


@pytest.mark.parametrize("length_s", [0.26, 0.3, 0.36])
@pytest.mark.parametrize("from_s", [0.1, 0.35])
def test_a_short_piece_of_an_echo_is_told_with_the_noise_before_it(
    said: Samples, length_s: float, from_s: float
) -> None:
    # as a voice sounds that is held at its own echo: the noise of the line, and some of a word behind it
    heard = 0.3 * _heard(said)
    piece = heard[int(from_s * MODEL_RATE_HZ) : int((from_s + length_s) * MODEL_RATE_HZ)]
    lead = np.random.default_rng(3).normal(size=int(0.15 * MODEL_RATE_HZ)) * NOISE
    assert Line(said).hears(np.concatenate([lead, piece]), 1 + from_s - 0.15 + 0.14)


def test_an_echo_in_a_room_is_told(said: Samples) -> None:
    heard = _in_a_room(_heard(said))
    assert Line(said).hears(0.3 * heard[4000:16000], 1 + 0.25 + 0.2)


def test_an_echo_whose_delay_jumps_is_told_on_a_line_that_has_echoed(said: Samples) -> None:
    line, heard = Line(said), 0.3 * _heard(said)
    jumping = np.concatenate([heard[6400:12800], np.zeros(800), heard[12800:18400]])
    assert line.hears(heard[:6400], 1.2)
    assert line.hears(jumping, 1.2 + 0.4)
    assert line.hears(heard[18400:24800], 1.25 + 1.15)


@pytest.mark.parametrize("gain", [0.3, 1.0])
@pytest.mark.parametrize("over_echo", [0.0, 0.3])
def test_another_voice_is_none_even_over_an_echo(
    said: Samples, sentence: Sentence, gain: float, over_echo: float
) -> None:
    other = _heard(_loud(sentence(OTHER)))[3000:15000]
    assert not Line(said).hears(gain * other + over_echo * gain * _heard(said)[3000:15000], 1.2)


def test_the_same_words_in_another_voice_are_none(said: Samples) -> None:
    heard = _heard(said)
    higher = np.interp(np.arange(0, len(heard), 1.06), np.arange(len(heard)), heard)
    assert not Line(said).hears(higher[3000:15000], 1.3)


def test_noise_silence_and_what_is_too_short_are_none(said: Samples) -> None:
    line = Line(said)
    assert not line.hears(np.random.default_rng(2).normal(size=9600) * 3000, 1.2)
    assert not line.hears(np.zeros(9600), 1.2)
    assert not line.hears(0.3 * _heard(said)[:3500], 1.2)


def test_what_comes_long_after_the_agent_is_none(said: Samples) -> None:
    assert not Line(said).hears(0.3 * _heard(said)[:9600], 1 + len(said) / CALL_RATE_HZ + 2)


def test_a_caller_who_goes_on_behind_an_echo_is_heard(said: Samples, sentence: Sentence) -> None:
    both = np.concatenate([0.3 * _heard(said)[:12000], _heard(_loud(sentence(OTHER)))[2000:14000]])
    assert not Line(said).hears(both, 1.2)


def test_a_speaker_is_followed_only_while_there_is_something_to_come_back(said: Samples) -> None:
    line = Line(said)
    assert len(line.speaker.taps) == 1
    for _ in range(round(3 / FRAME_S)):
        line.speaker.take()
        line.now_s += FRAME_S
    assert line.speaker.taps == []
    line.voice.follow(line.speaker)
    line.voice.follow(line.speaker)
    assert len(line.speaker.taps) == 1


def test_it_costs_little(said: Samples) -> None:
    line, piece = Line(said), _heard(said)[:12800]
    line.hears(0.3 * piece, 1.2)
    began_s = time.process_time()
    for _ in range(10):
        line.hears(0.3 * piece, 1.2)
    assert (time.process_time() - began_s) / 10 < 0.03
