"""The recogniser's queue: which pieces of whose sound are heard next. Pure.

    first    live sound, final: a caller is silent and waits for an answer
    then     live sound, partial: a caller speaks
    last     recordings, which nobody waits for in a call

Within each, whoever has had the fewest pieces comes first, then whoever came first. Sound of different ranks, or of
very different lengths, is never heard in one batch: all of it would wait for the longest.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from media_server.audio import Samples
from media_server.engines import messages as m

__all__ = ["Job", "Pieces"]

ALIKE = 1.5
"""How much longer than the shortest the longest window of a batch may be."""

H = TypeVar("H")


@dataclass(slots=True)
class Job(Generic[H]):
    """A request and what has become of it: `waiting` are pieces with their first samples' indices, `heard` results."""

    request: m.Transcribe
    arrival: int
    waiting: deque[tuple[int, Samples]]
    language: str | None
    heard: list[H] = field(default_factory=list)

    @property
    def rank(self) -> tuple[int, int, int]:
        kind = 2 if not self.request.live else 0 if self.request.final else 1
        return kind, len(self.heard), self.arrival


class Pieces(Generic[H]):
    """Requests under way.

    Args:
        cut: makes pieces of a request's sound, at least one.
        size: how long a piece's window is, in whatever unit.
    """

    def __init__(self, cut: Callable[[Samples], list[tuple[int, Samples]]], size: Callable[[Samples], int]) -> None:
        self._cut = cut
        self._size = size
        self._jobs: dict[int, Job[H]] = {}
        self._arrivals = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def add(self, request: m.Transcribe) -> None:
        pieces = deque(self._cut(np.frombuffer(request.samples, np.int16)))
        self._jobs[request.id] = Job(request, next(self._arrivals), pieces, request.language)

    def remove(self, request_id: int) -> None:
        self._jobs.pop(request_id, None)

    def next(self, most: int) -> list[Job[H]]:
        """Choose whose first waiting pieces are heard together now, at most so many."""
        order = sorted(self._jobs.values(), key=lambda j: j.rank)
        first = order[0]
        batch, sizes = [first], [self._size(first.waiting[0][1])]
        for job in order[1:]:
            if len(batch) == most:
                break
            size = self._size(job.waiting[0][1])
            if _alike(job, first) and max(size, *sizes) <= ALIKE * min(size, *sizes):
                batch.append(job)
                sizes.append(size)
        return batch


def _alike(one: Job[H], other: Job[H]) -> bool:
    return (one.rank[0], one.language, one.request.hotwords) == (other.rank[0], other.language, other.request.hotwords)
