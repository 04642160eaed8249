"""What a list of calls shows of one beyond its frame, and what it is searched by: made of its events when it ends."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Summary", "summary_of"]

MAX_FIRST_WORDS = 200
MAX_WORDS = 100_000
"""Characters that are searched of a call; what was said after them is in its events."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`words` is case-folded; `response_ms` is the median wait for a spoken answer, None without any."""

    first_words: str | None
    words: str
    turns: int
    response_ms: float | None


def summary_of(events: Iterable[Mapping[str, Any]]) -> Summary:
    """The summary of a call's recorded events in their native form and order."""
    said: list[str] = []
    first: str | None = None
    turns, waits = 0, list[float]()
    for event in events:
        match event:
            case {"type": "user.transcript", "text": text} if text:
                first = first or text[:MAX_FIRST_WORDS]
                turns += 1
                said.append(text)
            case {"type": "agent.text", "text": text}:
                said.append(text)
            case {"type": "turn.metrics", "response_ms": response_ms}:
                waits.append(response_ms)
    median = round(statistics.median(waits), 1) if waits else None
    return Summary(first, "\n".join(said).casefold()[:MAX_WORDS], turns, median)
