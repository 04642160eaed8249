"""What a reply needs around it, without a call: engines that are scripted, and a place where events are collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from media_server import events as e
from media_server.call.services import Services

__all__ = ["PlainStage", "scripted", "written"]


class PlainStage:
    """A stage on which nothing is timed, and nothing waits but what waits for `over`."""

    def __init__(self, over: asyncio.Event, events: list[e.Event], written: bool = False) -> None:
        self.over = over
        self.written = written
        self._events = events

    def emit(self, event: e.Event) -> None:
        self._events.append(event)

    def on_token(self) -> None:
        pass

    def on_tools(self, working: bool) -> None:
        pass

    def dry(self) -> bool:
        return False


def scripted(engines: Any) -> Services:
    """Services of which only the engines are there."""
    absent: Any = None
    return Services(lambda name: None, engines, absent, absent)


async def written(script: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """The pieces that a model writes, one after the other; a number is a pause in seconds."""
    for each in script:
        if isinstance(each, float):
            await asyncio.sleep(each)
        else:
            yield each
