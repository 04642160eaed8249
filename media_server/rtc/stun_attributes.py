"""Attributes of STUN requests that the server does not understand, and the answer to them (RFC 8489 section 6.3.1)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aioice import stun

__all__ = ["not_understood", "refusal_of"]

_CHANGE_REQUEST, _MESSAGE_INTEGRITY, _UNKNOWN_ATTRIBUTES, _FINGERPRINT = 0x0003, 0x0008, 0x000A, 0x8028
_OPTIONAL = 0x8000
"""Attributes from here on may be passed over."""
_UNDERSTOOD = (stun.ATTRIBUTES_BY_TYPE.keys() | {_UNKNOWN_ATTRIBUTES, 0x001C, 0x001D, 0x001E}) - {_CHANGE_REQUEST}
"""Those of RFC 8489 and 8445; the first are in aioice, the last are of other ways to authenticate."""
MOST = 16
"""Maximum attributes that an answer names."""


def not_understood(request: bytes) -> list[int]:
    """The types of attributes that have to be understood and are not; what stands behind the integrity is no part."""
    found: list[int] = []
    at = 20
    while at + 4 <= len(request) and len(found) < MOST:
        kind, size = struct.unpack_from("!HH", request, at)
        if kind == _MESSAGE_INTEGRITY:
            break
        if kind < _OPTIONAL and kind not in _UNDERSTOOD and kind not in found:
            found.append(kind)
        at += 4 + size + -size % 4
    return found


def refusal_of(unknown: Sequence[int], transaction_id: bytes, key: bytes) -> bytes:
    """The answer to a request with such attributes: an error 420 that names them."""
    error = {"ERROR-CODE": (420, "Unknown Attribute")}
    message = bytes(stun.Message(stun.Method.BINDING, stun.Class.ERROR, transaction_id, error))
    names = struct.pack(f"!{len(unknown)}H", *unknown)
    message += struct.pack("!HH", _UNKNOWN_ATTRIBUTES, len(names)) + names + bytes(-len(names) % 4)
    message += struct.pack("!HH", _MESSAGE_INTEGRITY, 20) + stun.message_integrity(message, key)
    message += struct.pack("!HHI", _FINGERPRINT, 4, stun.message_fingerprint(message))
    return stun.set_body_length(message, len(message) - 20)
