"""A call's line to one client of LiveKit: its connections, its place in the room, and what both sides say of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from media_server.doors.livekit.connection import RELIABLE, RoomConnection
from media_server.doors.livekit.messages import (
    ConnectionQuality,
    LeaveAction,
    LeaveReason,
    RequestRefusal,
    decode_packet,
    encode_packet,
)
from media_server.doors.livekit.participants import MAX_TEXT, Participant, Room
from media_server.doors.livekit.protobuf import Message, WireError
from media_server.doors.livekit.signalling import Outbox
from media_server.errors import ClientError
from media_server.events import Transport
from media_server.rtc import Edge, Handset, LevelMeter, Speaker

__all__ = ["RoomLine"]

log = logging.getLogger(__name__)

SERVER_VERSION = "1.9.0"
"""The version of LiveKit's server that this one says it is: clients ask for at least 1.8.0, and take later ones to
have what this one has not."""
PING_INTERVAL_S, PING_TIMEOUT_S = 5, 15
BACKLOG = 1000
"""Maximum packets for a client whose data channel is not open yet; the oldest go first."""
MAX_PACKET = 64_000
"""Bytes of the largest packet that clients take."""
OFFERS_PER_S, OFFERS_AT_ONCE = 2.0, 20.0
"""Offers of a client: each publishing makes one."""
REJOINED_S = 2.0
"""Seconds for a client that left before it was connected to join anew; it takes 0.1 s."""
LEAVING_S = 0.5
"""Seconds for a client that has ended its connections to say that it leaves: the two come over different ways."""
WATCH_S = 0.4
"""How often levels are told."""
QUALITY_EVERY = 12
"""How many of these go by before the connection's quality is told."""
AUDIBLE = 0.01
"""Root mean square from which somebody counts as speaking."""


class RoomAgent(Protocol):
    """The agent's side of the room, which stays when lines come and go."""

    def move(self, line: RoomLine) -> None:
        """Go on over this line."""
        ...

    def take(self, packet: Message | None) -> None:
        """Take what came over a data channel; None for what cannot be read."""
        ...


class _Candidate(BaseModel):
    """`RTCIceCandidateInit`."""

    model_config = ConfigDict(extra="ignore")

    candidate: str = ""


class RoomLine:
    """A line over one or two connections; sockets for signalling come and go (`open_socket`), which ends no call.

    Args:
        ice_servers: STUN and TURN servers that the client is told of.
        two_connections: whether the client sends over a connection of its own and receives over one that the server
            offers.
    """

    def __init__(
        self,
        edge: Edge,
        handset: Handset,
        room: Room,
        ice_servers: Sequence[Mapping[str, Any]],
        two_connections: bool,
    ) -> None:
        self.connected, self.gone = asyncio.Event(), asyncio.Event()
        self.closed_by_peer = False
        self.room = room
        self.leave_reason: LeaveReason | None = None
        """Why the call is over."""
        self.agent: RoomAgent | None = None
        self._handset, self._ice_servers = handset, ice_servers
        self._outbox = Outbox()
        self._outbox.close()
        self._backlog: deque[bytes] = deque(maxlen=BACKLOG)
        self._last_sequence = 0
        self._offers, self._offered_s = OFFERS_AT_ONCE, time.monotonic()
        self._offer_id = 0
        self._asked_to_rejoin = False
        self._ended, self._left_early = asyncio.Event(), asyncio.Event()
        self._levels = {"user": 0.0, "agent": 0.0}
        self._speaking: set[str] = set()
        self._meter = LevelMeter(self._note_level)
        self._closing: asyncio.Future[None] | None = None
        self._ours: RoomConnection | None = None
        """The connection that the server offers."""
        voice: str | None = room.voice_msid
        if two_connections:
            self._ours = RoomConnection(edge, handset, voice, self._take_data, self._ended.set)
            # what the agent says goes over that one alone
            handset, voice = replace(handset, speaker=Speaker()), None
        self._client = RoomConnection(edge, handset, voice, self._take_data, self._ended.set)
        """The connection that the client offers."""

    @property
    def transport(self) -> Transport:
        return "webrtc"

    # -- the line

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails: what cannot be sent is lost with the connection."""
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        self.send_packet(user={"payload": text.encode("utf-8", "replace")})

    def send_packet(self, participant: Participant | None = None, /, **packet: Any) -> None:
        """Send a packet over the reliable channel, from the agent or another participant.

        One that is too large for the client is left out.
        """
        sender = participant or self.room.agent
        data = encode_packet({"participant_identity": sender.identity, "participant_sid": sender.sid, **packet})
        if len(data) > MAX_PACKET:
            log.warning("a packet has %d bytes and clients take %d: left out", len(data), MAX_PACKET)
        elif self._voiced.opened.is_set():
            self._voiced.send(data)
        else:
            self._backlog.append(data)

    def acknowledge(self, buffered_s: float) -> None:
        """Nothing to do: what is sent is played at once."""

    async def run(self) -> None:
        """Connect, and carry the call; returns when the client is gone."""
        microphone, speaker = self._handset.microphone, self._handset.speaker
        microphone.taps.append(self._meter.heard)
        speaker.taps.append(self._meter.spoken)
        try:
            async with asyncio.TaskGroup() as group:
                connections = [each for each in (self._client, self._ours) if each]
                parts = [group.create_task(each.run()) for each in connections]
                more = (self._connect, self._watch, self._tell_heard, self._await_leaving, self._await_rejoining)
                parts += [group.create_task(each()) for each in more]
                await self.gone.wait()
                for part in parts:
                    part.cancel()
        finally:
            microphone.taps.remove(self._meter.heard)
            speaker.taps.remove(self._meter.spoken)

    async def flush(self) -> None:
        """Wait a moment for what was sent to leave."""
        await self._voiced.flush()

    async def close(self) -> None:
        """Tell the client to leave, and give everything back. Never fails."""
        if self.leave_reason is not None:
            self._leave(self.leave_reason, LeaveAction.DISCONNECT)
        elif self.gone.is_set():
            self.rejoin()  # the connection was lost, and the call waits for another one
        else:
            self._leave(LeaveReason.DUPLICATE_IDENTITY, LeaveAction.DISCONNECT)
        self.gone.set()
        # aiortc does not survive that its closing is cancelled
        self._closing = self._closing or asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for each in (self._client, self._ours):
            if each:
                await each.close()

    @property
    def _voiced(self) -> RoomConnection:
        """The connection over which the client is sent to."""
        return self._ours or self._client

    async def _connect(self) -> None:
        await self._voiced.connected.wait()
        await self._voiced.opened.wait()
        while self._backlog:
            self._voiced.send(self._backlog.popleft())
        self.connected.set()

    async def _tell_heard(self) -> None:
        """Tell the client of each of its tracks once its sound has come; it forgets what it is told while it joins."""
        await self._client.heard.wait()
        await self.connected.wait()
        while True:
            for track in self.room.caller.tracks:
                if track.is_live and not track.is_heard and not self._outbox.is_closed:
                    track.is_heard = True
                    self.signal(track_subscribed={"track_sid": track.sid})
            await asyncio.sleep(WATCH_S)

    async def _watch(self) -> None:
        """Tell the client who speaks, and how good its connection is."""
        quality: dict[str, ConnectionQuality] = {}
        for turn in itertools.count():
            await asyncio.sleep(WATCH_S)
            if not self._voiced.is_silent:
                # who only listens, or types, is there as well
                self._handset.microphone.last_data_s = self._handset.clock()
            if self._outbox.is_closed:
                continue  # it is told when it is back
            self._tell_speakers()
            if turn % QUALITY_EVERY == 0:
                now = {self.room.caller.sid: self._quality(), self.room.agent.sid: ConnectionQuality.EXCELLENT}
                if now != quality:
                    quality = now
                    updates = [{"participant_sid": sid, "quality": q, "score": 1.0 + q} for sid, q in now.items()]
                    self.signal(connection_quality={"updates": updates})

    def _tell_speakers(self) -> None:
        sids = {"user": self.room.caller.sid, "agent": self.room.agent.sid}
        now = {who for who, level in self._levels.items() if level >= AUDIBLE}
        if now or self._speaking:
            told = [
                {"sid": sids[who], "level": self._levels[who], "active": who in now}
                for who in sorted(now | self._speaking)
            ]
            self.signal(speakers_changed={"speakers": told})
        self._speaking = now
        self._levels = {"user": 0.0, "agent": 0.0}

    def _note_level(self, who: str, rms: float, peak: float) -> None:
        self._levels[who] = max(self._levels[who], rms)

    def _quality(self) -> ConnectionQuality:
        """The quality, by what is lost in either direction."""
        lost = 0.0
        if self._client.media:
            heard = self._client.media.reception
            sound_s = heard.played_s + heard.restored_s + heard.concealed_s
            lost = heard.concealed_s / sound_s if sound_s else 0.0
        if self._voiced.media:
            sending = self._voiced.media.sending
            lost = max(lost, sending.lost / sending.sent if sending.sent else 0.0)
        return (
            ConnectionQuality.EXCELLENT
            if lost < 0.02
            else ConnectionQuality.GOOD
            if lost < 0.1
            else ConnectionQuality.POOR
        )

    # -- signalling

    def open_socket(self, join: Message) -> Outbox:
        """The client's WebSocket is open, a first one or another; what it is sent comes out of the outbox.

        Args:
            join: what it wants; see `messages`.
        """
        self._outbox.close()
        self._outbox = Outbox()
        if join.get("reconnect"):
            self._resume()
        else:
            self.room.caller.describe(join.get("metadata", ""), "", join.get("participant_attributes", {}))
            self._welcome()
        return self._outbox

    async def begin(self, join: Message) -> None:
        """Answer the offer that came with the client's welcome, or make ours."""
        if join.get("reconnect"):
            if self._ours and (self._ours.is_silent or not self._ours.is_answered):
                await self._offer()
            return
        if self._ours:
            await self._offer()
        if offer := join.get("publisher_offer"):
            await self.take(offer=offer)

    def signal(self, **response: Any) -> None:
        """Send a message over the WebSocket; it is lost while there is none."""
        self._outbox.put(**response)

    def tell(self, *participants: Participant) -> None:
        """Tell the client what has changed of these participants."""
        self.signal(update={"participants": [each.info() for each in participants]})

    async def take(self, **request: Any) -> None:
        """Take one message of the client's, by its name.

        Raises:
            ClientError: what it asks for cannot be.
        """
        for name, value in request.items():
            match name:
                case "offer":
                    await self._answer(value)
                case "answer" if self._ours and value.get("id", self._offer_id) == self._offer_id:
                    await self._ours.take_answer(value.get("sdp", ""))
                case "trickle":
                    await self._trickle(value)
                case "add_track":
                    self._add_track(value)
                case "mute":
                    self._mute(value)
                case "ping":
                    self.signal(pong=int(time.time() * 1000))
                case "ping_req":
                    now = int(time.time() * 1000)
                    self.signal(pong_resp={"last_ping_timestamp": value.get("timestamp", 0), "timestamp": now})
                case "update_metadata":
                    self._update(value)
                case "leave":
                    self._hang_up()
                case _:
                    pass  # subscriptions and the like: there is one track, and it is always sent

    def _welcome(self) -> None:
        room = self.room
        self.signal(
            join={
                "room": room.info(),
                "participant": room.caller.info(),
                "other_participants": [other.info() for other in room.others],
                "server_version": SERVER_VERSION,
                "ice_servers": self._ice_servers,
                "subscriber_primary": bool(self._ours),
                "ping_timeout": PING_TIMEOUT_S,
                "ping_interval": PING_INTERVAL_S,
                "server_info": {"version": SERVER_VERSION},
                "fast_publish": bool(self._ours),
            }
        )

    def _resume(self) -> None:
        info = {"version": SERVER_VERSION}
        self.signal(
            reconnect={
                "ice_servers": self._ice_servers,
                "server_info": info,
                "last_message_seq": self._last_sequence,
            }
        )
        self.tell(self.room.caller, *self.room.others)
        for track in self.room.caller.tracks:
            if not track.is_live:  # what was said of it may have been lost with the socket
                self.signal(track_published={"cid": track.cid, "track": track.info()})

    async def _answer(self, offer: Message) -> None:
        now = time.monotonic()
        self._offers = min(OFFERS_AT_ONCE, self._offers + (now - self._offered_s) * OFFERS_PER_S) - 1
        self._offered_s = now
        if self._offers < 0:
            raise ClientError("too_many_offers", "The client makes more offers than it can have a reason for.")
        sdp = await self._client.answer(offer.get("sdp", ""))
        answer: Message = {"type": "answer", "sdp": sdp, "id": offer.get("id", 0)}
        negotiation = self._client.negotiation
        if negotiation.voice_mid is not None:
            answer["mid_to_track_id"] = {negotiation.voice_mid: self.room.voice.sid}
        self.signal(answer=answer)
        if negotiation.lacks_voice:
            self.signal(media_sections_requirement={"num_audios": 1})
        if self.room.note_sent(negotiation.tracks):
            self.tell(self.room.caller)

    async def _offer(self) -> None:
        assert self._ours
        sdp = await self._ours.offer()
        self._offer_id += 1
        mids = {self._ours.negotiation.voice_mid or "": self.room.voice.sid}
        self.signal(offer={"type": "offer", "sdp": sdp, "id": self._offer_id, "mid_to_track_id": mids})

    async def _trickle(self, wanted: Message) -> None:
        try:
            candidate = _Candidate.model_validate_json(wanted.get("candidate_init", "")).candidate
        except ValidationError as wrong:
            raise ClientError("bad_candidate", "A trickled candidate is no RTCIceCandidateInit in JSON.") from wrong
        connection = self._ours if self._ours and wanted.get("target", 0) == 1 else self._client
        if candidate:
            await connection.trickle(candidate)

    def _add_track(self, wanted: Message) -> None:
        if wanted.get("encryption", 0):
            raise ClientError("encrypted", "The track is encrypted end to end: the agent could not hear it.")
        track = self.room.publish(wanted)
        if track is None:
            message = "Only microphones can be published here, and only a few at a time."
            self.signal(request_response={"reason": RequestRefusal.NOT_ALLOWED, "message": message})
            return
        self.signal(track_published={"cid": track.cid, "track": track.info()})

    def _mute(self, wanted: Message) -> None:
        """Muted microphones send silence, so nothing else has to be done."""
        for track in self.room.caller.tracks:
            if track.sid == wanted.get("sid"):
                track.muted = bool(wanted.get("muted", 0))
                self.room.caller.changed()
                self.tell(self.room.caller)

    def _update(self, wanted: Message) -> None:
        caller, request_id = self.room.caller, wanted.get("request_id", 0)
        if caller.describe(wanted.get("metadata", ""), wanted.get("name", ""), wanted.get("attributes", {})):
            self.tell(caller)
        else:
            message = f"Metadata and attributes have {MAX_TEXT} characters at most."
            refused = {"request_id": request_id, "reason": RequestRefusal.LIMIT_EXCEEDED, "message": message}
            self.signal(request_response=refused)

    def _hang_up(self) -> None:
        """A client says the same when it hangs up, and before it joins anew since its connection has failed."""
        self._outbox.has_left = True
        self._outbox.close()
        if not self._voiced.connected.is_set() and not self._asked_to_rejoin:
            self._left_early.set()
            return
        self.closed_by_peer = not self._asked_to_rejoin and not (self._client.is_silent and self._voiced.is_silent)
        self.gone.set()

    async def _await_leaving(self) -> None:
        await self._ended.wait()
        await asyncio.sleep(LEAVING_S)
        self.gone.set()

    async def _await_rejoining(self) -> None:
        """Which of both it was that a client meant which was not connected is seen by what it does next."""
        await self._left_early.wait()
        await asyncio.sleep(REJOINED_S)
        self.closed_by_peer = True
        self.gone.set()

    def rejoin(self) -> None:
        """Have the client join anew: this line cannot be mended."""
        self._asked_to_rejoin = True
        self._leave(LeaveReason.STATE_MISMATCH, LeaveAction.RECONNECT)

    def _leave(self, reason: LeaveReason, action: LeaveAction) -> None:
        again = action is not LeaveAction.DISCONNECT
        self.signal(leave={"can_reconnect": again, "reason": reason, "action": action})
        self._outbox.has_left = True
        self._outbox.close()

    def fail(self, refused: ClientError) -> None:
        """End the line: the client has sent what it cannot go on with."""
        log.warning("a client of LiveKit's wire is sent away: %s", refused.message)
        self._leave(LeaveReason.STATE_MISMATCH, LeaveAction.DISCONNECT)
        self.closed_by_peer = True  # it is told not to come back
        self.gone.set()

    # -- data channels

    def _take_data(self, label: str, data: bytes) -> None:
        try:
            packet = decode_packet(data)
        except WireError:
            self._hand_on(None)
            return
        if label == RELIABLE and (sequence := packet.get("sequence", 0)):
            # after a resume the client sends again what may not have arrived
            if sequence <= self._last_sequence:
                return
            self._last_sequence = sequence
        self._hand_on(packet)

    def _hand_on(self, packet: Message | None) -> None:
        if self.agent:
            self.agent.take(packet)
