"""Credit and limits of keys: what several calls at once, short keys, chats and dying servers make of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.agents import Agent
from media_server.caller import Caller
from media_server.config import Settings
from media_server.errors import ClientError
from media_server.server import running_server
from media_server.store import Database, Keys, Records
from tests.conftest import no_sessions
from tests.integration.test_access import refused
from tests.integration.test_closed import box
from tests.integration.test_records import ended_record

DEAR = [Agent("dear", price_per_minute=60), Agent("cheap", price_per_minute=0.6), Agent("free")]
"""A second of these costs 1, 0.01 and nothing."""


async def credit_of(keys: Keys, key_id: str) -> float:
    key = await keys.get(key_id)
    assert key is not None
    assert key.credit is not None
    return key.credit


async def test_calls_at_once_cannot_spend_a_credit_twice(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True, agents=DEAR) as b:
        secret, key = await b.keys.create("pays", ["admin"], credit=3.0)

        async def call() -> str:
            try:
                async with Caller(b.server.url, "dear", auth=secret) as caller:
                    return str((await caller.wait_for("call.ended"))["reason"])
            except ClientError as refusal:
                return refusal.code

        ends = await asyncio.gather(*(call() for _ in range(6)))
        assert sorted(ends) == ["credits_exhausted"] + ["no_credit"] * 5
        await no_sessions(b.server)
        async with aiohttp.ClientSession(b.server.url, headers={"Authorization": f"Bearer {secret}"}) as http:
            async with http.get("/v1/calls") as response:
                (listed,) = (await response.json())["calls"]
            record = await ended_record(http, listed["id"])
        assert record["cost"] == 3.0
        assert await credit_of(b.keys, key.id) == 0


async def test_what_a_call_does_not_use_is_given_back(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True, agents=DEAR) as b:
        secret, key = await b.keys.create("pays", ["admin"], credit=100)
        async with aiohttp.ClientSession(b.server.url, headers={"Authorization": f"Bearer {secret}"}) as http:
            async with Caller(b.server.url, "cheap", auth=secret) as caller:
                await caller.wait_for("call.started")
                async with Caller(b.server.url, "cheap", auth=secret) as other:
                    await other.wait_for("call.started")
                    # two minutes ahead each, and no more: a key with much credit has many calls
                    assert await credit_of(b.keys, key.id) == pytest.approx(100 - 2 * 1.2)
            costs = [(await ended_record(http, each.call_id))["cost"] for each in (caller, other)]
        assert await credit_of(b.keys, key.id) == pytest.approx(100 - sum(costs), abs=1e-6)
        assert await refused(b.server.url, (await b.keys.create("poor", credit=0.5))[0], "dear") == (402, "no_credit")
        async with Caller(b.server.url, "free", auth=secret) as caller:
            await caller.wait_for("call.started")
        await no_sessions(b.server)


async def test_a_long_call_buys_its_minutes_as_it_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(url) as database:
        keys = Keys(database)
        _, key = await keys.create("pays", credit=10)
        records = Records(database, "here", 0, tmp_path)
        assert await records.start("call-1", "cheap", {}, "", key.id, 3.0, None, 120.0) == 120
        assert await credit_of(keys, key.id) == pytest.approx(4)
        assert await records.buy("call-1", 60) == 60
        assert await records.buy("call-1", 60) == 20, "what is left pays for whole seconds"
        assert await records.buy("call-1", 60) == 0
        assert await credit_of(keys, key.id) == pytest.approx(0)
        with pytest.raises(ClientError) as none_left:
            await records.start("call-2", "cheap", {}, "", key.id, 3.0, None, 120.0)
        assert none_left.value.code == "no_credit"
        assert await records.get("call-2") is None
        # another server's call, of one that dies: its next start settles it
        other = Records(database, "other", 0, tmp_path)
        await keys.add_credit(key.id, 6)
        assert await other.start("call-3", "cheap", {}, "", key.id, 3.0, None, 120.0) == 120
        await Records(database, "other", 0, tmp_path).close_orphaned_calls()
        assert await credit_of(keys, key.id) == pytest.approx(6)


async def test_a_server_that_is_killed_keeps_nobodys_credit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    agent = '[[agents]]\nname = "cheap"\nprice_per_minute = 0.6\n'
    (tmp_path / "media_server.toml").write_text(agent)
    async with Database.open(url) as database:
        keys = Keys(database)
        secret, key = await keys.create("pays", ["admin"], credit=100)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media_server.cli", "serve", "--port", "0", "--log-level", "error",
            stdout=asyncio.subprocess.PIPE, cwd=tmp_path,
            env=os.environ | {"MEDIA_SERVER_DATABASE": url, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(120):
            while b"Ready" not in (line := await process.stdout.readline()):
                assert line
        served = next(word for word in line.decode().split() if word.startswith("http://"))
        caller = Caller(served, "cheap", auth=secret)
        await caller.__aenter__()
        await caller.wait_for("call.started")
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert await credit_of(keys, key.id) == pytest.approx(98.8), "what it had set aside"
        async with running_server(Settings(port=0, database=url, agents=DEAR)):
            pass
        assert 99.9 < await credit_of(keys, key.id) <= 100
        await caller.pc.close()


async def test_a_chat_ends_when_its_credit_does(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True, agents=DEAR) as b:
        secret, key = await b.keys.create("pays", ["admin"], credit=2)
        address = f"{b.server.url}/v1/chat?agent=dear&token={secret}"
        async with asyncio.timeout(15), b.http.ws_connect(address) as socket:
            told: list[Any] = [json.loads(message.data) async for message in socket]
        (warning,) = [m for m in told if m["type"] == "warning"]
        assert (warning["code"], warning["remaining_s"]) == ("call_ending", 1)
        assert told[-1]["type"] == "call.ended"
        assert told[-1]["reason"] == "credits_exhausted"
        assert told[-1]["duration_s"] == pytest.approx(2, abs=0.5)
        await no_sessions(b.server)
        async with aiohttp.ClientSession(b.server.url, headers={"Authorization": f"Bearer {secret}"}) as http:
            assert (await ended_record(http, told[-1]["call_id"]))["cost"] == 2
        assert await credit_of(b.keys, key.id) == 0
        assert await b.upgrade(f"/v1/chat?agent=dear&token={secret}") == 402


async def test_short_keys_count_against_the_key_that_made_them(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True, agents=DEAR) as b:
        secret, key = await b.keys.create("site", per_minute=4, max_calls=1, credit=50)
        short = [await b.token("/v1/api_keys", secret), await b.token("/v1/api_keys", secret)]
        async with Caller(b.server.url, "cheap", auth=short[0]) as caller:
            await caller.wait_for("call.started")
            assert await credit_of(b.keys, key.id) == pytest.approx(48.8)
            assert await refused(b.server.url, short[1], "cheap") == (429, "too_many_calls_of_key")
        await no_sessions(b.server)
        for shown in (*short, secret):
            assert await refused(b.server.url, shown, "cheap") == (429, "rate_limited")


@pytest.mark.parametrize("path", ["/v1/sessions", "token", "/v1/voice", "embed"])
async def test_a_greeting_does_not_grow_by_variables_beyond_what_may_be_said(tmp_path: Path, path: str) -> None:
    agents = [Agent("host", greeting="Hi {{name}}, {{name}}.")]
    async with box(tmp_path, ready=True, agents=agents) as b:
        variables = {"name": "word " * 500}
        offer = {"agent": "host", "type": "offer", "sdp": "v=0", "variables": variables}
        if path == "/v1/sessions":
            status, code = await b.ask("POST", path, json=offer)
        elif path == "embed":
            wanted = {"assistantId": "host", "assistantOverrides": {"variableValues": variables}}
            status, code = await b.ask("POST", "/api/v1/embed/chat", json=wanted)
            code = code.replace("INVALID_REQUEST", "bad_request")
        elif path == "token":
            wanted = {"message": "StartConversation", "conversation_config": {"template_id": "host"}}
            wanted["conversation_config"] |= {"template_variables": variables}  # type: ignore[operator]
            _, joining = await b.ask("POST", "/v1/flow/livekit", json=wanted)
            status, code = await b.ask("POST", "/v1/sessions", joining["token"], json={"type": "offer", "sdp": "v=0"})
        else:
            query = {"agent": "host", "variables": json.dumps(variables)}
            async with b.http.get(f"{b.server.url}{path}", params=query, headers=UPGRADE) as response:
                status, code = response.status, (await response.json())["error"]["code"]
        assert (status, code) == (400, "bad_request")
        short = await b.ask("POST", "/v1/sessions", json=offer | {"variables": {"name": "Ada"}})
        assert short == (400, "bad_sdp"), "that greeting is well"


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_variables_that_come_later_are_cut() -> None:
    agent = Agent("host", greeting="Hi {{name}}.", prompt="You are {{name}}.")
    assert len(agent.filled_in({"name": "x" * 55_000}).greeting) == 4000
    own = Agent("reader", greeting="word " * 1000)
    assert own.filled_in({"name": "x"}).greeting == own.greeting, "the operator's own words"
