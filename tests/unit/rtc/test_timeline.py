"""When packets were captured, by their times and arrivals, whatever the sender's clock does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.rtc.timeline import CaptureClock, InterarrivalJitter, Timeline


class Sender:
    """Packets of 20 ms in a stream, which arrive at once unless told otherwise."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.now_s = 100.0

    def send(self, time: int, clock_hz: int = 48_000, *, after_s: float = 0.02, delay_s: float = 0.0) -> float:
        """When a packet was captured, less when it was."""
        self.now_s += after_s
        ticks = clock_hz // 50
        begin_s = self.timeline.place(time & 0xFFFFFFFF, ticks, clock_hz, self.now_s + delay_s)
        self.timeline.advance(ticks)
        return self.timeline.captured_at_s(begin_s) - (self.now_s - 0.02)


@pytest.mark.parametrize("delay_s", [0.0, 0.04])
@pytest.mark.parametrize("way", ["one count", "a count for each", "as if all were of one", "counted anew", "random"])
@pytest.mark.parametrize("each", [1, 3, 50])
def test_a_codec_that_changes_again_and_again_moves_no_sound(way: str, each: int, delay_s: float) -> None:
    """`delay_s` is what every third packet comes late by; `each`: packets of one codec in a row."""
    sender, rng = Sender(), np.random.default_rng(each)
    time = 0xFFFF_0000
    for n in range(1500):
        clock_hz = (48_000, 8000)[n // each % 2]
        if way == "a count for each":
            time = 77_000 + n * clock_hz // 50
        elif n % each == 0 and way != "one count":
            time = {"as if all were of one": 5 + n * 960, "counted anew": 0}.get(way, int(rng.integers(1 << 32)))
        error_s = sender.send(time, clock_hz, delay_s=delay_s * (n % 3 == 1))
        # what had to be placed by its arrival keeps the network's delay, until the pause that may be is over
        assert -0.001 < error_s <= delay_s + 0.001, n
        time += clock_hz // 50


@pytest.mark.parametrize("leap", [-2_880_001, -48_000, -960, -1, 0, 9600, 47_000, 480_000, 1 << 31, (1 << 31) - 1])
@pytest.mark.parametrize("back", [True, False])
def test_a_time_that_leaps_moves_no_sound(leap: int, back: bool) -> None:
    sender = Sender()
    for n in range(200):
        leaps = n == 100 if back else n >= 100
        assert sender.send(n * 960 + leap * leaps) == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("step", [0, 1, 480, 800, 960, 1920, -960, 0x40000000])
def test_times_that_say_nothing_move_no_sound(step: int) -> None:
    sender = Sender()
    for n in range(1000):
        assert sender.send(n * step) == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize(("mute_s", "believed"), [(12.0, 0), (4.5, 0), (2.5, 75)])
def test_a_sender_whose_time_stands_still_while_it_is_mute_is_dated_rightly_soon(mute_s: float, believed: int) -> None:
    sender = Sender()
    for n in range(300):
        error_s = sender.send(n * 960, after_s=mute_s if n == 150 else 0.02)
        # a short one may be a network that stood still, and is about to catch up
        assert error_s == pytest.approx(0.0, abs=0.001) or 150 <= n < 150 + believed


def test_sound_held_up_by_a_codec_change_within_a_stall_was_said_one_after_the_other() -> None:
    sender, time = Sender(), 0
    for n in range(200):
        clock_hz = (48_000, 8000)[n % 2]
        held_s = max(0.0, (150 - n) * 0.02) if n >= 100 else 0.0
        assert sender.send(time, clock_hz, delay_s=held_s) == pytest.approx(0.0, abs=0.001)
        time += clock_hz // 50


def test_a_pause_without_packets_is_as_long_as_the_times_say() -> None:
    sender = Sender()
    for n in range(50):
        sender.send(n * 960)
    ended_s = sender.timeline.end_s
    sender.send(100 * 960, after_s=1.02)
    assert sender.timeline.end_s - ended_s == pytest.approx(1.02)


@pytest.mark.parametrize("after_s", [0.1, 0.5, 30.0])
def test_a_pause_before_times_that_begin_anew_is_as_long_as_it_was(after_s: float) -> None:
    sender = Sender()
    for n in range(50):
        sender.send(n * 960)
    ended_s = sender.timeline.end_s
    error_s = sender.send(0, after_s=after_s)
    if after_s < 0.2:
        # it may as well be the network's, and a listener hears no gap
        assert sender.timeline.end_s - ended_s == pytest.approx(0.02)
    else:
        assert error_s == pytest.approx(0.0, abs=0.001)


@given(
    st.lists(
        st.tuples(
            st.integers(0, (1 << 32) - 1) | st.integers(-9600, 9600),
            st.sampled_from([48_000, 8000, 16_000]),
            st.sampled_from([0.0, 0.001, 0.02, 0.02, 0.3, 5.0]),
        ),
        max_size=60,
    )
)
def test_whatever_the_times_were_sound_goes_forward_and_never_comes_from_the_future(
    packets: list[tuple[int, int, float]],
) -> None:
    timeline, now_s, time, ended_s = Timeline(), 5.0, 0, -0.001
    for move, clock_hz, after_s in packets:
        now_s, time, was_certain = now_s + after_s, time + move & 0xFFFFFFFF, timeline.is_certain
        begin_s = timeline.place(time, clock_hz // 50, clock_hz, now_s)
        assert begin_s == timeline.place(time, clock_hz // 50, clock_hz, now_s), "to place it once more changes nothing"
        timeline.advance(clock_hz // 50)
        assert begin_s >= ended_s or not was_certain, "but for what turns out to have been held up"
        assert timeline.captured_at_s(timeline.end_s) <= now_s + 1e-6
        ended_s = timeline.end_s


def test_the_jitter_reported_is_that_of_the_network() -> None:
    jitter, time = InterarrivalJitter(), 0
    for n in range(500):
        clock_hz = (48_000, 8000)[n // 100 % 2]
        time = 0 if n == 250 else time + clock_hz // 50
        jitter.note(time & 0xFFFFFFFF, clock_hz, n * 0.02 + 0.01 * (n % 2))
    assert jitter.value_s == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize("ppm", [-500, 0, 500])
def test_capture_times_follow_a_clock_that_drifts(ppm: int) -> None:
    clock = CaptureClock()
    for n in range(30_000):  # ten minutes
        true_s = n * 0.02
        delay_s = 0.03 + (n * 7919 % 13) * 0.002
        clock.note(true_s * (1 + ppm / 1e6), true_s + delay_s)
        if n > 1000 and n % 100 == 0:
            assert abs(clock.at(true_s * (1 + ppm / 1e6)) - true_s - 0.03) < 0.01


def test_what_comes_in_a_burst_was_captured_when_it_was_said() -> None:
    clock = CaptureClock()
    for n in range(50):
        clock.note(n * 0.02, n * 0.02 + 0.01)
    for n in range(50, 125):  # 1.5 s at once
        clock.note(n * 0.02, 2.51)
    assert clock.at(1.0) == pytest.approx(1.01)
    assert clock.at(2.4) == pytest.approx(2.41)
