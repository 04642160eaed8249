"""The messages of LiveKit's signalling and data channels, as far as a call has a use for them.

Numbers and types are those of LiveKit's protocol; a field that is not here is skipped when it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from media_server.doors.livekit.protobuf import Codec, Message, Schema

__all__ = [
    "SCHEMA",
    "ConnectionQuality",
    "LeaveAction",
    "LeaveReason",
    "ParticipantKind",
    "ParticipantState",
    "RequestRefusal",
    "TrackSource",
    "decode_join_request",
    "decode_packet",
    "decode_request",
    "decode_wrapped",
    "encode_packet",
    "encode_response",
]


class LeaveAction(IntEnum):
    """What a client is to do after `leave`."""

    DISCONNECT = 0
    RESUME = 1
    RECONNECT = 2


class LeaveReason(IntEnum):
    """Why a participant leaves; `Disconnected` of the clients has the number."""

    UNKNOWN = 0
    CLIENT_INITIATED = 1
    DUPLICATE_IDENTITY = 2
    SERVER_SHUTDOWN = 3
    PARTICIPANT_REMOVED = 4
    ROOM_DELETED = 5
    STATE_MISMATCH = 6
    JOIN_FAILURE = 7
    CONNECTION_TIMEOUT = 14
    MEDIA_FAILURE = 15
    AGENT_ERROR = 16


class ParticipantKind(IntEnum):
    STANDARD = 0
    AGENT = 4


class ParticipantState(IntEnum):
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


class TrackSource(IntEnum):
    MICROPHONE = 2


class ConnectionQuality(IntEnum):
    """LOST is never sent: after ten seconds of it clients reconnect from scratch."""

    POOR = 0
    GOOD = 1
    EXCELLENT = 2


class RequestRefusal(IntEnum):
    """Why a request of the client is not granted."""

    NOT_FOUND = 1
    NOT_ALLOWED = 2
    LIMIT_EXCEEDED = 3


SCHEMA: Schema = {
    "Room": {
        "sid": (1, "s"), "name": (2, "s"), "creation_time": (5, "i"), "metadata": (8, "s"),
        "num_participants": (9, "i"), "active_recording": (10, "i"), "num_publishers": (11, "i"),
        "creation_time_ms": (15, "i"),
    },
    "Codec": {"mime": (1, "s"), "fmtp_line": (2, "s")},
    "ParticipantPermission": {
        "can_subscribe": (1, "i"), "can_publish": (2, "i"), "can_publish_data": (3, "i"),
        "can_publish_sources": (9, "i*"), "can_update_metadata": (10, "i"),
    },
    "ParticipantInfo": {
        "sid": (1, "s"), "identity": (2, "s"), "state": (3, "i"), "tracks": (4, "TrackInfo*"), "metadata": (5, "s"),
        "joined_at": (6, "i"), "name": (9, "s"), "version": (10, "i"), "permission": (11, "ParticipantPermission"),
        "is_publisher": (13, "i"), "kind": (14, "i"), "attributes": (15, "m"), "disconnect_reason": (16, "i"),
        "joined_at_ms": (17, "i"),
    },
    "TrackInfo": {
        "sid": (1, "s"), "type": (2, "i"), "name": (3, "s"), "muted": (4, "i"), "source": (9, "i"),
        "mime_type": (11, "s"), "mid": (12, "s"), "disable_red": (15, "i"), "encryption": (16, "i"),
        "stream": (17, "s"), "audio_features": (19, "i*"),
    },
    "SessionDescription": {"type": (1, "s"), "sdp": (2, "s"), "id": (3, "i"), "mid_to_track_id": (4, "m")},
    "TrickleRequest": {"candidate_init": (1, "s"), "target": (2, "i"), "final": (3, "i")},
    "AddTrackRequest": {
        "cid": (1, "s"), "name": (2, "s"), "type": (3, "i"), "muted": (6, "i"), "disable_dtx": (7, "i"),
        "source": (8, "i"), "stereo": (12, "i"), "disable_red": (13, "i"), "encryption": (14, "i"),
        "stream": (15, "s"), "audio_features": (17, "i*"),
    },
    "MuteTrackRequest": {"sid": (1, "s"), "muted": (2, "i")},
    "LeaveRequest": {"can_reconnect": (1, "i"), "reason": (2, "i"), "action": (3, "i")},
    "Ping": {"timestamp": (1, "i"), "rtt": (2, "i")},
    "Pong": {"last_ping_timestamp": (1, "i"), "timestamp": (2, "i")},
    "ICEServer": {"urls": (1, "s*"), "username": (2, "s"), "credential": (3, "s")},
    "ServerInfo": {
        "edition": (1, "i"), "version": (2, "s"), "protocol": (3, "i"), "region": (4, "s"), "node_id": (5, "s"),
    },
    "JoinResponse": {
        "room": (1, "Room"), "participant": (2, "ParticipantInfo"), "other_participants": (3, "ParticipantInfo*"),
        "server_version": (4, "s"), "ice_servers": (5, "ICEServer*"), "subscriber_primary": (6, "i"),
        "ping_timeout": (10, "i"), "ping_interval": (11, "i"), "server_info": (12, "ServerInfo"),
        "enabled_publish_codecs": (14, "Codec*"), "fast_publish": (15, "i"),
    },
    "ReconnectResponse": {
        "ice_servers": (1, "ICEServer*"), "server_info": (3, "ServerInfo"), "last_message_seq": (4, "i"),
    },
    "TrackPublishedResponse": {"cid": (1, "s"), "track": (2, "TrackInfo")},
    "TrackUnpublishedResponse": {"track_sid": (1, "s")},
    "ParticipantUpdate": {"participants": (1, "ParticipantInfo*")},
    "SpeakerInfo": {"sid": (1, "s"), "level": (2, "f"), "active": (3, "i")},
    "SpeakersChanged": {"speakers": (1, "SpeakerInfo*")},
    "RoomUpdate": {"room": (1, "Room")},
    "ConnectionQualityInfo": {"participant_sid": (1, "s"), "quality": (2, "i"), "score": (3, "f")},
    "ConnectionQualityUpdate": {"updates": (1, "ConnectionQualityInfo*")},
    "TrackSubscribed": {"track_sid": (1, "s")},
    "MediaSectionsRequirement": {"num_audios": (1, "i"), "num_videos": (2, "i")},
    "UpdateParticipantMetadata": {
        "metadata": (1, "s"), "name": (2, "s"), "attributes": (3, "m"), "request_id": (4, "i"),
    },
    "RequestResponse": {"request_id": (1, "i"), "reason": (2, "i"), "message": (3, "s")},
    "ClientInfo": {
        "sdk": (1, "i"), "version": (2, "s"), "protocol": (3, "i"), "os": (4, "s"), "browser": (7, "s"),
        "client_protocol": (12, "i"),
    },
    "JoinRequest": {
        "client_info": (1, "ClientInfo"), "metadata": (3, "s"), "participant_attributes": (4, "m"),
        "add_track_requests": (5, "AddTrackRequest*"), "publisher_offer": (6, "SessionDescription"),
        "reconnect": (7, "i"), "reconnect_reason": (8, "i"), "participant_sid": (9, "s"),
    },
    "WrappedJoinRequest": {"compression": (1, "i"), "join_request": (2, "b")},
    "SignalRequest": {
        "offer": (1, "SessionDescription"), "answer": (2, "SessionDescription"), "trickle": (3, "TrickleRequest"),
        "add_track": (4, "AddTrackRequest"), "mute": (5, "MuteTrackRequest"), "leave": (8, "LeaveRequest"),
        "ping": (14, "i"), "update_metadata": (15, "UpdateParticipantMetadata"), "ping_req": (16, "Ping"),
    },
    "SignalResponse": {
        "join": (1, "JoinResponse"), "answer": (2, "SessionDescription"), "offer": (3, "SessionDescription"),
        "update": (5, "ParticipantUpdate"), "track_published": (6, "TrackPublishedResponse"),
        "leave": (8, "LeaveRequest"), "mute": (9, "MuteTrackRequest"), "speakers_changed": (10, "SpeakersChanged"),
        "room_update": (11, "RoomUpdate"), "connection_quality": (12, "ConnectionQualityUpdate"),
        "refresh_token": (16, "s"), "track_unpublished": (17, "TrackUnpublishedResponse"), "pong": (18, "i"),
        "reconnect": (19, "ReconnectResponse"), "pong_resp": (20, "Pong"), "request_response": (22, "RequestResponse"),
        "track_subscribed": (23, "TrackSubscribed"), "media_sections_requirement": (25, "MediaSectionsRequirement"),
    },
    "UserPacket": {
        "payload": (2, "b"), "topic": (4, "s"), "participant_identity": (5, "s"), "destination_identities": (6, "s*"),
        "id": (8, "s"),
    },
    "TranscriptionSegment": {
        "id": (1, "s"), "text": (2, "s"), "start_time": (3, "i"), "end_time": (4, "i"), "final": (5, "i"),
        "language": (6, "s"),
    },
    "SipDtmf": {"code": (3, "i"), "digit": (4, "s")},
    "ChatMessage": {
        "id": (1, "s"), "edit_timestamp": (3, "i"), "message": (4, "s"), "deleted": (5, "i"), "generated": (6, "i"),
    },
    "Transcription": {
        "transcribed_participant_identity": (2, "s"), "track_id": (3, "s"), "segments": (4, "TranscriptionSegment*"),
    },
    "RpcRequest": {
        "id": (1, "s"), "method": (2, "s"), "payload": (3, "s"), "response_timeout_ms": (4, "i"), "version": (5, "i"),
    },
    "RpcAck": {"request_id": (1, "s")},
    "RpcError": {"code": (1, "i"), "message": (2, "s"), "data": (3, "s")},
    "RpcResponse": {"request_id": (1, "s"), "payload": (2, "s"), "error": (3, "RpcError")},
    "TextHeader": {"operation_type": (1, "i"), "version": (2, "i"), "reply_to": (3, "s"), "generated": (5, "i")},
    "StreamHeader": {
        "stream_id": (1, "s"), "timestamp": (2, "i"), "topic": (3, "s"), "mime_type": (4, "s"),
        "total_length": (5, "i"), "attributes": (8, "m"), "text_header": (9, "TextHeader"),
    },
    "StreamChunk": {"stream_id": (1, "s"), "chunk_index": (2, "i"), "content": (3, "b")},
    "StreamTrailer": {"stream_id": (1, "s"), "reason": (2, "s"), "attributes": (3, "m")},
    "DataPacket": {
        "kind": (1, "i"), "user": (2, "UserPacket"), "participant_identity": (4, "s"),
        "destination_identities": (5, "s*"), "sip_dtmf": (6, "SipDtmf"), "transcription": (7, "Transcription"),
        "chat_message": (9, "ChatMessage"), "rpc_request": (10, "RpcRequest"),
        "rpc_ack": (11, "RpcAck"), "rpc_response": (12, "RpcResponse"), "stream_header": (13, "StreamHeader"),
        "stream_chunk": (14, "StreamChunk"), "stream_trailer": (15, "StreamTrailer"), "sequence": (16, "i"),
        "participant_sid": (17, "s"),
    },
}  # fmt: skip
ONEOFS = frozenset({"SignalRequest", "SignalResponse", "RpcResponse"})
_CODEC = Codec(SCHEMA, ONEOFS)


def decode_request(data: bytes) -> Message:
    """A message of the client's over the WebSocket. Raises `WireError`."""
    return _CODEC.decode("SignalRequest", data)


def encode_response(**response: Any) -> bytes:
    """A message to the client over the WebSocket; `response` is its one field."""
    return _CODEC.encode("SignalResponse", response)


def decode_wrapped(data: bytes) -> Message:
    """What a client's address has in `join_request`. Raises `WireError`."""
    return _CODEC.decode("WrappedJoinRequest", data)


def decode_join_request(data: bytes) -> Message:
    """What a client wants when it joins, unzipped. Raises `WireError`."""
    return _CODEC.decode("JoinRequest", data)


def decode_packet(data: bytes) -> Message:
    """A message of the client's over a data channel. Raises `WireError`."""
    return _CODEC.decode("DataPacket", data)


def encode_packet(packet: Mapping[str, Any]) -> bytes:
    """A message to the client over a data channel."""
    return _CODEC.encode("DataPacket", packet)
