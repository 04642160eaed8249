"""What keeps a recogniser sound: where long sound is cut, and what a loop is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.engines.guards import RATE_HZ, is_loop, loop_start, windows


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_windows_hold_every_sample_once_and_none_is_too_long(halves: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-3000, 3000, halves * RATE_HZ // 2).astype(np.int16)
    pieces = windows(samples, 3)
    assert np.array_equal(np.concatenate([p for _, p in pieces]), samples)
    assert [at for at, _ in pieces] == [0, *np.cumsum([len(p) for _, p in pieces])[:-1]]
    assert all(0 < len(p) <= 3 * RATE_HZ for _, p in pieces) or halves == 0


def test_a_window_ends_in_the_quiet() -> None:
    samples = np.random.default_rng(0).integers(-3000, 3000, 5 * RATE_HZ).astype(np.int16)
    quiet = int(2.5 * RATE_HZ)
    samples[quiet : quiet + 1600] = 0
    (_, first), _ = windows(samples, 3)
    assert quiet <= len(first) <= quiet + 1600


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([1, 2, 3, 3, 3, 3, 4], None),
        ([1, 2, 3, 3, 3, 3, 3], [1, 2, 3]),
        ([1, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7], [1, 7, 8, 9]),
        ([1, 7, 8, 7, 8, 7, 8, 7, 8], None),
        ([], None),
    ],
    ids=["a number with four equal digits", "one token for ever", "three tokens for ever", "four times", "nothing"],
)
def test_a_loop_begins_after_its_first_time(tokens: list[int], kept: list[int] | None) -> None:
    at = loop_start(tokens)
    assert (tokens[:at] if at is not None else None) == kept


def test_text_that_repeats_itself_in_long_pieces_is_a_loop() -> None:
    text = "thank you for watching and see you in the next one "
    assert not is_loop(list(range(12)), text)
    assert is_loop(list(range(60)), text * 5)
