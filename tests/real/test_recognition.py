"""Real Whisper on recorded people: what is said is heard, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from bench.sounds import not_speech
from bench.wer import WordErrors
from media_server.audio import MODEL_RATE_HZ, Samples, read_wav
from media_server.engines.whisper import WhisperEngine
from tests.real_models import MODELS, SPEAKERS, SPEECH, prompts

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def engine(real_pack: str) -> WhisperEngine:
    return WhisperEngine.load(MODELS / real_pack / "stt", threads=2)


def spoken(name: str) -> Samples:
    return read_wav(SPEECH / SPEAKERS["en"] / f"{name}.wav", MODEL_RATE_HZ)


def test_recorded_people_are_understood(engine: WhisperEngine) -> None:
    errors = WordErrors("en")
    for prompt in prompts("en")[3:260:13]:
        (heard,) = engine.transcribe([read_wav(prompt.path, MODEL_RATE_HZ)], language="en")
        assert "<|" not in heard.text
        errors.add(prompt.text, heard.text)
    assert errors.words > 100
    assert errors.rate < 0.1
    assert errors.too_long == 0


def test_short_speech_is_not_repeated_in_a_window_that_is_too_short(real_pack: str) -> None:
    """Without its silence the model loops; phrases that are said to be behind the sound's end are left out."""
    engine = WhisperEngine.load(MODELS / real_pack / "stt", threads=2, floor_s=3, margin_s=0.5)
    errors = WordErrors("en")
    for prompt in prompts("en")[10:260:25]:
        (heard,) = engine.transcribe([read_wav(prompt.path, MODEL_RATE_HZ)], language="en")
        errors.add(prompt.text, heard.text)
    assert errors.too_long == 0


def test_nobody_is_heard_in_noise_tones_and_music(engine: WhisperEngine) -> None:
    sounds = not_speech(30, seed=7)
    heard = {kind: engine.transcribe([samples], hotwords="Olivia, Waldo")[0].text for kind, samples in sounds}
    assert {kind: text for kind, text in heard.items() if text} == {}


@pytest.mark.parametrize("name", ["auth-thankyou", "im-sorry", "goodbye"])
def test_what_models_invent_is_believed_of_people(engine: WhisperEngine, name: str) -> None:
    (heard,) = engine.transcribe([spoken(name)], language="en")
    assert heard.text.lower().strip(".!") in {"thank you", "i'm sorry", "goodbye"}


def test_a_rare_name_is_heard_where_it_is_expected(engine: WhisperEngine) -> None:
    said = spoken("basic-pbx-ivr-main")[: 8 * MODEL_RATE_HZ]
    without, expected = (engine.transcribe([said], language="en", hotwords=h)[0].text for h in ("", "Waldo"))
    assert "Waldo" not in without
    assert "Waldo" in expected


def joined(names: list[Samples]) -> Iterator[Samples]:
    pause = np.random.default_rng(1).integers(-3, 4, MODEL_RATE_HZ // 4).astype(np.int16)
    for samples in names:
        yield samples
        yield pause


def test_long_speech_loses_no_word_where_it_is_cut(engine: WhisperEngine) -> None:
    chosen = [p for p in prompts("en") if len(p.text.split()) > 8][4:60:4]
    sound = np.concatenate(list(joined([read_wav(p.path, MODEL_RATE_HZ) for p in chosen])))
    assert len(sound) > 55 * MODEL_RATE_HZ
    (heard,) = engine.transcribe([sound], language="en", words=True)
    errors = WordErrors("en")
    errors.add(" ".join(p.text for p in chosen), heard.text)
    assert errors.rate < 0.1
    assert [w.text for w in heard.words] == heard.text.split()
    starts = [w.start_s for w in heard.words]
    assert all(b > a - 0.5 for a, b in itertools.pairwise(starts))
    assert len(sound) / MODEL_RATE_HZ - 2 < heard.words[-1].end_s <= len(sound) / MODEL_RATE_HZ
