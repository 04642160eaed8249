"""A slow recogniser is asked for fewer partial transcripts, and for nothing on a guess."""

from __future__ import annotations

from media_server.call.pace import Pace


def test_a_fast_recogniser_is_asked_whenever_a_partial_is_due() -> None:
    pace = Pace()
    assert pace.quick
    pace.note(10.0, 10.02, final=False)
    assert pace.quick
    assert pace.has_room_for_partial(10.3)


def test_a_slow_one_is_left_alone_for_twice_as_long_as_it_took() -> None:
    pace = Pace()
    pace.note(10.0, 11.0, final=False)
    assert not pace.quick
    assert not pace.has_room_for_partial(12.9)
    assert pace.has_room_for_partial(13.1)


def test_a_final_transcript_does_not_put_off_the_next_turns_partials() -> None:
    pace = Pace()
    pace.note(10.0, 11.0, final=True)
    assert not pace.quick
    assert pace.has_room_for_partial(11.0)
