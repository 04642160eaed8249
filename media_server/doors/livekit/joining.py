"""What a client wants that joins a room: out of its request's query, in either of the two forms. Pure."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

from media_server.doors.livekit.messages import decode_join_request, decode_wrapped
from media_server.doors.livekit.protobuf import Message, WireError
from media_server.errors import ClientError

__all__ = ["parse_join"]

LARGEST = 256 * 1024
"""Bytes of a request, unzipped."""
WITH_GZIP_HEADER = 16 + zlib.MAX_WBITS


def parse_join(query: Mapping[str, str]) -> Message:
    """The `JoinRequest`; clients that use two connections say the same by single parameters.

    Raises:
        ClientError: `bad_join_request`.
    """
    if "join_request" not in query:
        return {"reconnect": int(query.get("reconnect") in ("1", "true")), "participant_sid": query.get("sid", "")}
    text = query["join_request"]
    try:
        wrapped = decode_wrapped(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        data = wrapped.get("join_request", b"")
        match wrapped.get("compression", 0):
            case 0:
                return decode_join_request(data)
            case 1:
                return decode_join_request(_unzipped(data))
            case _:
                raise _bad("is compressed in a way that this server does not know")
    except zlib.error as wrong:
        raise _bad("is not gzip, as it says") from wrong
    except WireError as wrong:
        raise _bad(f"is not a JoinRequest: {wrong}") from wrong
    except ValueError as wrong:  # of the decoder, or of a text that is not ASCII
        raise _bad("is not base64") from wrong


def _unzipped(data: bytes) -> bytes:
    unzip = zlib.decompressobj(WITH_GZIP_HEADER)
    plain = unzip.decompress(data, LARGEST + 1)
    if len(plain) > LARGEST:
        raise _bad(f"has more than {LARGEST} bytes")
    if not unzip.eof:
        raise _bad("is cut")
    return plain


def _bad(what: str) -> ClientError:
    return ClientError("bad_join_request", f"The parameter join_request {what}.")
