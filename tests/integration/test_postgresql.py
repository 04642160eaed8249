"""The database may be PostgreSQL: a throwaway cluster, with a server on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from media_server.agents import Agent, client_tool
from media_server.caller import Caller
from media_server.config import Settings, Webhook
from media_server.errors import ClientError, ConfigurationError
from media_server.server import running_server
from media_server.store import Database, Keys, Tokens
from tests.integration.test_chat import chatting
from tests.integration.test_records import ended_record
from tests.integration.test_webhooks import SECRET, receiving

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = pytest.mark.skipif(
    not BINARIES and "MEDIA_SERVER_TESTS_NEED_POSTGRESQL" not in os.environ,
    reason="no PostgreSQL here; Debian: apt-get install postgresql",
)


async def run(*command: str | Path) -> None:
    # PostgreSQL refuses to be root; its package has made a user for it
    as_user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(
        *as_user, *map(str, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, cwd="/"
    )
    _, err = await process.communicate()
    assert process.returncode == 0, err.decode()


@contextlib.asynccontextmanager
async def postgresql() -> AsyncIterator[str]:
    """The URL of an empty database."""
    bin_ = BINARIES[-1].parent
    # not in pytest's folder, which no other user may enter
    folder = Path(tempfile.mkdtemp(prefix="media-server-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        await run(bin_ / "initdb", "-D", data, "-A", "trust", "-U", "caller")
        await run(bin_ / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://caller@127.0.0.1:{port}/postgres"
        finally:
            await run(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


async def test_a_server_keeps_all_it_keeps_in_postgresql() -> None:
    async with postgresql() as url, receiving() as receiver, Database.open(url) as database:
        secret, key = await Keys(database).create("backend", ["admin"], credit=100, max_calls=3)
        settings = Settings(
            port=0,
            database=url,
            agents=[Agent("mara", price_per_minute=6)],
            webhooks=[Webhook(url=receiver.url, secret=SECRET)],
        )
        async with (
            running_server(settings) as server,
            aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {secret}"}) as http,
        ):
            await server.ready(60)
            async with http.post("/v1/tokens", json={"agent": "mara", "metadata": {"customer": 7}}) as minted:
                token = (await minted.json())["token"]
            async with Caller(server.url, "mara", auth=token) as caller:
                await caller.wait_for("call.started")
                caller.send(type="text.send", text="what is one plus two")
                await caller.wait_for("agent.speech_stopped")
                caller.send(type="call.end")
                await caller.wait_for("call.ended")
            with pytest.raises(ClientError, match="used"):
                async with Caller(server.url, "mara", auth=token):
                    pass
            async with chatting(server.url, agent="mara", token=secret) as client:
                assert await client.ask("what is two plus two") == "Two plus two is four."
                await client.socket.send_json({"type": "call.end"})
                await client.wait_for("call.ended")
            await receiver.wait(4)
            assert sorted(m["type"] for _, m in receiver.got) == ["call.ended"] * 2 + ["call.started"] * 2
            async with http.get("/v1/calls?limit=1") as response:
                newest = await response.json()
            async with http.get(f"/v1/calls?before={newest['next']}") as response:
                (record,) = (await response.json())["calls"]
            assert record["id"] == caller.call_id
            assert record["metadata"] == {"customer": 7}
            async with http.get(f"/v1/calls/{caller.call_id}") as response:
                whole = await response.json()
            assert [t["text"] for t in whole["transcript"]] == ["what is one plus two", "One plus two is three."]
            assert whole["cost"] > 0
            now = await Keys(database).get(key.id)
            assert now is not None
            assert now.credit is not None
            assert now.credit < 100
            async with http.delete(f"/v1/calls/{caller.call_id}") as response:
                assert response.status == 204
        # another server on the same database: of several who show a token at once one gets in
        tokens = Tokens(database)
        again = await tokens.mint("webrtc", "mara", 60, key.id)
        results = await asyncio.gather(
            *(tokens.use(again, "webrtc", "mara") for _ in range(10)), return_exceptions=True
        )
        assert sum(not isinstance(r, BaseException) for r in results) == 1
        await Keys(database).revoke(key.id)


async def test_a_database_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        async with Database.open("postgresql://caller:secret@127.0.0.1:1/nothing"):
            pass
    with pytest.raises(ConfigurationError) as error:
        async with running_server(Settings(port=0, database="postgresql://caller:secret@127.0.0.1:1/nothing")):
            pass
    assert "secret" not in error.value.message


async def test_values_that_json_cannot_hold_keep_nothing_from_being_recorded() -> None:
    order = {"type": "object", "properties": {"order_id": {"type": "string", "description": "order number"}}}
    look = client_tool("get_order_status", "Get the status of an order", order)
    async with postgresql() as url:
        settings = Settings(port=0, database=url, agents=[Agent("mara", tools=[look])])
        async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
            await server.ready(60)
            wanted = '{"agent": "mara", "kind": "chat", "metadata": {"a": NaN, "b": -1e999, "c": "\\u0000"}}'
            headers = {"Content-Type": "application/json"}
            async with http.post("/v1/tokens", data=wanted, headers=headers) as minted:
                token = (await minted.json())["token"]
            async with chatting(server.url, token=token) as client:
                started = await client.wait_for("call.started")
                assert started["metadata"] == {"a": None, "b": None, "c": "\0"}
                await client.socket.send_json({"type": "text.send", "text": "where is my order four two seven"})
                called = await client.wait_for("tool.called")
                result = '{"status": "shipped", "at": NaN, "of": [1e999, "\\u0000"]}'
                message = f'{{"type": "tool.result", "id": "{called["id"]}", "result": {result}}}'
                await client.socket.send_str(message)
                returned = await client.wait_for("tool.returned")
                assert returned["result"] == {"status": "shipped", "at": None, "of": [None, "\0"]}
                await client.wait_for("agent.text")
                await client.socket.send_json({"type": "call.end"})
                await client.wait_for("call.ended")
            record = await ended_record(http, started["call_id"])
            assert record["metadata"] == started["metadata"]
            assert record["tools"][0]["result"] == returned["result"]
