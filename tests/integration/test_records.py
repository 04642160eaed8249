"""Call records: what they hold, how they are followed, and that they outlast the server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from media_server.audio import Samples
from media_server.caller import Caller
from media_server.events import CallEnded, CallStarted, Envelope
from media_server.server import Server
from media_server.store import Database, Records
from tests.conftest import no_sessions


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session


async def get(http: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with http.get(path) as response:
        body = await response.json()
        assert response.status == status, body
    return body


async def ended_record(http: aiohttp.ClientSession, call_id: str) -> Any:
    async with asyncio.timeout(5):
        while (record := await get(http, f"/v1/calls/{call_id}"))["status"] == "active":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return record


async def converse(server: Server, agent: str, *texts: str) -> str:
    """The id of a call in which these are typed and answered."""
    async with Caller(server.url, agent, metadata={"customer": 7}) as caller:
        await caller.wait_for("call.started")
        for text in texts:
            since = len(caller.events)
            caller.send(type="text.send", text=text)
            await caller.wait_for("agent.speech_stopped", since=since)
        caller.send(type="call.end")
        await caller.wait_for("call.ended")
    await no_sessions(server)
    return caller.call_id


async def test_a_record_holds_what_was_said_heard_and_done(
    server: Server, http: aiohttp.ClientSession, sentence: Callable[[str], Samples]
) -> None:
    async with Caller(server.url, "desk", metadata={"customer": 7}) as caller:
        await caller.wait_for("call.started")
        caller.speak(sentence("where is my order four two seven"))
        await caller.wait_for("agent.speech_stopped")
        running = await get(http, f"/v1/calls/{caller.call_id}")
        assert running["status"] == "active"
        caller.send(type="call.end")
        await caller.wait_for("call.ended")
    record = await ended_record(http, caller.call_id)
    assert (record["status"], record["end_reason"], record["agent"]) == ("completed", "client_hangup", "desk")
    assert record["metadata"] == {"customer": 7}
    assert record["started_at"] < record["ended_at"]
    user, agent = record["transcript"]
    assert (user["role"], user["text"]) == ("user", "where is my order four two seven")
    assert (agent["role"], agent["text"], agent["interrupted"]) == ("assistant", "The status is shipped.", False)
    assert 0 < user["at_s"] < agent["at_s"]
    (tool,) = record["tools"]
    assert (tool["name"], tool["arguments"], tool["result"]) == (
        "get_order_status",
        {"order_id": "427"},
        {"status": "shipped"},
    )
    (turn,) = record["turns"]
    assert turn["response_ms"] > 0


async def test_what_is_ephemeral_is_not_recorded(server: Server, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    call_id = await converse(server, "desk", "what is the weather in london")
    record = await ended_record(http, call_id)
    (tool,) = record["tools"]
    assert tool["ephemeral"]
    assert not {"arguments", "result"} & tool.keys()
    assert record["transcript"][1]["text"] == "The weather is sunny."


async def test_records_are_listed_page_by_page_and_deleted(server: Server, http: aiohttp.ClientSession) -> None:
    made = [await converse(server, "home") for _ in range(3)]
    for call_id in made:
        await ended_record(http, call_id)
    first = await get(http, "/v1/calls?limit=2&agent=home&status=completed")
    assert [c["id"] for c in first["calls"]] == [made[2], made[1]]
    second = await get(http, f"/v1/calls?limit=2&agent=home&before={first['next']}")
    assert second["calls"][0]["id"] == made[0]
    async with http.delete(f"/v1/calls/{made[1]}") as response:
        assert response.status == 204
    assert (await get(http, f"/v1/calls/{made[1]}", 404))["error"]["code"] == "unknown_call"
    left = await get(http, "/v1/calls?agent=home&limit=2")
    assert [c["id"] for c in left["calls"]] == [made[2], made[0]]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/calls?limit=0", 400, "bad_request"),
        ("GET", "/v1/calls?limit=many", 400, "bad_request"),
        ("GET", "/v1/calls?colour=red", 400, "bad_request"),
        ("GET", "/v1/calls?status=odd", 400, "bad_request"),
        ("GET", "/v1/calls/nothing", 404, "unknown_call"),
        ("GET", "/v1/calls/nothing/events", 404, "unknown_call"),
        ("DELETE", "/v1/calls/nothing", 404, "unknown_call"),
    ],
)
async def test_bad_requests_are_refused(
    http: aiohttp.ClientSession, method: str, path: str, status: int, code: str
) -> None:
    async with http.request(method, path) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (status, code)


async def test_a_call_that_goes_on_cannot_be_deleted(server: Server, http: aiohttp.ClientSession) -> None:
    async with Caller(server.url, "home") as caller:
        await caller.wait_for("call.started")
        async with http.delete(f"/v1/calls/{caller.call_id}") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (409, "call_active")
    await no_sessions(server)


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """Ids and events of a stream."""
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "id":
            event_id = int(value)
        elif name == "data":
            yield event_id, json.loads(value)


async def test_a_call_is_followed_while_it_goes_on_and_again_from_anywhere(
    server: Server, http: aiohttp.ClientSession
) -> None:
    async with Caller(server.url, "home") as caller, http.get("/v1/events?agents=home") as everything:
        await caller.wait_for("call.started")
        async with http.get(f"/v1/calls/{caller.call_id}/events") as stream:
            assert stream.content_type == "text/event-stream"
            caller.send(type="text.send", text="hello")
            await caller.wait_for("agent.speech_stopped")
            caller.send(type="call.end")
            live = [e async for e in read_events(stream)]  # it ends with the call
        kinds = [event["type"] for _, event in live]
        assert kinds[0] == "call.started"
        assert kinds[-1] == "call.ended"
        assert "agent.speech_stopped" in kinds
        middle = live[2][0]
        async with http.get(f"/v1/calls/{caller.call_id}/events", headers={"Last-Event-ID": str(middle)}) as resumed:
            assert [e async for e in read_events(resumed)] == live[3:]
        for wrong in ("x", "-1", "٣", "9" * 30):
            async with http.get(f"/v1/calls/{caller.call_id}/events", headers={"Last-Event-ID": wrong}) as refused:
                assert refused.status == 400
        of_this = (event async for _, event in read_events(everything) if event["call_id"] == caller.call_id)
        async for event in of_this:  # the end of a call before it may be among them
            if event["type"] == "call.ended":
                break
    await no_sessions(server)


async def test_old_calls_are_forgotten(tmp_path: Path) -> None:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        records = Records(database, "here", 1, tmp_path)
        await records.start("old", "a", {})
        await records.start("new", "a", {})
        for call_id in ("old", "new"):
            records.note(Envelope(call_id, 0, 0.0, CallEnded("client_hangup", 0.0)))
        await records.flush()
        async with database.begin() as session:
            await session.execute(text("UPDATE calls SET started_at = started_at - 100000 WHERE id = 'old'"))
        await records._forget_old()
        assert [c.id for c in await records.page(10)] == ["new"]
        assert {e.event["call_id"] for e in await records.events()} == {"new"}


async def test_a_database_that_cannot_be_written_for_a_while_loses_nothing(tmp_path: Path) -> None:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        records = Records(database, "here", 0, tmp_path)
        await records.start("call", "a", {})
        async with database.begin() as session:
            await session.execute(text("ALTER TABLE events RENAME TO away"))
        records.note(Envelope("call", 0, 0.0, CallStarted("a", {}, "webrtc")))
        await records.flush()
        async with database.begin() as session:
            await session.execute(text("ALTER TABLE away RENAME TO events"))
        records.note(Envelope("call", 1, 0.0, CallEnded("connect_timeout", 0.0)))
        await records.flush()
        assert [e.event["type"] for e in await records.events()] == ["call.started", "call.ended"]
        record = await records.get("call")
        assert record is not None
        assert record.status == "failed"


async def start_server(database: str, tmp_path: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "serve", "--port", "0", "--log-level", "error",
        stdout=asyncio.subprocess.PIPE, cwd=tmp_path, env=os.environ | {"MEDIA_SERVER_DATABASE": database},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"Ready" not in (line := await process.stdout.readline()):
            assert line, "the server did not start"
    return process, next(word for word in line.decode().split() if word.startswith("http://"))


async def test_a_server_that_is_killed_keeps_all_but_the_last_moment(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/x.sqlite"
    calls: list[str] = []
    for after_s in (0.0, 0.7, 1.4):
        process, url = await start_server(database, tmp_path)
        async with Caller(url) as caller:
            await caller.wait_for("call.started")
            calls.append(caller.call_id)
            caller.send(type="text.send", text="my name is olivia")
            await asyncio.sleep(after_s)
            process.send_signal(signal.SIGKILL)
            await process.wait()
    process, url = await start_server(database, tmp_path)
    try:
        async with aiohttp.ClientSession(url) as http:
            listed = (await get(http, "/v1/calls"))["calls"]
            assert [c["id"] for c in listed] == calls[::-1]
            assert {(c["status"], c["end_reason"]) for c in listed} == {("failed", "server_lost")}
            assert all(c["ended_at"] for c in listed)
            last = await get(http, f"/v1/calls/{calls[-1]}")
            assert last["transcript"][0]["text"] == "my name is olivia"
            async with http.get(f"/v1/calls/{calls[-1]}/events") as stream:
                kinds = [e["type"] async for _, e in read_events(stream)]
                assert kinds[0] == "call.started"
    finally:
        process.terminate()
        await process.wait()
