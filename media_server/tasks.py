"""What asyncio lacks: cancelling once, the first of several, work that goes to its end, work that takes turns, and
answers by their ids."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, ParamSpec, TypeVar

__all__ = ["Awaited", "Turnstile", "cancel", "cause_of", "first_of", "in_thread", "is_cancelled", "to_its_end"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
E = TypeVar("E", bound=BaseException)

_CANCELLED: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
"""The tasks that `cancel` has cancelled. A task's own count (`cancelling`) includes its timeouts: a task that is just
giving up waiting for something would never be cancelled."""


def cancel(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task once: a second time would disturb its cleaning up."""
    if task is not None and task not in _CANCELLED:
        _CANCELLED.add(task)
        task.cancel()


def is_cancelled(task: asyncio.Task[Any]) -> bool:
    """Whether `cancel` has cancelled the task."""
    return task in _CANCELLED


async def first_of(*parts: Coroutine[Any, Any, object]) -> None:
    """Run them side by side until one is done, or fails; the others are cancelled then, and waited for.

    Raises:
        Exception: the first of them, in their order, that failed.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for failed in ended:
        if isinstance(failed, Exception):
            raise failed


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end, also when cancelled; the cancellation is raised then."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as now:
            cancelled = now
    if cancelled:
        if not task.cancelled() and (failed := task.exception()):
            log.error("work that was cancelled failed at its end: %r", type(failed))
        raise cancelled
    return task.result()


async def in_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Do it in a thread, to its end: a thread cannot be stopped, and what it uses is not for two at a time."""
    return await to_its_end(asyncio.to_thread(work, *arguments, **named))


def cause_of(group: BaseExceptionGroup[BaseException], kind: type[E]) -> E | None:
    """The first exception of this kind in a task group's exceptions, however deep; None where there is none."""
    for failed in group.exceptions:
        if isinstance(failed, BaseExceptionGroup):
            if (found := cause_of(failed, kind)) is not None:
                return found
        elif isinstance(failed, kind):
            return failed
    return None


class Turnstile:
    """Spreads work that many ask for at once: each piece begins in a round of the event loop of its own.

    What else the loop has to do, such as the sound of calls, is done between the pieces.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False

    async def turn(self) -> None:
        """Wait until everything that asked before has begun, in rounds before this one."""
        loop = asyncio.get_running_loop()
        if self._is_turning:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._is_turning = True
            loop.call_soon(self._next)

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._is_turning = False


class Awaited(Generic[K, V]):
    """Answers that somebody waits for, by their ids."""

    def __init__(self) -> None:
        self._waiting: dict[K, asyncio.Future[V]] = {}

    async def wait(self, key: K, ask: Callable[[], object] = lambda: None) -> V:
        """Ask, and wait for the answer. A second question of the same id takes the place of the first."""
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            ask()
            return await answer
        finally:
            if self._waiting.get(key) is answer:
                del self._waiting[key]

    def answer(self, key: K, value: V) -> bool:
        """Give the answer. Returns whether it was waited for."""
        waiting = self._waiting.get(key)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(value)
        return True

    def answer_all(self, value: V) -> None:
        """Give this answer to whatever is waited for now."""
        for key in list(self._waiting):
            self.answer(key, value)
