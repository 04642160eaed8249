"""Pinecall: tokens, offers, the events of its data channel, its chats."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.audio import Samples
from media_server.caller import Caller
from media_server.errors import ClientError
from media_server.server import Server
from tests.conftest import no_sessions
from tests.integration.test_access import PAGE, guarded


class PinecallCaller(Caller):
    """Its client's signalling: a token, an offer with all candidates, nothing after it."""

    def __init__(self, url: str, agent: str, token: str = "", **metadata: Any) -> None:
        super().__init__(url, agent)
        self.token = token
        self.agent = agent
        self.given = metadata

    async def _signal(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        async with aiohttp.ClientSession(self._url) as http:
            async with http.get("/webrtc/ice-servers") as response:
                assert await response.json() == {"iceServers": []}
            token = self.token or await page_token(http, self.agent)
            body = {"sdp": self.pc.localDescription.sdp, "type": "offer", "token": token, "metadata": self.given}
            async with http.post("/webrtc/offer", json=body) as response:
                answer = await response.json()
                if response.status != 200:
                    raise ClientError(answer["error"]["code"], answer["error"]["message"], status=response.status)
        assert answer["type"] == "answer"
        assert "a=msid:" in answer["sdp"], "without a stream's id its client plays nothing"
        return str(answer["sdp"])

    def _on_message(self, text: str | bytes) -> None:
        message = json.loads(text)
        super()._on_message(json.dumps(message | {"type": message["event"]}))


async def page_token(http: aiohttp.ClientSession, agent: str, kind: str = "webrtc") -> str:
    async with http.get(f"/{kind}/token", params={"agent_id": agent}) as response:
        body = await response.json()
        assert response.status == 200, body
    assert body["expires_in"] == body["expiresIn"] == 60
    assert body["server"].startswith("http")
    assert body["ws_server"].startswith("ws")
    return str(body["token"])


async def test_a_call_with_a_tool(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with PinecallCaller(server.url, "desk") as caller:
        assert caller._channel is not None
        caller._channel.send("ping")
        caller.speak(sentence("where is my order four two seven"))
        finished = await caller.wait_for("bot.finished")
        assert finished["text"] == "The status is shipped."
        assert finished["duration_ms"] > 500
        await caller.wait_for("message.confirmed", lambda e: e["message_id"] == finished["message_id"])
        said = [e["word"] for e in caller.of("bot.word")]
        assert " ".join(said) == finished["text"]
        assert [e["word_index"] for e in caller.of("bot.word")] == list(range(len(said)))
        message = caller.of("user.message")[0]
        assert message["text"] == "where is my order four two seven"
        assert caller.of("user.speaking")
        assert caller.of("speech.started")[0]["turn_id"] == caller.of("speech.ended")[0]["turn_id"]
        assert caller.of("turn.pause")[0]["text"] == message["text"]
        assert 0 <= caller.of("turn.end")[0]["probability"] <= 1
        (call,) = caller.of("llm.tool_call")[0]["tool_calls"]
        assert (call["name"], json.loads(call["arguments"])) == ("get_order_status", {"order_id": "427"})
        assert len(caller.of("llm.toolCall")) == 1
        (result,) = caller.of("llm.tool_result")
        assert (result["tool_call_id"], result["name"]) == (call["id"], "get_order_status")
        assert result["result"] == {"status": "shipped"}
        assert caller.of("llm.response")[0]["text"] == finished["text"]
        order = [e["event"] for e in caller.events]
        assert order.index("user.message") < order.index("llm.tool_call") < order.index("bot.speaking")
    await no_sessions(server)


async def test_what_a_page_may_do(server: Server) -> None:
    async with PinecallCaller(server.url, "assistant") as caller:
        caller.send(action="inject_text", text="what can you do")
        await caller.wait_for("bot.speaking")
        await asyncio.sleep(0.6)
        caller.send(action="inject_text", text="what is one plus two")
        cut = await caller.wait_for("bot.interrupted")
        assert (cut["reason"], 0 < cut["played_ms"] < 2000) == ("continuation", True)
        assert (await caller.wait_for("bot.finished"))["text"] == "One plus two is three."
        for bad in (
            "hello",
            '{"action": "dance"}',
            '{"action": "inject_text"}',
            '{"action": "configure", "voice": "x"}',
        ):
            since = len(caller.events)
            caller.send_raw(bad)
            await caller.wait_for("llm.error", since=since)
        since = len(caller.events)
        caller.send(action="mute")
        caller.send(action="unmute")
        caller.send(action="set_context", key="page", value="shoes")
        caller.send(action="set_context", key="page", value=None)
        caller.send(action="inject_text", text="what is two plus two")
        await caller.wait_for("bot.finished", since=since)
        assert not [e for e in caller.events[since:] if e["event"] == "llm.error"]


async def test_context_is_in_the_prompt_until_it_is_removed(server: Server) -> None:
    async with PinecallCaller(server.url, "assistant") as caller:
        caller.send(action="set_context", key="page", value="shoes")
        caller.send(action="set_context", key="cart", value="3 items")
        (session,) = server.sessions._by_id.values()
        async with asyncio.timeout(5):
            while "cart: 3 items" not in session.call.agent.prompt:  # noqa: ASYNC110 - nobody else waits for it
                await asyncio.sleep(0.02)
        assert "page: shoes" in session.call.agent.prompt
        caller.send(action="set_context", key="page", value=None)
        async with asyncio.timeout(5):
            while "shoes" in session.call.agent.prompt:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("path", ["/ws", "/chat/ws"])
async def test_chats(server: Server, path: str) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        token = await page_token(http, "desk", "chat")
        assert token.startswith("cht_")
        async with http.ws_connect(path, params={"token": token}) as socket:
            # at once, before it says that it is connected
            await socket.send_json({"event": "message", "text": "where is my order four two seven"})
            got: list[dict[str, Any]] = []

            async def until(kind: str) -> dict[str, Any]:
                async with asyncio.timeout(10):
                    while True:
                        message: dict[str, Any] = await socket.receive_json()
                        got.append(message)
                        if message["event"] == kind:
                            return message

            assert (await until("chat.connected"))["session_id"]
            done = await until("chat.done")
            assert done["text"] == "The status is shipped."
            tokens = [m for m in got if m["event"] == "chat.token"]
            texts = [m["text"] for m in tokens]
            assert "".join(m["token"] for m in tokens) == done["text"]
            assert texts[-1] == done["text"] if path == "/chat/ws" else "".join(texts) == done["text"]
            assert {m["message_id"] for m in tokens} == {done["message_id"]}
            (called,) = next(m for m in got if m["event"] == "chat.tool_call")["tool_calls"]
            assert json.loads(called["arguments"]) == {"order_id": "427"}
            assert next(m for m in got if m["event"] == "chat.tool_result")["result"] == {"status": "shipped"}
            await socket.send_json({"event": "set_context", "key": "a", "value": "b"})
            await socket.send_str("nonsense")
            await until("chat.error")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(path, params={"token": token})
        assert refused.value.status == 401, "it was used"
    await no_sessions(server)


async def test_tokens_and_their_refusals(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        url = g.server.url
        pk = {"Authorization": f"Bearer pk_{g.key.removeprefix('sk_')}"}
        for path in ("/webrtc/token", "/chat/token"):
            for query, headers, status in (
                ({"agent_id": "mara"}, {}, 401),
                ({"agent_id": "nobody"}, pk, 404),
                ({}, pk, 400),
                ({"agent_id": "mara"}, {"Origin": "https://evil.example"}, 403),
                ({"agent_id": "mara"}, {"Origin": PAGE}, 200),
                ({"agent_id": "mara", "metadata": '{"userId": "7"}'}, pk, 200),
            ):
                async with g.http.get(url + path, params=query, headers=headers) as response:
                    body = await response.json()
                    assert response.status == status, body
                    assert status == 200 or body["detail"]
        async with g.http.get(
            f"{url}/webrtc/token", params={"agent_id": "mara", "metadata": '{"a": 1}'}, headers=pk
        ) as r:
            token = (await r.json())["token"]
        async with PinecallCaller(url, "mara", token, a=2, page="x"):
            (session,) = g.server.sessions._by_id.values()
            assert session.call.metadata == {"a": 1, "page": "x"}, "what is sealed wins"
        with pytest.raises(ClientError) as used:
            async with PinecallCaller(url, "mara", token):
                pass
        assert (used.value.status, used.value.code) == (401, "token_used")
        with pytest.raises(ClientError) as wrong:
            async with PinecallCaller(url, "mara", "nonsense"):
                pass
        assert wrong.value.status == 401
