"""Where a turn's time went: marks in the order in which they are passed, and their differences. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from media_server.events import TurnMarks, TurnMetrics

__all__ = ["Stopwatch"]

Mark = Literal[
    "speech_ended", "paused", "turn_ended", "transcript", "first_token", "first_clause", "first_audio", "on_wire"
]
_PARTS: dict[Mark, str] = {
    "turn_ended": "endpoint_ms",
    "transcript": "stt_ms",
    "first_token": "llm_first_token_ms",
    "first_clause": "llm_first_clause_ms",
    "first_audio": "tts_first_audio_ms",
    "on_wire": "playout_ms",
}
"""The part of the response that ends with each mark, in order."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds on the call's clock; only the first time at a mark counts."""

    times: dict[Mark, float] = field(default_factory=dict)

    def mark(self, mark: Mark, at_s: float) -> None:
        self.times.setdefault(mark, at_s)

    def metrics(self, turn_id: str) -> TurnMetrics:
        """The parts in ms. A mark that was not passed takes no time of its own."""
        at = self.times["speech_ended"]
        parts: dict[str, float] = {}
        for mark, part in _PARTS.items():
            passed = max(at, self.times.get(mark, at))
            parts[part] = (passed - at) * 1000
            at = passed
        began = self.times["speech_ended"]
        marks = TurnMarks(**{m: (t - began) * 1000 for m, t in self.times.items() if m != "speech_ended"})
        return TurnMetrics(turn_id=turn_id, response_ms=sum(parts.values()), marks=marks, **parts)
