from __future__ import annotations

import pytest

from media_server.call.interruption import ACKNOWLEDGEMENTS, weigh

SAID = "I can do sums, switch lights, set timers,"


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("", "noise"),
        ("  ", "noise"),
        ("[unclear]", "noise"),
        ("(music) *cough*", "noise"),
        ("switch [unclear] set", "echo"),
        ("okay", "acknowledgement"),
        ("uh huh", "acknowledgement"),
        ("Yes, I see.", "acknowledgement"),
        ("stop", "speech"),
        ("okay stop", "speech"),
        ("switch lights", "echo"),
        ("Set timers", "echo"),
        ("lights", "echo"),
        ("switch light", "echo"),
        ("set timers please stop now", "speech"),
        ("can do some switch lights", "echo"),
        ("goodbye", "speech"),
    ],
)
def test_what_a_sound_is(text: str, sound: str) -> None:
    assert weigh(text, SAID, ACKNOWLEDGEMENTS, 1) == sound


def test_more_words_can_be_asked_for() -> None:
    assert weigh("goodbye", SAID, ACKNOWLEDGEMENTS, 2) == "noise"
    assert weigh("goodbye then", SAID, ACKNOWLEDGEMENTS, 2) == "speech"


def test_what_follows_an_echo_is_sooner_taken_for_more_of_it() -> None:
    assert weigh("six timer", SAID, ACKNOWLEDGEMENTS, 1) == "speech"
    assert weigh("six timer", SAID, ACKNOWLEDGEMENTS, 1, after_echo=True) == "echo"
    assert weigh("please stop the timer", SAID, ACKNOWLEDGEMENTS, 1, after_echo=True) == "speech"
