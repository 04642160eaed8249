from __future__ import annotations

import numpy as np
import pytest

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.call.loudness import UsualLoudness


def speech(level: float, seconds: float = 1.0, pause_s: float = 0.0) -> Samples:
    """Syllables of noise at this level, and a pause."""
    n = int(seconds * MODEL_RATE_HZ)
    syllables = np.random.default_rng(1).normal(size=n) * level * (np.arange(n) // 1600 % 2)
    return np.asarray(np.concatenate([syllables, np.zeros(int(pause_s * MODEL_RATE_HZ))]), np.int16)


def test_nothing_is_quiet_before_the_first_turn() -> None:
    assert UsualLoudness().louder_db(speech(10)) == 0.0


@pytest.mark.parametrize(("level", "louder_db"), [(2000, 0), (400, -14), (6320, 10)])
def test_a_sound_is_compared_with_the_turns(level: float, louder_db: float) -> None:
    usual = UsualLoudness()
    usual.add(speech(2000))
    assert usual.louder_db(speech(level)) == pytest.approx(louder_db, abs=0.5)


def test_pauses_do_not_make_it_quieter() -> None:
    usual = UsualLoudness()
    usual.add(speech(2000))
    assert usual.louder_db(speech(2000, pause_s=1.0)) == pytest.approx(0, abs=1)


def test_who_steps_back_is_heard_again_after_one_turn() -> None:
    usual = UsualLoudness()
    for level in (2000, 2000, 400):
        usual.add(speech(level))
    assert usual.louder_db(speech(400)) == pytest.approx(0, abs=0.5)
    for _ in range(3):
        usual.add(speech(2000))
    assert usual.louder_db(speech(400)) == pytest.approx(-14, abs=0.5)


@pytest.mark.parametrize("samples", [0, 1, 319, 320])
def test_next_to_nothing_has_a_loudness(samples: int) -> None:
    usual = UsualLoudness()
    usual.add(np.zeros(samples, np.int16))
    assert usual.louder_db(np.zeros(samples, np.int16)) == 0
