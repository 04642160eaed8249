"""Clauses of a text that comes slowly: where none ends and nothing is heard, what there is goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

from media_server.spoken import ClauseCutter

__all__ = ["HurriedCutter", "with_pauses"]

HURRY_S = 1.2
"""Seconds without the end of a clause, while the caller hears nothing."""
LOOK_AGAIN_S = 0.2
T = TypeVar("T")


class HurriedCutter:
    """A `ClauseCutter` that looks at the clock too.

    Args:
        dry: whether the caller will soon hear nothing.
        voice: the language of the voice by espeak-ng's name.
    """

    def __init__(self, dry: Callable[[], bool], voice: str = "en") -> None:
        self._dry = dry
        self._cutter = ClauseCutter(voice)
        self._since_s: float | None = None

    def push(self, text: str) -> list[str]:
        """The clauses that are complete now, and what is overdue."""
        clauses = self._cutter.push(text)
        if clauses or self._since_s is None:
            self._since_s = asyncio.get_running_loop().time()
        return clauses or self.overdue()

    def overdue(self) -> list[str]:
        """What there is up to a word's end, if it has waited too long."""
        if self._left_s() > 0 or not self._dry():
            return []
        return self._told(self._cutter.hurry())

    def flush(self) -> list[str]:
        """What is left."""
        return self._told(self._cutter.flush())

    @property
    def wait_s(self) -> float | None:
        """When to look at `overdue`; never while nothing waits."""
        if self._since_s is None or not self._cutter.waiting:
            return None
        return self._left_s() or LOOK_AGAIN_S

    def _left_s(self) -> float:
        if self._since_s is None:
            return HURRY_S
        left_s = self._since_s + HURRY_S - asyncio.get_running_loop().time()
        return left_s if left_s > 0.01 else 0.0

    def _told(self, clauses: list[str]) -> list[str]:
        if clauses:
            self._since_s = None
        return clauses


async def with_pauses(items: AsyncIterator[T], wait_s: Callable[[], float | None]) -> AsyncGenerator[T | None, None]:
    """The items as they come, and None each time that `wait_s()` passes without one."""
    coming: asyncio.Future[T | None] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(_next(items))
            while not (await asyncio.wait([coming], timeout=wait_s()))[0]:
                yield None
            if (item := coming.result()) is None:
                return
            coming = None
            yield item
    finally:
        if coming:
            coming.cancel()
            await asyncio.wait([coming])
            if not coming.cancelled():
                coming.exception()  # nobody waits for it any more


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)
