"""The one event model: what happens in a call, and what a client may ask of it.

Events are plain frozen dataclasses; `wire()` gives their native JSON form. Messages from a client are validated with
pydantic, since they come from outside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from media_server.agents import TurnPreset
from media_server.errors import understood
from media_server.jsonable import jsonable, sound

__all__ = [
    "AgentEvent",
    "AgentInterrupt",
    "AgentPrompted",
    "AgentSay",
    "AgentSegmentStarted",
    "AgentSegmentStopped",
    "AgentSpeechStarted",
    "AgentSpeechStopped",
    "AgentText",
    "AgentTextDelta",
    "AgentWord",
    "AudioLevel",
    "CallEnd",
    "CallEnded",
    "CallEnding",
    "CallForwarded",
    "CallPaused",
    "CallReconnected",
    "CallReconnecting",
    "CallResumed",
    "CallStarted",
    "ClientMessage",
    "ContextSet",
    "Emotion",
    "EmotionUpdated",
    "Encoding",
    "Error",
    "Event",
    "IdleWarning",
    "KnowledgeSource",
    "KnowledgeUsed",
    "Limits",
    "Ping",
    "PlaybackAck",
    "SessionUpdate",
    "State",
    "StateChanged",
    "TextSend",
    "ToolCalled",
    "ToolDelayed",
    "ToolResult",
    "ToolReturned",
    "TranscriptWord",
    "Transport",
    "TurnContinued",
    "TurnEager",
    "TurnEnd",
    "TurnEnded",
    "TurnMarks",
    "TurnMetrics",
    "TurnPaused",
    "TurnResumed",
    "UserMute",
    "UserSpeechStarted",
    "UserSpeechStopped",
    "UserTranscript",
    "Warning_",
    "parse_client_message",
    "wire",
]

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
"""Of raw sound."""
Transport = Literal["webrtc", "websocket", "chat"]
State = Literal["connecting", "listening", "user_speaking", "thinking", "agent_speaking", "ended"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call is limited to; None or 0 where nothing is."""

    max_duration_s: float
    calls: int
    """Under way, this one among them, of the key that pays or else of all …"""
    max_calls: int | None
    """… and how many there may be."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    type: ClassVar = "call.started"
    agent: str
    metadata: Mapping[str, Any]
    """What came with the offer."""
    transport: Transport
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class CallEnding:
    """The server's side ends the call: what is being said is the last."""

    type: ClassVar = "call.ending"
    reason: str
    """As `call.ended` has it."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    type: ClassVar = "call.ended"
    reason: str
    """client_hangup, agent_hangup, forwarded, silence, max_duration, credits_exhausted, connection_lost,
    connect_timeout, idle_timeout, server_shutdown, internal_error."""
    duration_s: float
    away_s: float | None = None
    """Of it, while the connection was lost; this costs nothing."""


@dataclass(frozen=True, slots=True)
class CallReconnecting:
    """The caller's connection is lost, and the call waits for another one."""

    type: ClassVar = "call.reconnecting"
    wait_s: float


@dataclass(frozen=True, slots=True)
class CallReconnected:
    """The caller is back."""

    type: ClassVar = "call.reconnected"
    transport: Transport
    away_s: float


@dataclass(frozen=True, slots=True)
class CallPaused:
    """A person has taken over: the agent is silent, and takes note of what is said."""

    type: ClassVar = "call.paused"


@dataclass(frozen=True, slots=True)
class CallResumed:
    """The agent goes on."""

    type: ClassVar = "call.resumed"


@dataclass(frozen=True, slots=True)
class AudioLevel:
    """How loud one side was in the last tenth of a second; told where the agent's settings say so."""

    type: ClassVar = "audio.level"
    who: Literal["user", "agent"]
    rms: float
    """0 to 1, as is `peak`."""
    peak: float
    speech: float | None = None
    """Of the caller: the probability that it is speech."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    type: ClassVar = "state.changed"
    state: State


@dataclass(frozen=True, slots=True)
class UserSpeechStarted:
    type: ClassVar = "user.speech_started"
    turn_id: str


@dataclass(frozen=True, slots=True)
class UserSpeechStopped:
    type: ClassVar = "user.speech_stopped"
    turn_id: str


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """A word that was said, with its time since the call began and how sure the recogniser is of it, 0 to 1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class UserTranscript:
    type: ClassVar = "user.transcript"
    turn_id: str
    text: str
    """The whole turn so far; each one replaces the one before."""
    final: bool
    confidence: float | None = None
    language: str | None = None
    stable: str | None = None
    """Of one that is not final, the beginning that will hardly change."""
    words: tuple[TranscriptWord, ...] | None = None
    """Of a final one."""


@dataclass(frozen=True, slots=True)
class TurnPaused:
    """The caller pauses, and may be done."""

    type: ClassVar = "turn.paused"
    turn_id: str
    text: str
    probability: float
    """That the turn is over."""


@dataclass(frozen=True, slots=True)
class TurnEager:
    """The reply to a turn that may still go on is begun, on trial."""

    type: ClassVar = "turn.eager"
    turn_id: str
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """The caller goes on."""

    type: ClassVar = "turn.resumed"
    turn_id: str
    text: str
    """What was said before the pause, as far as it is known."""


@dataclass(frozen=True, slots=True)
class TurnContinued:
    """The caller went on although the turn was taken for complete, before anything of the answer was heard."""

    type: ClassVar = "turn.continued"
    turn_id: str
    """Of the turn that was not complete; what is said now is another one."""
    text: str


@dataclass(frozen=True, slots=True)
class Emotion:
    name: str
    score: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class EmotionUpdated:
    """What the caller seems to feel in a turn, the most likely first."""

    type: ClassVar = "emotion.updated"
    turn_id: str
    emotions: tuple[Emotion, ...]
    source: Literal["text", "audio"]


@dataclass(frozen=True, slots=True)
class IdleWarning:
    """Nobody says anything."""

    type: ClassVar = "idle.warning"
    remaining_s: float
    """Until the agent hangs up; 0 if it does not."""
    final: bool | None = None
    """There is none after it."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    type: ClassVar = "turn.ended"
    turn_id: str
    probability: float
    """That the caller was done, as the pause was chosen by it; 1 where nothing was asked."""
    text: str
    cause: Literal["silence", "semantic", "client"]
    """A pause, one that was shorter since the words were complete, or the client's word."""


@dataclass(frozen=True, slots=True)
class AgentTextDelta:
    type: ClassVar = "agent.text_delta"
    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentText:
    type: ClassVar = "agent.text"
    turn_id: str
    text: str
    interrupted: bool | None = None
    """In a chat: the reply was cut off, and this is all of it that was sent."""


@dataclass(frozen=True, slots=True)
class AgentSpeechStarted:
    type: ClassVar = "agent.speech_started"
    turn_id: str


@dataclass(frozen=True, slots=True)
class AgentSegmentStarted:
    """A sentence of the turn's speech begins to be heard."""

    type: ClassVar = "agent.segment_started"
    turn_id: str
    segment: int
    """Counted in the turn, from 0."""
    text: str
    start_s: float
    """Since the call began."""


@dataclass(frozen=True, slots=True)
class AgentSegmentStopped:
    """Exactly one follows each that started."""

    type: ClassVar = "agent.segment_stopped"
    turn_id: str
    segment: int
    reason: Literal["completed", "interrupted"]
    heard: str
    start_s: float
    """The same as where it started."""
    end_s: float


@dataclass(frozen=True, slots=True)
class AgentWord:
    type: ClassVar = "agent.word"
    turn_id: str
    text: str
    start_s: float
    """Since the turn's speech began."""
    end_s: float


@dataclass(frozen=True, slots=True)
class AgentSpeechStopped:
    type: ClassVar = "agent.speech_stopped"
    turn_id: str
    reason: Literal["completed", "interrupted"]
    heard: str
    """The words that were played to the caller."""


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """Of an ephemeral tool that runs in the server nobody is told the arguments and the result."""

    type: ClassVar = "tool.called"
    id: str
    name: str
    arguments: Mapping[str, Any] | None
    runs_at: Literal["server", "client"]
    """A client answers with `tool.result`."""
    ephemeral: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolDelayed:
    """A tool takes long."""

    type: ClassVar = "tool.delayed"
    id: str
    name: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class ToolReturned:
    type: ClassVar = "tool.returned"
    id: str
    result: Any = None
    error: str | None = None
    ephemeral: bool | None = None


@dataclass(frozen=True, slots=True)
class AgentPrompted:
    """What the model was shown and what it answered; told to clients that ask for it."""

    type: ClassVar = "agent.prompted"
    turn_id: str
    prompt: Any
    """Messages, each with `role` and `content`."""
    response: str


@dataclass(frozen=True, slots=True)
class KnowledgeSource:
    """A passage of a document."""

    file: str
    """Its path in the agent's folder."""
    title: str
    """The headings above it, or its page."""
    score: float
    """How well it fits: 1 for the best one."""


@dataclass(frozen=True, slots=True)
class KnowledgeUsed:
    """The model was shown these passages before it answered."""

    type: ClassVar = "knowledge.used"
    turn_id: str
    query: str
    sources: tuple[KnowledgeSource, ...]


@dataclass(frozen=True, slots=True)
class CallForwarded:
    type: ClassVar = "call.forwarded"
    to: str
    agent: bool
    """To an agent of this server, with which the call goes on; else it ends."""


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """What the agent's code sends."""

    type: ClassVar = "agent.event"
    name: str
    data: Any


@dataclass(frozen=True, slots=True)
class TurnMarks:
    """When things happened in a turn, in ms since the caller's last sound; None for what did not."""

    paused: float | None = None
    """The silence was noticed, and recognition began."""
    transcript: float | None = None
    first_token: float | None = None
    first_clause: float | None = None
    first_audio: float | None = None
    turn_ended: float | None = None
    """Until then all was on trial: the caller might have gone on."""
    on_wire: float | None = None


@dataclass(frozen=True, slots=True)
class TurnMetrics:
    """Where the time between the caller's last sound and the agent's first went, in ms; the parts add up."""

    type: ClassVar = "turn.metrics"
    turn_id: str
    endpoint_ms: float
    """End of the caller's speech to the decision that the turn is over: the configured pause."""
    stt_ms: float
    """From there until the final transcript."""
    llm_first_token_ms: float
    """From there until the first token."""
    llm_first_clause_ms: float
    """From there until there is a clause to speak."""
    tts_first_audio_ms: float
    """From there until its first audio."""
    playout_ms: float
    """From there until that audio is on the wire."""
    response_ms: float
    marks: TurnMarks
    """The same turn as it went: what happened within the pause too."""


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801 - `Warning` is a builtin
    type: ClassVar = "warning"
    code: str
    message: str
    remaining_s: float | None = None
    """Until the call is ended, where that is what is warned of."""


@dataclass(frozen=True, slots=True)
class Error:
    type: ClassVar = "error"
    code: str
    message: str


Event = (
    CallStarted
    | CallEnding
    | CallEnded
    | CallPaused
    | CallResumed
    | CallReconnecting
    | CallReconnected
    | StateChanged
    | UserSpeechStarted
    | UserSpeechStopped
    | UserTranscript
    | EmotionUpdated
    | IdleWarning
    | TurnEnded
    | TurnEager
    | TurnPaused
    | TurnResumed
    | TurnContinued
    | AgentTextDelta
    | AgentText
    | AgentSegmentStarted
    | AgentSegmentStopped
    | AgentSpeechStarted
    | AgentWord
    | AgentSpeechStopped
    | ToolCalled
    | ToolDelayed
    | ToolReturned
    | AgentPrompted
    | KnowledgeUsed
    | AudioLevel
    | CallForwarded
    | AgentEvent
    | TurnMetrics
    | Warning_
    | Error
)


def wire(event: Event, call_id: str, seq: int, time_s: float) -> dict[str, Any]:
    """The native form. Optional fields that have no value are left out."""
    return {"type": event.type, "call_id": call_id, "seq": seq, "time": round(time_s, 3), **_plain(event)}


def _plain(value: Any) -> Any:
    """As JSON has it: times and probabilities to three places, without what has no value."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return jsonable(value)
    if dataclasses.is_dataclass(value):
        # what comes from tools and agents' code is not ours to round
        given = {f.name: (f.type, getattr(value, f.name)) for f in dataclasses.fields(value)}
        fields = {name: jsonable(v) if kind == "Any" else _plain(v) for name, (kind, v) in given.items()}
        return {k: v for k, v in fields.items() if v is not None}
    return value


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextSend(_Message):
    """The caller types instead of speaking; or, with the role `system`, the client tells the model something.

    Not `immediate`: the model knows it from the next turn on. Not `interrupt`: the agent finishes what it is saying.
    """

    type: Literal["text.send"]
    text: str = Field(min_length=1, max_length=4000)
    role: Literal["user", "system"] = "user"
    immediate: bool = True
    interrupt: bool = True


class AgentSay(_Message):
    """The agent says this, word for word, after what it is saying now, or after the caller's turn."""

    type: Literal["agent.say"]
    text: str = Field(min_length=1, max_length=4000)
    interruptible: bool = True
    """Whether a caller who speaks over it stops it."""


class AgentInterrupt(_Message):
    type: Literal["agent.interrupt"]


class SessionUpdate(_Message):
    """Settings of this call, from the next turn on; language and voice where the agent lets clients choose."""

    type: Literal["session.update"]
    turns: TurnPreset | None = None
    min_pause_ms: int | None = Field(None, ge=100, le=5000)
    max_pause_ms: int | None = Field(None, ge=100, le=10000)
    completeness: bool | None = None
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$")
    voice: str | None = Field(None, max_length=64)


class TurnEnd(_Message):
    """The caller is done: what was said is answered now, whatever the silence."""

    type: Literal["turn.end"]


class ToolResult(_Message):
    """The answer of a tool that runs in the client."""

    type: Literal["tool.result"]
    id: str
    result: Any = None
    error: str | None = None
    silent: bool = False
    """The model need not say anything to it."""


class UserMute(_Message):
    type: Literal["user.mute"]
    muted: bool


class CallEnd(_Message):
    """With `finish` what was said so far is still understood first, and told."""

    type: Literal["call.end"]
    finish: bool = False


class ContextSet(_Message):
    """Something for the model to know from the next turn on, by a key; without a value it is forgotten."""

    type: Literal["context.set"]
    key: str = Field(min_length=1, max_length=100)
    value: str | None = Field(None, max_length=4000)


class PlaybackAck(_Message):
    """Over a WebSocket: how much of the agent's voice the client has still to play."""

    type: Literal["playback.ack"]
    buffered_s: float = Field(ge=0, le=60)


class Ping(_Message):
    """Says that the client is alive; not answered."""

    type: Literal["ping"]


ClientMessage = (
    TextSend
    | AgentSay
    | AgentInterrupt
    | SessionUpdate
    | TurnEnd
    | ToolResult
    | UserMute
    | PlaybackAck
    | ContextSet
    | CallEnd
    | Ping
)

_CLIENT_MESSAGES: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


def parse_client_message(text: str | bytes) -> ClientMessage:
    """A message of the events channel.

    Raises:
        ClientError: `bad_message`, with a sentence for each field that does not fit.
    """
    return understood(_CLIENT_MESSAGES.validate_json, text)
