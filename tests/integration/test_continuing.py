"""A call whose connection is lost goes on over another one: same call, same memory, nothing untold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.audio import Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.errors import ClientError
from media_server.rtc import SocketLine, SocketWire
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.conftest import no_sessions
from tests.sockets import SocketClient, connected


def pull_the_cable(caller: Caller) -> None:
    """No goodbye of any kind: the sockets are gone."""
    for sender in caller.pc.getSenders():
        for protocol in sender.transport.transport._connection._protocols:
            protocol.transport.abort()


async def listening(caller: Caller, since: int = 0) -> None:
    await caller.wait_for("state.changed", lambda e: e["state"] == "listening", since=since)


async def asked(caller: Any, text: str) -> str:
    """The answer to what is typed."""
    since = len(caller.events)
    caller.send(type="text.send", text=text)
    answer = await caller.wait_for("agent.speech_stopped", since=since)
    return str(answer["heard"])


async def test_a_call_goes_on_over_a_new_connection_and_remembers(
    server: Server, sentence: Callable[[str], Samples]
) -> None:
    async with Caller(server.url) as first:
        await listening(first)
        first.speak(sentence("my name is olivia"))
        await first.wait_for("agent.speech_stopped")
        await listening(first, since=len(first.events) - 2)
        pull_the_cable(first)
        async with Caller.continuing(server.url, first) as second:
            assert (second.session_id, second.call_id) == (first.session_id, first.call_id)
            back = await second.wait_for("call.reconnected")
            assert back["transport"] == "webrtc"
            assert back["away_s"] >= 0
            second.speak(sentence("what is my name"))
            answer = await second.wait_for("agent.speech_stopped")
            assert "Olivia" in answer["heard"]
            assert np.abs(second.recording()).max() > 1000
            assert len(server.sessions) == 1
            second.send(type="call.end")
            ended = await second.wait_for("call.ended")
            assert ended["reason"] == "client_hangup"
            assert ended["away_s"] >= 0
    # one numbering over both connections, and nothing missing in it
    numbers = [e["seq"] for e in [*first.events, *second.events]]
    assert numbers == list(range(numbers[-1] + 1))
    assert [e["type"] for e in second.events[:2]].count("call.reconnecting") == 1
    await no_sessions(server)


async def test_what_is_said_while_nobody_is_there_is_told_and_heard_afterwards(server: Server) -> None:
    async with Caller(server.url) as first:
        await listening(first)
        pull_the_cable(first)
        # the server has not noticed: the agent speaks to nobody
        session = server.sessions.get(first.session_id)
        assert session.line is not None
        session.line.gone.set()
        await asyncio.sleep(0.1)
        session.call.say("hello again")
        await asyncio.sleep(1.0)
        async with Caller.continuing(server.url, first) as second:
            spoken = await second.wait_for("agent.speech_stopped")
            assert (spoken["heard"], spoken["reason"]) == ("hello again", "completed")
            assert second.events[0]["seq"] == len(first.events)
    await no_sessions(server)


async def test_from_a_websocket_to_webrtc_and_back(server: Server) -> None:
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{server.url}/v1/voice", params={"agent": "assistant"})
        opened = await socket.receive_json()
        await socket.send_json({"type": "text.send", "text": "my name is olivia"})
        received = 0
        while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY or (
            message.json()["type"] != "agent.speech_stopped"
        ):
            received += message.type is aiohttp.WSMsgType.TEXT
        received += 1
        # as a laptop that is closed: no closing handshake
        assert socket._response is not None
        assert socket._response.connection is not None
        assert socket._response.connection.transport is not None
        socket._response.connection.transport.abort()
    lost = Caller(server.url)
    lost.session_id, lost.events = opened["session_id"], [{}] * received
    async with Caller.continuing(server.url, lost) as caller:
        await caller.wait_for("call.reconnected", lambda e: e["transport"] == "webrtc")
        assert "Olivia" in await asked(caller, "what is my name")
        query: dict[str, Any] = {"session": caller.session_id, "received": received + len(caller.events)}
        async with connected(SocketClient, f"{server.url}/v1/voice", **query) as client:
            again = await client.wait_for("session.opened")
            assert again["call_id"] == opened["call_id"]
            await client.wait_for("call.reconnected", transport="websocket")
            await client.socket.send_json({"type": "text.send", "text": "what is my name"})
            answer = await client.wait_for("agent.speech_stopped")
            assert "Olivia" in answer["heard"]
            assert client.sound
            await client.socket.send_json({"type": "call.end"})
            await client.wait_for("call.ended", reason="client_hangup")
    await no_sessions(server)
    await lost.close()


async def test_a_client_that_closes_its_connection_has_hung_up(server: Server) -> None:
    async with Caller(server.url) as caller:
        await listening(caller)
        session = server.sessions.get(caller.session_id)
    await no_sessions(server, timeout_s=3)
    assert session.reason == "client_hangup"
    async with connected(SocketClient, f"{server.url}/v1/voice", agent="assistant") as client:
        opened = await client.wait_for("session.opened")
        session = server.sessions.get(opened["session_id"])
        await client.socket.close()
        await no_sessions(server, timeout_s=3)
    assert session.reason == "client_hangup"


async def test_of_several_who_come_back_at_once_the_last_one_has_the_call(caller: Caller, server: Server) -> None:
    session = server.sessions.get(caller.session_id)
    lines = [SocketLine(session.handset, SocketWire()) for _ in range(3)]
    for line in lines:
        session.take(line)
        line.connected.set()
    async with asyncio.timeout(5):
        await lines[0].gone.wait()
        await lines[1].gone.wait()
    assert session.line is lines[2]
    assert not lines[2].gone.is_set()
    lines[2].closed_by_peer = True
    lines[2].gone.set()
    await no_sessions(server)
    assert session.reason == "client_hangup"


async def test_who_does_not_come_back_costs_nothing_meanwhile(tmp_path: Any) -> None:
    database_url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(database_url) as database:
        secret, _ = await Keys(database).create("k", scopes=["call", "admin"], credit=10)
        agents = [{"name": "paid", "price_per_minute": 60}]
        settings = Settings(port=0, database=database_url, reconnect_s=2, agents=agents)
        async with running_server(settings) as server:
            await server.ready(60)
            caller = Caller(server.url, "paid", auth=secret)
            async with caller:
                await listening(caller)
                session = server.sessions.get(caller.session_id)
                assert session.line is not None
                session.line.gone.set()
                await no_sessions(server)
            assert session.reason == "connection_lost"
            headers = {"Authorization": f"Bearer {secret}"}
            async with aiohttp.ClientSession(headers=headers) as http, asyncio.timeout(5):
                while True:
                    async with http.get(f"{server.url}/v1/calls/{caller.call_id}") as r:
                        record = await r.json()
                    if record["status"] != "active":
                        break
                    await asyncio.sleep(0.1)
            assert record["duration_s"] > 2
            assert record["cost"] == int(record["cost"]) <= record["duration_s"] - 1


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def test_a_session_that_is_over_cannot_go_on(server: Server) -> None:
    nobody = Caller(server.url)
    nobody.session_id = "nobody"
    with pytest.raises(ClientError, match="may be over") as refused:
        async with Caller.continuing(server.url, nobody):
            pass
    assert refused.value.code == "unknown_session"
    await nobody.close()
    async with (
        aiohttp.ClientSession(server.url) as http,
        http.get("/v1/voice", params={"session": "nobody"}, headers=UPGRADE) as r,
    ):
        assert (r.status, (await r.json())["error"]["code"]) == (404, "unknown_session")


async def test_an_offer_that_cannot_be_answered_leaves_the_call_as_it_is(caller: Caller, server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        body = {"sdp": "v=0\r\n", "type": "offer", "continues": caller.session_id}
        async with http.post("/v1/sessions", json=body) as r:
            assert (r.status, (await r.json())["error"]["code"]) == (400, "bad_sdp")
        body["received"] = -1  # type: ignore[assignment]
        async with http.post("/v1/sessions", json=body) as r:
            assert r.status == 400
    assert await asked(caller, "what is seven plus five") == "Seven plus five is twelve."
