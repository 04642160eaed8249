"""The recogniser with a model in the layout of real ones (random weights): what it writes is noise, and it loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.random_whisper import write_random_whisper
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.engines.guards import loop_start
from media_server.engines.whisper import TOKENS_PER_S, WhisperEngine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> WhisperEngine:
    folder = tmp_path_factory.mktemp("whisper")
    write_random_whisper(folder)
    return WhisperEngine.load(folder)


def test_whatever_it_writes_is_bounded_and_does_not_loop(
    engine: WhisperEngine, sentence: Callable[[str], Samples]
) -> None:
    said = ("what is seven plus five", "hello", "i would like a small pizza with cheese")
    utterances = [resample(sentence(text), CALL_RATE_HZ, MODEL_RATE_HZ) for text in said]
    utterances.append((np.random.default_rng(1).normal(size=40 * MODEL_RATE_HZ) * 3000).astype(np.int16))
    utterances.append(np.zeros(3 * MODEL_RATE_HZ, np.int16))
    for samples, heard in zip(utterances, engine.transcribe(utterances, words=True), strict=True):
        length_s = len(samples) / MODEL_RATE_HZ
        words = heard.text.split()
        assert len(words) <= TOKENS_PER_S * (length_s + 2)
        assert loop_start([hash(w) for w in words]) is None
        assert len(heard.words) in (0, len(words))
        assert all(0 <= w.start_s <= w.end_s <= length_s + 0.5 for w in heard.words)
        assert 0 <= heard.confidence <= 1


def test_a_batch_says_what_each_says_alone(engine: WhisperEngine, sentence: Callable[[str], Samples]) -> None:
    """Windows as long as the utterance, not 30 s: of like length, so that padding is the same."""
    sound = resample(sentence("hello"), CALL_RATE_HZ, MODEL_RATE_HZ)
    other = sound[::-1].copy()
    together = engine.transcribe([sound, other, sound])
    assert [h.text for h in together] == [engine.transcribe([s])[0].text for s in (sound, other, sound)]


@pytest.mark.parametrize("length_s", [0.05, 0.5, 1.4, 1.6, 29.9, 30.0, 61.0])
def test_any_length_is_heard(engine: WhisperEngine, length_s: float) -> None:
    sound = (np.random.default_rng(2).normal(size=int(length_s * MODEL_RATE_HZ)) * 2000).astype(np.int16)
    (heard,) = engine.transcribe([sound], words=True)
    assert all(w.end_s <= length_s + 0.5 for w in heard.words)
