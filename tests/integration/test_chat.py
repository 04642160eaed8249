"""Conversations in writing: the same agents and tools without sound, over sockets that come and go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.call import call, inbox
from media_server.server import Server
from tests.conftest import no_sessions
from tests.integration.test_access import guarded
from tests.integration.test_records import ended_record


class Client:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.session_id = ""
        self.events: list[dict[str, Any]] = []

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """The next event of this type."""
        async with asyncio.timeout(10):
            while True:
                event: dict[str, Any] = await self.socket.receive_json()
                if event["type"] == "session.opened":
                    self.session_id = event["session_id"]
                    continue
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def ask(self, text: str) -> str:
        await self.socket.send_json({"type": "text.send", "text": text})
        return str((await self.wait_for("agent.text"))["text"])


@contextlib.asynccontextmanager
async def chatting(url: str, **query: Any) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/v1/chat", params=query) as socket:
        yield Client(socket)


async def refused(url: str, **query: Any) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with chatting(url, **query):
            pass
    return error.value.status


async def test_silence_does_not_end_a_chat(server: Server) -> None:
    async with chatting(server.url, agent="curt") as client:
        await client.wait_for("call.started")
        await asyncio.sleep(1.5)
        assert await client.ask("what is one plus two") == "One plus two is three."
    await no_sessions(server)


async def test_a_chat_remembers_and_uses_tools(server: Server) -> None:
    async with chatting(server.url, agent="desk") as client:
        assert (await client.wait_for("call.started"))["agent"] == "desk"
        assert await client.ask("my name is olivia") == "Nice to meet you, Olivia! How can I help you?"
        assert await client.ask("where is my order four two seven") == "The status is shipped."
        assert await client.ask("what is my name") == "Your name is Olivia."
        kinds = {e["type"] for e in client.events}
        assert {"agent.text_delta", "tool.called", "tool.returned", "turn.ended"} <= kinds
        assert not {k for k in kinds if "speech" in k or k == "turn.metrics"}
        deltas = [e["text"] for e in client.events if e["type"] == "agent.text_delta"]
        assert "".join(deltas).endswith("Your name is Olivia.")
        await client.socket.send_json({"type": "call.end"})
        ended = await client.wait_for("call.ended")
        assert ended["reason"] == "client_hangup"
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert [e["seq"] for e in client.events] == list(range(len(client.events)))
    async with aiohttp.ClientSession(server.url) as http:
        record = await ended_record(http, ended["call_id"])
    assert (record["agent"], record["status"]) == ("desk", "completed")
    await no_sessions(server)


async def test_a_text_longer_than_the_model_can_read_does_not_end_a_chat(server: Server) -> None:
    async with chatting(server.url, agent="assistant") as client:
        assert await client.ask("word " * 790 + "what is one plus two")
        assert await client.ask("what is one plus two") == "One plus two is three."
        assert not [e for e in client.events if e["type"] == "error"]
    await no_sessions(server)


async def test_what_the_model_is_to_know_has_an_end(server: Server) -> None:
    async with chatting(server.url, agent="assistant") as client:
        for n in range(6):
            await client.socket.send_json({"type": "context.set", "key": f"page {n}", "value": "word " * 790})
        error = await client.wait_for("error")
        assert (error["code"], "'page 5' is not known" in error["message"]) == ("too_much_context", True)
        await client.socket.send_json({"type": "text.send", "text": "what is one plus two"})
        assert (await client.wait_for("error"))["code"] == "prompt_too_long"
        assert (await client.wait_for("agent.text"))["text"].startswith("I am sorry")
        for n in range(5):
            await client.socket.send_json({"type": "context.set", "key": f"page {n}", "value": None})
        assert await client.ask("what is one plus two") == "One plus two is three."
    await no_sessions(server)


async def test_what_is_to_be_said_has_an_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "MAX_MESSAGES", 5)
    async with chatting(server.url, agent="assistant") as client:
        for _ in range(40):
            await client.socket.send_json({"type": "text.send", "text": "hello", "interrupt": False})
            await asyncio.sleep(0.001)  # each is taken before the next one comes
        assert (await client.wait_for("error"))["code"] == "too_many_messages"
        await client.socket.send_json({"type": "text.send", "text": "what is one plus two"})
        while (await client.wait_for("agent.text"))["text"] != "One plus two is three.":
            pass
    await no_sessions(server)


async def test_a_client_that_floods_is_told_so_and_heard_later(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST", 50)
    monkeypatch.setattr(inbox, "PER_S", 1.0)
    async with chatting(server.url, agent="assistant") as client:
        for _ in range(1000):
            await client.socket.send_json({"type": "nonsense"})
        assert (await client.wait_for("error"))["code"] == "bad_message"
        while (await client.wait_for("error"))["code"] != "too_many_messages":
            pass
        await asyncio.sleep(1.1)
        assert await client.ask("what is one plus two") == "One plus two is three."
        errors = [e["code"] for e in client.events if e["type"] == "error"]
        assert errors.count("bad_message") < 300
        assert errors.count("too_many_messages") < 5
    await no_sessions(server)


async def test_code_speaks_in_a_chat_too(server: Server) -> None:
    async with chatting(server.url, agent="echo") as client:
        greeted = await client.wait_for("agent.event")
        assert greeted["data"] == [{"role": "assistant", "text": "Welcome."}]
        assert await client.ask("what is this") == "You said what is this."
        await client.socket.send_json({"type": "call.end"})
        await client.wait_for("call.ended")
    await no_sessions(server)


async def test_a_client_that_comes_back_misses_nothing(server: Server) -> None:
    async with chatting(server.url, agent="assistant") as client:
        await client.ask("my name is olivia")
        seen = client.events[3]["seq"]
    session = client.session_id
    async with chatting(server.url, session=session, after=seen) as again:
        assert await again.ask("what is my name") == "Nice to meet you, Olivia! How can I help you?"
        assert again.events[0]["seq"] == seen + 1, "what it had not seen comes first"
        assert (await again.wait_for("agent.text"))["text"] == "Your name is Olivia."
        assert await refused(server.url, session=session, after=99_999) == 400, "there is no such event yet"
        await again.socket.send_json({"type": "call.end"})
        await again.wait_for("call.ended")
    await no_sessions(server)
    assert await refused(server.url, session=session) == 404


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "bad_message"),
        ('{"type": "text.send", "text": ""}', "bad_message"),
        ('{"type": "user.mute", "muted": true}', "no_audio"),
        ('{"type": "turn.end"}', "no_audio"),
        ('{"type": "tool.result", "id": "x"}', "unknown_tool_call"),
    ],
)
async def test_messages_that_make_no_sense_are_answered(server: Server, message: str, code: str) -> None:
    async with chatting(server.url, agent="assistant") as client:
        await client.socket.send_str(message)
        assert (await client.wait_for("error"))["code"] == code
        assert await client.ask("hello"), "the chat goes on"
        await client.socket.send_json({"type": "call.end"})
        await client.wait_for("call.ended")
    await no_sessions(server)


async def test_chats_that_cannot_be_are_refused(server: Server) -> None:
    assert await refused(server.url) == 400
    assert await refused(server.url, agent="nobody") == 404
    assert await refused(server.url, agent="assistant", after="x") == 400
    assert await refused(server.url, agent="assistant", after=5) == 400
    assert await refused(server.url, session="nothing") == 404
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/v1/chat?agent=assistant") as plain:
        assert (plain.status, (await plain.json())["error"]["code"]) == (400, "no_websocket")


async def test_a_chat_takes_a_token_of_its_kind(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        token = await g.token(kind="chat", metadata={"customer": 7})
        async with chatting(g.server.url, agent="mara", token=token) as client:
            assert (await client.wait_for("call.started"))["metadata"] == {"customer": 7}
            await client.socket.send_json({"type": "call.end"})
            await client.wait_for("call.ended")
        assert await refused(g.server.url, agent="mara", token=token) == 401
        assert await refused(g.server.url, agent="mara", token=await g.token()) == 403
        assert await refused(g.server.url, agent="mara") == 401


async def test_a_client_that_does_not_come_back_is_not_waited_for(server: Server) -> None:
    async with chatting(server.url, agent="assistant") as client:
        await client.wait_for("call.started")
    await no_sessions(server)


async def all_said(client: Client) -> list[str]:
    """End the conversation; what the client was told that the caller said."""
    await client.socket.send_json({"type": "call.end"})
    await client.wait_for("call.ended")
    return [e["text"] for e in client.events if e["type"] == "user.transcript"]


TYPED = [{"type": "text.send", "text": "what is my name"}]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (TYPED, "my name is olivia what is my name"),
        ([{"type": "agent.interrupt"}], "my name is olivia"),
        ([{"type": "agent.interrupt"}, *TYPED, {"type": "agent.interrupt"}], "my name is olivia what is my name"),
        ([], "my name is olivia"),
    ],
    ids=["another", "interrupted", "twice", "hangs-up"],
)
async def test_what_was_typed_is_remembered_whatever_comes_right_behind_it(
    server: Server, then: list[dict[str, str]], said: str
) -> None:
    async with chatting(server.url, agent="desk") as client:
        await client.wait_for("call.started")
        call = server.sessions._by_id[client.session_id].call
        for message in [{"type": "text.send", "text": "my name is olivia"}, *then]:
            await client.socket.send_json(message)
        if then == TYPED:
            assert "Olivia" in (await client.wait_for("agent.text"))["text"]
        await client.socket.send_json({"type": "call.end"})
        await client.wait_for("call.ended")
    assert " ".join(e["text"] for e in client.events if e["type"] == "user.transcript") == said
    assert [m.content for m in call.history.entries if m.role == "user"] == [said]
    await no_sessions(server)
