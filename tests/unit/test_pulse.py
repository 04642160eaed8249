"""The event loop's gaps are seen, and what made them."""

from __future__ import annotations

import asyncio
import time
import weakref

import pytest

from media_server.pulse import Pulse


async def test_a_gap_is_measured_and_what_ran_is_named(caplog: pytest.LogCaptureFixture) -> None:
    pulse = Pulse()
    gaps: list[float] = []
    pulse.observe = gaps.append
    running = asyncio.create_task(pulse.run())
    await asyncio.sleep(0.1)
    pulse.take_longest()

    def stand_still() -> None:
        until = time.thread_time() + 0.5
        while time.thread_time() < until:
            pass

    stand_still()
    await asyncio.sleep(0.1)
    assert pulse.take_longest() >= 0.45
    assert pulse.take_longest_work() >= 0.45
    assert max(gaps) >= 0.45
    assert "the event loop stood still" in caplog.text
    assert "stand_still (test_pulse.py:" in caplog.text
    await asyncio.sleep(0.1)
    assert pulse.take_longest() < 0.45
    running.cancel()


async def test_what_ran_while_it_stood_still_is_not_kept() -> None:
    running = asyncio.create_task(Pulse().run())
    await asyncio.sleep(0.1)

    class Large:
        pass

    def stand_still() -> weakref.ref[Large]:
        large = Large()
        time.sleep(0.5)
        return weakref.ref(large)

    gone = stand_still()
    assert gone() is None
    running.cancel()


async def test_what_others_do_is_not_the_loops_own_work() -> None:
    pulse = Pulse()
    running = asyncio.create_task(pulse.run())
    await asyncio.sleep(0.05)
    time.sleep(0.3)  # noqa: ASYNC251 - as a machine that is busy elsewhere
    await asyncio.sleep(0.05)
    assert pulse.take_longest() >= 0.25
    assert pulse.take_longest_work() < 0.2
    running.cancel()
