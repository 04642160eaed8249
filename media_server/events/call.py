"""A call as a whole: its beginning and end, its state, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from media_server.events.base import FOREIGN, BaseEvent, State, Transport

__all__ = [
    "AgentEvent",
    "AudioLevel",
    "CallEnded",
    "CallEnding",
    "CallForwarded",
    "CallPaused",
    "CallQuality",
    "CallReconnected",
    "CallReconnecting",
    "CallResumed",
    "CallStarted",
    "CallWarning",
    "ConnectionChanged",
    "Error",
    "IdleWarning",
    "Limits",
    "SkillLoaded",
    "SkillUnloaded",
    "StateChanged",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call is limited to; None or 0 where nothing is."""

    max_duration_s: float
    calls: int
    """Calls under way, this one among them, of the key that pays or else of all …"""
    max_calls: int | None
    """… and how many there may be."""


@dataclass(frozen=True, slots=True)
class CallStarted(BaseEvent):
    type: ClassVar[str] = "call.started"
    urgent: ClassVar[bool] = True
    agent: str
    metadata: Mapping[str, Any]
    """What came with the offer."""
    transport: Transport
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class CallEnding(BaseEvent):
    """The server's side ends the call: what is being said is the last."""

    type: ClassVar[str] = "call.ending"
    reason: str
    """The reason as `call.ended` has it."""


@dataclass(frozen=True, slots=True)
class CallQuality(BaseEvent):
    """How good the line was in the last ten seconds, over WebRTC."""

    type: ClassVar[str] = "call.quality"
    jitter_ms: float
    """The jitter of the caller's packets."""
    lost: float
    """Share of the caller's packets that did not come in time, 0 to 1."""
    concealed: float
    """Share of the caller's sound that is missing, since no other packet had a copy of it, 0 to 1."""
    voice_lost: float
    """Share of the packets of the agent's voice that the caller did not get, 0 to 1."""
    voice_jitter_ms: float
    round_trip_ms: float | None = None
    """The way from the server to the caller and back; None until a report has come back."""


@dataclass(frozen=True, slots=True)
class ConnectionChanged(BaseEvent):
    """The line has become bad, so that what is said may be lost; or it is good again."""

    type: ClassVar[str] = "connection.changed"
    quality: Literal["bad", "good"]


@dataclass(frozen=True, slots=True)
class CallEnded(BaseEvent):
    type: ClassVar[str] = "call.ended"
    urgent: ClassVar[bool] = True
    reason: str
    """client_hangup, operator_hangup, agent_hangup, forwarded, silence, max_duration, credits_exhausted,
    connection_lost, connect_timeout, idle_timeout, server_shutdown, internal_error."""
    duration_s: float
    away_s: float | None = None
    """How much of it the connection was lost for; this costs nothing."""
    quality: CallQuality | None = None
    """The quality of the whole call; None where no line measured it."""


@dataclass(frozen=True, slots=True)
class CallReconnecting(BaseEvent):
    """The caller's connection is lost, and the call waits for another one."""

    type: ClassVar[str] = "call.reconnecting"
    wait_s: float


@dataclass(frozen=True, slots=True)
class CallReconnected(BaseEvent):
    """The caller is back."""

    type: ClassVar[str] = "call.reconnected"
    transport: Transport
    away_s: float


@dataclass(frozen=True, slots=True)
class CallPaused(BaseEvent):
    """A person has taken over: the agent is silent, and takes note of what is said."""

    type: ClassVar[str] = "call.paused"


@dataclass(frozen=True, slots=True)
class CallResumed(BaseEvent):
    """The agent goes on."""

    type: ClassVar[str] = "call.resumed"


@dataclass(frozen=True, slots=True)
class CallForwarded(BaseEvent):
    type: ClassVar[str] = "call.forwarded"
    to: str
    agent: bool
    """To an agent of this server, with which the call goes on; else it ends."""


@dataclass(frozen=True, slots=True)
class StateChanged(BaseEvent):
    type: ClassVar[str] = "state.changed"
    passing: ClassVar[bool] = True
    state: State


@dataclass(frozen=True, slots=True)
class IdleWarning(BaseEvent):
    """Nobody says anything."""

    type: ClassVar[str] = "idle.warning"
    remaining_s: float
    """Until the agent hangs up; 0 if it does not."""
    final: bool | None = None
    """There is none after it."""
    silence_s: float | None = None
    """How long a silence ends the call, counted from its beginning; None where none does."""


@dataclass(frozen=True, slots=True)
class AudioLevel(BaseEvent):
    """How loud one side was in the last tenth of a second; told where the agent's settings say so."""

    type: ClassVar[str] = "audio.level"
    passing: ClassVar[bool] = True
    who: Literal["user", "agent"]
    rms: float
    """0 to 1, as is `peak`."""
    peak: float
    speech: float | None = None
    """The probability that the caller speaks; None of the agent."""


@dataclass(frozen=True, slots=True)
class SkillLoaded(BaseEvent):
    """The agent has a skill from the next turn on."""

    type: ClassVar[str] = "skill.loaded"
    name: str
    by: Literal["manual", "model"]


@dataclass(frozen=True, slots=True)
class SkillUnloaded(BaseEvent):
    """The agent has a skill no longer, from the next turn on."""

    type: ClassVar[str] = "skill.unloaded"
    name: str
    by: Literal["manual", "model"]


@dataclass(frozen=True, slots=True)
class AgentEvent(BaseEvent):
    """What the agent's code sends."""

    type: ClassVar[str] = "agent.event"
    name: str
    data: Any = field(metadata=FOREIGN)


@dataclass(frozen=True, slots=True)
class CallWarning(BaseEvent):
    type: ClassVar[str] = "warning"
    code: str
    message: str
    remaining_s: float | None = None
    """Until the call is ended, where that is what is warned of."""
    reason: str | None = None
    """Why it will be: as `call.ended` says it then."""
    engine: str | None = None
    """Which engine it is about: `stt`, `llm` or `tts`."""


@dataclass(frozen=True, slots=True)
class Error(BaseEvent):
    type: ClassVar[str] = "error"
    code: str
    message: str
    engine: str | None = None
    """Which engine failed, where one did: `stt`, `llm` or `tts`."""
