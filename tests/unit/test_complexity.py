"""How many values a text of JSON has at most, counted before it is parsed."""

from __future__ import annotations

import pytest

from media_server.complexity import MAX_VALUES, PIECE, values_in


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", 0),
        ('{"a": [1, 2, {"b": 3}]}', 5),
        ("[" * MAX_VALUES, MAX_VALUES),
        ("x" * PIECE + "," + "x" * PIECE + "[", 2),
        ("x" * (PIECE - 1) + ",[{" + "x" * PIECE, 3),
    ],
)
def test_each_comma_and_bracket_counts_once_wherever_it_stands(text: str, values: int) -> None:
    assert values_in(text) == values_in(text.encode()) == values


@pytest.mark.parametrize("text", ["[" * 14_000_000, b"{" * 14_000_000], ids=["text", "bytes"])
def test_counting_ends_soon_after_there_are_too_many(text: str | bytes) -> None:
    assert MAX_VALUES < values_in(text) <= MAX_VALUES + 3 * PIECE
