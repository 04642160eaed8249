from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.call.clauses import ClauseCutter, clauses_of


def cut(text: str, size: int = 3) -> list[str]:
    cutter = ClauseCutter()
    clauses: list[str] = []
    for i in range(0, len(text), size):
        clauses += cutter.push(text[i : i + size])
    return clauses + cutter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello! How can I help you?", ["Hello!", "How can I help you?"]),
        ("Seven plus five is twelve.", ["Seven plus five is twelve."]),
        ("Okay, the light is on.", ["Okay, the light is on."]),
        ("Of course, I am connecting you to sales.", ["Of course,", "I am connecting you to sales."]),
        ("It costs 3.50, or 1,000 for all.", ["It costs 3.50,", "or 1,000 for all."]),
        ("One\nTwo", ["One", "Two"]),
        ("Wait... what?! Yes.", ["Wait...", "what?!", "Yes."]),
        ("   ", []),
        ("", []),
        ("no end", ["no end"]),
    ],
)
def test_text_is_cut_where_one_would_breathe(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_later_clauses_are_longer_than_the_first() -> None:
    text = "I can do sums, switch lights, set timers, take an order, and connect you to sales, support or billing."
    first, second, *_ = cut(text)
    assert first == "I can do sums,"
    assert len(second) > 40


def test_a_sentence_is_given_as_soon_as_the_next_begins() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Hello there.") == []
    assert cutter.push(" ") == ["Hello there."]


def test_text_without_any_end_is_cut_all_the_same() -> None:
    clauses = cut("word " * 200)
    assert max(map(len, clauses)) <= 200
    assert sum(c.count("word") for c in clauses) == 200


def test_an_end_far_away_is_not_waited_for() -> None:
    cutter = ClauseCutter()
    at_once = cutter.push("word " * 200 + "end. ")
    assert max(map(len, at_once)) <= 2 * 200
    assert " ".join(at_once) == ("word " * 200 + "end.")


@given(st.text(alphabet="ab ,.!?\n;:3", max_size=500), st.integers(1, 20))
def test_nothing_is_lost_whatever_the_pieces(text: str, size: int) -> None:
    assert "".join("".join(cut(text, size)).split()) == "".join(text.split())


@given(st.text(alphabet="ab ,.!?\n", max_size=300))
def test_the_pieces_do_not_change_the_clauses(text: str) -> None:
    assert cut(text, 1) == cut(text, 7)


def test_an_abbreviation_ends_no_sentence() -> None:
    cutter = ClauseCutter()
    assert cutter.push("Dr. Smith vs. Mr. Jones won. Then") == ["Dr. Smith vs. Mr. Jones won."]
    assert ClauseCutter().push("1. First one. 2") == ["1. First one."]


@pytest.mark.parametrize(
    ("text", "hurried"),
    [
        ("Sorry did", []),
        ("Sorry did you mean", ["Sorry did you"]),
        ("Sorry did you mean the swi", ["Sorry did you mean"]),
        ("the class with the ", ["the class with"]),
        ("これはとても長い", ["これはとても長"]),
    ],
)
def test_what_there_is_up_to_a_words_end(text: str, hurried: list[str]) -> None:
    cutter = ClauseCutter()
    assert cutter.push(text) == []
    assert cutter.hurry() == hurried
    assert "".join("".join(hurried + cutter.flush()).split()) == "".join(text.split())


def test_text_without_a_mark_is_cut_before_a_phrase() -> None:
    text = "the swimming class is held every Monday evening " * 3 + "because " + "nobody has any time this week " * 3
    assert clauses_of(text)[1].startswith("because")


@given(st.text(alphabet="ab ,.!?\n;:3", max_size=500))
def test_a_clause_is_not_cut_again(text: str) -> None:
    clauses = cut(text, 1)
    assert [c for i, clause in enumerate(clauses) for c in clauses_of(clause, first=i == 0)] == clauses
