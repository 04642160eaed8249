from __future__ import annotations

import datetime
import json
import math
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.jsonable import MAX_CHARACTERS, MAX_ITEMS, MAX_VALUES, jsonable, require_bounded, sound


def test_what_json_cannot_hold_is_stood_for() -> None:
    numbers = {"a": [math.nan, (1.5, -math.inf)], math.inf: 1}
    assert jsonable(numbers) == {"a": [None, [1.5, None]], "inf": 1}
    others = {"s": "\ud800x😀", "day": datetime.date(2026, 1, 2), "o": ValueError("x"), "m": MappingProxyType({"a": 1})}
    assert jsonable(others) == {"s": "?x😀", "day": "2026-01-02", "o": "x", "m": {"a": 1}}


def test_a_number_of_any_size_is_one_that_others_can_read() -> None:
    values = [10**5000, -(10**400), 10**300, np.float32(1.5), np.int64(3), np.float64("nan"), True]
    assert jsonable({"a": values}) == {"a": [None, None, 10**300, 1.5, 3, None, True]}


def test_bytes_are_text_and_those_that_are_none_are_stood_for() -> None:
    assert jsonable({b"a": [b"\xc3\xa9", b"\xff\xd8", {b"\xff": 1, 2: "x"}]}) == {"a": ["é", "��", {"�": 1, "2": "x"}]}


def test_halves_of_surrogate_pairs_are_joined_where_both_are_there() -> None:
    assert jsonable({"\udcff": ["\ud83d\ude00", "\ud83d"]}) == {"?": ["😀", "?"]}
    assert sound("é\ud83d\ude00\ud83d") == "é😀?"


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))


@given(st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_it_is_any_wire_can_carry_it(value: Any) -> None:
    text = json.dumps(jsonable(value), allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == jsonable(value)


def test_of_an_iterator_some_is_taken() -> None:
    assert jsonable(i for i in range(3)) == [0, 1, 2]
    assert len(jsonable(iter(int, 1))) == MAX_ITEMS


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    "value",
    [
        range(MAX_VALUES),
        [[1] * 10] * 3000,
        {str(i): i for i in range(MAX_VALUES + 1)},
        {"a": {"b": (set(range(MAX_VALUES)), 1)}},
        "x" * (MAX_CHARACTERS + 1),
        {"x" * (MAX_CHARACTERS + 1): 1},
        ["x" * MAX_CHARACTERS, "y"],
        _circle(),
    ],
    ids=["list", "lists", "dict", "set", "text", "key", "texts", "circle"],
)
def test_what_is_too_large_is_refused_before_it_is_written(value: Any) -> None:
    value = [*value, 1] if isinstance(value, range) else value
    with pytest.raises(ValueError, match="more than 20,000 values or 1,000,000 characters"):
        jsonable(value, strict=True)


def test_what_is_large_and_not_too_large_is_taken() -> None:
    require_bounded([[1] * 9] * 1900)
    require_bounded("x" * MAX_CHARACTERS)
