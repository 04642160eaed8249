from __future__ import annotations

import itertools

import pytest

from media_server.engines.pace import ASIDE, MIN_FIRST, MOST, Pace
from media_server.spoken.phrases import cut, opens_phrase, place_before

SOUND_S = 0.045
"""Of a phoneme."""


def paced(times_real_time: float) -> tuple[Pace, float]:
    """A voice that speaks so fast, and what a phoneme takes it."""
    phoneme_s = SOUND_S / times_real_time
    pace = Pace()
    pace.measure(60, phoneme_s * (60 + ASIDE), 60 * SOUND_S)
    return pace, phoneme_s


@pytest.mark.parametrize("length", [20, 60, 150, 400])
@pytest.mark.parametrize("times_real_time", [3, 5, 14, 40])
def test_no_gap_is_heard_within_a_sentence(times_real_time: float, length: int) -> None:
    pace, phoneme_s = paced(times_real_time)
    now_s = heard_until_s = 0.0
    left, gaps, first = length, [], None
    while left:
        limit = pace.limit(heard_until_s - now_s)
        places = [place_before(at, "word", "word") for at in range(5, left, 5)]
        piece = cut(left, places, limit)
        now_s += phoneme_s * (piece + ASIDE)
        if first is None:
            first = heard_until_s = now_s
        gaps.append(now_s - heard_until_s)
        heard_until_s = max(heard_until_s, now_s) + piece * SOUND_S
        left -= piece
    assert max(gaps) <= 0
    assert first is not None
    assert first < 0.5


def test_a_fast_voice_cuts_no_sentence_and_a_slow_one_its_beginning() -> None:
    fast, slow = paced(40)[0], paced(2)[0]
    assert fast.limit(0) > 100
    assert slow.limit(0) == MIN_FIRST
    assert slow.limit(0) < slow.limit(3)
    assert paced(1000)[0].limit(10) == MOST


def test_a_moment_of_other_work_does_not_change_the_pace_much() -> None:
    pace, phoneme_s = paced(10)
    before = pace.times_real_time
    pace.measure(60, 100 * phoneme_s * (60 + ASIDE), 60 * SOUND_S)
    assert pace.times_real_time > before / 2


@pytest.mark.parametrize(
    ("words", "limit", "head"),
    [
        ("so it is on", 100, "so it is on"),
        ("did you mean the class that is held on Monday evening", 30, "did you mean the class"),
        ("the light is on, the door is open", 26, "the light is on,"),
        ("one two three four five six", 14, "one two three"),
    ],
)
def test_it_is_cut_where_one_would_breathe(words: str, limit: int, head: str) -> None:
    listed = words.split()
    ends = list(itertools.accumulate(len(w) + 1 for w in listed))
    places = [place_before(e - 1, a, b) for e, (a, b) in zip(ends, itertools.pairwise(listed), strict=False)]
    assert words[: cut(len(words), places, limit)] == head


def test_words_that_belong_to_what_follows() -> None:
    assert opens_phrase(" with")
    assert opens_phrase("The")
    assert not opens_phrase("window")


def test_what_has_no_place_is_cut_all_the_same() -> None:
    assert cut(3000, [], 100) == 100
