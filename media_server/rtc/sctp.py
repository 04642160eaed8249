"""Bounds for SCTP in aiortc, which has none: messages, streams, holes and acknowledgements of a peer.

Each hooks into a transport's methods; `tests/unit/rtc/test_sctp.py` pins the private names of aiortc that this leans
on.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import (
    LOCAL_MAX_MESSAGE_SIZE,
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    DataChunk,
    InboundStream,
    SackChunk,
)

__all__ = ["bound_messages"]

log = logging.getLogger(__name__)

MAX_STREAMS = 64
"""Maximum streams of a peer: a page has one channel."""
MAX_CHUNKS = 1024
"""Maximum pieces of unfinished messages, of all streams together; a message of the largest size has 220."""
MAX_BYTES = 2 * LOCAL_MAX_MESSAGE_SIZE
"""Maximum bytes of unfinished messages, of all streams together."""
WINDOW = 1024 * 1024
"""Bytes that a peer is told it may send beyond what was taken."""
MAX_HOLES = 256
"""Maximum packets of a peer that came before one that has not come."""
MODULO = 2**32


class _TooMuch(ConnectionError):
    """A peer that does what no page does; its connection ends."""


class _Stream(InboundStream):
    """A stream that looks for whole messages only when there may be one: a long one comes in hundreds of pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_for = self.sequence_number
        self._may_be_whole = False
        self._size = 0
        """Bytes so far of the message under way."""

    def add_chunk(self, chunk: DataChunk) -> None:
        super().add_chunk(chunk)
        if self.reassembly[-1] is not chunk or chunk.flags & SCTP_DATA_LAST_FRAG:
            self._may_be_whole = True
        if chunk.flags & SCTP_DATA_FIRST_FRAG:
            self._size = 0
        self._size += len(chunk.user_data)
        _check(self._size)

    def pop_messages(self) -> Iterator[tuple[int, int, bytes]]:
        if not self._may_be_whole and self._looked_for == self.sequence_number:
            return
        for message in super().pop_messages():
            _check(len(message[2]))
            yield message
        self._may_be_whole, self._looked_for = False, self.sequence_number


def _check(size: int) -> None:
    if size > LOCAL_MAX_MESSAGE_SIZE:
        raise _TooMuch(f"a message has more than {LOCAL_MAX_MESSAGE_SIZE} bytes")


def bound_messages(sctp: RTCSctpTransport) -> None:
    """Bound what the other side can make the server keep and do over its data channels."""
    _Bounds(sctp)


class _Bounds:
    """The bounds of one transport, in place of its methods."""

    def __init__(self, sctp: RTCSctpTransport) -> None:
        self._sctp: Any = sctp
        self._handle: Callable[[bytes], Awaitable[None]] = sctp._handle_data
        self._mark: Callable[[int], bool] = sctp._mark_received
        self._send: Callable[[], Awaitable[None]] = sctp._transmit
        self._take_sack: Callable[[SackChunk], Awaitable[None]] = sctp._receive_sack_chunk
        hooked: Any = sctp
        hooked._handle_data, hooked._mark_received = self.handle_data, self.mark_received
        hooked._transmit = self.transmit
        hooked._receive_sack_chunk, hooked._get_inbound_stream = self.receive_sack_chunk, self.get_inbound_stream

    async def handle_data(self, data: bytes) -> None:
        """Take a packet; one that cannot be ends the connection, without a traceback."""
        try:
            await self._handle(data)
        except ConnectionError as too_much:
            if isinstance(too_much, _TooMuch):
                log.warning("a caller's connection is closed: %s", too_much)
            raise
        except Exception as wrong:
            log.warning("a caller's connection is closed: its packet cannot be understood (%r)", wrong)
            raise ConnectionError("a packet cannot be understood") from wrong

    async def transmit(self) -> None:
        """Send what waits; that the connection is over is no failure of the timer or the call that wanted it sent."""
        # between the closing of DTLS and the next turn of the loop aiortc's own check finds it open, without its keys
        with contextlib.suppress(ConnectionError):
            if self._sctp.transport._ssl is not None:
                await self._send()

    def mark_received(self, tsn: int) -> bool:
        """Whether this one came before."""
        before = self._mark(tsn)
        if len(self._sctp._sack_misordered) > MAX_HOLES:
            raise _TooMuch(f"more than {MAX_HOLES} packets came before one that is missing")
        return before

    def get_inbound_stream(self, stream_id: int) -> InboundStream:
        """The stream with this number, new if need be."""
        streams: dict[int, InboundStream] = self._sctp._inbound_streams
        if stream_id not in streams:
            if len(streams) >= MAX_STREAMS:
                raise _TooMuch(f"there are more than {MAX_STREAMS} streams")
            streams[stream_id] = _Stream()
        unfinished = WINDOW - self._sctp._advertised_rwnd
        if unfinished > MAX_BYTES or sum(len(stream.reassembly) for stream in streams.values()) > MAX_CHUNKS:
            raise _TooMuch(f"more than {MAX_BYTES} bytes of messages are unfinished, or in too many pieces")
        return streams[stream_id]

    async def receive_sack_chunk(self, chunk: SackChunk) -> None:
        """Take an acknowledgement; of what was never sent it can say nothing, and of nothing twice."""
        sent = self._sctp._sent_queue
        last = (sent[-1].tsn - chunk.cumulative_tsn) % MODULO if sent else 0
        if last > len(sent):
            last = 0  # it is behind or ahead of what is on its way
        gaps, at = [], 0
        for start, end in chunk.gaps:
            if at < start <= end and start <= last:
                gaps.append((start, min(end, last)))
                at = end
        chunk.gaps = gaps
        await self._take_sack(chunk)
