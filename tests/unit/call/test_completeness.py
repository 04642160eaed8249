from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.agents import PRESETS, Agent, TurnTaking
from media_server.call.completeness import completeness, pause_ms, told_by_words

AT = 0.3


@pytest.mark.parametrize(
    ("text", "probability", "low", "high"),
    [
        ("turn on the light in the kitchen", 0.6, 0.95, 1.0),
        ("turn on the light in the", 0.01, 0.0, 0.01),
        ("i would like to um", 0.9, 0.0, 0.0),
        ("I would like to, uh", 0.9, 0.0, 0.0),
        ("two pizzas,", 0.9, 0.0, 0.0),
        ("well ...", 0.9, 0.0, 0.0),
        ("where is my order four two seven", 0.6, 0.2, 0.3),
        ("meine Nummer ist vier zwo sieben", 0.6, 0.2, 0.3),
        ("Where is my order 427?", 0.6, 0.95, 1.0),
        ("4 2 7", 0.6, 0.2, 0.3),
        ("where is my order four two seven nine one", 0.99, 0.95, 1.0),
        ("what is seven plus five", 0.6, 0.95, 1.0),
        ("twenty five", 0.6, 0.95, 1.0),
        ("yes.", 0.9, 0.95, 1.0),
    ],
)
def test_how_complete_a_turn_seems(text: str, probability: float, low: float, high: float) -> None:
    assert low <= completeness(text, probability, AT) <= high


def test_two_opinions_are_joined_and_a_filler_outdoes_both() -> None:
    text, sure, unsure = "what is seven plus five", 0.9, 0.01
    alone = completeness(text, sure, AT)
    assert completeness(text, sure, AT, by_sound=0.9) > 0.9
    assert 0.3 < completeness(text, sure, AT, by_sound=0.02) < 0.7 < alone
    assert 0.3 < completeness(text, unsure, AT, by_sound=0.98) < 0.7
    assert completeness("i would like to um", sure, AT, by_sound=1.0) == 0.0


@pytest.mark.parametrize(
    ("text", "numbers", "low", "high"),
    [
        ("where is my order four two seven", [r"\d{3}"], 1.0, 1.0),
        ("where is my order four two seven", [r"^\d{5}$"], 0.0, 0.0),
        ("where is my order four two seven nine one", [r"^\d{5}$"], 1.0, 1.0),
        ("where is my order", [r"\d{3}"], 0.95, 1.0),
        ("i take the small one", [r"\d{5}"], 0.95, 1.0),
    ],
)
def test_a_number_of_a_known_form_is_whole_or_not(text: str, numbers: list[str], low: float, high: float) -> None:
    assert low <= completeness(text, 0.6, AT, numbers=numbers) <= high


def test_how_a_number_sounds_tells_whether_it_is_over() -> None:
    text = "where is my order four two seven"
    assert completeness(text, 0.6, AT, by_sound=0.98) > 0.9
    assert completeness(text, 0.6, AT, by_sound=0.02) < 0.15
    # the words cannot tell, whatever a model says of them
    assert completeness(text, 0.01, AT, by_sound=0.98) > 0.85


@pytest.mark.parametrize(
    ("known", "low", "high"),
    [
        ({"427"}, 1.0, 1.0),
        ({"427", "42791"}, 0.2, 0.3),
        ({"42791"}, 0.2, 0.3),
        (set(), 0.2, 0.3),
    ],
)
def test_a_number_that_was_told_before_is_whole(known: set[str], low: float, high: float) -> None:
    assert low <= completeness("where is my order four two seven", 0.6, AT, known=known) <= high


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0.01, 0.99), st.integers(100, 5000), st.integers(0, 5000))
def test_a_pause_is_between_its_bounds_for_any_text(
    text: str, probability: float, at: float, shortest: int, more: int
) -> None:
    taking = TurnTaking(shortest, shortest + more)
    assert shortest <= pause_ms(taking, completeness(text, probability, at)) <= shortest + more + 1e-6


def test_presets_differ_in_patience_and_settings_go_before_them() -> None:
    fast, balanced, patient = (PRESETS[p] for p in ("fast", "balanced", "patient"))
    assert fast.min_pause_ms < balanced.min_pause_ms < patient.min_pause_ms
    assert fast.max_pause_ms < balanced.max_pause_ms < patient.max_pause_ms
    assert Agent("a", turns="patient").turn_taking == patient
    assert Agent("a", turns="fast", max_pause_ms=700).turn_taking == TurnTaking(fast.min_pause_ms, 700)
    assert Agent("a", min_pause_ms=4000).turn_taking == TurnTaking(4000, 4000)
    assert Agent("a", completeness=False).turn_taking.completeness is False


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("where is my order four two seven", 1.0),
        ("where is my order four two", 0.0),
        ("i would like to um", 0.0),
        ("turn on the light", None),
        ("", None),
    ],
)
def test_no_model_is_asked_where_the_words_tell(text: str, told: float | None) -> None:
    assert told_by_words(text, [r"\d{3}"]) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *((f"{said} {filler}", 0.0) for said, filler in (
            ("i would like to", "uhm"), ("my number is", "umm"), ("and then", "ahm"), ("i think", "mmm"),
            ("ich möchte", "öh"), ("meine Nummer ist", "öhm"), ("ich hätte gern", "ähh"), ("quiero", "pues"),
            ("quiero", "ehh"), ("je voudrais", "euhh"), ("vorrei", "ehm"), ("eu queria", "hã"), ("eu queria", "ééé"),
            ("ik wil", "eh"), ("ben", "şey"), ("istiyorum", "ııı"), ("istiyorum", "eee"),
        )),
        ("my name is ben", None), ("başka bir şey", None), ("her şey", None), ("ten mm", None),
        ("i went to the", None), ("my drum", None), ("the other", None),
    ],
)  # fmt: skip
def test_who_holds_the_floor_with_a_sound_has_not_ended(text: str, told: float | None) -> None:
    assert told_by_words(text) == told


@pytest.mark.parametrize(
    ("text", "language", "told"),
    [
        ("o número é quatro dois um", "pt", 1.0), ("o número é quatro um", "pt", 0.0), ("eu quero um", "pt", None),
        ("the number is four two um", "en", 0.0), ("i would like to um", "", 0.0), ("eu queria hum", "pt", 0.0),
    ],
)  # fmt: skip
def test_one_in_portuguese_is_no_hesitation(text: str, language: str, told: float | None) -> None:
    assert told_by_words(text, [r"\d{3}"], language=language) == told
