"""Numbers of things in sentences."""

from __future__ import annotations

import pytest

from media_server.counted import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("call",), "0 calls"),
        (1, ("call",), "1 call"),
        (2, ("call",), "2 calls"),
        (1, ("delivery", "deliveries"), "1 delivery"),
        (12_000, ("delivery", "deliveries"), "12,000 deliveries"),
    ],
)
def test_a_number_and_its_noun_agree(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said
