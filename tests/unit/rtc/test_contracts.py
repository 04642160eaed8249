"""The private names of aiortc, aioice and pylibsrtp that calls lean on: an upgrade that moves them fails here."""

from __future__ import annotations

import asyncio
import inspect
import struct

import pylibsrtp
import pytest
from aioice import stun
from aiortc import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from media_server.rtc import srtp


class Pipe:
    """All that `RTCDtlsTransport` asks of its transport."""

    role = "controlled"

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.other: Pipe

    async def _recv(self) -> bytes:
        if (data := await self.queue.get()) is None:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        self.other.queue.put_nowait(data)


async def test_dtls_srtp_and_sctp_need_three_names_of_their_transport() -> None:
    one, other = Pipe(), Pipe()
    one.other, other.other = other, one
    certificates = [RTCCertificate.generateCertificate() for _ in range(2)]
    ends = [RTCDtlsTransport(pipe, [c]) for pipe, c in zip((one, other), certificates, strict=True)]  # type: ignore[arg-type]
    for end, role in zip(ends, ("server", "client"), strict=True):
        end._set_role(role)
        assert end._rx_srtp is None
        assert end._tx_srtp is None
    fingerprints = [c.getFingerprints() for c in certificates]
    assert "sha-256" in {f.algorithm for f in fingerprints[0]}
    await asyncio.gather(
        *(end.start(RTCDtlsParameters(f)) for end, f in zip(ends, reversed(fingerprints), strict=True))
    )
    assert [end.state for end in ends] == ["connected", "connected"]
    assert all(end._ssl for end in ends), "what an association that is closed gives back at once"
    packet = struct.pack("!BBHII", 0x80, 111, 1, 0, 7) + b"voice"
    protected = ends[0]._tx_srtp.protect(packet)
    assert ends[1]._rx_srtp.unprotect(protected) == packet
    with pytest.raises(pylibsrtp.Error):
        ends[1]._rx_srtp.unprotect(protected)  # nobody can send it once more
    report = struct.pack("!BBHI", 0x80, 201, 1, 7)
    assert ends[1]._rx_srtp.unprotect_rtcp(ends[0]._tx_srtp.protect_rtcp(report)) == report

    # the same with the session's private handle, in a buffer of our own
    packet = struct.pack("!BBHII", 0x80, 111, 2, 0, 7) + b"voice"
    ours = srtp.protect(ends[0]._tx_srtp, packet)
    assert ours is not None
    assert ours != packet
    assert ends[1]._rx_srtp.unprotect(ours) == packet
    protected = ends[0]._tx_srtp.protect(struct.pack("!BBHII", 0x80, 111, 3, 0, 7) + b"voice")
    assert srtp.unprotect(ends[1]._rx_srtp, protected[:-1] + bytes([protected[-1] ^ 1])) is None
    assert srtp.unprotect(ends[1]._rx_srtp, protected) == struct.pack("!BBHII", 0x80, 111, 3, 0, 7) + b"voice"
    assert srtp.unprotect(ends[1]._rx_srtp, protected) is None
    assert srtp.unprotect(ends[1]._rx_srtp, b"") is None
    assert srtp.unprotect(ends[1]._rx_srtp, bytes(70_000)) is None
    ours = srtp.protect(ends[0]._tx_srtp, report)
    assert ours is not None
    assert srtp.unprotect(ends[1]._rx_srtp, ours) == report

    associations = [RTCSctpTransport(end) for end in ends]
    for each in associations:
        await each.start(RTCSctpCapabilities(65536), 5000)
        assert each._remote_max_message_size == 65536
    closed = asyncio.Event()
    ends[1].on("statechange", closed.set)
    for part in (associations[0], ends[0]):
        await part.stop()
    async with asyncio.timeout(5):
        await closed.wait()
    assert ends[1].state == "closed"
    await associations[1].stop()
    await ends[1].stop()


def test_dtls_asks_the_transport_for_recv_and_send_each_time() -> None:
    source = inspect.getsource(RTCDtlsTransport)
    assert "self.transport._recv()" in source
    assert "self.transport._send(data)" in source


def test_stun_messages_are_signed_and_checked() -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = "a:b"
    message.add_message_integrity(b"key")
    parsed = stun.parse_message(bytes(message))
    assert parsed.check_message_integrity(b"key")
    assert not parsed.check_message_integrity(b"other")
    assert "FINGERPRINT" in parsed.attributes
