"""Numbers that callers read out: whole, begun, or neither."""

from __future__ import annotations

import time

import pytest

from media_server.agents import Agent
from media_server.agents.numbers import described_numbers, known_numbers, number_patterns, spoken_digits, whole


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


ENDLESS = [
    r"\d?" * 40 + "x",
    r"\d{0,9}" * 12,
    r"(\d|\d\d)" * 20,
    r"(?:(?:\d?)?\d?)?" * 5,
    r"(?x)(\d+) +",
    r"\d*?\d*?\d*?x",
    "(" * 30_000,
    r"\d{99999999999999999999}",
]
"""Patterns that take for ever, or cannot be compiled."""


@pytest.mark.parametrize(
    "pattern", ["(", "[a-z]+", r"(\d*)*", r"\d{50}", r"\d+\d+\d+\d+\d+", "1" * 300, *ENDLESS], ids=lambda p: p[:20]
)
def test_a_setting_that_cannot_be_a_number_is_refused(pattern: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="numbers"):
        Agent("a", numbers=(pattern,))
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("schema", "forms"),
    [
        ({"type": "string", "description": "The 5-digit order number."}, [r"\d{5}"]),
        ({"type": "string", "description": "Three or four digits."}, [r"\d{3,4}"]),
        ({"type": "integer", "minimum": 100, "maximum": 999}, [r"\d{3,3}"]),
        ({"type": "integer", "minimum": 1, "maximum": 99}, []),
        ({"type": "string", "minLength": 4, "maxLength": 4}, [r"\d{4,4}"]),
        ({"type": "string", "examples": ["42791", "10023"]}, [r"\d{5}"]),
        ({"type": "string", "examples": ["A1", "10023"]}, []),
        ({"type": "string", "enum": ["427", "513"]}, ["427", "513"]),
        ({"type": "boolean", "examples": [True]}, []),
        ({"type": "string", "description": 7, "enum": "427", "minLength": "x"}, []),
    ],
)
def test_forms_of_numbers_in_whatever_a_schema_tells(schema: dict[str, object], forms: list[str]) -> None:
    assert list(number_patterns([{"properties": {"order": schema}}])) == forms


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("Order numbers have five digits.", [r"\d{5}"]),
        ("Tell me the last four digits of your card.", [r"\d{4}"]),
        ("a 4- to 6-digit PIN", [r"\d{4,6}"]),
        ("eine 6-stellige PIN", [r"\d{6}"]),
        ("Die Nummer hat fünf Ziffern", [r"\d{5}"]),
        ("las cuatro cifras", [r"\d{4}"]),
        ("un code à quatre chiffres", [r"\d{4}"]),
        ("le ultime quattro cifre", [r"\d{4}"]),
        ("os quatro dígitos", [r"\d{4}"]),
        ("de laatste vier cijfers", [r"\d{4}"]),
        ("altı haneli kod", [r"\d{6}"]),
        ("one digit, 99 digits, no digits", []),
    ],
)
def test_forms_of_numbers_that_a_text_tells_of(text: str, forms: list[str]) -> None:
    assert list(described_numbers(text)) == forms


def test_numbers_that_were_told_before() -> None:
    texts = ["Order 427 is late; order 42-791 costs $1,250 since 12:30.", "my card is 4111 1111 1111 1111", "5 pizzas"]
    assert known_numbers(texts) == {"427", "42791", "4111111111111111"}


def test_a_long_text_takes_no_time() -> None:
    began = time.monotonic()
    known_numbers(["1 " * 100_000, "1-" * 100_000, "9" * 100_000])
    list(described_numbers("4 to " * 100_000))
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("pattern", ENDLESS, ids=lambda p: p[:20])
def test_a_pattern_of_a_clients_tool_cannot_take_for_ever(pattern: str) -> None:
    assert not list(number_patterns([{"properties": {"a": {"type": "string", "pattern": pattern}}}]))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{5}(-\d{4})?$",
        r"^\+?\d{1,3}[- ]?\d{3}[- ]?\d{4}$",
        r"^(?=\d{3})\d+$",
        r"(?:\d{3}|\d{5})",
        r"[A-Z]*\d+",
        r"[()?*+{]*\d{4}",
    ],
)
def test_patterns_as_people_write_them_are_taken(pattern: str) -> None:
    assert list(number_patterns([{"properties": {"a": {"pattern": pattern}}}])) == [pattern]


def test_of_very_many_parameters_some_are_looked_at() -> None:
    schema = {"properties": {f"p{n}": {"pattern": rf"\d{{{2 + n % 30}}}"} for n in range(5000)}}
    assert len(list(number_patterns([schema] * 100))) == 20
