"""The caller's side: speech, transcripts and turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from media_server.events.base import BaseEvent

__all__ = [
    "Emotion",
    "EmotionUpdated",
    "TranscriptWord",
    "TurnContinued",
    "TurnEager",
    "TurnEnded",
    "TurnPaused",
    "TurnResumed",
    "UserDtmf",
    "UserSpeechStarted",
    "UserSpeechStopped",
    "UserTranscript",
]


@dataclass(frozen=True, slots=True)
class UserSpeechStarted(BaseEvent):
    type: ClassVar[str] = "user.speech_started"
    turn_id: str


@dataclass(frozen=True, slots=True)
class UserSpeechStopped(BaseEvent):
    type: ClassVar[str] = "user.speech_stopped"
    turn_id: str


@dataclass(frozen=True, slots=True)
class UserDtmf(BaseEvent):
    """The caller pressed a key of the telephone (RFC 4733)."""

    type: ClassVar[str] = "user.dtmf"
    digit: str
    """0 to 9, `*`, `#`, or A to D."""


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """A word that was said, with its time since the call began and how sure the recogniser is of it, 0 to 1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class UserTranscript(BaseEvent):
    type: ClassVar[str] = "user.transcript"
    urgent: ClassVar[bool] = True
    turn_id: str
    text: str
    """The whole turn so far; each one replaces the one before."""
    final: bool
    confidence: float | None = None
    language: str | None = None
    stable: str | None = None
    """The beginning that will hardly change, of a transcript that is not final."""
    words: tuple[TranscriptWord, ...] | None = None
    """The words of a final transcript."""


@dataclass(frozen=True, slots=True)
class TurnPaused(BaseEvent):
    """The caller pauses, and may be done."""

    type: ClassVar[str] = "turn.paused"
    passing: ClassVar[bool] = True
    turn_id: str
    text: str
    probability: float
    """The probability that the turn is over."""


@dataclass(frozen=True, slots=True)
class TurnEager(BaseEvent):
    """The reply to a turn that may still go on is begun, on trial."""

    type: ClassVar[str] = "turn.eager"
    passing: ClassVar[bool] = True
    turn_id: str
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class TurnResumed(BaseEvent):
    """The caller goes on."""

    type: ClassVar[str] = "turn.resumed"
    passing: ClassVar[bool] = True
    turn_id: str
    text: str
    """What was said before the pause, as far as it is known."""


@dataclass(frozen=True, slots=True)
class TurnContinued(BaseEvent):
    """The caller went on although the turn was taken for complete, before anything of the answer was heard."""

    type: ClassVar[str] = "turn.continued"
    turn_id: str
    """The turn that was not complete; what is said now is another one."""
    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded(BaseEvent):
    type: ClassVar[str] = "turn.ended"
    turn_id: str
    probability: float
    """The probability that the caller was done, by which the pause was chosen; 1 where nothing was asked."""
    text: str
    cause: Literal["silence", "semantic", "client"]
    """A pause, one that was shorter since the words were complete, or the client's word."""


@dataclass(frozen=True, slots=True)
class Emotion:
    name: str
    score: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class EmotionUpdated(BaseEvent):
    """What the caller seems to feel in a turn, the most likely first."""

    type: ClassVar[str] = "emotion.updated"
    turn_id: str
    emotions: tuple[Emotion, ...]
    source: Literal["text", "audio"]
