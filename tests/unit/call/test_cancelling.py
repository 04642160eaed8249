"""Cancelling a task once."""

from __future__ import annotations

import asyncio

from media_server.call.cancelling import cancel, is_cancelled


async def test_a_task_that_just_gives_up_waiting_is_cancelled_all_the_same() -> None:
    waiting = asyncio.Event()

    async def wait_again_and_again() -> None:
        while True:
            try:
                async with asyncio.timeout(0.05):
                    waiting.set()
                    await asyncio.Event().wait()
            except TimeoutError:
                waiting.clear()

    task = asyncio.create_task(wait_again_and_again())
    await waiting.wait()
    # the timeout's own cancellation is under way, and not delivered yet
    while not task.cancelling():  # noqa: ASYNC110
        await asyncio.sleep(0)
    cancel(task)
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()


async def test_the_cleaning_up_is_not_disturbed() -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    cancel(task)
    await asyncio.sleep(0)
    cancel(task)
    await asyncio.wait([task])
    assert cleaned
    assert is_cancelled(task)
