"""How good a call's line is: counts of what it carried in, figures out, and when it turns bad or good again. Pure.

    what two reports in a row show (2 s each)                        the line is
    a twentieth of the caller's sound missing, or                    bad
    a tenth of the agent's packets lost, or                          bad
    a round trip of 600 ms, or 100 ms of jitter                      bad
    three reports in a row with less than half of each               good again

A report without enough packets to judge by says nothing about either.
"""

from __future__ import annotations

from dataclasses import dataclass

from media_server.events import CallQuality, ConnectionChanged

__all__ = ["LineCounts", "LineQuality"]

EVERY_S = 10.0
"""Seconds between two figures that are told."""
FIRST_S = 4.0
MAX_CONCEALED, MAX_LOST = 0.05, 0.1
MAX_ROUND_TRIP_S, MAX_JITTER_S = 0.6, 0.1
MIN_PACKETS = 40
"""Packets of the agent below which a loss is chance: in silence there are five in a report."""
MIN_SOUND_S = 0.5
BAD_REPORTS, GOOD_REPORTS = 2, 3


@dataclass(frozen=True, slots=True)
class LineCounts:
    """What a line carried, since it began or since an earlier count."""

    received: int = 0
    """Packets of the caller's."""
    lost: int = 0
    heard_s: float = 0.0
    """Sound of the caller's that came, or was restored from other packets."""
    concealed_s: float = 0.0
    """Sound that nothing had a copy of."""
    voice_sent: int = 0
    """Packets of the agent's voice, as far as the caller has reported on them."""
    voice_lost: int = 0
    jitter_s: float = 0.0
    """Now, as are those below."""
    voice_jitter_s: float = 0.0
    round_trip_s: float | None = None

    def since(self, before: LineCounts) -> LineCounts:
        """What came after an earlier count of the same line."""
        return LineCounts(
            self.received - before.received,
            self.lost - before.lost,
            self.heard_s - before.heard_s,
            self.concealed_s - before.concealed_s,
            self.voice_sent - before.voice_sent,
            self.voice_lost - before.voice_lost,
            self.jitter_s,
            self.voice_jitter_s,
            self.round_trip_s,
        )


class LineQuality:
    """`note` each report of whatever line the call goes over; it returns what is to be told."""

    def __init__(self) -> None:
        self.is_bad = False
        self._recent, self._whole = _Sum(), _Sum()
        self._told_s: float | None = None
        self._bad = self._good = 0
        """Reports in a row."""

    @property
    def whole(self) -> CallQuality | None:
        """The figures of the call so far; None where no line has reported."""
        return self._whole.figures() if self._whole.reports else None

    def note(self, counts: LineCounts, now_s: float) -> list[CallQuality | ConnectionChanged]:
        """What a line carried since its report before."""
        self._recent.add(counts)
        self._whole.add(counts)
        if self._told_s is None:
            self._told_s = now_s + FIRST_S - EVERY_S
        changed = self._changed(counts)
        if not changed and now_s - self._told_s < EVERY_S:
            return []
        figures, self._recent, self._told_s = self._recent.figures(), _Sum(), now_s
        return [*changed, figures]

    def _changed(self, counts: LineCounts) -> list[ConnectionChanged]:
        worst = _worst(counts)
        if worst is None:
            return []
        self._bad = self._bad + 1 if worst >= 1 else 0
        self._good = self._good + 1 if worst < 0.5 else 0
        if not self.is_bad and self._bad >= BAD_REPORTS:
            self.is_bad = True
        elif self.is_bad and self._good >= GOOD_REPORTS:
            self.is_bad = False
        else:
            return []
        return [ConnectionChanged("bad" if self.is_bad else "good")]


class _Sum:
    """Counts of several reports, from whatever lines."""

    def __init__(self) -> None:
        self.reports = 0
        self._all = LineCounts()
        self._jitter_s = self._voice_jitter_s = self._round_trip_s = 0.0
        self._round_trips = 0

    def add(self, counts: LineCounts) -> None:
        before = self._all
        self.reports += 1
        self._all = LineCounts(
            before.received + counts.received,
            before.lost + counts.lost,
            before.heard_s + counts.heard_s,
            before.concealed_s + counts.concealed_s,
            before.voice_sent + counts.voice_sent,
            before.voice_lost + counts.voice_lost,
        )
        self._jitter_s += counts.jitter_s
        self._voice_jitter_s += counts.voice_jitter_s
        if counts.round_trip_s is not None:
            self._round_trips += 1
            self._round_trip_s += counts.round_trip_s

    def figures(self) -> CallQuality:
        every = self._all
        return CallQuality(
            jitter_ms=self._jitter_s / self.reports * 1000,
            lost=_share(every.lost, every.received + every.lost),
            concealed=_share(every.concealed_s, every.heard_s + every.concealed_s),
            voice_lost=_share(every.voice_lost, every.voice_sent),
            voice_jitter_ms=self._voice_jitter_s / self.reports * 1000,
            round_trip_ms=self._round_trip_s / self._round_trips * 1000 if self._round_trips else None,
        )


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0


def _worst(counts: LineCounts) -> float | None:
    """The figure that is nearest to its bound or farthest beyond it, as a share of the bound; None without any."""
    signs: list[float] = []
    sound_s = counts.heard_s + counts.concealed_s
    if sound_s >= MIN_SOUND_S:
        signs += [_share(counts.concealed_s, sound_s) / MAX_CONCEALED, counts.jitter_s / MAX_JITTER_S]
    if counts.voice_sent >= MIN_PACKETS:
        signs += [_share(counts.voice_lost, counts.voice_sent) / MAX_LOST, counts.voice_jitter_s / MAX_JITTER_S]
    if counts.round_trip_s is not None:
        signs.append(counts.round_trip_s / MAX_ROUND_TRIP_S)
    return max(signs, default=None)
