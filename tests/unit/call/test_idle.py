"""A caller who says nothing is asked once, warned, and hung up on: in its own time, which takes none here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from media_server import events as e
from media_server.agents import Agent
from media_server.call.idle import Idle
from tests.clock import in_no_time


class QuietCall:
    """What `Idle` needs of a call and of its replies: the agent says everything at once."""

    def __init__(self, **agent: Any) -> None:
        self.agent = Agent("a", **agent)
        self.told: list[tuple[float, Any]] = []
        self.busy = False
        self.current: asyncio.Task[None] | None = None
        self._began_s = asyncio.get_running_loop().time()
        everything: Any = self
        self.idle = Idle(everything, everything, self.hang_up)

    @property
    def now_s(self) -> float:
        return round(asyncio.get_running_loop().time() - self._began_s, 3)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.ensure_future(work)

    def emit(self, event: e.Event) -> None:
        self.told.append((self.now_s, event))

    def say(self, text: str) -> None:
        self.told.append((self.now_s, text))
        self.idle.wait()  # as the call does once it was said

    def hang_up(self) -> None:
        self.told.append((self.now_s, "hung up"))


@in_no_time
async def test_a_silent_caller_is_asked_warned_and_hung_up_on() -> None:
    call = QuietCall(idle_s=45, idle_hang_up_s=25)
    call.idle.wait()
    await asyncio.sleep(3600)
    assert call.told == [
        (45.0, e.IdleWarning(25, silence_s=70)),
        (45.0, "Are you still there?"),
        (65.0, e.IdleWarning(5.0, True, 70)),
        (70.0, "hung up"),
    ]


@in_no_time
async def test_without_a_prompt_there_is_one_silence_after_the_other() -> None:
    call = QuietCall(idle_s=10, idle_prompt="", idle_hang_up_s=4)
    call.idle.wait()
    await asyncio.sleep(3600)
    assert call.told == [
        (10.0, e.IdleWarning(4, silence_s=14)),
        (12.0, e.IdleWarning(2.0, True, 14)),
        (14.0, "hung up"),
    ]


@pytest.mark.parametrize(
    ("idle_s", "hang_up_s", "told"),
    [(0, 25, []), (45, 0, [(45.0, e.IdleWarning(0)), (45.0, "Are you still there?")])],
)
@in_no_time
async def test_what_is_zero_does_not_happen(idle_s: float, hang_up_s: float, told: list[Any]) -> None:
    call = QuietCall(idle_s=idle_s, idle_hang_up_s=hang_up_s)
    call.idle.wait()
    await asyncio.sleep(3600)
    assert call.told == told


@in_no_time
async def test_who_speaks_in_time_is_not_asked() -> None:
    call = QuietCall(idle_s=45)
    for _ in range(3):
        call.idle.wait()
        await asyncio.sleep(44)
        call.idle.stop()
    await asyncio.sleep(3600)
    assert call.told == []


@in_no_time
async def test_an_answer_that_is_being_made_is_no_silence() -> None:
    call = QuietCall(idle_s=10, idle_prompt="", idle_hang_up_s=0)

    async def answer() -> None:
        await asyncio.sleep(30)
        call.busy = False

    call.busy, call.current = True, asyncio.ensure_future(answer())
    call.idle.wait()
    await asyncio.sleep(3600)
    assert call.told == [(40.0, e.IdleWarning(0))]
