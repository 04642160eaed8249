from __future__ import annotations

import itertools

import numpy as np
import pytest

from media_server.engines import messages as m
from media_server.engines.piper import PiperEngine, as_it_stands
from tests.conftest import STARTER

VOICE = STARTER / "voice" / "starter-voice.onnx"


@pytest.fixture(scope="module")
def engine() -> PiperEngine:
    return PiperEngine.load(VOICE)


def test_the_words_of_a_clause_have_their_places(engine: PiperEngine) -> None:
    ((samples, words),) = engine.synthesize(as_it_stands("Seven plus five is twelve."))
    length_s = len(samples) / 48_000
    assert 0.8 < length_s < 4
    assert [w.text for w in words] == ["Seven", "plus", "five", "is", "twelve."]
    assert all(0 <= w.start_s < w.end_s <= length_s + 0.01 for w in words)
    assert all(a.end_s <= b.start_s + 1e-6 for a, b in itertools.pairwise(words))


def test_several_sentences_keep_all_their_words(engine: PiperEngine) -> None:
    parts = list(engine.synthesize(as_it_stands("Hello! How can I help you? Dr. Who asks.")))
    assert " ".join(w.text for _, words in parts for w in words) == "Hello! How can I help you? Dr. Who asks."


def test_words_are_reported_as_they_are_written(engine: PiperEngine) -> None:
    pay = [("Pay", "Pay"), ("$5.50", "5 dollars and 50 cents"), ("😀", ""), ("now!", "now!"), ("Bye.", "Bye.")]
    parts = [words for _, words in engine.synthesize(pay)]
    words = [w for part in parts for w in part]
    assert [w.text for w in words] == ["Pay", "$5.50", "😀", "now!", "Bye."]
    assert words[1].end_s - words[1].start_s > 3 * (words[0].end_s - words[0].start_s)
    assert words[2].start_s == words[2].end_s == words[1].end_s


def test_nothing_to_say_is_no_sound(engine: PiperEngine) -> None:
    assert list(engine.synthesize([("😀", "")])) == []


def test_the_sound_is_clean(engine: PiperEngine) -> None:
    x = np.concatenate([s for s, _ in engine.synthesize(as_it_stands("Okay, the light in the kitchen is on."))]).astype(
        float
    )
    assert np.abs(x).max() < 32767
    assert np.abs(x).max() > 3000
    assert abs(x.mean()) < 60
    assert abs(x[0]) < 500
    assert abs(x[-1]) < 500


def test_length_scale_makes_it_slower() -> None:
    normal = sum(len(s) for s, _ in PiperEngine.load(VOICE).synthesize(as_it_stands("Seven plus five is twelve.")))
    slow = sum(len(s) for s, _ in PiperEngine.load(VOICE, 1.5).synthesize(as_it_stands("Seven plus five is twelve.")))
    assert 1.3 < slow / normal < 1.7


@pytest.mark.parametrize("text", ["", "   ", "…", "12", "👍", "<b>", "a" * 300])
def test_any_text_can_be_tried(engine: PiperEngine, text: str) -> None:
    for samples, _ in engine.synthesize(as_it_stands(text)):
        assert samples.dtype == np.int16


def length(engine: PiperEngine, voice: str = "", speed: float = 1.0) -> int:
    return sum(len(s) for s, _ in engine.synthesize(as_it_stands("Seven plus five is twelve."), voice, speed))


def test_a_pack_may_have_several_voices() -> None:
    slow = {"path": str(VOICE), "length_scale": 1.5, "speaker": None}
    engine = PiperEngine.load(VOICE, voices={"slow": slow})
    assert length(engine, "slow") > 1.3 * length(engine)
    assert length(engine, speed=1.5) < 0.8 * length(engine)
    engine.submit(m.Synthesize(1, tuple(as_it_stands("Hello.")), voice="nobody"))
    (failed,) = engine.step()
    assert isinstance(failed, m.Failed)
    assert failed.code == "unknown_voice"


def finished(engine: PiperEngine) -> list[int]:
    """Requests in the order in which they are done."""
    order = []
    while engine.busy:
        order += [r.id for r in engine.step() if isinstance(r, m.Finished)]
    return order


def test_who_will_be_without_sound_first_is_served_first(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands("Two.")), ahead_s=2))
    engine.submit(m.Synthesize(2, tuple(as_it_stands("Three.")), ahead_s=3))
    engine.submit(m.Synthesize(3, tuple(as_it_stands("One.")), ahead_s=0))
    engine.submit(m.Synthesize(4, tuple(as_it_stands("A file.")), live=False))
    engine.submit(m.Synthesize(5, tuple(as_it_stands("Four.")), ahead_s=60))
    engine.cancel(2)
    assert finished(engine) == [3, 1, 5, 4]
