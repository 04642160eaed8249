"""What of the agent's speech was heard, in the words of the text."""

from __future__ import annotations

import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ
from media_server.call.speak import Clause, Passage, heard_of
from media_server.rtc import Playback, Speech, SpokenWord


def played(seconds: float, *words: SpokenWord) -> Playback:
    playback = Playback(Speech(np.zeros(10 * CALL_RATE_HZ, np.int16), words))
    playback.played = int(seconds * CALL_RATE_HZ)
    return playback


CHINESE = SpokenWord("我们九点开门周日休息", 0.0, 5.0)


@pytest.mark.parametrize(
    ("seconds", "heard"),
    [
        (0.0, ""),
        (0.2, ""),
        (1.0, "我们"),
        (2.5, "我们九点开"),
        (4.9, "我们九点开门周日休息"),
        (9.0, "我们九点开门周日休息"),
    ],
)
def test_of_a_sentence_without_spaces_the_part_that_was_played_counts(seconds: float, heard: str) -> None:
    assert heard_of(played(seconds, CHINESE)) == heard


def test_of_other_words_those_count_of_which_more_than_half_was_played() -> None:
    words = [SpokenWord(w, i, i + 1.0) for i, w in enumerate(["one", "two", "three"])]
    assert [heard_of(played(s, *words)) for s in (0.4, 0.6, 1.4, 1.6, 9)] == [
        "",
        "one",
        "one",
        "one two",
        "one two three",
    ]


def test_pieces_of_a_chinese_clause_are_joined_without_spaces() -> None:
    clause = Clause("", pieces=[played(9, CHINESE), played(1, SpokenWord("今天几点", 0.0, 2.0))])
    assert clause.heard == "我们九点开门周日休息今天"


def test_a_piece_of_code_is_known_when_its_place_is_reached() -> None:
    code = Passage("x = 1")
    clause = Clause("Look: x = 1", pieces=[played(10, SpokenWord("Look:", 0, 1)), code])
    assert clause.heard == "Look:"
    code.reached = True
    assert clause.heard == "Look: x = 1"
