"""The language of a call: detected, kept, with a way back."""

from __future__ import annotations

from media_server.call.language import SpokenLanguage
from media_server.engines.messages import Transcript


def heard(
    spoken: SpokenLanguage, language: str, probability: float, length_s: float = 3, confidence: float = 0.8
) -> None:
    hint = spoken.hint(length_s)
    transcript = Transcript(1, "some words", confidence, hint or language, language_probability=probability)
    spoken.heard(transcript, length_s, hint)


def test_a_sure_detection_is_kept() -> None:
    spoken = SpokenLanguage()
    assert spoken.hint(3) is None
    heard(spoken, "it", 0.99)
    heard(spoken, "es", 0.99)
    assert spoken.hint(3) == "it"


def test_a_likely_one_is_kept_when_it_comes_twice() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "pt", 0.89)
    heard(spoken, "es", 0.9)
    assert spoken.hint(3) is None
    heard(spoken, "es", 0.7)
    assert spoken.hint(3) == "es"


def test_a_short_sound_or_an_unsure_detection_settles_nothing() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "cy", 0.99, length_s=0.6)
    heard(spoken, "cy", 0.4)
    spoken.heard(Transcript(1, "", 1.0, "en"), 5, None)
    assert spoken.hint(3) is None
    assert spoken.hint(0.5) is None


def test_a_short_sound_is_of_the_language_that_is_likely_so_far() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.8)
    assert spoken.hint(0.5) == "it"
    assert spoken.hint(3) is None


def test_two_poor_utterances_in_a_row_ask_again() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.99)
    heard(spoken, "it", 0.9, confidence=0.3)
    heard(spoken, "it", 0.9)
    heard(spoken, "it", 0.9, confidence=0.3)
    assert spoken.hint(3) == "it"
    heard(spoken, "it", 0.9, confidence=0.3)
    assert spoken.hint(3) is None
    assert spoken.hint(0.5) == "it"


def test_another_language_takes_over_where_it_is_sure() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.99)
    for _ in range(2):
        heard(spoken, "it", 0.9, confidence=0.3)
    heard(spoken, "es", 0.7)
    assert spoken.hint(3) is None
    heard(spoken, "es", 0.9)
    assert spoken.hint(3) == "es"


def test_the_kept_language_is_confirmed_by_any_detection_of_it() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.99)
    for _ in range(2):
        heard(spoken, "it", 0.9, confidence=0.3)
    heard(spoken, "it", 0.5)
    assert spoken.hint(3) == "it"
