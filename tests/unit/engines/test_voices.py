"""Voice files of all kinds, made from the starter voice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ
from media_server.engines.durations import _field, _fields, with_durations
from media_server.engines.piper import PiperEngine, as_it_stands
from media_server.engines.voices import LOUDEST, Style, VoiceFile
from tests.conftest import STARTER
from tests.real_models import MODELS

VOICE = STARTER / "voice" / "starter-voice.onnx"
TEXT = as_it_stands("Seven plus five is twelve.")
Made = Callable[..., Path]


def changed(model: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A model with another graph."""
    ((_, at, start, end),) = [f for f in _fields(model, 0, len(model)) if f[0] == 7]
    return model[:at] + _field(7, change(model[start:end])) + model[end:]


def with_speakers(graph: bytes) -> bytes:
    """A graph with an input `sid`, which it does not use."""
    shape = _field(2, _field(1, b"\x08\x01"))
    return graph + _field(11, _field(1, b"sid") + _field(2, _field(1, b"\x08\x07" + shape)))


def without_durations(graph: bytes) -> bytes:
    """A graph whose only output is sound."""
    outputs = [(at, end) for number, at, _, end in _fields(graph, 0, len(graph)) if number == 12]
    at, end = outputs[1]
    return graph[:at] + graph[end:]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A voice's path: the starter voice with changes to its JSON, and to its graph."""

    def made(change: Callable[[bytes], bytes] | None = None, **description: Any) -> Path:
        model = VOICE.read_bytes()
        (tmp_path / "other.onnx").write_bytes(changed(model, change) if change else model)
        read = json.loads(Path(f"{VOICE}.json").read_text()) | description
        (tmp_path / "other.onnx.json").write_text(json.dumps({k: v for k, v in read.items() if v is not None}))
        return tmp_path / "other.onnx"

    return made


def length_s(engine: PiperEngine, **options: Any) -> float:
    return sum(len(samples) for samples, _ in engine.synthesize(TEXT, **options)) / CALL_RATE_HZ


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_voices_of_all_rates(made: Made, rate_hz: int) -> None:
    engine = PiperEngine.load(made(audio={"sample_rate": rate_hz}))
    assert f"{rate_hz} Hz" in engine.info
    ((samples, words),) = engine.synthesize(TEXT)
    usual = length_s(PiperEngine.load(VOICE))
    assert len(samples) / CALL_RATE_HZ == pytest.approx(usual * 16_000 / rate_hz, rel=0.15)
    assert words[-1].end_s <= len(samples) / CALL_RATE_HZ + 0.01
    assert words[-1].end_s > 0.8 * len(samples) / CALL_RATE_HZ


NAMES = {"num_speakers": 3, "speaker_id_map": {"anna": 0, "ben": 2}}


@pytest.mark.parametrize(("speaker", "number"), [(None, None), (0, 0), (2, 2), ("ben", 2), ("1", 1)])
def test_speakers_by_number_and_by_name(made: Made, speaker: int | str | None, number: int | None) -> None:
    engine = PiperEngine.load(made(with_speakers, **NAMES), speaker=speaker)
    assert engine._voices[""].style.speaker == number
    assert length_s(engine) > 0.5


@pytest.mark.parametrize("speaker", [3, "carla", "-1", "3"])
def test_a_speaker_that_there_is_not_is_told_when_it_is_loaded(made: Made, speaker: int | str) -> None:
    with pytest.raises(ValueError, match=r"other.onnx has no speaker .*3 speakers, numbered 0 to 2.*anna, ben"):
        PiperEngine.load(made(with_speakers, **NAMES), speaker=speaker)


def test_a_file_with_one_speaker_has_no_second(made: Made) -> None:
    assert PiperEngine.load(made(), speaker=0).info
    with pytest.raises(ValueError, match=r"no speaker 3: it has 1 speaker, number 0"):
        PiperEngine.load(VOICE, speaker=3)
    with pytest.raises(ValueError, match="no speaker 1"):
        PiperEngine.load(VOICE, voices={"other": {"path": str(VOICE), "speaker": 1}})


def test_a_model_that_takes_no_speaker_has_none(made: Made) -> None:
    with pytest.raises(ValueError, match="the model takes none"):
        PiperEngine.load(made(num_speakers=2))


def test_a_model_with_a_single_speaker_may_want_its_number(made: Made) -> None:
    assert length_s(PiperEngine.load(made(with_speakers))) > 0.5


@pytest.mark.parametrize("kind", ["pinyin", "japanese", "klingon", 3])
def test_phonemes_of_other_kinds_are_refused(made: Made, kind: object) -> None:
    with pytest.raises(ValueError, match=r"other.onnx needs phonemes of the type .*espeak and text"):
        PiperEngine.load(made(phoneme_type=kind))


def test_a_voice_that_reads_letters(made: Made) -> None:
    engine = PiperEngine.load(made(phoneme_type="text", espeak=None))
    parts = list(engine.synthesize(as_it_stands("hello there. this is 42 ☃ it")))
    assert [[w.text for w in words] for _, words in parts] == [["hello", "there."], ["this", "is", "42", "☃", "it"]]


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ({"espeak": {"voice": "xx-nobody"}}, 'other.onnx.json has "xx-nobody" as espeak.voice, which is no language'),
        ({"espeak": {"voice": "en_US"}}, '"en-us" may be meant'),
        ({"espeak": {"voice": 5}}, "espeak.voice is 5, and no language"),
        ({"espeak": None}, "espeak.voice is missing"),
        ({"espeak": {}}, "espeak.voice is missing"),
        ({"audio": {"sample_rate": 0}}, "audio.sample_rate is 0, and no sample rate between"),
        ({"audio": {"sample_rate": "22050"}}, "audio.sample_rate is '22050', and no"),
        ({"audio": {"sample_rate": 22050.5}}, "audio.sample_rate is 22050.5, and no"),
        ({"audio": {}}, "audio.sample_rate is missing"),
        ({"audio": None}, "audio.sample_rate is missing"),
        ({"phoneme_id_map": {"a": [1]}}, r"phoneme_id_map has no '\^', with which"),
        ({"phoneme_id_map": None}, "phoneme_id_map is missing"),
        ({"phoneme_id_map": {"^": [1], "$": [2], "a": "x"}}, "phoneme_id_map has 'x' for 'a'"),
        ({"num_speakers": None}, "num_speakers is missing"),
        ({"num_speakers": "2"}, "num_speakers is '2', and no number"),
        ({"num_speakers": -1}, "num_speakers is -1, and no number"),
        ({"inference": {"length_scale": 0}}, "inference.length_scale is 0, and no number from 0.05"),
        ({"inference": {"noise_scale": "much"}}, "inference.noise_scale is 'much'"),
        ({"speaker_id_map": ["anna"]}, "speaker_id_map does not give numbers"),
        ({"phoneme_type": ["espeak"]}, "needs phonemes of the type"),
    ],
)
def test_a_wrong_description_is_told(made: Made, description: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PiperEngine.load(made(**description))


@pytest.mark.parametrize(
    "description",
    [
        {"num_speakers": 0},
        {"num_symbols": None},
        {"inference": None},
        {"inference": {"length_scale": None}},
        {"speaker_id_map": None},
    ],
)
def test_what_a_description_need_not_say_may_be_missing(made: Made, description: dict[str, Any]) -> None:
    assert length_s(PiperEngine.load(made(**description))) > 0.5


@pytest.mark.parametrize(
    ("model", "problem"),
    [(None, "other.onnx, which other.onnx.json describes, cannot be read"), (b"", "as ONNX"), (b"junk", "as ONNX")],
)
def test_a_model_that_cannot_be_read_is_told(made: Made, model: bytes | None, problem: str) -> None:
    path = made()
    path.unlink()
    if model is not None:
        path.write_bytes(model)
    with pytest.raises(ValueError, match=problem):
        PiperEngine.load(path)


@pytest.mark.parametrize("content", [None, "not JSON", "[]"])
def test_a_description_that_cannot_be_read_is_told(made: Made, content: str | None) -> None:
    path = made()
    beside = Path(f"{path}.json")
    if content is None:
        beside.unlink()
    else:
        beside.write_text(content)
    with pytest.raises(ValueError, match=r"other\.onnx"):
        PiperEngine.load(path)


def test_length_is_the_packs_times_the_files(made: Made) -> None:
    usual = length_s(PiperEngine.load(VOICE))
    slow_file = made(inference={"noise_scale": 0.667, "length_scale": 1.3, "noise_w": 0.8})
    assert length_s(PiperEngine.load(slow_file)) / usual == pytest.approx(1.3, rel=0.12)
    assert length_s(PiperEngine.load(slow_file, 1.3)) / usual == pytest.approx(1.69, rel=0.12)


class Session:
    """Notes what a model is given, and gives what it should."""

    def __init__(self, given: np.ndarray[Any, Any]) -> None:
        self.given = given
        self.scales: list[float] = []

    def run(self, _: None, inputs: dict[str, np.ndarray[Any, Any]], __: object) -> list[np.ndarray[Any, Any]]:
        self.scales = [round(float(x), 3) for x in inputs["scales"]]
        return [self.given]


@pytest.mark.parametrize(
    ("style", "speed", "scales"),
    [
        (Style(), 1.0, [0.5, 1.2, 0.6]),
        (Style(noise_scale=0.1, noise_w=0.0), 1.0, [0.1, 1.2, 0.0]),
        (Style(length_scale=1.5), 2.0, [0.5, 0.9, 0.6]),
    ],
)
def test_what_varies_is_the_packs_where_it_says_so_else_the_files(
    made: Made, style: Style, speed: float, scales: list[float]
) -> None:
    file = VoiceFile(str(made(inference={"noise_scale": 0.5, "length_scale": 1.2, "noise_w": 0.6})), 1, "cpu")
    file.piper.session = session = Session(np.zeros((1, 1, 1, 1000), np.float32))
    file.speak(["a", "b"], style, speed)
    assert session.scales == scales


def test_a_voice_that_is_too_loud_is_made_quieter_and_not_clipped(made: Made) -> None:
    file = VoiceFile(str(made()), 1, "cpu")
    wave = np.sin(np.arange(16_000) / 20)
    for loudness in (0.5, 1.0, 3.0):
        file.piper.session = Session((loudness * wave).astype(np.float32))
        samples = file.speak(["a"], Style(), 1.0).samples / 32767
        assert np.allclose(samples, wave * min(loudness, LOUDEST), atol=0.002)
    broken = np.array([np.nan, np.inf, 0.5], np.float32)
    file.piper.session = Session(broken)
    assert file.speak(["a"], Style(), 1.0).samples.tolist() == [0, 0, 16383]


def test_without_durations_words_lie_between_the_silences(made: Made) -> None:
    path = made(without_durations)
    assert with_durations(path.read_bytes()) is None, "this voice rounds nothing"
    exact = next(iter(PiperEngine.load(VOICE).synthesize(TEXT)))[1]
    guessed = next(iter(PiperEngine.load(path).synthesize(TEXT)))[1]
    assert [w.text for w in guessed] == [w.text for w in exact]
    assert np.mean([abs(a.start_s - b.start_s) for a, b in zip(exact, guessed, strict=True)]) < 0.2


@pytest.mark.real
def test_a_real_voice_tells_where_its_words_are(real_pack: str) -> None:
    (path,) = (MODELS / real_pack / "voice").glob("*.onnx")
    engine = PiperEngine.load(path)
    assert len(engine._voices[""].file.piper.session.get_outputs()) == 2
    ((samples, words),) = engine.synthesize(as_it_stands("Seven, and that is all, plus five is twelve."))
    loud = np.abs(samples.astype(np.int32)) > 0.05 * np.abs(samples.astype(np.int32)).max()
    for before, after in ((words[0], words[1]), (words[4], words[5])):
        pause = loud[int(before.end_s * CALL_RATE_HZ) : int(after.start_s * CALL_RATE_HZ)]
        assert len(pause) > 0.02 * CALL_RATE_HZ, "there is a pause after a comma"
        assert pause.mean() < 0.35, "and it is told where it is"
    inside = np.concatenate([loud[int(w.start_s * CALL_RATE_HZ) : int(w.end_s * CALL_RATE_HZ)] for w in words])
    assert inside.mean() > 0.35
    assert np.abs(samples).max() < 32767
