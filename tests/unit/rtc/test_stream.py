"""The RTP session: what reports of both sides say, and what is made of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_server.audio import CALL_RATE_HZ
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.encoding import FRAME, encoder_of
from media_server.rtc.handset import Handset
from media_server.rtc.microphone import Microphone
from media_server.rtc.pacer import Pacer
from media_server.rtc.quality import LineCounts
from media_server.rtc.rtp import (
    ReceiverReport,
    ReportBlock,
    RtpPacket,
    SenderReport,
    is_rtcp,
    parse_rtcp,
    parse_rtp,
    write_report,
    write_rtp,
)
from media_server.rtc.speaker import Speaker, Speech
from media_server.rtc.stream import REPORT_TICKS, RtpSession

OPUS, KEYS = Codec(111, "opus", 48_000, 2), Codec(126, "telephone-event", 8000)
OURS, THEIRS = 77, 1234


class Call:
    """A session on a clock that the test moves; `sent` is what left."""

    def __init__(self, pacer: Pacer) -> None:
        self.now = 100.0
        self.sent: list[bytes] = []
        self.reports: list[LineCounts] = []
        self.digits: list[str] = []

        def clock() -> float:
            return self.now

        self.speaker = Speaker()
        self.handset = Handset(
            clock, Microphone(clock), self.speaker, lambda _: None, self.digits.append, self.reports.append
        )
        agreed = AgreedAudio((OPUS, KEYS), OPUS, local_ssrc=OURS)
        self.session = RtpSession(agreed, self.handset, self.sent.append, pacer)

    def tick(self, n: int) -> None:
        for _ in range(n):
            self.now += 0.02
            self.session._tick(False)

    def report(self, **other: int | float) -> None:
        """A receiver report of the caller's about our stream."""
        block: dict[str, Any] = {
            "about": OURS, "lost_share": 0.0, "lost": 0, "highest": 0, "jitter": 0, "last_report": 0, "delay": 0,
        }  # fmt: skip
        self.session.take(write_report(ReceiverReport(THEIRS, (ReportBlock(**{**block, **other}),)), "x"))

    @property
    def newest(self) -> int:
        """The number of our newest packet."""
        return next(p.number for p in map(parse_rtp, reversed(self.sent)) if p and not is_rtcp(write_rtp(p)))

    def reported(self) -> SenderReport | ReceiverReport:
        """Our newest report."""
        return next(
            r
            for data in reversed(self.sent)
            if is_rtcp(data)
            for r in parse_rtcp(data)
            if isinstance(r, SenderReport | ReceiverReport)
        )


@pytest.fixture
def pacer() -> Iterator[Pacer]:
    pacer = Pacer()
    yield pacer
    pacer.close()


@pytest.fixture
async def call(pacer: Pacer) -> Call:
    return Call(pacer)


def packets(n: int) -> list[bytes]:
    encoder, samples = encoder_of(OPUS), np.zeros(FRAME, np.int16)
    samples[::7] = 3000
    return [encoder.encode(samples) for _ in range(n)]


async def test_a_report_comes_every_two_seconds_and_says_what_was_received(call: Call) -> None:
    for number, payload in enumerate(packets(300)):
        if number % 10 != 3:
            call.session.take(write_rtp(RtpPacket(111, False, number, number * 960, THEIRS, payload)))
        call.tick(1)
    assert 2 <= len(call.reports) <= 3
    (block,) = call.reported().blocks
    assert block.about == THEIRS
    assert block.lost_share == pytest.approx(0.1, abs=0.02)
    whole = call.reports[-1]
    assert whole.received == pytest.approx(90, abs=1)
    assert whole.lost == pytest.approx(10, abs=1)
    assert whole.concealed_s == pytest.approx(0.2, abs=0.03)
    assert whole.heard_s == pytest.approx(1.8, abs=0.03)
    assert call.session.counts.received == 270


async def test_the_round_trip_is_what_is_left_without_the_callers_own_delay(call: Call) -> None:
    call.tick(REPORT_TICKS + 1)
    ours = call.reported()
    assert isinstance(ours, SenderReport)
    # 300 ms later by the wall clock, of which the caller held the report for 200
    middle = (ours.ntp >> 16) - int(0.3 * 65536) & 0xFFFFFFFF
    call.report(highest=call.newest, last_report=middle, delay=int(0.2 * 65536), jitter=480)
    assert call.session.counts.round_trip_s == pytest.approx(0.1, abs=0.05)
    assert call.session.counts.voice_jitter_s == pytest.approx(0.01)


@pytest.mark.parametrize("last_report", [0, 1, 0xFFFFFFFF])
async def test_a_round_trip_that_cannot_be_is_none(call: Call, last_report: int) -> None:
    call.tick(REPORT_TICKS + 1)
    call.report(last_report=last_report, delay=0)
    assert call.session.counts.round_trip_s is None


async def test_losses_of_the_voice_are_those_of_what_was_sent(call: Call) -> None:
    call.speaker.play(Speech(np.full(2 * CALL_RATE_HZ, 1000, np.int16)))
    for _ in range(100):
        call.tick(1)
        await asyncio.sleep(0.001)  # the encoder's thread
    sent = call.session._mouth.packets
    call.report(highest=call.session._mouth.number, lost=5)
    assert (call.session.counts.voice_sent, call.session.counts.voice_lost) == (sent, 5)
    call.report(highest=call.session._mouth.number, lost=-3)
    assert call.session.counts.voice_lost == 5, "what was lost stays lost"
    call.report(highest=0xFFFFFFFF, lost=0x7FFFFF)
    counts = call.session.counts
    assert counts.voice_lost <= counts.voice_sent == sent, "nobody can lose more than was sent"


async def test_a_report_about_another_stream_says_nothing_of_ours(call: Call) -> None:
    call.tick(30)
    call.report(about=OURS + 1, lost=5, highest=call.newest)
    assert call.session.counts.voice_sent == 0


async def test_what_is_under_way_is_half_a_round_trip_until_it_has_arrived(call: Call) -> None:
    call.session.start()
    call.speaker.play(Speech(np.full(CALL_RATE_HZ // 10, 1000, np.int16)))
    call.tick(2)
    call.report(last_report=(int((time.time() + 2_208_988_800 - 0.2) * 65536)) & 0xFFFFFFFF, highest=1)
    assert call.speaker.buffered() == pytest.approx(0.1, abs=0.05)
    call.tick(20)
    assert call.speaker.buffered() == 0
    call.session.stop()
    assert call.speaker.buffered() == 0


async def test_a_listener_who_reports_no_more_hears_nothing_more(call: Call) -> None:
    call.session.start()
    call.report(highest=1)
    call.now += 20
    call.speaker.play(Speech(np.full(CALL_RATE_HZ // 10, 1000, np.int16)))
    call.tick(3)
    assert call.speaker.buffered() > 16
    call.session.stop()


async def test_a_key_reaches_the_call_once(call: Call) -> None:
    for n in range(6):
        call.session.take(write_rtp(RtpPacket(126, n == 0, n, 7, THEIRS, bytes([5, 0x80 if n > 2 else 10, 0, n]))))
    assert call.digits == ["5"]


async def test_a_goodbye_ends_nothing(call: Call) -> None:
    for number, payload in enumerate(packets(20)):
        call.session.take(write_rtp(RtpPacket(111, False, number, number * 960, THEIRS, payload)))
        if number == 9:
            call.session.take(bytes([0x81, 203, 0, 1]) + THEIRS.to_bytes(4, "big"))
    assert call.session.counts.received == 20
    assert call.session.counts.heard_s == pytest.approx(0.4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=2, max_size=120), max_size=8))
def test_no_report_raises_or_makes_a_figure_that_cannot_be(reports: list[bytes]) -> None:
    async def take() -> None:
        pacer = Pacer()
        call = Call(pacer)
        call.tick(3)
        for body in reports:
            padded = body + bytes(-len(body) % 4)
            header = bytes([0x81, 201, 0, len(padded) // 4])
            call.session.take(header + padded)
            call.session.take(header + bytes(4) + OURS.to_bytes(4, "big") + padded)
        counts = call.session.counts
        assert 0 <= counts.voice_lost <= counts.voice_sent <= 3
        assert 0 <= counts.voice_jitter_s <= 10
        pacer.close()

    asyncio.run(take())
