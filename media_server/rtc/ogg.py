"""Opus in Ogg as bytes (RFC 3533, RFC 7845): two mono streams as the two channels of one file. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

__all__ = ["BEGINS", "ENDS", "PRE_SKIP", "SILENCE", "channels", "headers", "page"]

BEGINS, ENDS = 2, 4
"""Flags of a stream's first and last page."""
PRE_SKIP = 312
"""Samples at 48 kHz that decoders drop: the look-ahead of Opus encoders."""
SILENCE = b"\xf8\xff\xfe"
"""An Opus packet (CELT, mono) of 20 ms of silence."""
_VENDOR = b"media-server"
_PAGE = struct.Struct("<4sBBqIIIB")
_CRC_AT = 22
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def channels(left: bytes, right: bytes) -> bytes:
    """Both channels' packets, of equal duration, as one packet (RFC 6716 appendix B).

    Args:
        left: a packet with a single frame (code 0).
    """
    length = len(left) - 1
    told = bytes((length,)) if length < 252 else bytes((252 + (length & 3), (length - 252) >> 2))
    return left[:1] + told + left[1:] + right


def headers(serial: int) -> bytes:
    """The first two pages."""
    mapping = bytes((0, 1))
    # channel mapping family 1: left and right, each a mono stream of its own
    head = struct.pack("<8sBBHIhBBB", b"OpusHead", 1, 2, PRE_SKIP, 48_000, 0, 1, 2, 0) + mapping
    tags = b"OpusTags" + struct.pack("<I", len(_VENDOR)) + _VENDOR + bytes(4)
    return page([head], 0, serial, 0, BEGINS) + page([tags], 0, serial, 1)


def page(packets: Sequence[bytes], end: int, serial: int, number: int, flags: int = 0) -> bytes:
    """A page of whole packets, of 255 segments at most.

    Args:
        end: samples at 48 kHz up to the end of the last packet.
    """
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
    head = _PAGE.pack(b"OggS", 0, flags, end, serial, number, 0, len(lacing))
    data = b"".join((head, lacing, *packets))
    return data[:_CRC_AT] + struct.pack("<I", _crc(data)) + data[_CRC_AT + 4 :]


def _crc(data: bytes) -> int:
    """Ogg's checksum: the usual polynomial with the bits in the other order, and no inversion."""
    reversed_crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reversed_crc.to_bytes(4, "little").translate(_REVERSED), "big")
