"""RTP and RTCP on the wire (RFC 3550), redundant audio (RFC 2198) and telephone events (RFC 4733). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

__all__ = [
    "RTP_HEADER",
    "Goodbye",
    "ReceiverReport",
    "ReportBlock",
    "RtpPacket",
    "SenderReport",
    "TelephoneEvent",
    "is_rtcp",
    "parse_red",
    "parse_rtcp",
    "parse_rtp",
    "parse_telephone_events",
    "unwrapped",
    "write_red",
    "write_report",
    "write_rtp",
]

RTP_HEADER = struct.Struct("!BBHII")
"""The fixed header: flags, marker and payload type, number, time, SSRC."""
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_CNAME = 1
DIGITS = "0123456789*#ABCD"
MAX_RED_OFFSET = (1 << 14) - 1
MAX_RED_BYTES = (1 << 10) - 1
MAX_RED_BLOCKS = 16
"""Maximum blocks of redundant audio in a packet; clients send two or three, and each takes time."""
MAX_EVENTS = 16
"""Maximum keys in a packet."""


class RtpPacket(NamedTuple):
    """One packet; `time` is its RTP timestamp, `payload` is without padding and may be empty."""

    payload_type: int
    marker: bool
    number: int
    time: int
    ssrc: int
    payload: bytes


class ReportBlock(NamedTuple):
    """What the sender of a report received of one stream (RFC 3550 section 6.4.1)."""

    about: int
    """The SSRC of the stream."""
    lost_share: float
    """Share of packets lost since the last report, 0 to 1."""
    lost: int
    """Packets lost since the stream began; negative where duplicates outnumber them."""
    highest: int
    """Highest number received, with its cycles above the lower 16 bits."""
    jitter: int
    """Interarrival jitter in RTP ticks."""
    last_report: int
    """Middle 32 bits of the NTP time of the last sender report; 0 without one."""
    delay: int
    """Time since that report arrived, in 1/65536 s."""


class ReceiverReport(NamedTuple):
    ssrc: int
    blocks: tuple[ReportBlock, ...]


class SenderReport(NamedTuple):
    ssrc: int
    ntp: int
    """64-bit NTP time."""
    time: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


class Goodbye(NamedTuple):
    ssrcs: tuple[int, ...]


class TelephoneEvent(NamedTuple):
    """A key of the telephone."""

    digit: str
    ended: bool
    duration: int
    """How long the key is pressed so far, in RTP ticks."""


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet of a multiplexed transport is RTCP rather than RTP (RFC 5761 section 4)."""
    return len(packet) > 1 and 64 <= packet[1] & 0x7F <= 95


def unwrapped(value: int, near: int, bits: int) -> int:
    """The number nearest to `near` of which `value` is the lower `bits`."""
    half = 1 << (bits - 1)
    return near + ((value - near + half) & ((1 << bits) - 1)) - half


def parse_rtp(data: bytes) -> RtpPacket | None:
    """A packet, or None where it is malformed."""
    size = len(data)
    if size < 12:
        return None
    first, second, number, time, ssrc = RTP_HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    start = 12 + 4 * (first & 15)
    if first & 16:
        if size < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = size
    if first & 32:
        padding = data[-1]
        if padding == 0:
            return None
        end -= padding
    if end < start:
        return None
    return RtpPacket(second & 127, second > 127, number, time, ssrc, data[start:end])


def write_rtp(packet: RtpPacket) -> bytes:
    """A packet without extensions, contributing sources and padding."""
    second = packet.payload_type | (128 if packet.marker else 0)
    return RTP_HEADER.pack(128, second, packet.number, packet.time, packet.ssrc) + packet.payload


def parse_rtcp(data: bytes) -> list[SenderReport | ReceiverReport | Goodbye]:
    """The reports and goodbyes of a compound packet; stops at what is malformed, and skips other types."""
    found: list[SenderReport | ReceiverReport | Goodbye] = []
    at = 0
    while len(data) - at >= 8 and data[at] >> 6 == 2:
        count, kind = data[at] & 31, data[at + 1]
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            break
        body = data[at + 4 : end]
        if kind == _SENDER_REPORT and len(body) >= _SENDER.size + count * _BLOCK.size:
            ssrc, ntp, time, packets, octets = _SENDER.unpack_from(body)
            found.append(SenderReport(ssrc, ntp, time, packets, octets, _blocks(body, _SENDER.size, count)))
        elif kind == _RECEIVER_REPORT and len(body) >= 4 + count * _BLOCK.size:
            found.append(ReceiverReport(int.from_bytes(body[:4], "big"), _blocks(body, 4, count)))
        elif kind == _GOODBYE and len(body) >= 4 * count:
            found.append(Goodbye(struct.unpack_from(f"!{count}I", body)))
        at = end
    return found


def _blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for i in range(count):
        about, loss, *rest = _BLOCK.unpack_from(body, start + i * _BLOCK.size)
        blocks.append(ReportBlock(about, (loss >> 24) / 256, unwrapped(loss & 0xFFFFFF, 0, 24), *rest))
    return tuple(blocks)


def write_report(report: SenderReport | ReceiverReport, cname: str) -> bytes:
    """A compound packet: the report, and the canonical name that RFC 3550 section 6.1 asks for."""
    count = len(report.blocks)
    if isinstance(report, SenderReport):
        body = _SENDER.pack(*report[:5])
        kind = _SENDER_REPORT
    else:
        body = report.ssrc.to_bytes(4, "big")
        kind = _RECEIVER_REPORT
    for block in report.blocks:
        lost = max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF
        share = max(0, min(255, round(block.lost_share * 256)))
        body += _BLOCK.pack(block.about, share << 24 | lost, *block[3:])
    name = cname.encode()[:255]
    item = bytes([_CNAME, len(name)]) + name + b"\0"
    item += bytes(-len(item) % 4)
    return _chunk(count, kind, body) + _chunk(1, _DESCRIPTION, report.ssrc.to_bytes(4, "big") + item)


def _chunk(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def parse_red(payload: bytes) -> list[tuple[int, int, bytes]]:
    """The blocks of redundant audio, oldest first: payload type, RTP ticks before the packet's time, payload.

    The last one is the packet's own sound. Empty where the payload is malformed.
    """
    heads: list[tuple[int, int, int]] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload) or len(heads) == MAX_RED_BLOCKS:
            return []
        head = int.from_bytes(payload[at : at + 4], "big")
        heads.append((head >> 24 & 127, head >> 10 & MAX_RED_OFFSET, head & MAX_RED_BYTES))
        at += 4
    if at >= len(payload):
        return []
    last = payload[at] & 127
    at += 1
    blocks = []
    for payload_type, offset, size in heads:
        if at + size > len(payload):
            return []
        blocks.append((payload_type, offset, payload[at : at + size]))
        at += size
    return [*blocks, (last, 0, payload[at:])]


def write_red(payload_type: int, older: Iterable[tuple[int, bytes]], payload: bytes) -> bytes:
    """Redundant audio: `older` are payloads with how many RTP ticks before they belong, oldest first.

    One that does not fit into the header's fields is left out.
    """
    heads, bodies = b"", b""
    for offset, body in older:
        if 0 < offset <= MAX_RED_OFFSET and 0 < len(body) <= MAX_RED_BYTES:
            heads += (1 << 31 | payload_type << 24 | offset << 10 | len(body)).to_bytes(4, "big")
            bodies += body
    return heads + bytes([payload_type]) + bodies + payload


def parse_telephone_events(payload: bytes) -> list[TelephoneEvent]:
    """The keys of a payload, each of which begins where the one before it ends; mostly there is one.

    Events that are no key of a telephone are left out.
    """
    events = (payload[at : at + 4] for at in range(0, min(len(payload) - 3, 4 * MAX_EVENTS), 4))
    return [
        TelephoneEvent(DIGITS[event[0]], event[1] > 127, int.from_bytes(event[2:], "big"))
        for event in events
        if event[0] < len(DIGITS)
    ]
