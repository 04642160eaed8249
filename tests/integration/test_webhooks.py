"""Webhooks: signed, in order, again after failures, and never lost with the server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook as Signer

from media_server.caller import Caller
from media_server.config import Settings, Webhook
from media_server.errors import ConfigurationError
from media_server.server import running_server
from media_server.store import Database, Outbox, outbox
from tests.integration.test_records import start_server

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """Somebody's endpoint; what it answers can be set."""

    url: str = ""
    status: int = 200
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Ids and messages, of every attempt."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        message = Signer(SECRET).verify(await request.read(), dict(request.headers))
        self.got.append((request.headers["webhook-id"], message))
        self.changed.set()
        return web.Response(status=self.status)

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(15):
            while len(self.got) < count:
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def one_call(url: str) -> str:
    async with Caller(url) as caller:
        await caller.wait_for("call.started")
        caller.send(type="call.end")
        await caller.wait_for("call.ended")
    return caller.call_id


async def test_calls_are_told_in_order_and_again_until_they_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAITS_S", (0.2, 0.2, 0.2))
    async with receiving() as receiver:
        receiver.status = 503
        hook = Webhook(url=receiver.url, secret=SECRET)
        settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", webhooks=[hook])
        async with running_server(settings) as server:
            await server.ready(60)
            call_id = await one_call(server.url)
            await receiver.wait(2)
            assert len({i for i, _ in receiver.got}) == 1, "what comes second waits for the first"
            receiver.status = 204
            before = len(receiver.got)
            await receiver.wait(before + 2)
    (first, started), (second, ended) = receiver.got[-2:]
    assert first == receiver.got[0][0], "under the same id"
    assert first != second
    assert (started["type"], ended["type"]) == ("call.started", "call.ended")
    assert started["data"]["call_id"] == ended["data"]["call_id"] == call_id
    assert (ended["data"]["agent"], ended["data"]["reason"]) == ("assistant", "client_hangup")
    assert started["timestamp"] <= ended["timestamp"]


async def test_what_never_arrives_is_listed_and_tried_again_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAITS_S", ())
    database = f"sqlite:///{tmp_path}/x.sqlite"

    async def run(*args: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media_server.cli", "webhooks", *args, "--database", database,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode()

    async with receiving() as receiver:
        receiver.status = 500
        only = frozenset({"call.ended"})
        hook = Webhook(url=receiver.url, secret=SECRET, events=only, agents=frozenset({"assistant"}))
        settings = Settings(port=0, database=database, webhooks=[hook])
        async with running_server(settings) as server:
            await server.ready(60)
            await one_call(server.url)
            await receiver.wait(1)
            message_id = receiver.got[0][0]
            async with asyncio.timeout(10):
                while message_id not in (listed := await run("list", "--state", "dead")):
                    pass  # what came of it is written a moment after it was sent
        assert "HTTP status 500" in listed
        assert "1 delivery will be tried again" in await run("retry", message_id)
        receiver.status = 200
        async with running_server(settings):
            await receiver.wait(2)
        assert [i for i, _ in receiver.got] == [message_id] * 2
        assert await run("list", "--state", "dead") == "There are none.\n"


async def test_a_webhook_that_nobody_wants_any_more_is_given_up(tmp_path: Path) -> None:
    async with receiving() as receiver, Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        receiver.status = 410
        hook = Webhook(url=receiver.url, secret=SECRET)
        settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", webhooks=[hook])
        async with running_server(settings) as server:
            await server.ready(60)
            await one_call(server.url)
            await receiver.wait(2)
            async with asyncio.timeout(10):
                while {d.state for d in await Outbox(database, "", []).all()} != {"dead"}:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("wrong", [{"url": "ftp://x"}, {"secret": "short"}, {"colour": 1}])
def test_a_webhook_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Webhook(**{"url": "http://127.0.0.1/", "secret": SECRET} | wrong)


async def test_webhooks_need_records() -> None:
    hook = Webhook(url="http://127.0.0.1:1/", secret=SECRET)
    with pytest.raises(ConfigurationError, match="records"):
        async with running_server(Settings(port=0, records=False, webhooks=[hook])):
            pass


async def test_nothing_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/x.sqlite"
    random.seed(5)
    calls: list[str] = []
    async with receiving() as receiver:
        toml = f'[[webhooks]]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        await asyncio.to_thread((tmp_path / "media_server.toml").write_text, toml)
        for _ in range(5):
            process, url = await start_server(database, tmp_path)
            async with Caller(url) as caller:
                calls.append(caller.call_id)
                await asyncio.sleep(random.uniform(0, 1.2))
                process.send_signal(signal.SIGKILL)
                await process.wait()
        process, url = await start_server(database, tmp_path)
        try:
            async with aiohttp.ClientSession(url) as http, http.get("/v1/calls") as response:
                recorded = (await response.json())["calls"]
            assert [c["id"] for c in recorded] == calls[::-1]
            async with asyncio.timeout(20):
                while {m["data"]["call_id"] for _, m in receiver.got if m["type"] == "call.ended"} != set(calls):
                    receiver.changed.clear()
                    await receiver.changed.wait()
        finally:
            process.terminate()
            await process.wait()
    told = {(m["data"]["call_id"], m["type"], i) for i, m in receiver.got}
    assert len(told) == len({t[:2] for t in told}), "nothing came twice under another id"
