"""The second recogniser: there while it is wanted, at the lowest priority, and whoever it fails is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from media_server.audio import MODEL_RATE_HZ, read_wav
from media_server.engines import background, memory
from media_server.engines.background import BackgroundEngine
from media_server.engines.client import EngineClient
from media_server.engines.messages import Transcribe, Transcript
from media_server.errors import EngineLost
from tests.conftest import STARTER, sentence_file

SOUND = read_wav(sentence_file("what is seven plus five"), MODEL_RATE_HZ).tobytes()


@contextlib.asynccontextmanager
async def running(
    path: Path, idle_s: float = 60, waited_for: Callable[[], bool] = lambda: False
) -> AsyncIterator[BackgroundEngine]:
    client = EngineClient("stt", {"path": str(path), "window_s": 6.0}, background=True)
    engine = BackgroundEngine(client, waited_for, idle_s)
    owner = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        owner.cancel()
        await asyncio.wait([owner])
    assert client.pid is None


async def text(engine: BackgroundEngine) -> str:
    async with engine.ask(lambda i: Transcribe(i, SOUND, True, live=False)) as results:
        return "".join([r.text async for r in results if isinstance(r, Transcript)])


async def until_it_is_gone(engine: BackgroundEngine) -> None:
    async with asyncio.timeout(10):
        while engine.client.pid is not None:  # noqa: ASYNC110 - nobody tells when a process has ended
            await asyncio.sleep(0.05)


async def test_it_is_there_while_it_is_wanted() -> None:
    async with running(STARTER / "stt", idle_s=0.3) as engine:
        assert engine.client.pid is None
        async with engine.ask(lambda i: Transcribe(i, SOUND, True, live=False)) as results:
            pid = engine.client.pid
            assert pid is not None
            assert os.sched_getscheduler(pid) == os.SCHED_IDLE
            await asyncio.sleep(0.7)  # it stays as long as somebody waits, whatever that takes
            assert engine.client.pid == pid
            assert [r.text async for r in results if isinstance(r, Transcript)] == ["what is seven plus five"]
        await until_it_is_gone(engine)
        assert await text(engine) == "what is seven plus five"
        assert engine.client.pid not in (None, pid)


async def test_it_stands_still_while_callers_wait_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    callers = 1
    async with running(STARTER / "stt", waited_for=lambda: callers > 0) as engine:
        asked = asyncio.create_task(text(engine))
        await asyncio.sleep(1)
        assert not asked.done()
        callers = 0
        assert await asked == "what is seven plus five"
        callers = 1
        monkeypatch.setattr(background, "STILL_S", 0.2)
        assert await text(engine) == "what is seven plus five"


async def test_whoever_it_fails_is_told() -> None:
    async with running(STARTER / "stt") as engine:
        assert await text(engine) == "what is seven plus five"
        pid = engine.client.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.create_task(text(engine))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineLost):
            await asked
        assert await text(engine) == "what is seven plus five"


async def test_a_model_that_cannot_be_loaded_fails_those_who_ask_and_nobody_else(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        for _ in range(2):
            with pytest.raises(EngineLost):
                await text(engine)
            await until_it_is_gone(engine)


@pytest.mark.parametrize(
    ("available_kb", "limit", "expected"),
    [(4000, "max", 4000), (4000, str(3000 * 1024), 2500), (1000, str(3000 * 1024), 1000)],
)
def test_what_the_container_may_use_counts_too(tmp_path: Path, available_kb: int, limit: str, expected: int) -> None:
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 8000 kB\nMemAvailable:  {available_kb} kB\n")
    (group / "memory.max").write_text(limit)
    (group / "memory.current").write_text(str(600 * 1024))
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {100 * 1024}\n")
    assert memory.available_bytes(tmp_path) == expected * 1024


def test_where_nobody_tells_there_is_enough(tmp_path: Path) -> None:
    assert memory.available_bytes(tmp_path) == memory.NO_LIMIT
