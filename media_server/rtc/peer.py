"""One caller over WebRTC: negotiates, carries packets between network and call, notices that the caller is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from aiortc import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from media_server.errors import ClientError
from media_server.events import Transport
from media_server.rtc.answer import Agreement, agree, local_fragment
from media_server.rtc.channel import EventsChannel
from media_server.rtc.edge import Edge, IceTransport
from media_server.rtc.handset import Handset
from media_server.rtc.sctp import bound_messages
from media_server.rtc.sdp import parse_fragment, parse_offer
from media_server.rtc.srtp import protect, unprotect
from media_server.rtc.stream import RtpSession

__all__ = ["Peer"]

log = logging.getLogger(__name__)

SEEN = 16
"""The caller's former user names: a fragment that comes late for one of them begins nothing."""


class Peer:
    """`accept` an offer, `run`, `send`, and `close` in the end, whatever happened."""

    def __init__(self, edge: Edge, handset: Handset) -> None:
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        """The caller hung up, or cannot be reached any more."""
        self.hung_up = False
        """The caller closed the connection, as one does who has nothing more to say."""
        self._edge, self._handset = edge, handset
        self._channel = EventsChannel(handset.receive, self.gone.set)
        self._agreement: Agreement | None = None
        self._link: IceTransport | None = None
        self._dtls: RTCDtlsTransport | None = None
        self._sctp: RTCSctpTransport | None = None
        self._media: RtpSession | None = None
        self._seen: deque[str] = deque(maxlen=SEEN)
        self._restarting = asyncio.Lock()
        self._closing: asyncio.Future[None] | None = None

    @property
    def transport(self) -> Transport:
        return "webrtc"

    async def accept(self, text: str) -> str:
        """The answer to an offer, with all candidates in it.

        Raises:
            ClientError: the offer cannot be accepted; the peer has to be closed all the same.
        """
        offer = parse_offer(text)
        self._agreement = agreement = agree(offer)
        assert agreement.transport.credentials
        self._link = link = self._edge.link(offer, agreement.transport.credentials, self._take_media)
        try:
            await link.gather()
        except OSError as e:
            log.error("an offer cannot be answered: %s", e.strerror or e)
            raise ClientError("no_sockets", "The server cannot open more sockets now.", status=503) from e
        certificate = self._edge.certificate
        # it asks for no more than `IceTransport` has; tests/unit/rtc/test_contracts.py pins that
        self._dtls = dtls = RTCDtlsTransport(link, [certificate])  # type: ignore[arg-type]
        dtls._set_role("server" if agreement.is_dtls_server else "client")
        dtls.on("statechange", self._on_dtls_state)
        if agreement.data:
            self._sctp = RTCSctpTransport(dtls)
            self._sctp.on("datachannel", self._channel.attach)
            bound_messages(self._sctp)
            self._channel.max_message_size = agreement.data.max_message_size
        fingerprint = next(f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256")
        return agreement.answer(link.generation.local, fingerprint, link.candidates, link.is_lite)

    @property
    def etag(self) -> str:
        """Names the ICE session (RFC 9725 section 4.3.1): changes with a restart."""
        return f'"{self._link.generation.local.username}"' if self._link else '""'

    async def trickle(self, text: str, wants_restart: bool) -> str | None:
        """Take the caller's candidates; for new credentials restart ICE and answer with our own fragment.

        Args:
            wants_restart: whether the request may be one for a restart. The first request with new credentials begins
                it, whatever it was sent for; another one with the same gets the same answer.

        Raises:
            ClientError: `bad_sdp_fragment`.
        """
        assert self._link
        assert self._agreement
        fragment = parse_fragment(text)
        link, remote = self._link, fragment.credentials
        async with self._restarting:
            newest = link.generation.remote.username
            if remote and remote.username in self._seen:
                return None  # candidates of a former generation (RFC 8838 section 13)
            is_new = remote is not None and remote.username != newest
            if remote and is_new:
                self._seen.append(newest)
                await link.restart(remote)
            # all media are bundled on one transport, whichever of them a candidate names
            await link.trickle(list(fragment.candidates))
            is_asked_again = remote is not None and wants_restart and bool(self._seen)
            if not is_new and not is_asked_again:
                return None
            return local_fragment(link.generation.local, self._agreement.mid, link.candidates)

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails: what cannot be sent is lost with the connection."""
        self._channel.send(message)

    def acknowledge(self, buffered_s: float) -> None:
        """Nothing to do: what is sent is played at once."""

    async def run(self) -> None:
        """Connect, and carry the call's sound; returns when the caller is gone."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self._work())
            await self.gone.wait()
            working.cancel()

    async def flush(self) -> None:
        """Wait a moment for what was sent to leave."""
        await self._channel.flush()

    async def close(self) -> None:
        """Give everything back. Never fails."""
        self.gone.set()
        # aiortc does not survive that its closing is cancelled
        self._closing = self._closing or asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for part in (self._sctp, self._dtls):
            if part:
                with contextlib.suppress(ConnectionError):
                    await part.stop()
                part.remove_all_listeners()
        if self._link:
            await self._link.close()

    async def _work(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._connect()
        if not self.connected.is_set():
            self.gone.set()
            return
        assert self._agreement
        assert self._media
        self._media.start()
        try:
            await self.gone.wait()
        finally:
            self._media.stop()

    async def _connect(self) -> None:
        link, dtls, agreement = self._link, self._dtls, self._agreement
        assert link
        assert dtls
        assert agreement
        await link.connected.wait()
        known = [RTCDtlsFingerprint(f.algorithm, f.value) for f in agreement.transport.fingerprints]
        await dtls.start(RTCDtlsParameters(known))
        if dtls.state != "connected":
            return
        if self._sctp and agreement.data:
            await self._sctp.start(RTCSctpCapabilities(agreement.data.max_message_size), agreement.data.sctp_port)
        self._media = RtpSession(agreement.audio, self._handset, self._send_media, self._edge.pacer)
        self.connected.set()

    def _take_media(self, data: bytes) -> bool:
        """Whether a packet of SRTP or SRTCP is authentic; then it is heard."""
        session = self._dtls._rx_srtp if self._dtls else None
        if session is None:
            return False
        packet = unprotect(session, data)
        if packet is None:
            return False
        try:
            if self._media:
                self._media.take(packet)
        except Exception:  # one call's defect must not be the others', whose packets come over the same socket
            log.exception("a packet could not be handled; its connection ends")
            self.gone.set()
        return True

    def _send_media(self, packet: bytes) -> None:
        """Encrypt a packet of RTP or RTCP and send it at once."""
        session = self._dtls._tx_srtp if self._dtls else None
        if session is None or self._link is None or self.gone.is_set():
            return
        protected = protect(session, packet)
        if protected is not None:
            self._link.send(protected)

    def _on_dtls_state(self) -> None:
        assert self._dtls
        assert self._link
        if self._dtls.state in ("closed", "failed") and not self.gone.is_set():
            self.hung_up = self._dtls.state == "closed" and not self._link.lost
            self.gone.set()
