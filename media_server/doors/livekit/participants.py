"""Who is in a room, as LiveKit's clients are told it: the caller, the agent, and their tracks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from media_server.doors.livekit.messages import ParticipantKind, ParticipantState, TrackSource

__all__ = ["MAX_TEXT", "MAX_TRACKS", "Participant", "Room", "Track", "new_sid"]

MAX_TRACKS = 8
"""Maximum tracks that a caller has published at a time."""
MAX_ATTRIBUTES = 32
MAX_TEXT = 4096
"""Maximum characters of metadata and attributes that a client gives itself."""
OPUS = "audio/opus"
AGENT_IDENTITY = "agent"
PERSON_IDENTITY = "person"
ASSISTANT = '{"role":"assistant"}'
"""The agent's metadata: Wespoke's SDK finds it by this."""
HUMAN = '{"role":"human"}'
"""The metadata of somebody who has taken over."""


def new_sid(prefix: str) -> str:
    """A name of something in a room, such as `PA_…` for a participant: clients tell them apart by the prefix."""
    return f"{prefix}_{secrets.token_hex(6)}"


@dataclass(slots=True, eq=False)
class Track:
    """Sound that a participant publishes."""

    cid: str
    """The client's name of it."""
    name: str = ""
    muted: bool = False
    stream: str = ""
    features: tuple[int, ...] = ()
    source: int = TrackSource.MICROPHONE
    sid: str = field(default_factory=lambda: new_sid("TR"))
    is_live: bool = False
    """An offer had it."""
    is_heard: bool = False
    """The client was told that its sound has come."""

    def info(self) -> dict[str, Any]:
        """`TrackInfo`."""
        return {
            "sid": self.sid,
            "name": self.name,
            "muted": self.muted,
            "source": self.source,
            "mime_type": OPUS,
            "stream": self.stream,
            "audio_features": list(self.features),
        }


@dataclass(slots=True)
class Participant:
    """Somebody in a room. Each change has to be followed by `changed`: clients ignore what has an old version."""

    identity: str
    kind: ParticipantKind = ParticipantKind.STANDARD
    name: str = ""
    metadata: str = ""
    sid: str = field(default_factory=lambda: new_sid("PA"))
    state: ParticipantState = ParticipantState.ACTIVE
    attributes: dict[str, str] = field(default_factory=dict)
    tracks: list[Track] = field(default_factory=list)
    joined_at_s: float = field(default_factory=time.time)
    version: int = 1

    def changed(self) -> None:
        self.version += 1

    def describe(self, metadata: str, name: str, attributes: Mapping[str, str]) -> bool:
        """Have these in place of what is there; what is empty changes nothing, or takes an attribute away.

        Returns whether it can be kept.
        """
        both = {key: value for key, value in {**self.attributes, **attributes}.items() if value}
        if len(both) > MAX_ATTRIBUTES or sum(map(len, (metadata, name, *both, *both.values()))) > MAX_TEXT:
            return False
        self.attributes, self.metadata, self.name = both, metadata or self.metadata, name or self.name
        self.changed()
        return True

    def info(self) -> dict[str, Any]:
        """`ParticipantInfo`."""
        permission = {
            "can_subscribe": 1,
            "can_publish": 1,
            "can_publish_data": 1,
            "can_publish_sources": [TrackSource.MICROPHONE],
            "can_update_metadata": 1,
        }
        return {
            "sid": self.sid,
            "identity": self.identity,
            "state": self.state,
            "tracks": [track.info() for track in self.tracks],
            "metadata": self.metadata,
            "joined_at": int(self.joined_at_s),
            "name": self.name,
            "version": self.version,
            "permission": permission,
            "is_publisher": bool(self.tracks),
            "kind": self.kind,
            "attributes": self.attributes,
            "joined_at_ms": int(self.joined_at_s * 1000),
        }


class Room:
    """A caller and an agent, and a person while one has taken over."""

    def __init__(self, name: str, identity: str, agent_name: str) -> None:
        self.sid = new_sid("RM")
        self.name = name
        self.began_s = time.time()
        self.caller = Participant(identity)
        voice = Track("voice", "agent", is_live=True)
        self.agent = Participant(AGENT_IDENTITY, ParticipantKind.AGENT, agent_name, ASSISTANT, tracks=[voice])
        self.agent.attributes = {"lk.agent.state": "initializing", "lk.agent.name": agent_name}
        self.person: Participant | None = None

    @property
    def others(self) -> list[Participant]:
        """All but the caller."""
        return [self.agent, self.person] if self.person else [self.agent]

    @property
    def speaker(self) -> Participant:
        """Whose words the caller hears, over the agent's track."""
        return self.person or self.agent

    def admit_person(self) -> Participant:
        """Somebody takes over."""
        self.person = Participant(PERSON_IDENTITY, name="Operator", metadata=HUMAN)
        return self.person

    @property
    def voice(self) -> Track:
        """The agent's."""
        return self.agent.tracks[0]

    @property
    def voice_msid(self) -> str:
        """What the agent's voice is called in descriptions: clients read the participant and the track out of it."""
        return f"{self.agent.sid}|{self.voice.sid} {self.voice.sid}"

    @property
    def microphone(self) -> Track | None:
        """The caller's newest track."""
        return self.caller.tracks[-1] if self.caller.tracks else None

    def info(self) -> dict[str, Any]:
        """`Room`."""
        return {
            "sid": self.sid,
            "name": self.name,
            "creation_time": int(self.began_s),
            "creation_time_ms": int(self.began_s * 1000),
            "num_participants": 1 + len(self.others),
            "num_publishers": 1 + bool(self.caller.tracks),
        }

    def publish(self, request: dict[str, Any]) -> Track | None:
        """The track of an `AddTrackRequest`; None where it cannot be had. Asked again, it is the same."""
        cid = request.get("cid", "")
        if found := next((track for track in self.caller.tracks if track.cid == cid and not track.is_live), None):
            return found
        is_sound = request.get("type", 0) == 0 and request.get("source", 0) in (0, TrackSource.MICROPHONE)
        if not cid or not is_sound or len(self.caller.tracks) >= MAX_TRACKS:
            return None
        track = Track(
            cid,
            request.get("name", ""),
            bool(request.get("muted", 0)),
            request.get("stream", ""),
            tuple(request.get("audio_features", ())[:MAX_TRACKS]),
        )
        self.caller.tracks.append(track)
        self.caller.changed()
        return track

    def note_sent(self, cids: frozenset[str]) -> bool:
        """The client's newest offer sends these tracks: one that it does not send any more is unpublished.

        Returns whether any was.
        """
        sent = {cid.strip("{}") for cid in cids}  # Firefox has braces around them
        given_up = [track for track in self.caller.tracks if track.is_live and track.cid.strip("{}") not in sent]
        for track in self.caller.tracks:
            track.is_live = track.cid.strip("{}") in sent
        self.caller.tracks = [track for track in self.caller.tracks if track not in given_up]
        if given_up:
            self.caller.changed()
        return bool(given_up)
