"""The agent's side: text and speech, tools, documents, and where a turn's time went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from media_server.events.base import FOREIGN, BaseEvent

__all__ = [
    "AgentPrompted",
    "AgentSegmentStarted",
    "AgentSegmentStopped",
    "AgentSpeechStarted",
    "AgentSpeechStopped",
    "AgentText",
    "AgentTextDelta",
    "AgentWord",
    "KnowledgeSource",
    "KnowledgeUsed",
    "ToolCalled",
    "ToolDelayed",
    "ToolReturned",
    "TurnMarks",
    "TurnMetrics",
]


@dataclass(frozen=True, slots=True)
class AgentTextDelta(BaseEvent):
    type: ClassVar[str] = "agent.text_delta"
    passing: ClassVar[bool] = True
    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentText(BaseEvent):
    type: ClassVar[str] = "agent.text"
    urgent: ClassVar[bool] = True
    turn_id: str
    text: str
    interrupted: bool | None = None
    """Whether the reply was cut off, in a chat: this is all of it that was sent."""


@dataclass(frozen=True, slots=True)
class AgentSpeechStarted(BaseEvent):
    type: ClassVar[str] = "agent.speech_started"
    turn_id: str


@dataclass(frozen=True, slots=True)
class AgentSegmentStarted(BaseEvent):
    """A sentence of the turn's speech begins to be heard."""

    type: ClassVar[str] = "agent.segment_started"
    passing: ClassVar[bool] = True
    turn_id: str
    segment: int
    """Counted in the turn, from 0."""
    text: str
    start_s: float
    """Seconds since the call began."""


@dataclass(frozen=True, slots=True)
class AgentSegmentStopped(BaseEvent):
    """Exactly one follows each that started."""

    type: ClassVar[str] = "agent.segment_stopped"
    passing: ClassVar[bool] = True
    turn_id: str
    segment: int
    reason: Literal["completed", "interrupted"]
    heard: str
    start_s: float
    """The same as where it started."""
    end_s: float


@dataclass(frozen=True, slots=True)
class AgentWord(BaseEvent):
    type: ClassVar[str] = "agent.word"
    passing: ClassVar[bool] = True
    turn_id: str
    text: str
    start_s: float
    """Seconds since the turn's speech began."""
    end_s: float


@dataclass(frozen=True, slots=True)
class AgentSpeechStopped(BaseEvent):
    type: ClassVar[str] = "agent.speech_stopped"
    urgent: ClassVar[bool] = True
    turn_id: str
    reason: Literal["completed", "interrupted"]
    heard: str
    """The words that were played to the caller."""


@dataclass(frozen=True, slots=True)
class ToolCalled(BaseEvent):
    """The model calls a tool. Arguments and result of an ephemeral tool that runs in the server are left out."""

    type: ClassVar[str] = "tool.called"
    id: str
    name: str
    arguments: Mapping[str, Any] | None
    runs_at: Literal["server", "client"]
    """A client answers with `tool.result`."""
    ephemeral: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolDelayed(BaseEvent):
    """A tool takes long."""

    type: ClassVar[str] = "tool.delayed"
    id: str
    name: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class ToolReturned(BaseEvent):
    type: ClassVar[str] = "tool.returned"
    urgent: ClassVar[bool] = True
    id: str
    result: Any = field(default=None, metadata=FOREIGN)
    error: str | None = None
    ephemeral: bool | None = None


@dataclass(frozen=True, slots=True)
class AgentPrompted(BaseEvent):
    """What the model was shown and what it answered; told to clients that ask for it."""

    type: ClassVar[str] = "agent.prompted"
    passing: ClassVar[bool] = True
    turn_id: str
    prompt: Any = field(metadata=FOREIGN)
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
class KnowledgeUsed(BaseEvent):
    """The model was shown these passages before it answered."""

    type: ClassVar[str] = "knowledge.used"
    turn_id: str
    query: str
    sources: tuple[KnowledgeSource, ...]


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
class TurnMetrics(BaseEvent):
    """Where the time between the caller's last sound and the agent's first went, in ms; the parts add up."""

    type: ClassVar[str] = "turn.metrics"
    turn_id: str
    endpoint_ms: float
    """End of the caller's speech to the decision that the turn is over: the configured pause."""
    stt_ms: float
    """Time from there until the final transcript."""
    llm_first_token_ms: float
    """Time from there until the first token."""
    llm_first_clause_ms: float
    """Time from there until there is a clause to speak."""
    tts_first_audio_ms: float
    """Time from there until its first audio."""
    playout_ms: float
    """Time from there until that audio is on the wire."""
    response_ms: float
    marks: TurnMarks
    """The same turn as it went: what happened within the pause too."""

    @property
    def stages(self) -> Mapping[str, float]:
        """The stages' times and their sum, `response`, in ms, by name."""
        return {
            "endpoint": self.endpoint_ms,
            "stt": self.stt_ms,
            "llm_first_token": self.llm_first_token_ms,
            "llm_first_clause": self.llm_first_clause_ms,
            "tts_first_audio": self.tts_first_audio_ms,
            "playout": self.playout_ms,
            "response": self.response_ms,
        }
