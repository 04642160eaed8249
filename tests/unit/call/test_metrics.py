from __future__ import annotations

import dataclasses

import pytest

from media_server.call.metrics import Stopwatch


def test_parts_are_the_differences_and_add_up() -> None:
    watch = Stopwatch()
    for mark, at_s in [
        ("speech_ended", 1.0), ("turn_ended", 1.5), ("transcript", 1.52), ("first_token", 1.55),
        ("first_clause", 1.6), ("first_audio", 1.65), ("on_wire", 1.66),
    ]:  # fmt: skip
        watch.mark(mark, at_s)  # type: ignore[arg-type]
    m = watch.metrics("turn-1")
    assert m.endpoint_ms == pytest.approx(500)
    assert m.tts_first_audio_ms == pytest.approx(50)
    assert m.response_ms == pytest.approx(660)


def test_what_happened_in_the_pause_is_told_too() -> None:
    watch = Stopwatch()
    for mark, at_s in [
        ("speech_ended", 1.0),
        ("paused", 1.1),
        ("transcript", 1.12),
        ("turn_ended", 1.2),
        ("on_wire", 1.21),
    ]:
        watch.mark(mark, at_s)  # type: ignore[arg-type]
    m = watch.metrics("turn-1")
    assert m.stt_ms == 0
    assert m.marks.transcript == pytest.approx(120)
    assert m.marks.turn_ended == pytest.approx(200)
    assert m.marks.first_token is None


def test_a_mark_that_was_not_passed_takes_no_time() -> None:
    watch = Stopwatch()
    watch.mark("speech_ended", 1.0)
    watch.mark("on_wire", 1.2)
    m = watch.metrics("turn-1")
    parts = [v for k, v in dataclasses.asdict(m).items() if k.endswith("_ms") and k != "response_ms"]
    assert sum(parts) == pytest.approx(m.response_ms) == pytest.approx(200)


def test_only_the_first_time_counts() -> None:
    watch = Stopwatch()
    watch.mark("speech_ended", 1.0)
    watch.mark("speech_ended", 5.0)
    assert watch.times == {"speech_ended": 1.0}
