"""When the packets of one stream were captured, by their RTP times and their arrivals. Pure.

A sender may change its clock rate with the codec, and begin its times anew, within one stream (one SSRC). So each
packet is placed against the sound before it, in the order in which they were sent:

    its time, in ticks of the packet before (RFC 7160)                where its sound begins
    at the end of the sound before, or later: there were no packets   where its time says
    before that end, or more than `LEAP_S` later than it arrived,     right behind the sound before; if it arrived more
    or more than `HELD_UP_S` earlier: it is no network's delay        than `BRIDGE_S` later than that, at its arrival
    in another clock rate, behind lost packets of an unknown rate     at its arrival
"""

from __future__ import annotations

from collections import deque

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
            is_likely = undelayed_s - HELD_UP_S <= begin_s <= undelayed_s + LEAP_S
            if ahead < 0 or not is_likely or not is_legible:
                pause_s = undelayed_s - self.end_s
                begin_s = self.end_s + (pause_s if pause_s > (0 if after_loss else BRIDGE_S) else 0.0)
        self.clock_hz, self.end, self.end_s = clock_hz, time, begin_s
        self._clock.note(begin_s + length_s, arrived_s)
        return begin_s

    def advance(self, ticks: int) -> None:
        """Sound of this length was heard."""
        self.end = self.end + ticks & 0xFFFFFFFF
        self.end_s += ticks / self.clock_hz

    def follow(self, ticks: int, arrived_s: float) -> float:
        """Place a packet of the same clock rate that begins at `end`, and go on by its length: when it was captured.

        The one before it must have arrived less than `HELD_UP_S` ago.
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
