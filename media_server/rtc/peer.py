"""One WebRTC peer: negotiates, owns the peer connection, notices when the other side is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame

from media_server.errors import ClientError
from media_server.events import Transport
from media_server.rtc.channel import EventsChannel
from media_server.rtc.handset import Handset
from media_server.rtc.ice import (
    RestartableConnection,
    gather_in_time,
    ice_transports,
    local_fragment,
    reach_of_this_machine,
)
from media_server.rtc.sctp import bound_messages
from media_server.rtc.sdp import checked_offer, parse_fragment
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
    """`accept` an offer, `send`, and `close` in the end, whatever happened.

    Args:
        loopback: whether the server listens for callers on this machine itself, which may be sent to there.
    """

    def __init__(self, ice_servers: Sequence[RTCIceServer], handset: Handset, loopback: bool = False) -> None:
        # an empty list, not None: for None aiortc takes a public STUN server
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=list(ice_servers)))
        self._ice: RestartableConnection | None = None
        self._mid = "0"
        self._reach = reach_of_this_machine(loopback)
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
        checked = checked_offer(offer, self._reach)
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
            gather_in_time(ice_transports(self._pc))
            bound_messages(self._pc)
            answer = await self._pc.createAnswer()
            await self._pc.setLocalDescription(answer)
        except OSError as e:
            log.error("an offer cannot be answered: %s", e.strerror or e)
            raise ClientError("no_sockets", "The server cannot open more sockets now.", status=503) from e
        except Exception as e:  # whatever aiortc trips over is in the offer: it was good enough for those of browsers
            log.info("an offer was refused: %r", e)
            raise ClientError("bad_sdp", "The offer cannot be answered: it is inconsistent.") from e
        return self._pc.localDescription.sdp

    @property
    def etag(self) -> str:
        """Names the ICE session (RFC 9725 section 4.3.1): changes with a restart."""
        return f'"{self._ice.newest.local_username}"' if self._ice else '""'

    async def trickle(self, text: str) -> str | None:
        """Take the peer's candidates; for new credentials restart ICE and answer with our own fragment.

        Raises:
            ClientError: `bad_sdp_fragment`.
        """
        assert self._ice is not None
        fragment = parse_fragment(text, self._reach)
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
        """Give everything back: sockets, threads, tasks. Never fails."""
        self.gone.set()
        # aiortc does not survive that its closing is cancelled, nor to be closed a second time meanwhile
        self._closing = self._closing or asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        transports = ice_transports(self._pc)
        try:
            await self._pc.close()
        except Exception as e:  # noqa: BLE001 - of a connection that aiortc has made by half
            log.info("a connection was closed piece by piece: %r", e)
        for transport in transports:
            with contextlib.suppress(Exception):
                await transport.stop()
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
