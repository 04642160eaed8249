"""Once more, when an engine dies under a piece of work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from media_server.engines.engines import Engines
from media_server.errors import EngineError, EngineLost
from media_server.events import CallWarning, Event
from media_server.tasks import cause_of

__all__ = ["with_retry"]

log = logging.getLogger(__name__)

RESTART_S = 60.0
"""How long a turn waits for an engine that is being restarted."""

T = TypeVar("T")


async def with_retry(
    engines: Engines,
    emit: Callable[[Event], object],
    work: Callable[[], Awaitable[T]],
    again: Callable[[], bool] = lambda: True,
) -> T:
    """Do `work`, once more if an engine dies under it and `again` allows it; the client is told.

    Raises:
        EngineError: it failed, or the engine did not come back.
    """
    try:
        return await _unwrapped(work())
    except EngineLost as lost:
        emit(CallWarning(lost.code, lost.message, engine=lost.engine or None))
        if not again():
            raise
        failed = lost.engine
    waiting = [engine.kind for engine in engines.all if not engine.ready.is_set()]
    log.info("a call is waiting for engines to restart: %s", ", ".join(waiting))
    try:
        async with asyncio.timeout(RESTART_S):
            for engine in engines.all:
                await engine.ready.wait()
    except TimeoutError as late:
        raise EngineError("engine_unavailable", "An engine stopped and did not restart in time.", failed) from late
    return await _unwrapped(work())


async def _unwrapped(work: Awaitable[T]) -> T:
    """A task group raises groups; a turn has one cause."""
    try:
        return await work
    except BaseExceptionGroup as group:
        if (failed := cause_of(group, EngineError)) is not None:
            raise failed from group
        raise
