"""SRTP (RFC 3711) over pylibsrtp's sessions, one packet at a time in one place, which stays in the processor's cache.

`Session.protect` and `unprotect` do the same with a buffer for each session, and take twice the time.
`tests/unit/rtc/test_contracts.py` pins the private names that this leans on.
"""

from __future__ import annotations

from typing import Any

from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib

from media_server.rtc.rtp import is_rtcp

__all__ = ["protect", "unprotect"]

LARGEST = 2048
TRAILER = 144
"""Bytes that encryption adds at most (SRTP_MAX_TRAILER_LEN, with room)."""
_SPACE = ffi.new("char[]", LARGEST + TRAILER)
_BUFFER = ffi.buffer(_SPACE)
_SIZE = ffi.new("int *")
"""All calls of a process share these: encryption happens on the event loop, and nowhere else."""


def unprotect(session: Session, packet: bytes) -> bytes | None:
    """A packet of SRTP or SRTCP decrypted; None where it is not authentic, or came before."""
    return _done(lib.srtp_unprotect_rtcp if is_rtcp(packet) else lib.srtp_unprotect, session, packet)


def protect(session: Session, packet: bytes) -> bytes | None:
    """A packet of RTP or RTCP encrypted; None where it cannot be."""
    return _done(lib.srtp_protect_rtcp if is_rtcp(packet) else lib.srtp_protect, session, packet)


def _done(function: Any, session: Session, packet: bytes) -> bytes | None:
    size = len(packet)
    if size > LARGEST:
        return None
    _SIZE[0] = size
    _BUFFER[0:size] = packet
    # an error is a number here: hostile packets raise nothing
    return None if function(session._srtp[0], _SPACE, _SIZE) else _BUFFER[0 : _SIZE[0]]
