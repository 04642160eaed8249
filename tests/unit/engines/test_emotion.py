"""The classifier of emotions. Those of the tests hear how bright a sound is: noise is joy, speech is sadness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.engines import messages as m
from media_server.engines.emotion import EmotionEngine
from tests.conftest import DATA, STARTER

NOISE = (np.random.default_rng(0).normal(size=MODEL_RATE_HZ) * 3000).astype(np.int16)
FORMS = {"emotion.onnx": ("joy", "sadness", "neutral"), "emotion-features.onnx": ("joy", "sadness")}


@pytest.fixture(params=FORMS)
def engine(request: pytest.FixtureRequest) -> EmotionEngine:
    return EmotionEngine.load(DATA / request.param, FORMS[request.param])


@pytest.fixture
def speech(sentence: Callable[[str], Samples]) -> Samples:
    return resample(sentence("what is seven plus five"), CALL_RATE_HZ, MODEL_RATE_HZ)


def test_sound_is_told_apart_in_either_form(engine: EmotionEngine, speech: Samples) -> None:
    for samples, name in ((NOISE, "joy"), (speech, "sadness")):
        shares = engine.scores(samples)
        assert shares.sum() == pytest.approx(1, abs=1e-3)
        assert ("joy", "sadness", "neutral")[int(shares.argmax())] == name


@pytest.mark.parametrize("length", [0, 1, 160, 20 * MODEL_RATE_HZ])
def test_any_length_is_heard(engine: EmotionEngine, length: int) -> None:
    assert np.isfinite(engine.scores(np.zeros(length, np.int16))).all()


def test_loudness_says_nothing(engine: EmotionEngine, speech: Samples) -> None:
    assert engine.scores(speech // 4) == pytest.approx(engine.scores(speech), abs=0.05)


def test_one_request_a_step_and_none_that_is_withdrawn(engine: EmotionEngine) -> None:
    for i in range(3):
        engine.submit(m.ClassifyEmotion(i, NOISE.tobytes()))
    engine.cancel(1)
    answered = []
    while engine.busy:
        step = list(engine.step())
        assert [type(r) for r in step] == [m.Scores, m.Finished]
        answered += [r.id for r in step if isinstance(r, m.Scores)]
    assert answered == [0, 2]


def test_what_is_no_such_classifier_is_refused() -> None:
    with pytest.raises(ValueError, match="3 labels apart, the pack names 2"):
        EmotionEngine.load(DATA / "emotion.onnx", ("joy", "sadness"))
    with pytest.raises(ValueError, match="neither sound"):
        EmotionEngine.load(STARTER / "voice" / "starter-voice.onnx", ("joy", "sadness"))
