"""RTP and RTCP as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.rtc.rtp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtpPacket,
    SenderReport,
    is_rtcp,
    parse_red,
    parse_rtcp,
    parse_rtp,
    parse_telephone_events,
    unwrapped,
    write_red,
    write_report,
    write_rtp,
)

PACKET = RtpPacket(111, True, 65535, 4_000_000_000, 0xDEADBEEF, b"sound")


def test_a_packet_there_and_back() -> None:
    assert parse_rtp(write_rtp(PACKET)) == PACKET


def test_extensions_sources_and_padding_are_skipped() -> None:
    plain = write_rtp(PACKET)
    whole = bytes([0xB2]) + plain[1:12] + bytes(8) + b"\xbe\xde\x00\x01abcd" + b"sound" + b"\0\0\3"
    assert parse_rtp(whole) == PACKET
    only_padding = bytes([0xA0]) + plain[1:12] + bytes(19) + b"\x14"
    parsed = parse_rtp(only_padding)
    assert parsed is not None
    assert parsed.payload == b""


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, b"\x40" + bytes(20), b"\x8f" + bytes(20), b"\xa0" + bytes(12)])
def test_a_malformed_packet_is_none(data: bytes) -> None:
    assert parse_rtp(data) is None


def test_reports_there_and_back() -> None:
    block = ReportBlock(7, 0.25, -3, 70_000, 12, 99, 65536)
    sender = SenderReport(5, 1 << 40, 960, 10, 1000, (block,))
    packet = write_report(sender, "name")
    assert is_rtcp(packet)
    assert len(packet) % 4 == 0
    assert parse_rtcp(packet) == [sender]
    receiver = ReceiverReport(5, (block, block))
    assert parse_rtcp(write_report(receiver, "")) == [receiver]
    assert parse_rtcp(packet + b"\x81\xcb\x00\x01\x00\x00\x00\x05") == [sender, Goodbye((5,))]


def test_redundancy_there_and_back() -> None:
    assert parse_red(write_red(111, [(960, b"before")], b"now")) == [(111, 960, b"before"), (111, 0, b"now")]
    assert parse_red(write_red(111, [(20_000, b"too old"), (960, b"x" * 2000)], b"now")) == [(111, 0, b"now")]


def test_packets_of_ever_more_parts_are_not_looked_through() -> None:
    older = [(960 * (n + 1), b"x") for n in range(12)]
    assert len(parse_red(write_red(111, older, b"now"))) == 13
    assert parse_red(write_red(111, [(n + 1, b"x") for n in range(250)], b"now")) == []
    assert len(parse_telephone_events(b"\x01\x8a\x03\x20" * 350)) == 16


def test_numbers_unwrap() -> None:
    assert unwrapped(1, 65535, 16) == 65537
    assert unwrapped(65535, 65537, 16) == 65535
    assert unwrapped(5, 1 << 32, 32) == (1 << 32) + 5


def test_a_key_of_the_telephone() -> None:
    (event,) = parse_telephone_events(b"\x0b\x8a\x03\x20")
    assert (event.digit, event.ended, event.duration) == ("#", True, 800)
    assert parse_telephone_events(b"\x20\x00\x00\x00") == parse_telephone_events(b"\x01\x00\x00") == []
    assert [e.digit for e in parse_telephone_events(b"\x01\x8a\x03\x20\x02\x0a\x00\xa0")] == ["1", "2"]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    parse_rtp(data)
    parse_rtcp(data)
    parse_red(data)
    parse_telephone_events(data)
