"""Words are stable once two transcripts in a row agree on them."""

from __future__ import annotations

from media_server.call.agreement import Agreement


def test_what_two_in_a_row_have_in_common_is_stable() -> None:
    agreement = Agreement()
    said = [
        "what",
        "what is seven",
        "what is seven plus",
        "what is eleven plus five",
        "what is eleven plus five please",
    ]
    assert [agreement.push(s.split()) for s in said] == [0, 1, 3, 2, 5]


def test_marks_and_capitals_do_not_count() -> None:
    agreement = Agreement(["Hello.", "How"])
    assert agreement.push(["hello,", "how", "are"]) == 2


def test_nothing_is_stable_in_nothing() -> None:
    agreement = Agreement()
    assert agreement.push([]) == 0
    assert agreement.push(["yes"]) == 0
