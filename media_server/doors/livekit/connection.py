"""One WebRTC connection of a client to a room: a series of offers, data channels, and sound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from aiortc import RTCDataChannel
from aiortc.rtcdatachannel import RTCDataChannelParameters

from media_server.doors.livekit.negotiation import Negotiation
from media_server.errors import ClientError
from media_server.rtc import Edge, Handset
from media_server.rtc.agreed import AgreedAudio
from media_server.rtc.answer import Agreement
from media_server.rtc.association import Association
from media_server.rtc.channel import TOO_MUCH, drain
from media_server.rtc.sdp import Credentials, Fingerprint, Offer, Section
from media_server.rtc.stream import RtpSession

__all__ = ["LOSSY", "RELIABLE", "RoomConnection"]

log = logging.getLogger(__name__)

RELIABLE, LOSSY = "_reliable", "_lossy"
"""Labels of the data channels."""


class RoomConnection:
    """`run` it; meanwhile `answer` the client's offers, or make one and give its answer to `take_answer`.

    Args:
        voice: stream and track of the agent's voice, where it goes over this connection.
        on_packet: is given each message of a data channel, with the channel's label.
        on_end: is called when the connection is over.
    """

    def __init__(
        self,
        edge: Edge,
        handset: Handset,
        voice: str | None,
        on_packet: Callable[[str, bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self.connected = asyncio.Event()
        self.opened = asyncio.Event()
        """A reliable channel is open."""
        self.heard = asyncio.Event()
        """Sound of the client's has come."""
        self.negotiation = Negotiation(voice)
        self.media: RtpSession | None = None
        self._edge, self._handset = edge, handset
        self._on_packet, self._on_end = on_packet, on_end
        self._association: Association | None = None
        self._fingerprints: list[Fingerprint] = []
        self._known = asyncio.Event()
        """What the other side's certificate is."""
        self._data: Section | None = None
        self._has_data = asyncio.Event()
        self._audio: AgreedAudio | None = None
        self._channels: dict[str, RTCDataChannel] = {}
        self._is_running = self._is_closed = False

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come from the client for some seconds."""
        return self._association is None or self._association.link.is_silent

    @property
    def is_answered(self) -> bool:
        """Whether both sides have described themselves."""
        return self._known.is_set()

    async def answer(self, text: str) -> str:
        """The answer to an offer of the client's, with our candidates in it.

        Raises:
            ClientError: it cannot be accepted.
        """
        offer, agreement = self.negotiation.answer(text)
        remote = agreement.transport.credentials
        assert remote
        association = self._association or await self._begin(offer, remote)
        if not self._known.is_set():
            association.set_role(agreement.is_dtls_server)
            self._settle(agreement.transport)
        elif remote.username != association.link.generation.remote.username:
            await association.link.restart(remote)
        self._note(agreement)
        link = association.link
        return agreement.answer(link.generation.local, association.fingerprint, link.candidates, link.is_lite)

    async def offer(self) -> str:
        """An offer of the server's; a second one restarts ICE."""
        unknown = Credentials("", "")
        if (association := self._association) is None:
            association = await self._begin(None, unknown)
        else:
            await association.link.restart(unknown)
        if association.sctp is None:
            self._open_channels(association)
        link = association.link
        agreement = self.negotiation.offer()
        return agreement.offer(link.generation.local, association.fingerprint, link.candidates, link.is_lite)

    async def take_answer(self, text: str) -> None:
        """The client's answer to the server's newest offer.

        Raises:
            ClientError: it is none.
        """
        answer, agreement = self.negotiation.answered(text)
        remote, association = agreement.transport.credentials, self._association
        assert remote
        if association is None:
            raise ClientError("bad_sdp", "There is no offer that could be answered.")
        await association.link.answered_by(remote)
        await association.link.trickle([line for s in answer.sections for line in s.candidates])
        if not self._known.is_set():
            association.set_role(agreement.transport.setup != "passive")
            self._settle(agreement.transport)
        self._note(agreement)

    async def trickle(self, candidate: str) -> None:
        """A candidate of the client's, as a line of SDP without `a=`."""
        if self._association:
            await self._association.link.trickle([candidate])

    async def run(self) -> None:
        """Connect, and carry sound until this is cancelled."""
        await self._known.wait()
        association = self._association
        assert association
        if not await association.connect(self._fingerprints):
            self._on_end()
            return
        self._is_running = True
        self.connected.set()
        self._carry()
        try:
            await self._has_data.wait()
            assert self._data
            await association.start_channels(self._data.max_message_size, self._data.sctp_port)
            await asyncio.Event().wait()
        finally:
            self._is_running = False
            if self.media:
                self.media.stop()

    def send(self, packet: bytes) -> None:
        """Send a message over the reliable channel; it is lost where there is none."""
        channel = self._channels.get(RELIABLE)
        if channel is None or channel.readyState != "open":
            return
        channel.send(packet)
        if channel.bufferedAmount > TOO_MUCH:
            self._on_end()

    async def flush(self) -> None:
        """Wait a moment for what was sent to leave."""
        await drain(self._channels.get(RELIABLE))

    async def close(self) -> None:
        """Give everything back. It must not be cancelled."""
        self._is_closed = True
        if self._association:
            await self._association.close()

    async def _begin(self, offer: Offer | None, remote: Credentials) -> Association:
        if self._is_closed:
            raise ClientError("room_closed", "The connection was closed meanwhile.")
        link = partial(self._edge.link, offer, remote)
        association = Association(self._edge.certificate, link, self._hear, lambda _: self._on_end())
        try:
            await association.gather()
            if self._is_closed:
                raise ClientError("room_closed", "The connection was closed meanwhile.")
        except BaseException:
            await association.close()
            raise
        self._association = association
        return association

    def _settle(self, transport: Section) -> None:
        self._fingerprints = list(transport.fingerprints)
        self._known.set()

    def _note(self, agreement: Agreement) -> None:
        """Go on with what was agreed."""
        self._audio = agreement.audio
        if agreement.data and self._data is None:
            self._data = agreement.data
            assert self._association
            if self._association.sctp is None:
                self._association.open_channels(self._attach)
            self._has_data.set()
        self._carry()

    def _carry(self) -> None:
        """Carry sound as far as it is agreed on."""
        if not self._is_running or self._audio is None or self.negotiation.lacks_voice:
            return
        if self.media:
            self.media.renegotiate(self._audio)
            return
        assert self._association
        send = self._association.send_media
        self.media = RtpSession(self._audio, self._handset, send, self._edge.pacer)
        self.media.start()

    def _hear(self, packet: bytes) -> None:
        if self.media:
            self.media.take(packet)
            if self.media.reception.received:
                self.heard.set()

    def _open_channels(self, association: Association) -> None:
        """Those of the server, on a connection that it offers."""
        sctp = association.open_channels(self._attach)
        for label, parameters in (
            (RELIABLE, RTCDataChannelParameters(label=RELIABLE)),
            (LOSSY, RTCDataChannelParameters(label=LOSSY, ordered=False, maxRetransmits=0)),
        ):
            channel = RTCDataChannel(sctp, parameters)
            channel.on("open", partial(self._attach, channel))
            self._channels[label] = channel

    def _attach(self, channel: RTCDataChannel) -> None:
        """A channel is open; of several with one label the newest counts."""
        label = channel.label
        if label not in (RELIABLE, LOSSY):
            return
        self._channels[label] = channel
        channel.on("message", lambda data: self._on_packet(label, data) if isinstance(data, bytes) else None)
        if label == RELIABLE:
            self.opened.set()
