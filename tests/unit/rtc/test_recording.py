from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from media_server.audio import Samples
from media_server.rtc import recording
from media_server.rtc.recording import Recorder

SECOND = np.full(48_000, 100, np.int16)


async def test_the_file_is_closed_after_what_is_just_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing_now: list[int] = [0]
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(recording._Writer):
        def write(self, caller: Samples, agent: Samples) -> None:
            loop.call_soon_threadsafe(begun.set)
            writing_now.append(writing_now[-1] + 1)
            time.sleep(0.2)
            super().write(caller, agent)
            writing_now.append(writing_now[-1] - 1)

    monkeypatch.setattr(recording, "_Writer", Slow)
    monkeypatch.setattr(recording, "WRITE_S", 0.01)
    recorder = Recorder(tmp_path / "call.ogg", lambda: 1.0)
    recorder.spoken(SECOND)
    writing = asyncio.create_task(recorder.run())
    await begun.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert writing_now == [0, 1, 0, 1, 0]


async def test_what_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recorder = Recorder(tmp_path / "file" / "call.ogg", lambda: 1.0)
    recorder.spoken(SECOND)
    await recorder.run()
    before = len(recorder._agent._window)
    recorder.spoken(SECOND)
    assert len(recorder._agent._window) == before
