"""One caller over WebRTC: negotiates, carries packets between network and call, notices that the caller is gone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from media_server.events import Transport
from media_server.rtc.answer import Agreement, agree, local_fragment
from media_server.rtc.association import Association
from media_server.rtc.channel import EventsChannel
from media_server.rtc.edge import Edge, IceTransport
from media_server.rtc.handset import Handset
from media_server.rtc.sdp import parse_fragment, parse_offer
from media_server.rtc.stream import RtpSession

__all__ = ["Peer"]

SEEN = 16
"""The caller's former user names: a fragment that comes late for one of them begins nothing."""


class Peer:
    """`accept` an offer, `run`, `send`, and `close` in the end, whatever happened."""

    def __init__(self, edge: Edge, handset: Handset) -> None:
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        """The caller hung up, or cannot be reached any more."""
        self.closed_by_peer = False
        """The caller closed the connection, as one does who has nothing more to say."""
        self._edge, self._handset = edge, handset
        self._channel = EventsChannel(handset.receive, self.gone.set)
        self._agreement: Agreement | None = None
        self._association: Association | None = None
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
        link = partial(self._edge.link, offer, agreement.transport.credentials)
        self._association = association = Association(self._edge.certificate, link, self._hear, self._end)
        await association.gather()
        association.set_role(agreement.is_dtls_server)
        if agreement.data:
            association.open_channels(self._channel.attach)
            self._channel.max_message_size = agreement.data.max_message_size
        ours = association.link
        return agreement.answer(ours.generation.local, association.fingerprint, ours.candidates, ours.is_lite)

    @property
    def link(self) -> IceTransport | None:
        """The path to the caller; None before an offer was accepted."""
        return self._association.link if self._association else None

    @property
    def etag(self) -> str:
        """Names the ICE session (RFC 9725 section 4.3.1): changes with a restart."""
        return f'"{self.link.generation.local.username}"' if self.link else '""'

    async def trickle(self, text: str, wants_restart: bool) -> str | None:
        """Take the caller's candidates; for new credentials restart ICE and answer with our own fragment.

        Args:
            wants_restart: whether the request may be one for a restart. The first request with new credentials begins
                it, whatever it was sent for; another one with the same gets the same answer.

        Raises:
            ClientError: `bad_sdp_fragment`.
        """
        assert self.link
        assert self._agreement
        fragment = parse_fragment(text)
        link, remote = self.link, fragment.credentials
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
        if self._association:
            await self._association.close()

    def _end(self, closed_by_peer: bool) -> None:
        self.closed_by_peer = closed_by_peer
        self.gone.set()

    async def _work(self) -> None:
        association, agreement = self._association, self._agreement
        assert association
        assert agreement
        if not await association.connect(agreement.transport.fingerprints):
            self.gone.set()
            return
        if agreement.data:
            await association.start_channels(agreement.data.max_message_size, agreement.data.sctp_port)
        self._media = RtpSession(agreement.audio, self._handset, association.send_media, self._edge.pacer)
        self.connected.set()
        self._media.start()
        try:
            await self.gone.wait()
        finally:
            self._media.stop()

    def _hear(self, packet: bytes) -> None:
        if self._media:
            self._media.take(packet)
