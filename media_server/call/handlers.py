"""The code that agents have run at events of a call: each as a task of the call's own, which fails alone."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from media_server.agents import Call
from media_server.agents.running import staying

__all__ = ["HandlerRunner"]

log = logging.getLogger(__name__)


class HandlerRunner:
    """Handlers of the agent and those that code added with `on` and `once`."""

    def __init__(self, call: Call, start: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        self._call = call
        self._start = start
        self._added: dict[str, list[tuple[Callable[..., Any], bool]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, event: str, handler: Callable[..., Any], once: bool) -> None:
        self._added.setdefault(event, []).append((handler, once))

    def dispatch(self, kind: str, event: Callable[[], Mapping[str, Any]]) -> None:
        """Start whatever waits for events of this kind, beside the call; `event` gives the native form."""
        for handler in self._take(kind):
            task = self._start(self._run(handler, kind, event()), f"on-{kind}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        """The call is over."""
        for task in self._running:
            task.cancel()

    async def finished(self, kind: str, event: Mapping[str, Any], within_s: float) -> None:
        """Run what waits for this event to its end; what takes longer is stopped."""
        handlers = self._take(kind)
        try:
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
                for handler in handlers:
                    group.create_task(self._run(handler, kind, event))
        except TimeoutError:
            log.warning("handler for %s in call %s timed out after %g s", kind, self._call.id, within_s)

    def _take(self, kind: str) -> list[Callable[..., Any]]:
        added = self._added.get(kind, [])
        if added:
            self._added[kind] = [(h, once) for h, once in added if not once]
        return [*self._call.agent.handlers.by_event.get(kind, []), *(h for h, _ in added)]

    async def _run(self, handler: Callable[..., Any], kind: str, event: Mapping[str, Any]) -> None:
        try:
            takes_event = len(inspect.signature(handler).parameters) > 1
            with staying():
                result = handler(event, self._call) if takes_event else handler(self._call)
                if inspect.isawaitable(result):
                    await result
        except Exception:  # it is a developer's code; the call goes on
            log.exception("handler for %s in call %s failed", kind, self._call.id)
