"""The jitter buffer: packets with their arrival in, what to decode and what is missing out. Pure.

It is not a playout buffer. A recogniser needs order and times rather than an even beat, so the packet that is next is
handed out when it comes, and only a hole is waited for:

    what comes                                  what happens
    the next number                             Play at once, and all that wait behind it
    a number behind a hole                      waits, until the hole is filled or `wait_s` is over
    wait_s over, or MAX_HELD packets waiting   Missing for the hole, then Play
    a number that was played or waits           dropped: a duplicate
    a number that was given up                  dropped, and the wait grows to its lateness
    a number far off, or behind with a time     dropped, unless the next packet follows it: the sender began anew
    that no earlier packet can have
    no payload (padding, a probe)               takes its number and nothing else

The wait is as long as reordering was seen to take. A later one raises it at
once; 5 s later it shrinks by 10 ms a second.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from media_server.rtc.rtp import unwrapped

__all__ = ["Decision", "JitterBuffer", "Missing", "Play"]

FIRST_WAIT_S = 0.02
MAX_WAIT_S = 0.2
MARGIN_S = 0.005
KEPT_S = 5.0
"""How long a wait is kept after a packet needed it."""
SHRINK_PER_S = 0.01
MAX_HELD = 50
MAX_GIVEN_UP = 200
MAX_AHEAD, MAX_BEHIND = 3000, 100
"""MAX_DROPOUT and MAX_MISORDER of RFC 3550 appendix A.1."""
MAX_TICKS_BEHIND = MAX_BEHIND * 5760
"""That many packets of Opus last so long at most."""
SLACK_S = 1e-6


class Play(NamedTuple):
    """Decode this next."""

    payload_type: int
    time: int
    """Its RTP time."""
    payload: bytes
    """Empty where it holds no sound, and only takes its number."""
    arrived_s: float


class Missing(NamedTuple):
    """Packets that will not come; `successor` was sent after them, and may hold what was in the last one."""

    packets: int
    successor: Play


Decision = Play | Missing


class JitterBuffer:
    """The order of one stream (one SSRC). All times of arrival are seconds on one clock."""

    def __init__(self) -> None:
        self.received = 0
        """Packets, without duplicates."""
        self.duplicates = 0
        self.late = 0
        """Packets that came after they had been given up."""
        self._first: int | None = None
        self._next = 0
        self._highest = 0
        self._time = 0
        """The RTP time of the newest packet with sound."""
        self._held: dict[int, Play] = {}
        self._hole_since_s: float | None = None
        self._given_up: OrderedDict[int, float] = OrderedDict()
        """Numbers of packets that were not waited for any longer, and when the wait for them had begun."""
        self._wait_s = FIRST_WAIT_S
        self._needed_s = 0.0
        self._astray: tuple[int, Play] | None = None

    @property
    def expected(self) -> int:
        """Packets sent since the stream began, as far as its numbers tell."""
        return 0 if self._first is None else self._highest - self._first + 1

    @property
    def highest(self) -> int:
        """The highest number received, extended beyond 16 bits."""
        return self._highest

    @property
    def due_s(self) -> float | None:
        """When `due` should be called at the latest; None while nothing waits."""
        return None if self._hole_since_s is None else self._hole_since_s + self.wait_s(self._hole_since_s)

    def wait_s(self, now_s: float) -> float:
        """How long a hole is waited for."""
        spare_s = now_s - self._needed_s - KEPT_S
        return max(FIRST_WAIT_S, self._wait_s - SHRINK_PER_S * max(0.0, spare_s))

    def push(self, number: int, packet: Play) -> list[Decision]:
        """A packet as it arrives; what can be decided now."""
        if self._first is None:
            self._begin(number)
        extended = unwrapped(number, self._next, 16)
        if not -MAX_BEHIND <= extended - self._next <= MAX_AHEAD or self._is_anew(extended, packet):
            return self._strayed(number, packet)
        self._astray = None
        if self._is_duplicate(extended, packet.arrived_s):
            return []
        self.received += 1
        self._highest = max(self._highest, extended)
        return self._enter(extended, packet, packet.arrived_s)

    def take_next(self, number: int, time: int) -> bool:
        """Whether this is the next packet and none waits, so that it is played at once; then it counts as played."""
        if self._held or self._first is None or number != self._next & 0xFFFF:
            return False
        self.received += 1
        self._highest = max(self._highest, self._next)
        self._next += 1
        self._time = time
        self._hole_since_s = self._astray = None
        return True

    def restore(self, number: int, packet: Play, now_s: float) -> list[Decision]:
        """A copy of an earlier packet that came with a later one (RFC 2198); counts neither as received nor as late."""
        extended = unwrapped(number, self._next, 16)
        if self._first is None or not 0 <= extended - self._next <= MAX_HELD or extended in self._held:
            return []
        return self._enter(extended, packet, now_s)

    def due(self, now_s: float) -> list[Decision]:
        """What the passing of time decides."""
        decided: list[Decision] = []
        while self._held:
            if self._next in self._held:
                decided.append(self._play(self._held.pop(self._next)))
                self._hole_since_s = None
                continue
            if self._hole_since_s is None:
                self._hole_since_s = now_s
            waited_s = now_s - self._hole_since_s
            if waited_s < self.wait_s(now_s) - SLACK_S and len(self._held) < MAX_HELD:
                break
            decided += self._give_up(self._hole_since_s)
            self._hole_since_s = None
        return [each for each in decided if isinstance(each, Missing) or each.payload]

    def flush(self) -> list[Decision]:
        """What still waits, where no more is to come."""
        decided: list[Decision] = []
        while self._held:
            if self._next not in self._held:
                decided += self._give_up(0.0)
            decided.append(self._play(self._held.pop(self._next)))
        self._hole_since_s = None
        return [each for each in decided if isinstance(each, Missing) or each.payload]

    def _begin(self, number: int) -> None:
        self._first = self._next = self._highest = number + 65536

    def _is_anew(self, extended: int, packet: Play) -> bool:
        """Whether a packet behind the next one was not sent before it: the sender numbers anew."""
        if extended >= self._next or not packet.payload:
            return False
        ahead = unwrapped(packet.time, self._time, 32) - self._time
        return ahead > 0 or ahead < -MAX_TICKS_BEHIND

    def _enter(self, extended: int, packet: Play, now_s: float) -> list[Decision]:
        if packet.payload and extended >= self._highest:
            self._time = packet.time
        if extended == self._next and not self._held:
            self._hole_since_s = None
            played = self._play(packet)
            return [played] if packet.payload else []
        self._held[extended] = packet
        return self.due(now_s)

    def _play(self, packet: Play) -> Play:
        self._next += 1
        return packet

    def _is_duplicate(self, extended: int, now_s: float) -> bool:
        if extended >= self._next and extended not in self._held:
            return False
        since_s = self._given_up.pop(extended, None)
        if since_s is None:
            self.duplicates += 1
        else:
            self.late += 1
            self.received += 1
            self._wait_s = min(MAX_WAIT_S, max(self.wait_s(now_s), now_s - since_s + MARGIN_S))
            self._needed_s = now_s
        return True

    def _give_up(self, since_s: float) -> list[Missing]:
        until = min(self._held)
        for number in range(max(self._next, until - MAX_GIVEN_UP), until):
            self._given_up[number] = since_s
        while len(self._given_up) > MAX_GIVEN_UP:
            self._given_up.popitem(last=False)
        missing, self._next = until - self._next, until
        return [Missing(missing, self._held[until])]

    def _strayed(self, number: int, packet: Play) -> list[Decision]:
        before = self._astray
        if before is None or number != (before[0] + 1) & 0xFFFF:
            self._astray = (number, packet)
            return []
        # two in a row: the sender numbers anew (RFC 3550 appendix A.1)
        decided = self.flush()
        received, expected = self.received, self.expected
        self._begin(before[0])
        assert self._first is not None
        self._first -= expected
        self.received = received
        self._astray = None
        self._given_up.clear()
        return [*decided, *self.push(*before), *self.push(number, packet)]
