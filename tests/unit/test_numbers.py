"""Numbers that callers read out: whole, begun, or neither."""

from __future__ import annotations

import time

import pytest

from media_server.agents import Agent
from media_server.agents.numbers import number_patterns, spoken_digits, whole


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("where is my order four two seven", "427"),
        ("Where is my order 4 2 7?", "427"),
        ("my number is 42-79, one", "42791"),
        ("double four seven oh", "4470"),
        ("vier zwo sieben", "427"),
        ("cuatro dos siete", "427"),
        ("dört iki yedi", "427"),
        ("the small one", "1"),
        ("four pizzas", ""),
        ("", ""),
        ("²³", ""),
    ],
)
def test_digits_that_are_read_out(text: str, digits: str) -> None:
    assert spoken_digits(text) == digits


@pytest.mark.parametrize(
    ("digits", "patterns", "told"),
    [
        ("427", [r"\d{3}"], "whole"),
        ("427", [r"^\d{3}$"], "whole"),
        ("427", [r"\d{5}"], "begun"),
        ("427", [r"\d{3}", r"\d{5}"], None),
        ("427", [r"\d{3,5}"], None),
        ("42791", [r"\d{3,5}"], "whole"),
        ("427", [r"9\d{4}"], None),
        ("927", [r"9\d{4}"], "begun"),
        ("1", [r"\d{5}"], None),
        ("427", [], None),
    ],
)
def test_whether_a_number_is_whole(digits: str, patterns: list[str], told: str | None) -> None:
    assert whole(digits, patterns) == told


def test_patterns_of_tools_parameters_are_taken_where_numbers_match_them() -> None:
    schema = {
        "properties": {
            "order_id": {"type": "string", "pattern": r"^\d{5}$"},
            "city": {"type": "string", "pattern": "^[A-Z]+$"},
            "odd": {"pattern": "("},
            "slow": {"pattern": r"(\d+)+x?"},
            "other": True,
        }
    }
    assert list(number_patterns([schema, {}, {"properties": None}])) == [r"^\d{5}$"]


@pytest.mark.parametrize("pattern", ["(", "[a-z]+", r"(\d*)*", r"\d{50}", r"\d+\d+\d+\d+\d+", "1" * 300])
def test_a_setting_that_cannot_be_a_number_is_refused(pattern: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="numbers"):
        Agent("a", numbers=(pattern,))
    assert time.monotonic() - began < 0.5
