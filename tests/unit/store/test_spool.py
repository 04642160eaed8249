"""What was told and is not in the database yet outlasts the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from media_server import events as e
from media_server.store import Database, Outbox, Records, Subscription
from media_server.store.spool import Spool
from tests.unit.store import FULL


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        yield database


def waiting(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("x.sqlite-waiting-here-*"))


def told(seq: int, call_id: str = "call") -> e.Envelope:
    return e.Envelope(call_id, seq, float(seq), e.UserTranscript("turn-1", str(seq), True))


async def texts(records: Records) -> Sequence[object]:
    return [each.event.get("text", each.type) for each in await records.events()]


@contextlib.asynccontextmanager
async def dying(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Records]:
    """Records whose database takes nothing while the block runs, and which end without another try."""
    with monkeypatch.context() as patch:
        patch.setattr("media_server.store.writer.LAST_TRIES", 1)
        patch.setattr("media_server.store.writer.TROUBLE_S", 0.01)
        records = Records(database, "here", 0, tmp_path)
        await records.close_orphaned_calls()
        await records.start("call", "a", {})

        async def fails(*_: object) -> None:
            raise OperationalError("INSERT", {}, FULL)

        records._writer._store = fails
        running = asyncio.create_task(records.run())
        await asyncio.sleep(0.01)
        yield records
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_could_not_be_written_is_written_at_the_next_start_and_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dying(database, tmp_path, monkeypatch) as records:
        for seq in range(3):
            records.note(told(seq))
        records.note(e.Envelope("call", 3, 9.0, e.CallEnded("caller_left", 9.0)))
        records.note(told(0, "never began"))
    assert {path.stat().st_mode & 0o777 for path in waiting(tmp_path)} == {0o600}
    copies = {path: path.read_bytes() for path in waiting(tmp_path)}
    outbox = Outbox(database, "here", [Subscription("http://x/", frozenset({"call.ended"}), None)])
    for _ in range(2):
        again = Records(database, "here", 0, tmp_path, outbox)
        await again.close_orphaned_calls()
        running = asyncio.create_task(again.run())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not waiting(tmp_path)
        assert await texts(again) == ["0", "1", "2", "call.ended"]
        # as if it had died after it wrote them and before it knew
        for path, content in copies.items():
            path.write_bytes(content)
    call = await again.get("call")
    assert call is not None
    assert (call.status, call.end_reason, call.first_words) == ("completed", "caller_left", "0")
    assert [each.type for each in await outbox.all()] == ["call.ended"]


async def test_a_line_that_was_cut_takes_no_other_along(tmp_path: Path) -> None:
    def line(seq: int) -> str:
        return f'{{"call_id":"a","seq":{seq},"type":"x"}}'

    (tmp_path / "waiting-b").write_text("\n".join(["", line(1), line(5)[:20], line(0), "[]", "7", '{"seq":3}']))
    assert [each["seq"] for each in await Spool(tmp_path / "waiting").take()] == [0, 1]


async def test_what_is_in_the_database_is_in_no_file_any_more(database: Database, tmp_path: Path) -> None:
    records = Records(database, "here", 0, tmp_path)
    await records.close_orphaned_calls()
    await records.start("call", "a", {})
    running = asyncio.create_task(records.run())
    for seq in range(200):
        records.note(told(seq))
        await asyncio.sleep(0.002)
    async with asyncio.timeout(10):
        while len(await records.events()) < 200 or any(path.stat().st_size for path in waiting(tmp_path)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(waiting(tmp_path)) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not waiting(tmp_path)


async def test_a_disk_that_is_full_for_a_while_costs_what_came_meanwhile_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "waiting")
    await spool.take()
    async with spool.writing():
        spool.add({"call_id": "a", "seq": 0})
        await written(spool)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, limits[1]))  # the next line is cut in its middle
        try:
            for seq in range(1, 4):
                spool.add({"call_id": "a", "seq": seq, "type": "x" * 30})
            await written(spool)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        spool.add({"call_id": "a", "seq": 4})
    assert caplog.text.count("in memory only") == 1
    assert [line["seq"] for line in await Spool(tmp_path / "waiting").take()] == [0, 4]


async def written(spool: Spool) -> None:
    done = threading.Event()
    spool._queue.put(done.set)
    assert await asyncio.to_thread(done.wait, 5)


async def test_two_servers_do_not_share_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Spool(tmp_path / "waiting"), Spool(tmp_path / "waiting")
    await first.take()
    async with first.writing():
        await second.take()
        assert "another server has it open" in caplog.text
        async with second.writing():
            second.add({"call_id": "b", "seq": 0})
        first.add({"call_id": "a", "seq": 0})
    assert [line["call_id"] for line in await Spool(tmp_path / "waiting").take()] == ["a"]


async def test_what_was_added_outlasts_a_kill(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys, time
from pathlib import Path
from media_server.store.spool import Spool

async def main():
    spool = Spool(Path({str(tmp_path / "waiting")!r}))
    await spool.take()
    async with spool.writing():
        for seq in range(1000):
            spool.add({{"call_id": "a", "seq": seq, "type": "x"}})
        print("told", flush=True)
        time.sleep(60)  # the event loop stands still: the files do not wait for it

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        assert process.stdout.readline() == b"told\n"
        await asyncio.sleep(1)
        os.kill(process.pid, signal.SIGKILL)
    assert [line["seq"] for line in await Spool(tmp_path / "waiting").take()] == list(range(1000))
