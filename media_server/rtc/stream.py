"""A call's RTP session (RFC 3550): what is received and sent, and the reports about both."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from media_server.rtc.agreed import AgreedAudio
from media_server.rtc.ear import Ear, Reception
from media_server.rtc.handset import Handset
from media_server.rtc.mouth import Mouth
from media_server.rtc.pacer import TICK_S, Pacer
from media_server.rtc.quality import LineCounts
from media_server.rtc.rtp import Goodbye, ReceiverReport, ReportBlock, SenderReport, is_rtcp, parse_rtcp, write_report

__all__ = ["RtpSession", "Sending"]

REPORT_TICKS = 100
"""Ticks between two reports of ours: 2 s."""
FIRST_REPORT_TICKS = 25
ABSENT_S = 16.0
"""Seconds without a report, from a listener who sends them, after which he hears nothing; browsers send one in 5 s."""
MAX_ROUND_TRIP_S = 10.0
_NTP_EPOCH_S = 2_208_988_800


@dataclass(slots=True)
class Sending:
    """What the caller's reports say of the agent's voice."""

    round_trip_s: float | None = None
    sent: int = 0
    """Packets that reports cover."""
    lost: int = 0
    """Packets of those that did not arrive."""
    jitter_s: float = 0.0


class RtpSession:
    """`take` is given decrypted packets; plain ones go to `send`. Runs from `start` to `stop` on the worker's clock.

    Args:
        send: encrypts a packet of RTP or RTCP and sends it at once.
    """

    def __init__(self, agreed: AgreedAudio, handset: Handset, send: Callable[[bytes], None], pacer: Pacer) -> None:
        self.sending = Sending()
        self._agreed = agreed
        self._clock = handset.clock
        self._speaker = handset.speaker
        self._send = send
        self._pacer = pacer
        self._ear = Ear(agreed, handset.microphone, handset.press)
        self._mouth = Mouth(agreed, handset.speaker, send, pacer.encoders)
        self._first_number = self._mouth.number + 1
        self._report_line = handset.report
        self._counted = LineCounts()
        """What the line had carried at the report before."""
        # RFC 7022: a name for this session that tells nothing
        self._cname = secrets.token_urlsafe(12)
        self._ticks = secrets.randbelow(REPORT_TICKS - FIRST_REPORT_TICKS)
        """Random, so that calls which begin together do not report together."""
        self._reported_s: float | None = None
        """When the caller's newest report about our packets came."""
        self._under_way_s = 0.0
        """Sound between us and the listener when that report was sent."""

    @property
    def reception(self) -> Reception:
        """What became of the caller's packets."""
        return self._ear.reception

    @property
    def counts(self) -> LineCounts:
        """What the line has carried since it began."""
        reception, sending = self.reception, self.sending
        return LineCounts(
            reception.received,
            reception.lost,
            reception.played_s + reception.restored_s,
            reception.concealed_s,
            sending.sent,
            sending.lost,
            reception.jitter_s,
            sending.jitter_s,
            sending.round_trip_s,
        )

    def renegotiate(self, agreed: AgreedAudio) -> None:
        """A later offer of the same connection has more to receive; what is sent stays as it was."""
        self._ear.accept(agreed.receive)

    def start(self) -> None:
        """Send from now on."""
        self._speaker.buffered = self._buffered_s
        self._pacer.add(self, self._tick)

    def stop(self) -> None:
        """Send nothing any more."""
        self._pacer.remove(self)
        self._speaker.forget_listener()

    def take(self, packet: bytes) -> None:
        """A packet of RTP or RTCP that arrived now; never raises for what is in it."""
        if not is_rtcp(packet):
            self._ear.take(packet, self._clock())
            return
        for report in parse_rtcp(packet):
            if isinstance(report, SenderReport):
                self._ear.control(report, self._clock())
            elif isinstance(report, Goodbye):
                self._ear.goodbye(report.ssrcs)
            if isinstance(report, SenderReport | ReceiverReport):
                for block in report.blocks:
                    if block.about == self._agreed.local_ssrc:
                        self._note(block)

    def _note(self, block: ReportBlock) -> None:
        clock_hz = self._agreed.send.clock_hz if self._agreed.send else 48_000
        self.sending.jitter_s = min(block.jitter / clock_hz, MAX_ROUND_TRIP_S)
        # a report cannot cover more than was sent, whatever it says; duplicates count as packets too many
        covered = min(max(0, block.highest - self._first_number + 1), self._mouth.packets)
        self.sending.sent = max(self.sending.sent, covered)
        self.sending.lost = max(self.sending.lost, min(block.lost, self.sending.sent))
        if block.last_report:
            round_trip = (_ntp() >> 16) - block.last_report - block.delay & 0xFFFFFFFF
            if round_trip / 65536 < MAX_ROUND_TRIP_S:
                self.sending.round_trip_s = round_trip / 65536
        self._mouth.note_loss(block.lost_share)
        self._reported_s = self._clock()
        # half of the round trip is the way of this report
        self._under_way_s = (self.sending.round_trip_s or 0.0) / 2

    def _buffered_s(self) -> float:
        """Speech that was sent and did not arrive yet, as far as reports tell."""
        under_way_s = self._under_way_s
        if self._reported_s is not None and (silent_s := self._clock() - self._reported_s) > ABSENT_S:
            under_way_s += silent_s
        return max(0.0, under_way_s - self._mouth.spoke_ticks_ago * TICK_S)

    def _tick(self, late: bool) -> None:
        self._ear.tick(self._clock())
        self._mouth.tick(late)
        self._ticks += 1
        if self._ticks >= REPORT_TICKS:
            self._ticks = 0
            self._report()
            counts = self.counts
            self._report_line(counts.since(self._counted))
            self._counted = counts

    def _report(self) -> None:
        ssrc, mouth = self._agreed.local_ssrc, self._mouth
        block = self._ear.report(self._clock())
        blocks = (block,) if block else ()
        report: SenderReport | ReceiverReport
        if mouth.packets:
            packets, octets = mouth.packets & 0xFFFFFFFF, mouth.octets & 0xFFFFFFFF
            report = SenderReport(ssrc, _ntp(), mouth.time, packets, octets, blocks)
        else:
            report = ReceiverReport(ssrc, blocks)
        self._send(write_report(report, self._cname))


def _ntp() -> int:
    """The time of day as 64-bit NTP time."""
    return int((time.time() + _NTP_EPOCH_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
