"""The language of a call: detected once, kept, with a way back."""

from __future__ import annotations

from media_server.call.language import SpokenLanguage
from media_server.engines.messages import Transcript


def heard(
    spoken: SpokenLanguage, language: str, probability: float, length_s: float = 3, confidence: float = 0.8
) -> None:
    asked = spoken.hint
    given = Transcript(
        1, "some words", confidence, asked or language, language_probability=1.0 if asked else probability
    )
    spoken.heard(given, length_s, asked)


def test_a_sure_detection_is_kept() -> None:
    spoken = SpokenLanguage()
    assert spoken.hint is None
    heard(spoken, "it", 0.9)
    heard(spoken, "es", 0.9)
    assert spoken.hint == "it"


def test_a_short_sound_or_an_unsure_detection_settles_nothing() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "cy", 0.9, length_s=0.6)
    heard(spoken, "cy", 0.4)
    spoken.heard(Transcript(1, "", 1.0, "en"), 5, None)
    assert spoken.hint is None


def test_two_poor_utterances_in_a_row_ask_again() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.9)
    heard(spoken, "it", 0.9, confidence=0.3)
    heard(spoken, "it", 0.9)
    heard(spoken, "it", 0.9, confidence=0.3)
    assert spoken.hint == "it"
    heard(spoken, "it", 0.9, confidence=0.3)
    assert spoken.hint is None


def test_another_language_takes_over_where_it_is_surer_than_the_first_had_to_be() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.7)
    for _ in range(2):
        heard(spoken, "it", 0.9, confidence=0.3)
    heard(spoken, "es", 0.7)
    assert spoken.hint is None
    heard(spoken, "es", 0.9)
    assert spoken.hint == "es"


def test_the_kept_language_is_confirmed_by_a_detection_of_it() -> None:
    spoken = SpokenLanguage()
    heard(spoken, "it", 0.7)
    for _ in range(2):
        heard(spoken, "it", 0.9, confidence=0.3)
    heard(spoken, "it", 0.5)
    assert spoken.hint == "it"
