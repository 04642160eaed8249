"""How much sound a recogniser is given, by the model."""

from __future__ import annotations

import pytest

from media_server.engines.window import window_for


@pytest.mark.parametrize(("sound_s", "frames"), [(0.3, 1000), (8.9, 1000), (9.5, 1050), (25.0, 2600), (30.0, 3000)])
def test_a_published_model_gets_ten_seconds_and_silence_behind_the_speech(sound_s: float, frames: int) -> None:
    assert window_for(51_865).frames(sound_s) == frames


def test_a_model_of_its_own_kind_gets_the_utterance() -> None:
    window = window_for(2_411, window_s=6)
    assert (window.frames(1.0), window.frames(9.0)) == (120, 600)
    assert (window.timestamps, window.piece_s) == (False, 6)


def test_a_second_look_has_the_full_window() -> None:
    assert window_for(51_864).full().frames(1.0) == 3000


def test_a_pack_may_say_otherwise() -> None:
    window = window_for(51_866, floor_s=30, margin_s=0, timestamps=False)
    assert (window.frames(1.0), window.timestamps) == (3000, False)
