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
AFTER_SOUND_S = 2.0
"""Least silence after a sound without words."""


class Idle:
    """`wait` each time that the caller may speak; `suspend` while something sounds, which may turn out to be no words;
    `stop` when something else is waited for.

    Args:
        hang_up: ends the call.
    """

    def __init__(self, call: Conversation, replies: Replies, hang_up: Callable[[], None]) -> None:
        self._call = call
        self._replies = replies
        self._hang_up = hang_up
        self._waiting: asyncio.Task[None] | None = None
        self._prompted = False
        """Whether the caller was asked to say something, since they last did."""
        self._warned = False
        """Whether the last warning was given in the silence under way."""
        self._silent_s = 0.0
        """How long that was before it was suspended …"""
        self._since_s: float | None = None
        """… and since when it goes on."""

    def wait(self) -> None:
        """Wait for the caller to say something: from now on, or on from where the wait was suspended."""
        self.suspend()
        agent = self._call.agent
        if wait_s := agent.idle_hang_up_s if self._prompted else agent.idle_s:
            self._since_s = asyncio.get_running_loop().time()
            self._waiting = self._call.start(self._wait_for_caller(wait_s), "wait")

    def suspend(self) -> None:
        """Something sounds: wait no longer, unless it is nothing."""
        cancel(self._waiting)
        if self._since_s is not None:
            self._silent_s += asyncio.get_running_loop().time() - self._since_s
            self._since_s = None

    def stop(self) -> None:
        """Wait no longer; the next wait is a new one."""
        self.suspend()
        self._begin_anew()

    def note_presence(self) -> None:
        """The caller said or did something."""
        self._prompted = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._silent_s, self._warned = 0.0, False
        if self._since_s is not None:
            self._since_s = asyncio.get_running_loop().time()

    async def _wait_for_caller(self, seconds: float) -> None:
        """Nobody says anything: ask once whether somebody is there, then hang up."""
        if self._prompted:
            await self._last_warning(seconds)
        else:
            await self._silence(seconds)
            self._prompted = True
            self._begin_anew()
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
        if not self._warned:
            await self._silence(seconds - left_s)
            self._warned = True
            self._call.emit(e.IdleWarning(left_s, True, self._whole_s))
        await self._silence(seconds)

    @property
    def _whole_s(self) -> float | None:
        """How much silence ends the call, if any does."""
        agent = self._call.agent
        return agent.idle_s + agent.idle_hang_up_s if agent.idle_hang_up_s else None

    async def _silence(self, until_s: float) -> None:
        """Wait until there has been silence for so long, in which the agent has not been about to say anything."""
        before_s = self._silent_s
        await asyncio.sleep(max(until_s - self._so_far_s, min(AFTER_SOUND_S, until_s) if before_s else 0.0))
        while self._replies.busy and (reply := self._replies.current):
            await asyncio.wait([reply])
            await asyncio.sleep(until_s)

    @property
    def _so_far_s(self) -> float:
        since_s = self._since_s
        return self._silent_s + (asyncio.get_running_loop().time() - since_s if since_s is not None else 0.0)
