"""When a line is bad, when it is good again, and the figures that are told."""

from __future__ import annotations

import pytest

from media_server.events import CallQuality, ConnectionChanged
from media_server.rtc.quality import LineCounts, LineQuality

CLEAN = LineCounts(100, 0, 2.0, 0.0, 100, 0, 0.002, 0.003, 0.02)
LOSSY = LineCounts(80, 20, 1.6, 0.4, 100, 0, 0.002, 0.003, 0.02)


def changes(quality: LineQuality, reports: list[LineCounts]) -> list[tuple[int, str]]:
    """At which report the line changed, and to what."""
    found: list[tuple[int, str]] = []
    for n, counts in enumerate(reports):
        found += [(n, e.quality) for e in quality.note(counts, n * 2.0) if isinstance(e, ConnectionChanged)]
    return found


@pytest.mark.parametrize(
    ("counts", "bad"),
    [
        (CLEAN, False),
        (LOSSY, True),
        (LineCounts(80, 20, 2.0, 0.0, 100, 0), False),  # all of it was restored
        (LineCounts(96, 4, 1.92, 0.08, 100, 0), False),
        (LineCounts(100, 0, 2.0, 0.0, 100, 12), True),
        (LineCounts(5, 0, 0.1, 0.0, 5, 2), False),  # silence on both sides: chance
        (LineCounts(5, 5, 0.1, 0.1), False),
        (LineCounts(100, 0, 2.0, 0.0, 100, 0, 0.15), True),
        (LineCounts(100, 0, 2.0, 0.0, 100, 0, 0.0, 0.15), True),
        (LineCounts(0, 0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.7), True),
        (LineCounts(), False),
    ],
)
def test_what_makes_a_line_bad(counts: LineCounts, bad: bool) -> None:
    assert changes(LineQuality(), [counts] * 2) == ([(1, "bad")] if bad else [])


def test_one_burst_is_not_a_bad_line_and_each_change_is_told_once() -> None:
    reports = [CLEAN, LOSSY, CLEAN, *[LOSSY] * 5, CLEAN, LOSSY, *[CLEAN] * 9]
    assert changes(LineQuality(), reports) == [(4, "bad"), (12, "good")]


def test_between_bad_and_good_it_stays_what_it_is() -> None:
    middling = LineCounts(97, 3, 1.94, 0.06, 100, 0)
    assert changes(LineQuality(), [middling] * 9) == []
    assert changes(LineQuality(), [LOSSY, LOSSY, *[middling] * 9]) == [(1, "bad")]


def test_figures_come_every_ten_seconds_and_at_each_change() -> None:
    quality = LineQuality()
    told = {
        n: [e for e in quality.note(CLEAN if n < 10 else LOSSY, n * 2.0) if isinstance(e, CallQuality)]
        for n in range(14)
    }
    assert [n for n, figures in told.items() if figures] == [2, 7, 11]
    (first,) = told[2]
    assert first.round_trip_ms == pytest.approx(20)
    assert first.jitter_ms == pytest.approx(2)
    assert first.voice_jitter_ms == pytest.approx(3)
    assert (first.lost, first.concealed, first.voice_lost) == (0, 0, 0)
    (last,) = told[11]
    assert last.lost == pytest.approx(0.1)  # two clean reports, and two of a fifth
    assert last.concealed == pytest.approx(0.1)
    assert quality.whole
    assert quality.whole.lost == pytest.approx(80 / 1400)


def test_a_call_without_such_a_line_has_no_figures() -> None:
    assert LineQuality().whole is None


def test_what_came_between_two_counts() -> None:
    after = LineCounts(300, 10, 6.0, 0.2, 290, 5, 0.01, 0.02, 0.05)
    assert after.since(LineCounts(200, 4, 4.0, 0.1, 190, 5, 0.5, 0.5, 0.5)) == LineCounts(
        100, 6, 2.0, 0.1, 100, 0, 0.01, 0.02, 0.05
    )
