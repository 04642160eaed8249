"""Tasks: cancelled once, the first of several, to their end, and answered by their ids."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from media_server.tasks import Awaited, Turnstile, cancel, cause_of, first_of, in_thread, is_cancelled, to_its_end


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


async def test_the_first_ends_the_others_which_clean_up() -> None:
    done: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            done.append("cleaned up")

    async def quick() -> None:
        await asyncio.sleep(0)
        done.append("quick")

    await first_of(slow(), quick())
    assert done == ["quick", "cleaned up"]


async def test_what_fails_first_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        await first_of(asyncio.Event().wait(), fail())


async def test_work_goes_to_its_end_although_it_is_cancelled_twice() -> None:
    begun, finish, done = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> None:
        begun.set()
        await finish.wait()
        done.append("done")

    task = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["done"]


async def test_a_thread_is_waited_for_although_it_is_cancelled() -> None:
    begun, finish, done = threading.Event(), threading.Event(), list[str]()

    def work(what: str) -> None:
        begun.set()
        finish.wait(5)
        done.append(what)

    task = asyncio.create_task(in_thread(work, "written"))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.sleep(0)
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["written"]


async def test_one_cause_is_found_in_nested_groups() -> None:
    inner = ExceptionGroup("inner", [ValueError("deep")])
    group = BaseExceptionGroup("outer", [KeyError("other"), inner])
    assert isinstance(cause_of(group, ValueError), ValueError)
    assert isinstance(cause_of(group, Exception), KeyError)
    assert cause_of(group, OSError) is None


async def test_answers_come_by_their_ids() -> None:
    awaited, asked = Awaited[str, int](), list[str]()
    first = asyncio.create_task(awaited.wait("a", lambda: asked.append("a")))
    second = asyncio.create_task(awaited.wait("b", lambda: asked.append("b")))
    await asyncio.sleep(0)
    assert (awaited.answer("b", 2), awaited.answer("c", 3)) == (True, False)
    assert not awaited.answer("b", 4), "it has its answer"
    assert await second == 2
    assert not awaited.answer("b", 5), "nobody waits any more"
    awaited.answer_all(0)
    assert (await first, asked) == (0, ["a", "b"])


async def test_nobody_waits_for_what_was_given_up() -> None:
    awaited = Awaited[str, int]()
    waiting = asyncio.create_task(awaited.wait("a"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not awaited.answer("a", 1)


async def test_pieces_of_work_that_take_turns_leave_rounds_of_the_loop_to_others() -> None:
    turnstile, done = Turnstile(), list[str]()

    async def piece(name: str) -> None:
        await turnstile.turn()
        done.append(name)

    async def other() -> None:
        while len(done) < 9:
            done.append("other")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        pieces = [group.create_task(piece(name)) for name in "abcdef"]
        group.create_task(other())
        await asyncio.sleep(0)
        pieces[3].cancel()
    assert [name for name in done if name != "other"] == ["a", "b", "c", "e", "f"], "in order, but for the cancelled"
    turns = [i for i, name in enumerate(done) if name != "other"]
    assert all(after - before > 1 for before, after in itertools.pairwise(turns)), done


async def test_a_piece_that_is_alone_does_not_wait_for_its_turn() -> None:
    turnstile = Turnstile()
    for _ in range(3):
        turning = turnstile.turn()
        with pytest.raises(StopIteration):
            turning.send(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
