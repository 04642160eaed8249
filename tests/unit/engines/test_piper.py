from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_server.audio import CALL_RATE_HZ
from media_server.engines import messages as m
from media_server.engines.piper import PiperEngine, as_it_stands
from media_server.spoken.speakable import speakable
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


SENTENCE = "The office in the town hall is open from nine in the morning to six in the evening."
LONG = " ".join([SENTENCE] * 47)
"""As long as an announcement may be."""


def chunks_of(engine: PiperEngine, request: m.Synthesize) -> list[m.AudioChunk]:
    """What comes of a request by itself, one chunk a step at most."""
    engine.submit(request)
    out: list[m.AudioChunk] = []
    while engine.busy:
        results = list(engine.step())
        assert not any(isinstance(r, m.Failed) for r in results), results
        out += (chunks := [r for r in results if isinstance(r, m.AudioChunk)])
        assert len(chunks) <= 1
    return out


def seconds(chunk: m.AudioChunk) -> float:
    return len(chunk.samples) / 2 / CALL_RATE_HZ


@pytest.mark.parametrize(
    "text",
    [LONG, "a" * 3000, "word " * 800, "12345678901234567890 " * 20],
    ids=["announcement", "letters", "no mark", "digits"],
)
def test_a_step_is_one_piece_whatever_the_text(engine: PiperEngine, text: str) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands(text))))
    for _ in range(4):
        (chunk,) = engine.step()
        assert isinstance(chunk, m.AudioChunk)
        assert 0 < seconds(chunk) < 25
    engine.cancel(1)
    assert not engine.busy


def test_a_long_text_is_said_to_its_end(engine: PiperEngine) -> None:
    text = f"{SENTENCE} {'a' * 150} {'word ' * 30}. {SENTENCE}"
    made = chunks_of(engine, m.Synthesize(1, tuple(as_it_stands(text))))
    assert [w.text for c in made for w in c.words] == text.split()


def test_another_listener_waits_for_one_piece_only(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands(LONG))))
    list(engine.step())
    engine.submit(m.Synthesize(2, tuple(as_it_stands("Yes, it is."))))
    assert {r.id for r in engine.step()} == {2}
    engine.cancel(1)
    engine.cancel(2)
    assert not engine.busy


def test_a_second_clause_is_made_before_what_another_needs_later(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands(LONG))))
    for _ in range(4):
        list(engine.step())
    engine.submit(m.Synthesize(2, tuple(as_it_stands("And this is what comes next.")), ahead_s=1.5))
    assert {r.id for r in engine.step()} == {2}
    engine.cancel(1)


def test_who_is_about_to_be_without_sound_goes_before_who_has_some(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands(LONG)), ahead_s=1.0))
    engine.submit(m.Synthesize(2, tuple(as_it_stands(LONG)), ahead_s=1.2))
    served = [next(iter(engine.step())).id for _ in range(6)]
    engine.cancel(1)
    engine.cancel(2)
    assert served[:2] == [1, 2]
    assert set(served[2:]) == {1, 2}


@pytest.fixture
def slow() -> PiperEngine:
    """A voice that believes itself to be slow."""
    engine = PiperEngine.load(VOICE)
    pace = engine._voices[""].pace
    pace.measure = lambda *args: None  # type: ignore[method-assign]
    pace._phoneme_s = 0.02
    return engine


UNBROKEN = "Sorry did you mean the swimming class that is held on Monday evening or the one which we have on Thursday"


def test_a_slow_voice_begins_a_long_clause_with_a_few_words(slow: PiperEngine) -> None:
    made = chunks_of(slow, m.Synthesize(1, tuple(as_it_stands(UNBROKEN))))
    assert len(made) > 3
    assert 1 <= len(made[0].words) <= 4
    assert " ".join(w.text for c in made for w in c.words) == UNBROKEN
    for chunk in made:
        assert all(0 <= w.start_s <= w.end_s <= seconds(chunk) + 0.01 for w in chunk.words)


def test_a_cut_sentence_is_hardly_longer_than_a_whole_one(engine: PiperEngine, slow: PiperEngine) -> None:
    cut = sum(map(seconds, chunks_of(slow, m.Synthesize(1, tuple(as_it_stands(UNBROKEN))))))
    whole = sum(len(s) for s, _ in engine.synthesize(as_it_stands(UNBROKEN))) / CALL_RATE_HZ
    assert cut < 1.35 * whole


def run_in_thread(engine: PiperEngine, message: m.Cancel | m.Synthesize) -> list[m.Result]:
    """The results of a step during which a message comes."""
    results: list[m.Result] = []
    thread = threading.Thread(target=lambda: results.extend(engine.step()))
    thread.start()
    while engine._run is None and thread.is_alive():
        time.sleep(0.001)
    engine.notice(message)
    thread.join()
    return results


def test_what_nobody_wants_any_more_is_not_made_to_its_end(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands("word " * 400)), live=False))
    assert run_in_thread(engine, m.Cancel(1)) == []
    engine.cancel(1)
    assert not engine.busy


def test_what_can_wait_is_begun_again_after_what_cannot(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands("word " * 100)), ahead_s=30))
    urgent = m.Synthesize(2, tuple(as_it_stands("Yes.")))
    assert run_in_thread(engine, urgent) == []
    engine.submit(urgent)
    assert finished(engine) == [2, 1]


def test_what_cannot_wait_is_made_to_its_end(engine: PiperEngine) -> None:
    engine.submit(m.Synthesize(1, tuple(as_it_stands("word " * 400))))
    (chunk,) = run_in_thread(engine, m.Synthesize(2, tuple(as_it_stands("Yes."))))
    assert isinstance(chunk, m.AudioChunk)
    engine.cancel(1)


HOSTILE = {
    "control": "x\0y \x1b[31mred\x07",
    "surrogate": "x\ud800y.",
    "separators": "a\u2028b\u2029c\ufeffd\u202ee\u202c",
    "emoji": "😀👍🏽🎉 👨‍👩‍👧",
    "marks": "e" + "\u0301" * 400,
    "brackets": "a [[b]] c [[[ d ]",
    "scripts": "Привет. 你好世界。 こんにちは مرحبا שלום नमस्ते สวัสดี 안녕하세요 Γειά",
    "punctuation": "!!! ... ??? --- ,,, ;;; ( ) « »",
    "full stops": "a." * 100,
    "nothing": "",
    "private": "\ue000\U0010ffff\ufdd0",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_is_too_much_for_the_voice(engine: PiperEngine, text: str) -> None:
    made = chunks_of(engine, m.Synthesize(1, tuple(as_it_stands(text))))
    reported = [w.text for c in made for w in c.words]
    assert reported in ([], text.split())


@given(st.text(max_size=120))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_written_word_is_reported_once(engine: PiperEngine, text: str) -> None:
    words = speakable(text)
    made = chunks_of(engine, m.Synthesize(1, words))
    assert [w.text for c in made for w in c.words] in ([], [written for written, _ in words])
    for chunk in made:
        times = [t for w in chunk.words for t in (w.start_s, w.end_s)]
        assert times == sorted(times)


def test_a_text_that_cannot_be_said_fails_alone(engine: PiperEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    file = engine._voices[""].file
    speak = file.speak

    def speak_or_fail(phonemes: Any, *args: Any) -> Any:
        if "z" in phonemes:
            raise RuntimeError("no")
        return speak(phonemes, *args)

    monkeypatch.setattr(file, "speak", speak_or_fail)
    engine.submit(m.Synthesize(1, tuple(as_it_stands("Zoo."))))
    engine.submit(m.Synthesize(2, tuple(as_it_stands("Two."))))
    failed = [r for r in engine.step() if isinstance(r, m.Failed)]
    assert [(f.id, f.code) for f in failed] == [(1, "voice_failed")]
    assert finished(engine) == [2]
