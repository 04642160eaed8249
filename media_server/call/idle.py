"""A caller who says nothing: prompted once, warned, and at last hung up on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media_server import events as e
from media_server.call.conversation import Conversation
from media_server.call.replies import Replies
from media_server.tasks import cancel

__all__ = ["Idle"]

LAST_WARNING_S = 5.0
"""Seconds between the last warning and the hang-up."""


class Idle:
    """`wait` each time that the caller may speak, `stop` when something else is waited for.

    Args:
        hang_up: ends the call.
    """

    def __init__(self, call: Conversation, replies: Replies, hang_up: Callable[[], None]) -> None:
        self.prompted = False
        """Whether the caller was asked to say something, since they last did."""
        self._call = call
        self._replies = replies
        self._hang_up = hang_up
        self._waiting: asyncio.Task[None] | None = None

    def wait(self) -> None:
        """Wait for the caller to say something, from now on."""
        self.stop()
        agent = self._call.agent
        if wait_s := agent.idle_hang_up_s if self.prompted else agent.idle_s:
            self._waiting = self._call.start(self._wait_for_caller(wait_s), "wait")

    def stop(self) -> None:
        """Wait no longer."""
        cancel(self._waiting)

    async def _wait_for_caller(self, seconds: float) -> None:
        """Nobody says anything: ask once whether somebody is there, then hang up."""
        if self.prompted:
            await self._last_warning(seconds)
        else:
            await self._silence(seconds)
            self.prompted = True
            self._call.emit(e.IdleWarning(self._call.agent.idle_hang_up_s, silence_s=self._whole_s))
            if self._call.agent.idle_prompt:
                self._replies.say(self._call.agent.idle_prompt)
                return  # once it is said, the silence after it is waited for
            if not self._call.agent.idle_hang_up_s:
                return
            await self._last_warning(self._call.agent.idle_hang_up_s)
        self._hang_up()

    async def _last_warning(self, seconds: float) -> None:
        """Silence, and towards its end a last warning."""
        left_s = min(LAST_WARNING_S, seconds / 2)
        await self._silence(seconds - left_s)
        self._call.emit(e.IdleWarning(left_s, True, self._whole_s))
        await self._silence(left_s)

    @property
    def _whole_s(self) -> float | None:
        """How much silence ends the call, if any does."""
        agent = self._call.agent
        return agent.idle_s + agent.idle_hang_up_s if agent.idle_hang_up_s else None

    async def _silence(self, seconds: float) -> None:
        """Wait until the agent has not been about to say anything for so long: what is being made is no silence."""
        await asyncio.sleep(seconds)
        while self._replies.busy and (reply := self._replies.current):
            await asyncio.wait([reply])
            await asyncio.sleep(seconds)
