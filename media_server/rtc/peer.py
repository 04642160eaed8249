"""One WebRTC peer: negotiates, owns the peer connection, notices when the other side is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiortc import (
    InvalidAccessError,
    InvalidStateError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from av import AudioFrame

from media_server.errors import ClientError
from media_server.events import Transport
from media_server.rtc.channel import EventsChannel
from media_server.rtc.handset import Handset
from media_server.rtc.ice import RestartableConnection, local_fragment
from media_server.rtc.sdp import PARSE_ERRORS, Fragment, checked_offer
from media_server.rtc.speaker import Speaker

__all__ = ["Peer"]

log = logging.getLogger(__name__)


class _Voice(MediaStreamTrack):
    """The speaker as this connection's track: aiortc stops it with the connection, and the speaker goes on."""

    kind = "audio"

    def __init__(self, speaker: Speaker) -> None:
        super().__init__()
        self._speaker = speaker

    async def recv(self) -> AudioFrame:
        return await self._speaker.recv()


class Peer:
    """`accept` an offer, `send`, and `close` in the end, whatever happened."""

    def __init__(self, ice_servers: Sequence[RTCIceServer], handset: Handset) -> None:
        # an empty list, not None: for None aiortc takes a public STUN server
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=list(ice_servers)))
        self._ice: RestartableConnection | None = None
        self._mid = "0"
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        """The other side hung up, or cannot be reached any more."""
        self.hung_up = False
        """The other side closed the connection, as one does who has nothing more to say."""
        self._handset = handset
        self._track: MediaStreamTrack | None = None
        self._closing: asyncio.Future[None] | None = None
        self._channel = EventsChannel(handset.receive, self.gone.set)
        self._pc.on("track", self._on_track)
        self._pc.on("datachannel", self._on_channel)
        self._pc.on("connectionstatechange", self._on_state)

    @property
    def transport(self) -> Transport:
        return "webrtc"

    async def accept(self, offer: str) -> str:
        """The answer to an offer, with all candidates in it.

        Raises:
            ClientError: the offer cannot be accepted; the peer has to be closed all the same.
        """
        checked = checked_offer(offer)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(checked, "offer"))
            first_audio = True
            for transceiver in self._pc.getTransceivers():
                if transceiver.kind == "audio" and first_audio:
                    first_audio = False
                    transceiver.sender.replaceTrack(_Voice(self._handset.speaker))
                    transceiver.direction = "sendrecv"
                    self._mid = transceiver.mid or "0"
                    transport = transceiver.receiver.transport
                    self._ice = RestartableConnection.install(transport.transport)
                    transport.on("statechange", partial(self._on_transport, transport))
                else:
                    transceiver.direction = "inactive"
            answer = await self._pc.createAnswer()
            await self._pc.setLocalDescription(answer)
        except (OperationError, InvalidAccessError, InvalidStateError, *PARSE_ERRORS) as e:
            log.info("an offer was refused: %s", e)
            raise ClientError("bad_sdp", "The offer cannot be answered: it is inconsistent.") from e
        return self._pc.localDescription.sdp

    @property
    def etag(self) -> str:
        """Names the ICE session (RFC 9725 section 4.3.1): changes with a restart."""
        return f'"{self._ice.newest.local_username}"' if self._ice else '""'

    async def trickle(self, fragment: Fragment) -> str | None:
        """Take the peer's candidates; for new credentials restart ICE and answer with our own fragment."""
        assert self._ice is not None
        restart = fragment.username and fragment.username != self._ice.newest.remote_username
        if restart:
            await self._ice.restart(fragment.username, fragment.password)
        # all media are bundled on one transport, whichever of them a candidate names
        for candidate in fragment.candidates:
            await self._ice.trickle(candidate)
        return local_fragment(self._ice.newest, self._mid) if restart else None

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails: what cannot be sent is lost with the connection."""
        self._channel.send(message)

    def acknowledge(self, buffered_s: float) -> None:
        """Nothing to do: what is sent is played at once."""

    async def run(self) -> None:
        """Returns when the other side is gone."""
        await self.gone.wait()

    async def flush(self) -> None:
        """Wait a moment for what was sent to leave."""
        await self._channel.flush()

    async def close(self) -> None:
        """Give everything back: sockets, threads, tasks."""
        self.gone.set()
        # aiortc does not survive that its closing is cancelled, nor to be closed a second time meanwhile
        self._closing = self._closing or asyncio.ensure_future(self._pc.close())
        await asyncio.shield(self._closing)
        self._pc.remove_all_listeners()

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._track is None:
            self._track = track

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._channel.attach(channel)

    def _on_transport(self, transport: RTCDtlsTransport) -> None:
        # aiortc's own state says nothing when the other side closes
        if transport.state == "closed" and not self.gone.is_set():
            self.hung_up = self._ice is not None and not self._ice.lost
            self.gone.set()

    def _on_state(self) -> None:
        match self._pc.connectionState:
            case "connected":
                # not before: the track of a connection that never comes about has no end
                if self._track:
                    self._handset.microphone.attach(self._track)
                    self._track = None
                self.connected.set()
            case "failed" | "closed":
                self.gone.set()
            case _:
                pass
