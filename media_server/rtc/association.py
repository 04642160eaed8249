"""What a WebRTC connection is made of below its calls: ICE, DTLS and SRTP over it, and SCTP for data channels."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence

from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import certificate_digest
from aiortc.rtcsctptransport import RTCSctpCapabilities
from pylibsrtp import Session

from media_server.errors import ClientError
from media_server.rtc.edge import IceTransport
from media_server.rtc.rtp import is_rtcp
from media_server.rtc.sctp import bound_messages
from media_server.rtc.sdp import Fingerprint
from media_server.rtc.srtp import protect, unprotect

__all__ = ["Association"]

MAX_SSRCS = 64
"""Maximum streams of the other side that are kept: libsrtp has one for each, and looks through them one by one."""

log = logging.getLogger(__name__)


class _Dtls(RTCDtlsTransport):
    """DTLS with a peer that may have several certificates: one has to match (RFC 8122 section 5), for aiortc all."""

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - aiortc's name
        assert self._ssl
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        assert certificate
        # by name that with the longest hash, which is what both sides have to go by
        strongest = max(f.algorithm for f in remoteParameters.fingerprints)
        of_it = [f for f in remoteParameters.fingerprints if f.algorithm == strongest]
        matching = [f for f in of_it if f.value.upper() == certificate_digest(certificate, strongest)]
        super()._validate_peer_identity(RTCDtlsParameters(matching or of_it))


class Association:
    """`gather`, then `connect` once the other side's parameters are known; `close` in the end, whatever happened.

    Args:
        link: makes the path to the other side; it is given what takes SRTP and SRTCP and says whether it was authentic.
        on_packet: is given each decrypted packet of RTP and RTCP.
        on_end: is called once when the connection is over before `close`, with whether the other side has closed it.
    """

    def __init__(
        self,
        certificate: RTCCertificate,
        link: Callable[[Callable[[bytes], bool]], IceTransport],
        on_packet: Callable[[bytes], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self.link = link(self.take_media)
        self.sctp: RTCSctpTransport | None = None
        self.fingerprint = next(f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256")
        """SHA-256 of our certificate."""
        # it asks for no more than `IceTransport` has; tests/unit/rtc/test_contracts.py pins that
        self._dtls = _Dtls(self.link, [certificate])  # type: ignore[arg-type]
        self._dtls.on("statechange", self._on_dtls_state)
        self._on_packet, self._on_end = on_packet, on_end
        self._is_over = False
        self._ssrcs: dict[bytes, None] = {}
        """The other side's streams, the one of the newest packet last."""
        self._newest = b""

    async def gather(self) -> None:
        """Find our candidates.

        Raises:
            ClientError: 503 `no_sockets`.
        """
        try:
            await self.link.gather()
        except OSError as e:
            log.error("an offer cannot be answered: %s", e.strerror or e)
            raise ClientError("no_sockets", "The server cannot open more sockets now.", status=503) from e

    def set_role(self, is_server: bool) -> None:
        """Settle which side begins the DTLS handshake: the client."""
        self._dtls._set_role("server" if is_server else "client")

    def open_channels(self, on_channel: Callable[[RTCDataChannel], None]) -> RTCSctpTransport:
        """Have data channels; `on_channel` is given those that the other side opens."""
        self.sctp = sctp = RTCSctpTransport(self._dtls)
        sctp.on("datachannel", on_channel)
        bound_messages(sctp)
        return sctp

    async def connect(self, fingerprints: Sequence[Fingerprint]) -> bool:
        """Wait for the first path and do the DTLS handshake; whether it came about.

        Args:
            fingerprints: of the other side's certificate.
        """
        await self.link.connected.wait()
        known = [RTCDtlsFingerprint(f.algorithm, f.value) for f in fingerprints]
        with contextlib.suppress(ConnectionError):
            await self._dtls.start(RTCDtlsParameters(known))
        return str(self._dtls.state) == "connected"

    async def start_channels(self, max_message_size: int, port: int) -> None:
        """Begin with the data channels; `connect` has to have come about.

        Args:
            max_message_size: bytes that the other side takes in one message; 0 where any number.
        """
        if self.sctp:
            with contextlib.suppress(ConnectionError):
                await self.sctp.start(RTCSctpCapabilities(max_message_size), port)

    def send_media(self, packet: bytes) -> None:
        """Encrypt a packet of RTP or RTCP and send it at once."""
        session = self._dtls._tx_srtp
        if session is None or self._is_over:
            return
        protected = protect(session, packet)
        if protected is not None:
            self.link.send(protected)

    def take_media(self, data: bytes) -> bool:
        """Whether a packet of SRTP or SRTCP is authentic; then it is handed on."""
        session = self._dtls._rx_srtp
        if session is None:
            return False
        packet = unprotect(session, data)
        if packet is None:
            return False
        ssrc = data[4:8] if is_rtcp(data) else data[8:12]
        if ssrc != self._newest:
            self._note(ssrc, session)
        try:
            self._on_packet(packet)
        except Exception:  # one call's defect must not be the others', whose packets come over the same socket
            log.exception("a packet could not be handled; its connection ends")
            self._end(False)
        return True

    def _note(self, ssrc: bytes, session: Session) -> None:
        """The newest packet is of another stream than the one before."""
        self._newest = ssrc
        self._ssrcs.pop(ssrc, None)
        self._ssrcs[ssrc] = None
        if len(self._ssrcs) > MAX_SSRCS:
            oldest = next(iter(self._ssrcs))
            del self._ssrcs[oldest]
            session.remove_stream(int.from_bytes(oldest, "big"))

    async def close(self) -> None:
        """Give everything back. It must not be cancelled: aiortc does not survive that."""
        self._is_over = True
        for part in (self.sctp, self._dtls):
            if part:
                with contextlib.suppress(ConnectionError):
                    await part.stop()
                part.remove_all_listeners()
        await self.link.close()
        # aiortc's objects refer to each other, so these would keep 100 kB until Python next looks for garbage
        self._dtls._ssl = None
        self._dtls._rx_srtp = self._dtls._tx_srtp = None  # type: ignore[assignment]

    def _on_dtls_state(self) -> None:
        if self._dtls.state in ("closed", "failed"):
            self._end(self._dtls.state == "closed" and not self.link.lost)

    def _end(self, closed_by_peer: bool) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_end(closed_by_peer)
