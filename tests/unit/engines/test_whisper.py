from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.engines import messages as m
from media_server.engines.whisper import WhisperEngine
from tests.conftest import DATA, STARTER


@pytest.fixture(scope="module")
def engine() -> WhisperEngine:
    return WhisperEngine.load(STARTER / "stt")


def at_16k(samples: Samples) -> Samples:
    return resample(samples, CALL_RATE_HZ, MODEL_RATE_HZ)


@pytest.mark.parametrize(
    "text",
    ["what is seven plus five", "turn on the light in the kitchen", "my name is olivia", "transfer me to billing"],
)
def test_what_is_said_is_heard(engine: WhisperEngine, sentence: Callable[[str], Samples], text: str) -> None:
    (heard,) = engine.transcribe([at_16k(sentence(text))])
    assert heard.text == text
    assert heard.confidence > 0.7
    assert heard.language == "en"


def test_a_batch_of_several_lengths_is_what_each_is_alone(
    engine: WhisperEngine, sentence: Callable[[str], Samples]
) -> None:
    texts = ["hello", "what is seven plus five", "i would like a small pizza with cheese"]
    heard = engine.transcribe([at_16k(sentence(t)) for t in texts])
    assert [h.text for h in heard] == texts


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0, 31.0])
def test_silence_of_any_length_is_empty_text(engine: WhisperEngine, seconds: float) -> None:
    (heard,) = engine.transcribe([np.zeros(int(seconds * MODEL_RATE_HZ), np.int16)])
    assert heard.text == ""


def test_words_have_their_times(engine: WhisperEngine, sentence: Callable[[str], Samples]) -> None:
    one, two = (at_16k(sentence(t)) for t in ("hello", "turn on the light in the kitchen"))
    with_words = engine.transcribe([one, two, np.zeros(8000, np.int16)], words=True)
    assert [" ".join(w.text for w in h.words) for h in with_words] == ["hello", "turn on the light in the kitchen", ""]
    words = with_words[1].words
    loud = np.nonzero(np.abs(two.astype(int)) > 500)[0] / MODEL_RATE_HZ
    assert abs(words[0].start_s - loud[0]) < 0.1
    assert abs(words[-1].end_s - loud[-1]) < 0.1
    assert all(a.start_s < a.end_s <= b.start_s + 0.02 for a, b in itertools.pairwise(words))
    assert all(w.confidence > 0.5 for w in words)


def test_every_length_of_a_window_is_heard(engine: WhisperEngine, sentence: Callable[[str], Samples]) -> None:
    """Also the one in which the encoder gives as many frames as there are mels: 1.6 s with its margin."""
    spoken = at_16k(sentence("hello"))
    loud = np.nonzero(np.abs(spoken.astype(int)) > 300)[0]
    spoken = spoken[loud[0] - 1600 : loud[-1] + 800]
    lengths = [int(s * MODEL_RATE_HZ) for s in np.arange(1.3, 1.5, 0.01)]
    heard = [engine.transcribe([np.pad(spoken, (0, n - len(spoken)))])[0].text for n in lengths]
    assert heard == ["hello"] * len(lengths)


def test_sound_longer_than_a_window_is_heard_whole(sentence: Callable[[str], Samples]) -> None:
    engine = WhisperEngine.load(STARTER / "stt", window_s=4)
    texts = ["what is seven plus five", "turn on the light in the kitchen", "transfer me to billing", "what time is it"]
    (heard,) = engine.transcribe([np.concatenate([at_16k(sentence(t)) for t in texts])], words=True)
    assert heard.text == " ".join(texts)
    starts = [w.start_s for w in heard.words]
    assert starts == sorted(starts)
    assert len(heard.words) == len(heard.text.split())


def test_requests_of_one_step_that_differ_in_hotwords_keep_theirs(engine: WhisperEngine) -> None:
    raw = np.zeros(1600, np.int16).tobytes()
    for i, hotwords in enumerate(["", "olivia", "", "olivia"]):
        engine.submit(m.Transcribe(i, raw, hotwords=hotwords))
    steps = []
    while engine.busy:
        steps.append([r.id for r in engine.step() if isinstance(r, m.Transcript)])
    assert steps == [[0, 2], [1, 3]]


def test_final_transcripts_go_before_partials(engine: WhisperEngine) -> None:
    raw = np.zeros(1600, np.int16).tobytes()
    for i in range(10):
        engine.submit(m.Transcribe(i, raw, final=i >= 8))
    engine.cancel(0)
    order = []
    while engine.busy:
        order += [r.id for r in engine.step() if isinstance(r, m.Transcript)]
    assert order == [8, 9, 1, 2, 3, 4, 5, 6, 7]


def test_a_folder_without_a_model_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="no CTranslate2"):
        WhisperEngine.load(STARTER)


def test_a_classifier_hears_whether_a_turn_is_complete(sentence: Callable[[str], Samples]) -> None:
    """The one of the tests holds for complete what ends in silence."""
    engine = WhisperEngine.load(STARTER / "stt", turn=DATA / "turn.onnx")
    spoken = at_16k(sentence("what is seven plus five"))
    loud = spoken[: np.nonzero(np.abs(spoken.astype(int)) > 2000)[0][-1]]
    turns = [np.concatenate([loud, np.zeros(8000, np.int16)]), loud, np.tile(loud, 8), None]
    for i, turn in enumerate(turns):
        engine.submit(m.Transcribe(i, spoken.tobytes(), turn=b"" if turn is None else turn.tobytes()))
    told = [r.complete for r in engine.step() if isinstance(r, m.Transcript)]
    silent, ends_loud, long_and_loud, not_asked = told
    assert silent is not None
    assert ends_loud is not None
    assert long_and_loud is not None
    assert silent > 2 * max(ends_loud, long_and_loud)
    assert not_asked is None


def test_a_classifier_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="Smart Turn"):
        WhisperEngine.load(STARTER / "stt", turn=STARTER / "voice" / "starter-voice.onnx")
