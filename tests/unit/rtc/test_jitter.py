"""The jitter buffer on scripted arrivals: what is decoded, in which order, when, and what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.rtc.jitter import JitterBuffer, Missing, Play

Arrival = tuple[float, int] | tuple[float, int, bytes]


def run(*arrivals: Arrival, until_ms: float = 1000) -> list[str]:
    """Packet numbers in the order of their decoding, with the ms at which they are; `-n` is what is missing.

    The RTP time of a packet is 960 times its number; between arrivals time passes a millisecond at a time.
    """
    buffer, out = JitterBuffer(), []

    def note(decisions: list[object], now_ms: float) -> None:
        for each in decisions:
            if isinstance(each, Missing):
                out.append(f"-{each.packets}")
            else:
                out.append(f"{each.time // 960}@{now_ms:g}")  # type: ignore[attr-defined]

    now_ms = 0.0
    for arrival in (*arrivals, (until_ms, None)):
        while now_ms < arrival[0]:
            note(list(buffer.due(now_ms / 1000)), now_ms)
            now_ms += 1
        now_ms = arrival[0]
        number = arrival[1]
        if number is not None:
            payload = arrival[2] if len(arrival) > 2 else b"x"
            note(list(buffer.push(number & 0xFFFF, Play(111, number * 960, payload, now_ms / 1000))), now_ms)
    return out


CASES: dict[str, tuple[list[Arrival], list[str]]] = {
    "in order": ([(0, 1), (20, 2), (40, 3)], ["1@0", "2@20", "3@40"]),
    "the first number is any": ([(0, 60000), (20, 60001)], ["60000@0", "60001@20"]),
    "in order but unevenly": ([(0, 1), (70, 2), (71, 3)], ["1@0", "2@70", "3@71"]),
    "a burst after a stall": (
        [(0, 1), *[(900.0, n) for n in range(2, 6)]],
        ["1@0", *[f"{n}@900" for n in range(2, 6)]],
    ),
    "two swapped": ([(0, 1), (20, 3), (30, 2)], ["1@0", "2@30", "3@30"]),
    "three backwards": ([(0, 1), (20, 4), (22, 3), (24, 2)], ["1@0", "2@24", "3@24", "4@24"]),
    "swapped twice": ([(0, 1), (10, 3), (12, 2), (30, 5), (32, 4)], ["1@0", "2@12", "3@12", "4@32", "5@32"]),
    "one lost": ([(0, 1), (40, 3), (60, 4)], ["1@0", "-1", "3@60", "4@60"]),
    "one lost before a pause": ([(0, 1), (40, 3)], ["1@0", "-1", "3@60"]),
    "two lost in a row": ([(0, 1), (60, 4)], ["1@0", "-2", "4@80"]),
    "two lost apart": ([(0, 1), (40, 3), (80, 5)], ["1@0", "-1", "3@60", "-1", "5@100"]),
    "two holes at once": ([(0, 1), (1, 3), (2, 5)], ["1@0", "-1", "3@21", "-1", "5@41"]),
    "a hole that is filled in time": ([(0, 1), (40, 3), (59, 2)], ["1@0", "2@59", "3@59"]),
    "one of two comes": ([(0, 1), (40, 4), (45, 2)], ["1@0", "2@45", "-1", "4@65"]),
    "a duplicate of what was played": ([(0, 1), (1, 1), (20, 2)], ["1@0", "2@20"]),
    "a duplicate of what waits": ([(0, 1), (20, 3), (21, 3), (22, 2)], ["1@0", "2@22", "3@22"]),
    "a duplicate of everything": ([(0, 1), (0, 1), (20, 2), (20, 2)], ["1@0", "2@20"]),
    "too late": ([(0, 1), (40, 3), (100, 2), (120, 4)], ["1@0", "-1", "3@60", "4@120"]),
    "too late once, then waited for": (
        [(0, 1), (40, 3), (100, 2), (120, 4), (160, 6), (220, 5)],
        ["1@0", "-1", "3@60", "4@120", "5@220", "6@220"],
    ),
    "numbers wrap": (
        [(0, 65534), (20, 65535), (40, 65536), (60, 65537)],
        ["65534@0", "65535@20", "65536@40", "65537@60"],
    ),
    "lost at the wrap": ([(0, 65535), (40, 65537)], ["65535@0", "-1", "65537@60"]),
    "swapped at the wrap": ([(0, 65535), (20, 65537), (25, 65536)], ["65535@0", "65536@25", "65537@25"]),
    "padding takes a number": ([(0, 1), (20, 2, b""), (40, 3)], ["1@0", "3@40"]),
    "padding first": ([(0, 1, b""), (20, 2)], ["2@20"]),
    "padding behind a hole": ([(0, 1), (20, 3, b""), (60, 4)], ["1@0", "-1", "4@60"]),
    "padding fills a hole": ([(0, 1), (20, 3), (25, 2, b"")], ["1@0", "3@25"]),
    "a probe of many": ([(0, 1), *[(5.0, n, b"") for n in range(2, 9)], (20, 9)], ["1@0", "9@20"]),
    "silence without packets": ([(0, 1), (600, 2)], ["1@0", "2@600"]),
    "lost within such silence": ([(0, 1), (400, 3)], ["1@0", "-1", "3@420"]),
    "a long outage": ([(0, 1), (900, 46)], ["1@0", "-44", "46@920"]),
    "one far ahead is a stray": ([(0, 1), (20, 30001), (21, 2)], ["1@0", "2@21"]),
    "two far ahead are a new start": ([(0, 1), (20, 30001), (40, 30002)], ["1@0", "30001@40", "30002@40"]),
    "a new start goes on": (
        [(0, 1), (20, 30001), (40, 30002), (60, 30003)],
        ["1@0", "30001@40", "30002@40", "30003@60"],
    ),
    "a new start far behind": ([(0, 30001), (20, 1), (40, 2)], ["30001@0", "1@40", "2@40"]),
    "two strays that do not follow": ([(0, 1), (20, 30001), (21, 40001), (22, 2)], ["1@0", "2@22"]),
    "what waits is played at a new start": (
        [(0, 1), (10, 3), (20, 30001), (22, 30002)],
        ["1@0", "-1", "3@22", "30001@22", "30002@22"],
    ),
    "nothing": ([], []),
    "one": ([(0, 7)], ["7@0"]),
    "the second before the first": ([(0, 2), (5, 1), (20, 3)], ["2@0", "3@20"]),
    "more than can wait": (
        [(0.0, 1), *[(1.0, n) for n in range(3, 54)]],
        ["1@0", "-1", *[f"{n}@1" for n in range(3, 54)]],
    ),
    "late by little, again and again": (
        [(0, 1), (20, 3), (35, 2), (60, 5), (75, 4), (100, 7), (115, 6)],
        ["1@0", "2@35", "3@35", "4@75", "5@75", "6@115", "7@115"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_order(case: str) -> None:
    arrivals, expected = CASES[case]
    assert run(*arrivals) == expected


@pytest.mark.parametrize("moved", [0, 1_000_000, -1_000_000])
@pytest.mark.parametrize("back", [2, 60, 99])
def test_a_sender_that_numbers_anew_a_little_behind_is_heard_at_once(back: int, moved: int) -> None:
    buffer, played = JitterBuffer(), 0
    for n in range(200):
        number, time = (n - back, n * 960 + moved) if n >= 100 else (n, n * 960)
        played += len(buffer.push(number, Play(111, time & 0xFFFFFFFF, b"x", n * 0.02)))
    assert played == 200
    assert (buffer.received, buffer.expected) == (200, 200)


def test_late_packets_and_duplicates_are_no_new_start() -> None:
    buffer = JitterBuffer()
    for n in range(100):
        buffer.push(n, Play(111, n * 960, b"x", n * 0.02))
    for n in (50, 51, 52, 98, 99, 99):
        assert buffer.push(n, Play(111, n * 960, b"x", 2.0)) == []
    assert buffer.push(100, Play(111, 96_000, b"x", 2.0)) != []


def test_the_wait_shrinks_again() -> None:
    buffer = JitterBuffer()
    for number, now_s in ((1, 0.0), (3, 0.02), (4, 0.041), (2, 0.12)):
        buffer.push(number, Play(111, number, b"x", now_s))
        buffer.due(now_s)
    assert buffer.late == 1
    assert buffer.wait_s(0.12) == pytest.approx(0.105)
    assert buffer.wait_s(5.0) == pytest.approx(0.105)
    assert buffer.wait_s(10.12) == pytest.approx(0.055)
    assert buffer.wait_s(60) == pytest.approx(0.02)


def test_a_copy_fills_a_hole_at_once() -> None:
    buffer = JitterBuffer()
    buffer.push(1, Play(111, 960, b"a", 0.0))
    assert [d.payload for d in buffer.restore(2, Play(111, 1920, b"b", 0.02), 0.04) if not isinstance(d, Missing)] == [
        b"b"
    ]
    assert [d.payload for d in buffer.push(3, Play(111, 2880, b"c", 0.04)) if not isinstance(d, Missing)] == [b"c"]
    assert buffer.restore(2, Play(111, 1920, b"b", 0.03), 0.05) == []
    assert (buffer.expected, buffer.received, buffer.duplicates) == (3, 2, 0)


@given(st.lists(st.tuples(st.integers(0, 65535) | st.integers(0, 300), st.binary(max_size=2)), max_size=200))
def test_whatever_comes_is_played_in_order_and_once(packets: list[tuple[int, bytes]]) -> None:
    buffer, played = JitterBuffer(), []
    now_s = 0.0
    for number, payload in packets:
        now_s += 0.007
        played += [*buffer.push(number, Play(111, number, payload, now_s)), *buffer.due(now_s)]
        assert len(buffer._held) <= 51
    played += buffer.flush()
    assert sum(not isinstance(d, Missing) for d in played) <= len(packets)
    assert all(isinstance(d, Missing) or d.payload for d in played)
