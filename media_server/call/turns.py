"""Turn-taking as a pure machine: voice activity with its times in, decisions out. No clock, no I/O.

    state      what is heard                              decision              next state
    idle       speech for sound_ms, or surely speech,     SoundBegan            idle
               while the agent speaks
    idle       silence after that                         SoundFaded            idle
    idle       speech for onset_ms                        SpeechStarted         speaking
    speaking   every partial_ms                           PartialDue            speaking
    speaking   silence                                    SilenceStarted        speaking
    speaking   speech again                               SilenceEnded          speaking
    speaking   silence for offset_ms                      SpeechPaused          pausing
    pausing    speech for resume_ms                       SpeechResumed         speaking
    pausing    silence for pause_ms since speech ended    TurnEnded             idle

The first silence is the sign of a pause, or a stop within a word: good for work that may be for nothing. How long a
pause is may be told while it lasts: `end_after`.

While the agent speaks, `barge_in_ms` takes the place of `onset_ms`: a click makes it pause for a moment at most.

Where no sound comes the network may only have stalled: silence that is assumed is a pause, but none of any length ends
a turn before `CERTAIN_S` of silence were heard. Sound that comes late after all has its own, earlier time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CHUNK_S",
    "Decision",
    "PartialDue",
    "SilenceEnded",
    "SilenceStarted",
    "SoundBegan",
    "SoundFaded",
    "SpeechPaused",
    "SpeechResumed",
    "SpeechStarted",
    "TurnEnded",
    "TurnMachine",
    "TurnSettings",
]

CHUNK_S = 0.032
"""What one probability of speech covers."""
CERTAIN_S = 0.09
"""Seconds of silence, not assumed, from which on the caller has stopped speaking; a stop within a word is shorter."""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    pause_ms: float = 500
    """Until something else is told."""
    onset_ms: int = 96
    sound_ms: int = 64
    barge_in_ms: int = 128
    resume_ms: int = 64
    offset_ms: int = 64
    partial_ms: int = 300
    speech_at: float = 0.5
    """Probability from which a chunk is speech …"""
    sure_at: float = 0.7
    """… from which one chunk alone makes the agent pause …"""
    silence_at: float = 0.35
    """… and below which it is silence; between the two it is what the chunk before was."""


@dataclass(frozen=True, slots=True)
class SoundBegan:
    at_s: float


@dataclass(frozen=True, slots=True)
class SoundFaded:
    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at_s: float


@dataclass(frozen=True, slots=True)
class PartialDue:
    at_s: float


@dataclass(frozen=True, slots=True)
class SilenceStarted:
    at_s: float


@dataclass(frozen=True, slots=True)
class SilenceEnded:
    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    ended_at_s: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    at_s: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    speech_ended_at_s: float
    at_s: float


Decision = (
    SoundBegan
    | SoundFaded
    | SpeechStarted
    | PartialDue
    | SilenceStarted
    | SilenceEnded
    | SpeechPaused
    | SpeechResumed
    | TurnEnded
)


class TurnMachine:
    """Feed it every chunk in order; at most one decision comes of each."""

    def __init__(self, settings: TurnSettings) -> None:
        self.settings = settings
        self.agent_speaking = False
        self.state: Literal["idle", "speaking", "pausing"] = "idle"
        self._is_speech = False
        self._since_s = 0.0
        """When the present run of speech or of silence began."""
        self._run_s = 0.0
        """How much sound this run has, which is less than its time where a client sends slower than people speak."""
        self._silent_since_s = 0.0
        self._paused_s = 0.0
        """How much sound the pause under way has."""
        self._silent = False
        """A silence was told that is no pause yet."""
        self._sounding = False
        """A sound was told that is no speech yet."""
        self._certain_s = 0.0
        """How much of the silence under way was heard rather than assumed."""
        self._partial_at_s = 0.0
        self._pause_ms = settings.pause_ms

    @property
    def at_rest(self) -> bool:
        """Whether no sound of the caller's is under way."""
        return self.state == "idle" and not self._sounding

    def end_after(self, pause_ms: float) -> None:
        """The pause under way, if there is one, ends the turn after this long."""
        self._pause_ms = pause_ms

    def hear(self, probability: float, at_s: float, assumed: bool = False) -> Decision | None:
        """One chunk: the probability that it is speech, and the time of its first sample.

        Args:
            assumed: no sound came for that time, and some may still come.
        """
        s = self.settings
        speech = probability >= (s.silence_at if self._is_speech else s.speech_at)
        if speech != self._is_speech:
            self._is_speech, self._since_s = speech, at_s
            self._certain_s = self._run_s = 0.0
        if not speech and not assumed:
            self._certain_s += CHUNK_S
        self._run_s += CHUNK_S
        now_s = at_s + CHUNK_S
        run_ms = min(now_s - self._since_s, self._run_s) * 1000 + 1e-6
        match self.state:
            case "idle":
                if speech and run_ms >= (s.barge_in_ms if self.agent_speaking else s.onset_ms):
                    self.state, self._sounding = "speaking", False
                    self._partial_at_s = self._since_s + s.partial_ms / 1000
                    return SpeechStarted(self._since_s)
                sounds = run_ms >= s.sound_ms or probability >= s.sure_at
                if speech and not self._sounding and self.agent_speaking and sounds:
                    self._sounding = True
                    return SoundBegan(self._since_s)
                if not speech and self._sounding:
                    self._sounding = False
                    return SoundFaded(at_s)
            case "speaking":
                if not speech and run_ms >= s.offset_ms:
                    self.state, self._silent = "pausing", False
                    self._silent_since_s, self._paused_s = self._since_s, self._run_s
                    self._pause_ms = s.pause_ms
                    return SpeechPaused(self._since_s)
                if speech == self._silent:
                    self._silent = not speech
                    return SilenceEnded(at_s) if speech else SilenceStarted(at_s)
                if now_s >= self._partial_at_s:
                    self._partial_at_s = now_s + s.partial_ms / 1000
                    return PartialDue(now_s)
            case "pausing":
                if speech and run_ms >= s.resume_ms:
                    self.state = "speaking"
                    return SpeechResumed(self._since_s)
                # to the nearest chunk: a pause is not stretched by what is left of the one in which it would end
                self._paused_s += CHUNK_S
                silent_ms = (min(now_s - self._silent_since_s, self._paused_s) + CHUNK_S / 2) * 1000 + 1e-6
                if not speech and silent_ms >= self._pause_ms and self._certain_s >= CERTAIN_S:
                    self.state = "idle"
                    return TurnEnded(self._silent_since_s, now_s)
        return None

    def finish(self, at_s: float) -> list[Decision]:
        """The caller says that the turn is over; empty where none is under way."""
        state = self.state
        self.reset()
        if state == "idle":
            return []
        if state == "pausing":
            return [TurnEnded(self._silent_since_s, at_s)]
        return [SpeechPaused(at_s), TurnEnded(at_s, at_s)]

    def reset(self) -> None:
        """Forget the turn under way (the caller was muted)."""
        self.state = "idle"
        self._is_speech = self._silent = self._sounding = False
