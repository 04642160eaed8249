"""What a peer can make the server keep and do over data channels is bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSctpTransport
from aiortc.rtcsctptransport import (
    LOCAL_MAX_MESSAGE_SIZE,
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    DataChunk,
    HeartbeatChunk,
    SackChunk,
    serialize_packet,
)

from media_server.rtc.sctp import MAX_HOLES, MAX_STREAMS, bound_messages

PIECE = 1100


@pytest.fixture
async def sctp() -> AsyncIterator[RTCSctpTransport]:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("events")
    assert pc.sctp is not None
    pc.sctp._last_received_tsn = 0
    pc.sctp._remote_port = 5000
    bound_messages(pc.sctp)
    yield pc.sctp
    await pc.close()


def chunk(tsn: int, flags: int, data: bytes = bytes(PIECE), stream: int = 1, seq: int = 0) -> DataChunk:
    made = DataChunk(flags=flags)
    made.tsn, made.stream_id, made.stream_seq, made.protocol, made.user_data = tsn, stream, seq, 51, data
    return made


async def take(sctp: RTCSctpTransport, chunks: Iterable[DataChunk]) -> None:
    for each in chunks:
        await sctp._receive_data_chunk(each)


def test_the_private_names_of_aiortc_are_there() -> None:
    for name in (
        "_handle_data",
        "_mark_received",
        "_receive_sack_chunk",
        "_get_inbound_stream",
        "_receive_data_chunk",
        "_transmit",
    ):
        assert callable(getattr(RTCSctpTransport, name))


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "about to be"])
async def test_what_cannot_be_sent_any_more_fails_for_nobody(sctp: RTCSctpTransport, is_closed: bool) -> None:
    await sctp._send(1, 51, b"words")
    assert sctp._outbound_queue
    if is_closed:
        sctp.transport._ssl = object()  # type: ignore[assignment]
    else:
        sctp.transport._state = type(sctp.transport._state).CONNECTED
        assert sctp.transport._ssl is None
    await sctp._transmit()


async def test_messages_of_any_allowed_size_and_order_are_put_together(
    sctp: RTCSctpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[bytes] = []

    async def receive(_stream: int, _kind: int, data: bytes) -> None:
        came.append(data)

    monkeypatch.setattr(sctp, "_receive", receive)
    for tsn, flags, data, seq in [
        (1, 3, b"whole", 0), (2, 2, b"a", 1), (4, 1, b"c", 1), (3, 0, b"b", 1), (6, 3, b"later", 3),
        (5, 3, b"sooner", 2),
    ]:  # fmt: skip
        await sctp._receive_data_chunk(chunk(tsn, flags, data, seq=seq))
    assert came == [b"whole", b"abc", b"sooner", b"later"]
    pieces = LOCAL_MAX_MESSAGE_SIZE // 1024
    for i in range(pieces):
        flags = SCTP_DATA_FIRST_FRAG * (i == 0) | SCTP_DATA_LAST_FRAG * (i == pieces - 1)
        await sctp._receive_data_chunk(chunk(7 + i, flags, bytes(1024), seq=4))
    assert len(came[-1]) == LOCAL_MAX_MESSAGE_SIZE


async def test_a_message_that_is_too_long_ends_the_connection_before_it_is_whole(sctp: RTCSctpTransport) -> None:
    began = time.thread_time()
    with pytest.raises(ConnectionError, match="more than 262144 bytes"):
        await take(sctp, (chunk(1 + i, SCTP_DATA_FIRST_FRAG * (i == 0)) for i in range(30_000)))
    assert time.thread_time() - began < 0.1


async def test_a_message_in_very_many_pieces_ends_the_connection(sctp: RTCSctpTransport) -> None:
    with pytest.raises(ConnectionError, match="too many pieces"):
        await take(sctp, (chunk(1 + i, SCTP_DATA_FIRST_FRAG * (i == 0), b"x") for i in range(10_000)))


async def test_unfinished_messages_on_many_streams_end_it(sctp: RTCSctpTransport) -> None:
    with pytest.raises(ConnectionError):
        await take(sctp, (chunk(1 + i, SCTP_DATA_FIRST_FRAG, stream=i % 40) for i in range(10_000)))


async def test_more_streams_than_any_page_has_end_it(sctp: RTCSctpTransport) -> None:
    with pytest.raises(ConnectionError, match=f"more than {MAX_STREAMS} streams"):
        await take(sctp, (chunk(1 + i, 3, b"x", stream=i) for i in range(MAX_STREAMS + 1)))


async def test_holes_that_are_never_filled_end_it(sctp: RTCSctpTransport) -> None:
    with pytest.raises(ConnectionError, match="one that is missing"):
        await take(sctp, (chunk(10 + 2 * i, 3, b"x", seq=i) for i in range(MAX_HOLES + 2)))


async def test_an_acknowledgement_of_what_was_never_sent_costs_nothing(
    sctp: RTCSctpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> None:
        pass

    monkeypatch.setattr(sctp, "_data_channel_flush", nothing)
    monkeypatch.setattr(sctp, "_transmit", nothing)
    for seq in range(10):
        sctp._sent_queue.append(chunk(100 + seq, 3, b"x"))
        sctp._sent_queue[-1]._book_size = 1
        sctp._sent_queue[-1]._acked = sctp._sent_queue[-1]._in_flight = sctp._sent_queue[-1]._abandoned = False
        sctp._sent_queue[-1]._misses = sctp._sent_queue[-1]._sent_count = 0
    sack = SackChunk()
    sack.cumulative_tsn = sctp._last_sacked_tsn = sctp._advanced_peer_ack_tsn = 99
    began = time.thread_time()
    for _ in range(10):
        sack.gaps = [(2, 65535)] * 300
        await sctp._receive_sack_chunk(sack)
    assert time.thread_time() - began < 0.1
    assert [each._acked for each in sctp._sent_queue] == [False] + [True] * 9


@pytest.mark.parametrize("data", [b"", b"x" * 12, bytes(64)], ids=["nothing", "short", "zeros"])
async def test_a_packet_that_is_none_is_passed_over(sctp: RTCSctpTransport, data: bytes) -> None:
    await sctp._handle_data(data)


async def test_a_packet_that_aiortc_trips_over_ends_the_connection_quietly(
    sctp: RTCSctpTransport, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def trip(_: object) -> None:
        raise AssertionError("we should not receive an open for an existing channel")

    monkeypatch.setattr(sctp, "_receive_chunk", trip)
    packet = serialize_packet(5000, 5000, sctp._local_verification_tag, HeartbeatChunk())
    with pytest.raises(ConnectionError):
        await sctp._handle_data(packet)
    assert "cannot be understood" in caplog.text
    assert "Traceback" not in caplog.text
    await asyncio.sleep(0)
