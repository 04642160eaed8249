"""Voice activity: what the network is asked about, and that it hears the same whatever the pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.engines.silero import CHUNK, VoiceActivity, VoiceActivityModel

MODEL = VoiceActivityModel()


class Counted(VoiceActivity):
    """Counts the chunks that the network is given."""

    def __init__(self) -> None:
        super().__init__(MODEL)
        self.asked = 0
        self._inner, self._session = self._session, self

    def run(self, names: None, feeds: dict[str, Any]) -> Any:
        self.asked += len(feeds["input"])
        return self._inner.run(names, feeds)


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=int(seconds * MODEL_RATE_HZ) // CHUNK * CHUNK) * level).astype(np.int16)


def spoken(sentence: Callable[[str], Samples]) -> Samples:
    speech = resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)
    return speech[: len(speech) // CHUNK * CHUNK]


def heard(activity: VoiceActivity, samples: Samples, at_once: int = 1, attentive: bool = True) -> list[float]:
    found: list[float] = []
    for at in range(0, len(samples), at_once * CHUNK):
        found += activity.probabilities(samples[at : at + at_once * CHUNK], attentive)
    return found


@pytest.mark.parametrize("at_once", [2, 7, 32])
def test_pieces_of_any_length_are_heard_the_same(sentence: Callable[[str], Samples], at_once: int) -> None:
    samples = np.concatenate([noise(1, 30), spoken(sentence), noise(1, 30)])
    one, many = heard(VoiceActivity(MODEL), samples), heard(VoiceActivity(MODEL), samples, at_once)
    assert np.abs(np.array(one) - many).max() < 0.01
    assert max(one) > 0.9


@pytest.mark.parametrize("level", [1, 30, 1000])
def test_the_network_is_spared_a_room_in_which_nobody_speaks(level: int) -> None:
    activity = Counted()
    assert max(heard(activity, noise(2, level), 2, attentive=False)) < 0.5
    asked = activity.asked
    assert asked < 50, "until it is known how quiet the room is"
    heard(activity, noise(3, level, 1), 2, attentive=False)
    assert activity.asked == asked
    heard(activity, noise(1, level, 2), attentive=True)
    assert activity.asked > asked


@pytest.mark.parametrize("level", [3, 30, 200])
def test_what_is_said_after_a_quiet_while_is_heard_as_if_the_network_had_listened(
    sentence: Callable[[str], Samples], level: int
) -> None:
    speech = spoken(sentence)
    samples = np.concatenate([noise(5, level), speech])
    samples[-len(speech) :] += noise(len(speech) / MODEL_RATE_HZ, level, 1)
    spared, whole = Counted(), VoiceActivity(MODEL)
    quiet = len(samples) - len(speech)
    heard(spared, samples[:quiet], 2, attentive=False)
    assert spared.asked < 50
    heard(whole, samples[:quiet])
    told, expected = heard(spared, samples[quiet:], 2), heard(whole, samples[quiet:])
    onset = next(i for i, p in enumerate(told) if p >= 0.5)
    assert abs(onset - next(i for i, p in enumerate(expected) if p >= 0.5)) <= 1


def test_digital_silence_is_none_of_its_business() -> None:
    activity = Counted()
    assert heard(activity, np.zeros(20 * CHUNK, np.int16), 4) == [0.0] * 20
    assert activity.asked == 0


def test_a_room_that_becomes_loud_is_listened_to_until_it_is_known() -> None:
    activity = Counted()
    heard(activity, noise(3, 20), 2, attentive=False)
    before = activity.asked
    heard(activity, noise(1, 200, 1), 2, attentive=False)
    assert activity.asked > before
    heard(activity, noise(2, 200, 2), 2, attentive=False)
    before = activity.asked
    heard(activity, noise(2, 200, 3), 2, attentive=False)
    assert activity.asked == before
