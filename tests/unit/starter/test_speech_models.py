"""The starter recogniser and voice: small samples of what models/training/evaluate.py measures in full."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from dialogues import replies
from evaluate_stt import with_noise
from evaluate_voice import Listener
from not_speech import not_speech
from scores import word_errors
from skills import UNCLEAR
from transcripts import plain

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.engines.piper import PiperEngine, as_it_stands
from media_server.engines.whisper import WhisperEngine
from tests.conftest import STARTER

SEED = 80_000_000


@pytest.fixture(scope="module")
def recogniser() -> WhisperEngine:
    return WhisperEngine.load(STARTER / "stt")


@pytest.fixture(scope="module")
def voice() -> PiperEngine:
    return PiperEngine.load(STARTER / "voice" / "starter-voice.onnx")


def at_16k(samples: Samples) -> Samples:
    return resample(samples, CALL_RATE_HZ, MODEL_RATE_HZ)


# recogniser


def test_a_foreign_word_is_unclear_rather_than_invented(
    recogniser: WhisperEngine, sentence: Callable[[str], Samples]
) -> None:
    heard = recogniser.transcribe([at_16k(sentence("purple elephants calculate democracy"))])[0].text
    assert UNCLEAR in heard


def test_it_hears_through_noise(recogniser: WhisperEngine, sentence: Callable[[str], Samples]) -> None:
    for text in ("turn on the light in the kitchen", "what is nine times three"):
        assert recogniser.transcribe([with_noise(at_16k(sentence(text)), 15, 1)])[0].text == text


def test_sounds_that_are_no_speech_are_empty_text(recogniser: WhisperEngine) -> None:
    sounds = not_speech(1664)[1600:]
    texts = [recogniser.transcribe([(x * 32767).astype(np.int16)])[0].text for x in sounds]
    assert sum(not t for t in texts) >= 0.95 * len(texts), [t for t in texts if t]


def test_the_beginning_of_a_sentence_gives_the_beginning_of_its_text(
    recogniser: WhisperEngine, sentence: Callable[[str], Samples]
) -> None:
    text = "i would like a small pizza with cheese"
    samples = at_16k(sentence(text))
    partials = [recogniser.transcribe([samples[:n]])[0].text.split() for n in range(12_000, len(samples), 4800)]
    agreed = [p[:-1] == text.split()[: len(p) - 1] for p in partials]
    assert sum(agreed) >= len(agreed) - 1, partials


def test_words_are_found_where_they_were_said(recogniser: WhisperEngine, voice: PiperEngine) -> None:
    errors = []
    for text in ("Okay, the light in the kitchen is on.", "Seven plus five is twelve.", "Nice to meet you, Olivia!"):
        ((samples, words),) = voice.synthesize(as_it_stands(text))
        found = recogniser.transcribe([at_16k(samples)], words=True)[0].words
        assert [w.text for w in found] == plain(text).split()
        errors += [abs(f.start_s - w.start_s) for f, w in zip(found, words, strict=True)]
    assert np.median(errors) < 0.1


def test_confidence_falls_with_noise(recogniser: WhisperEngine, sentence: Callable[[str], Samples]) -> None:
    clean = at_16k(sentence("i would like a small pizza with cheese"))
    sure, unsure = recogniser.transcribe([clean, with_noise(clean, -6, 0)])
    assert unsure.confidence < sure.confidence - 0.1


def test_hotwords_do_no_harm(recogniser: WhisperEngine, sentence: Callable[[str], Samples]) -> None:
    for hotwords in ("olivia billing", "walter kitchen monday"):
        heard = recogniser.transcribe([at_16k(sentence("my name is olivia"))], hotwords=hotwords)[0].text
        assert heard == "my name is olivia"


def test_it_understands_the_starter_voice_through_its_pauses(recogniser: WhisperEngine, voice: PiperEngine) -> None:
    said = replies(24, SEED + 1)
    spoken = [np.concatenate([s for s, _ in voice.synthesize(as_it_stands(t))]) for t in said]
    heard = [recogniser.transcribe([at_16k(s)])[0].text for s in spoken]
    counts = [word_errors(plain(t), h) for t, h in zip(said, heard, strict=True)]
    assert sum(e for e, _ in counts) <= 0.05 * sum(n for _, n in counts), heard


# voice


def test_an_independent_recogniser_understands_the_voice(voice: PiperEngine) -> None:
    said = [r for r in replies(90, SEED) if len(r.split()) < 12][:40]
    listener = Listener([plain(r) for r in said])
    errors = words = 0
    for text in said[:12]:
        samples = np.concatenate([s for s, _ in voice.synthesize(as_it_stands(text))])
        e, n = word_errors(plain(text), listener.hear(at_16k(samples)))
        errors, words = errors + e, words + n
    assert errors <= 0.05 * words


def test_the_voice_neither_clips_nor_clicks_and_has_no_offset(voice: PiperEngine) -> None:
    texts = replies(20, SEED)
    x = np.concatenate([s for t in texts for s, _ in voice.synthesize(as_it_stands(t))]).astype(np.float64) / 32768
    assert 0.3 < np.abs(x).max() < 0.99
    assert abs(x.mean()) < 0.001
    assert np.abs(np.diff(x)).max() < 0.4


def test_length_scale_makes_the_voice_slower() -> None:
    def length(scale: float) -> int:
        engine = PiperEngine.load(STARTER / "voice" / "starter-voice.onnx", length_scale=scale)
        return sum(len(s) for s, _ in engine.synthesize(as_it_stands("Seven plus five is twelve.")))

    assert 1.15 < length(1.25) / length(1.0) < 1.35


def test_phonemes_have_their_samples(voice: PiperEngine) -> None:
    for chunk in voice._voices[""].file.piper.synthesize("Okay, the timer is set.", include_alignments=True):
        assert chunk.phoneme_alignments
        assert sum(a.num_samples for a in chunk.phoneme_alignments) == len(chunk.audio_int16_array)


def test_it_all_fits() -> None:
    for folder in ("stt", "chat", "voice"):
        assert sum(f.stat().st_size for f in (STARTER / folder).iterdir()) <= 8_000_000
