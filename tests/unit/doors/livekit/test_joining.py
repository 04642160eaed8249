"""What a client wants that joins: both forms are read, and everything else is refused with a sentence."""

from __future__ import annotations

import base64
import gzip

import pytest

from media_server.doors.livekit.joining import LARGEST, parse_join
from media_server.doors.livekit.messages import SCHEMA
from media_server.doors.livekit.protobuf import Codec
from media_server.errors import ClientError

CODEC = Codec(SCHEMA)
WANTED = {"reconnect": 1, "participant_sid": "PA_1", "publisher_offer": {"type": "offer", "sdp": "v=0"}}


def text(data: bytes, compression: int = 0) -> str:
    wrapped = CODEC.encode("WrappedJoinRequest", {"compression": compression, "join_request": data})
    return base64.urlsafe_b64encode(wrapped).decode()


PLAIN = CODEC.encode("JoinRequest", WANTED)


@pytest.mark.parametrize("packed", [text(PLAIN), text(PLAIN).rstrip("="), text(gzip.compress(PLAIN, mtime=0), 1)])
def test_a_request_plain_or_zipped(packed: str) -> None:
    assert parse_join({"join_request": packed}) == WANTED


def test_the_form_of_two_connections() -> None:
    assert parse_join({"reconnect": "1", "sid": "PA_1"}) == {"reconnect": 1, "participant_sid": "PA_1"}
    assert parse_join({}) == {"reconnect": 0, "participant_sid": ""}


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        ("%", "base64"),
        ("ä", "base64"),
        (text(b"\x0a"), "cut"),
        (text(PLAIN, 1), "gzip"),
        (text(PLAIN, 7), "does not know"),
        (text(gzip.compress(PLAIN, mtime=0)[:-9], 1), "cut"),
        (text(gzip.compress(b"\0" * (LARGEST + 1), mtime=0), 1), "more than"),
        (text(gzip.compress(b"\0" * 10_000_000, mtime=0), 1), "more than"),
        (base64.urlsafe_b64encode(b"\x12\xff").decode(), "cut"),
    ],
)
def test_a_request_that_cannot_be_read(packed: str, why: str) -> None:
    with pytest.raises(ClientError, match=why) as refused:
        parse_join({"join_request": packed})
    assert refused.value.code == "bad_join_request"
