"""When the packets of one stream were captured, by their RTP times and their arrivals. Pure.

A sender may change its clock rate with the codec, and begin its times anew, within one stream (one SSRC). So each
packet is placed against the sound before it, in the order in which they were sent:

    its time, in ticks of the packet before (RFC 7160)                where its sound begins
    at the end of the sound before, or later: there were no packets   where its time says
    before that end, or more than `LEAP_S` later than it arrived,     right behind the sound before; if it arrived more
    or more than `HELD_UP_S` earlier: it is no network's delay        than `BRIDGE_S` later than that, at its arrival
    in another clock rate, behind lost packets of an unknown rate     at its arrival
    packets that arrive faster than people speak, behind one whose    where their times say: a network, or this machine,
    time was more than `HELD_UP_S` earlier than its arrival           stood still for so long after all
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["HELD_UP_S", "CaptureClock", "InterarrivalJitter", "Timeline"]

LEAP_S = 0.06
"""A time that is further ahead of the packet's arrival was not counted as the times before it."""
HELD_UP_S = 4.0
"""A time that is further behind its packet's arrival stood still, as with clients that count only what they send."""
BRIDGE_S = 0.2
"""A pause that may be the network's; sound that follows on without a time to go by is placed without it."""
LATE_S = 1.0
"""Delay beyond the least, up to `HELD_UP_S`, that is believed while it shrinks, as behind a stall, and no longer."""
CATCHES_UP_S = 0.005
"""How much it shrinks at least, from one half second to the next."""
MAX_TRANSIT_CHANGE_S = 5.0
BURST_S, BURST_WITHIN_S = 0.2, 1.0
"""Sound that comes ahead of its time, and how soon after the first of it, is what was held up: clients send less of it
at once."""


class _Doubt(NamedTuple):
    """A packet that was moved to its arrival, although it may have been held up as long as its time says."""

    moved_s: float
    """By how much."""
    arrived_s: float
    difference_s: float
    """Its arrival less the end of its sound, where it was moved to."""
    clock: CaptureClock
    """As it was before."""


class Timeline:
    """`place` takes packets of one stream in the order of their numbers, `advance` their lengths once they are heard.

    Its seconds are the sender's, counted from the first packet on; `captured_at_s` turns them into those of the clock
    that the arrivals are measured on.
    """

    def __init__(self) -> None:
        self.clock_hz = 0
        """The clock rate of the packet placed last; 0 before the first."""
        self.end = 0
        """The RTP time up to which sound was heard, and that of the next packet where nothing is missing."""
        self.end_s = 0.0
        """The same in seconds."""
        self._clock = CaptureClock()
        self._doubt: _Doubt | None = None
        self._believed_s = HELD_UP_S
        """How far behind its packet's arrival a time may be: more than usual while what was held up for long comes."""

    @property
    def is_certain(self) -> bool:
        """Whether what was placed stays there, so that `follow` may go on from it."""
        return self._doubt is None

    def place(self, time: int, ticks: int, clock_hz: int, arrived_s: float, after_loss: bool = False) -> float:
        """Where the sound of a packet begins; to place it once more changes nothing.

        Args:
            after_loss: packets between this one and the one before are missing.
        """
        begin_s, length_s = self.end_s, ticks / clock_hz
        if self.clock_hz:
            ahead = (time - self.end + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            begin_s += ahead / self.clock_hz
            undelayed_s = arrived_s - self._clock.offset_s - length_s
            is_legible = clock_hz == self.clock_hz or not after_loss
            if begin_s >= undelayed_s - HELD_UP_S:
                self._believed_s = HELD_UP_S
            is_likely = undelayed_s - self._believed_s <= begin_s <= undelayed_s + LEAP_S
            if self._doubt and (moved_s := self._moved_s(self._doubt, begin_s + length_s, arrived_s)):
                begin_s -= moved_s
            elif ahead < 0 or not is_likely or not is_legible:
                pause_s = undelayed_s - self.end_s
                placed_s = self.end_s + (pause_s if pause_s > (0 if after_loss else BRIDGE_S) else 0.0)
                if ahead >= 0 and is_legible and placed_s - begin_s > HELD_UP_S:
                    difference_s = arrived_s - placed_s - length_s
                    self._doubt = _Doubt(placed_s - begin_s, arrived_s, difference_s, self._clock.copy())
                begin_s = placed_s
        self.clock_hz, self.end, self.end_s = clock_hz, time, begin_s
        self._clock.note(begin_s + length_s, arrived_s)
        return begin_s

    def _moved_s(self, doubt: _Doubt, end_s: float, arrived_s: float) -> float:
        """How much later than it was captured sound was placed that ends there, as is known now; mostly 0."""
        if arrived_s - doubt.arrived_s > BURST_WITHIN_S:
            self._doubt = None
        elif doubt.difference_s - (arrived_s - end_s) > BURST_S:
            self._doubt, self._clock, self._believed_s = None, doubt.clock, doubt.moved_s + HELD_UP_S
            return doubt.moved_s
        return 0.0

    def has_heard(self, time: int) -> bool:
        """Whether sound of this RTP time, on the clock of the packet placed last, is before what was heard so far."""
        return self.clock_hz > 0 and (time - self.end + 0x80000000 & 0xFFFFFFFF) < 0x80000000

    def advance(self, ticks: int) -> None:
        """Sound of this length was heard."""
        self.end = self.end + ticks & 0xFFFFFFFF
        self.end_s += ticks / self.clock_hz

    def follow(self, ticks: int, arrived_s: float) -> float:
        """Place a packet of the same clock rate that begins at `end`, and go on by its length: when it was captured.

        The one before it must have arrived less than `HELD_UP_S` ago, and what was placed be certain.
        """
        begin_s = self.end_s
        self.end = self.end + ticks & 0xFFFFFFFF
        self.end_s = end_s = begin_s + ticks / self.clock_hz
        self._clock.note(end_s, arrived_s)
        return begin_s + self._clock.offset_s

    def captured_at_s(self, time_s: float) -> float:
        """When what is at `time_s` was captured."""
        return self._clock.at(time_s)


class CaptureClock:
    """Maps a sender's time to the time of arrival without the network's delays: the least delay seen lately counts.

    A sender's clock may run fast or slow, and the least delay of ten seconds follows it. It may also stand still for a
    while, as no network delays sound for long that comes at the pace of speech: see `LATE_S`.
    """

    BUCKET_S, BUCKETS = 0.5, 20

    def __init__(self) -> None:
        self.offset_s = 0.0
        """The time of arrival less the sender's, without delay."""
        self._least: deque[float] = deque(maxlen=self.BUCKETS)
        """The least difference between arrival and sender's time in each bucket."""
        self._newest_s = 0.0
        """The last of these."""
        self._full_s = float("-inf")
        """When the newest bucket ends."""

    def copy(self) -> CaptureClock:
        """The same, to go back to."""
        copied = CaptureClock()
        copied.__dict__ |= self.__dict__ | {"_least": self._least.copy()}
        return copied

    def note(self, time_s: float, arrived_s: float) -> None:
        """A packet whose sound ended at the sender's `time_s` arrived."""
        difference_s = arrived_s - time_s
        if arrived_s >= self._full_s:
            self._begin_bucket(difference_s)
            self._full_s = arrived_s + self.BUCKET_S
        elif difference_s < self._newest_s:
            self._least[-1] = self._newest_s = difference_s
            if difference_s < self.offset_s:
                self.offset_s = difference_s

    def at(self, time_s: float) -> float:
        """When what is at the sender's `time_s` was captured."""
        return time_s + self.offset_s

    def _begin_bucket(self, difference_s: float) -> None:
        least = self._least
        if len(least) > 1 and least[-1] > self.offset_s + LATE_S and least[-1] > least[-2] - CATCHES_UP_S:
            # it does not catch up: the sender's time stood still
            late = least[-1]
            least.clear()
            least.append(late)
        least.append(difference_s)
        self._newest_s = difference_s
        self.offset_s = min(least)


class InterarrivalJitter:
    """The mean deviation of packets' spacing (RFC 3550 section 6.4.1), in the order of their arrival."""

    def __init__(self) -> None:
        self.value_s = 0.0
        self._clock_hz = self._time = 0
        self._arrived_s = 0.0

    def note(self, time: int, clock_hz: int, arrived_s: float) -> None:
        """A packet with this RTP time arrived."""
        if clock_hz == self._clock_hz:
            sent_s = ((time - self._time + 0x80000000 & 0xFFFFFFFF) - 0x80000000) / clock_hz
            changed_s = abs(arrived_s - self._arrived_s - sent_s)
            # times that begin anew say nothing of the network
            if changed_s < MAX_TRANSIT_CHANGE_S:
                self.value_s += (changed_s - self.value_s) / 16
        self._clock_hz, self._time, self._arrived_s = clock_hz, time, arrived_s
