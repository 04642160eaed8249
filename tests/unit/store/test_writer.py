"""What happens in calls is written once, whatever happens while it is written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from media_server import events as e
from media_server.store import Database, Outbox, Records, Subscription
from media_server.webhooks import Deliverer
from tests.unit.store import FULL


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        yield database


def ended(call_id: str, duration_s: float = 1.0) -> e.Envelope:
    return e.Envelope(call_id, 1, duration_s, e.CallEnded("server_shutdown", duration_s))


def said(text: str, call_id: str = "call") -> e.Envelope:
    return e.Envelope(call_id, 0, 0.0, e.UserTranscript("turn-1", text, True))


def slow_commits(database: Database, monkeypatch: pytest.MonkeyPatch, wait_s: float) -> asyncio.Event:
    """Transactions that take so long; set when one has begun."""
    begun, begin = asyncio.Event(), database.begin

    def slow() -> Any:
        import contextlib

        @contextlib.asynccontextmanager
        async def transaction() -> AsyncIterator[Any]:
            async with begin() as session:
                yield session
                begun.set()
                await asyncio.sleep(wait_s)

        return transaction()

    monkeypatch.setattr(database, "begin", slow)
    return begun


async def test_a_stop_in_the_middle_of_a_write_loses_and_doubles_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(database, "here", 0, tmp_path)
    calls = [f"call-{i}" for i in range(32)]
    for call_id in calls:
        await records.start(call_id, "a", {})
    begun = slow_commits(database, monkeypatch, 0.2)
    running = asyncio.create_task(records.run())
    for call_id in calls:
        records.note(ended(call_id))
        if call_id == calls[9]:
            await begun.wait()
    running.cancel()
    await asyncio.sleep(0.05)
    running.cancel()  # once more, as a group does whose other task fails
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [each.event["call_id"] for each in await records.events()] == calls
    assert {c.status for c in await records.page(100)} == {"completed"}


async def test_a_call_whose_beginning_is_cancelled_does_not_stay_open(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(database, "here", 0, tmp_path)
    begun = slow_commits(database, monkeypatch, 0.1)
    starting = asyncio.create_task(records.start("call", "a", {}))
    await begun.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await records.flush()
    found = await records.get("call")
    assert found is not None
    assert (found.status, found.end_reason) == ("failed", "not_connected")


async def test_an_event_that_no_database_takes_holds_up_no_other(database: Database, tmp_path: Path) -> None:
    records = Records(database, "here", 0, tmp_path)
    await records.start("call", "a", {})
    records.note(said("one"))
    records.note(said("two", "never-began"))
    records.note(e.Envelope("call", 0, 0.0, e.AgentEvent("three", object())))
    records.note(ended("call"))
    await records.flush()
    kept = [each.event for each in await records.events()]
    assert [each.get("text") for each in kept] == ["one", None]
    found = await records.get("call")
    assert found is not None
    assert found.status == "completed"


async def test_a_step_of_the_wall_clock_costs_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(database, "here", 1, tmp_path)
    await records.start("call", "a", {}, per_minute=60.0)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 40 * 86400)
    records.note(ended("call", duration_s=2.5))
    await records.flush()
    found = await records.get("call")
    assert found is not None
    assert found.ended_at is not None
    assert (round(found.ended_at - found.started_at, 3), found.cost) == (2.5, 3.0)
    await records._forget_old()
    assert await records.get("call"), "a clock that jumps does not make records old"


async def test_no_end_is_left_out_however_much_waits(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_server.store.writer.MAX_WAITING", 3)
    records = Records(database, "here", 0, tmp_path)
    await records.start("call", "a", {})
    for i in range(10):
        records.note(said(str(i)))
    records.note(ended("call"))
    await records.flush()
    assert [each.event["type"] for each in await records.events()][-1] == "call.ended"


async def test_waits_of_webhooks_do_not_follow_the_wall_clock(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://127.0.0.1:9/"
    outbox = Outbox(database, "here", [Subscription(url, frozenset({"call.ended"}), None)])
    async with database.begin() as session:
        outbox.put(session, "call.ended", ended("call").wire, "a", "")
    (delivery,) = await outbox.due(10, url)
    await outbox.failed(delivery, "no", final=False)
    deliverer = Deliverer(outbox, {})
    now = time.time
    for jump_s in (-86400.0, 86400.0):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: now() + jump_s)
        await deliverer._follow_clock()
        at = await outbox.next_at(url)
        assert at is not None
        assert 0 < at - time.time() < 10
        monkeypatch.setattr(time, "time", now)
        await deliverer._follow_clock()


async def test_what_has_arrived_is_not_sent_again_while_the_database_cannot_be_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiohttp import ClientSession, web
    from aiohttp.test_utils import TestServer

    came: list[str] = []

    async def take(request: web.Request) -> web.Response:
        came.append(request.headers["webhook-id"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    monkeypatch.setattr("media_server.webhooks.AFTER_TROUBLE_S", 0.05)
    async with TestServer(app) as server, ClientSession():
        url = str(server.make_url("/"))
        outbox = Outbox(database, "here", [Subscription(url, frozenset({"call.ended"}), None)])
        async with database.begin() as session:
            for i in range(2):
                outbox.put(session, "call.ended", ended(f"call-{i}").wire, "a", "")
        arrived, failures = outbox.arrived, [FULL, FULL, FULL]

        async def on_full_disk(delivery: Any) -> None:
            if failures:
                raise failures.pop()
            await arrived(delivery)

        monkeypatch.setattr(outbox, "arrived", on_full_disk)
        delivering = asyncio.create_task(Deliverer(outbox, {url: "whsec_" + "A" * 32}).run())
        async with asyncio.timeout(10):
            while len(await outbox.all("delivered")) < 2:
                assert not delivering.done()
                await asyncio.sleep(0.02)
        delivering.cancel()
    assert len(came) == len(set(came)) == 2


async def test_an_address_that_does_not_answer_holds_up_no_other(database: Database) -> None:
    from aiohttp import web
    from aiohttp.test_utils import TestServer

    silent, came = asyncio.Event(), list[str]()

    async def hang(_: web.Request) -> web.Response:
        await silent.wait()
        return web.Response()

    async def take(request: web.Request) -> web.StreamResponse:
        came.append(request.headers["webhook-id"])
        response = web.StreamResponse(headers={"Content-Encoding": "gzip", "Set-Cookie": "a=b"})
        await response.prepare(request)
        await response.write(b"no gzip, and without end")
        await silent.wait()
        return response

    app = web.Application()
    app.router.add_post("/hang", hang)
    app.router.add_post("/take", take)
    async with TestServer(app) as server:
        bad, good = (str(server.make_url(path)) for path in ("/hang", "/take"))
        subscriptions = [Subscription(url, frozenset({"call.ended"}), None) for url in (bad, good)]
        outbox = Outbox(
            database, "here", [*subscriptions, Subscription("http://gone/", frozenset({"call.ended"}), None)]
        )
        async with database.begin() as session:
            for i in range(20):
                outbox.put(session, "call.ended", ended(f"call-{i}").wire, "a", "")
        delivering = asyncio.create_task(Deliverer(outbox, dict.fromkeys((bad, good), "whsec_" + "A" * 32)).run())
        async with asyncio.timeout(10):
            while len(await outbox.all("delivered")) < 20 or len(await outbox.all("dead")) < 20:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        silent.set()
        delivering.cancel()
        await asyncio.wait([delivering])
    assert len(came) == len(set(came)) == 20
    assert {each.url for each in await outbox.all("dead")} == {"http://gone/"}


async def test_a_full_disk_is_one_line_and_nothing_is_lost(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(database, "here", 0, tmp_path)
    await records.start("call", "a", {})
    async with database.begin() as session:
        await session.execute(text("ALTER TABLE events RENAME TO away"))
    for i in range(20):
        records.note(said(str(i)))
        await records.flush()
    async with database.begin() as session:
        await session.execute(text("ALTER TABLE away RENAME TO events"))
    await records.flush()
    assert [each.event["text"] for each in await records.events()] == [str(i) for i in range(20)]
    assert [r.levelname for r in caplog.records if "store" in r.name] == ["ERROR", "WARNING"]
    assert isinstance(FULL, OperationalError)


async def test_a_follower_holds_a_small_piece_at_a_time(database: Database, tmp_path: Path) -> None:
    records = Records(database, "here", 0, tmp_path)
    await records.start("call", "a", {})
    for i in range(120):
        records.note(said(str(i)))
    await records.flush()
    pieces: list[int] = []
    async for piece in records.follow(0, "call", None, None, 10):
        pieces.append(len(piece))
        if sum(pieces) == 120:
            break
    assert pieces == [50, 50, 20]
