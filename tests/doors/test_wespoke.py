"""Wespoke: tokens for pages, calls over them, call records; and Flow over WebRTC, which joins in the same way."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from media_server.agents import Agent
from media_server.audio import Samples
from media_server.call import tools
from media_server.caller import Caller
from media_server.config import Settings, Webhook
from media_server.doors.wespoke import routes as wespoke
from media_server.errors import ClientError
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.conftest import DATA, no_sessions
from tests.doors.test_flow import LOOKUP
from tests.integration.test_access import guarded

JSON = {"Content-Type": "application/json"}
ANY_PAGE = {"Origin": "https://shop.example"}


class Joining(Caller):
    """Joins with a token alone, as `Room.connect(url, token)` does."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, auth=token)
        del self._extra["agent"]

    def _on_message(self, text: str | bytes) -> None:
        message = json.loads(text)
        if str(message.get("message", "")).isalpha():
            # Flow's: its kind is in `message`, and `type` is something else
            message = message | {"type": message["message"], "flow_type": message.get("type")}
        super()._on_message(json.dumps(message))


async def embed(http: aiohttp.ClientSession, **body: Any) -> tuple[int, Any]:
    async with http.post("/api/v1/embed/token", json=body) as response:
        return response.status, await response.json()


async def test_a_call_from_token_to_record(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        status, answer = await embed(http, assistantId="desk", metadata={"userId": "user-123"})
        assert (status, answer["success"]) == (200, True)
        data = answer["data"]
        assert data["url"] == server.url
        assert data["roomName"] == data["callId"]
        assert (data["assistant"]["id"], data["expiresIn"]) == ("desk", 60)
        async with Joining(data["url"], data["token"]) as caller:
            assert caller.call_id == data["callId"]
            caller.speak(sentence("where is my order four two seven"))
            said = await caller.wait_for("conversation_item", lambda e: e["role"] == "user")
            assert (said["content"], said["isComplete"]) == ("where is my order four two seven", True)
            assert caller.of("transcription_stream")[-1]["isFinal"]
            assert (await caller.wait_for("tool_start"))["toolName"] == "get_order_status"
            await caller.wait_for("tool_complete", lambda e: e["toolDetails"]["result"] == {"status": "shipped"})
            whole = "The status is shipped."
            complete = await caller.wait_for("conversation_item", lambda e: e["content"] == whole and e["isComplete"])
            pieces = [e for e in caller.of("conversation_item") if e["role"] == "assistant" and not e["isComplete"]]
            assert pieces[0]["isFirstChunk"]
            assert pieces[-1]["content"] == complete["content"]
            await caller.wait_for("metrics")
            # what is done to a call by HTTP
            base = f"/api/v1/embed/calls/{data['callId']}"
            async with http.post(f"{base}/messages", json={"message": "what is one plus two"}) as response:
                assert await response.json() == {"success": True}
            await caller.wait_for("conversation_item", lambda e: e["content"] == "One plus two is three.")
            async with http.post(f"{base}/mute", json={"muted": True}) as response:
                assert response.status == 200
            async with http.get(f"{base}/messages?limit=1&offset=0") as response:
                (message,) = (await response.json())["data"]["messages"]
                assert (message["content"], message["isComplete"]) == ("where is my order four two seven", True)
            # its SDK asks again and again, and shows what it does not know by its id
            told = {e["id"] for e in caller.of("conversation_item") if e["isComplete"]}
            async with http.get(f"{base}/messages") as response:
                polled = (await response.json())["data"]["messages"]
            assert {m["id"] for m in polled} <= told
            assert all(m["content"] and abs(m["timestamp"] / 1000 - time.time()) < 60 for m in polled)
            async with http.delete(f"/api/v1/calls/{data['callId']}") as response:
                assert (response.status, (await response.json())["error"]["code"]) == (409, "CALL_ACTIVE")
            async with http.post(f"{base}/end") as response:
                assert response.status == 200
            ending = await caller.wait_for("call_ending")
            assert ending["reason"] == "client_disconnected"
        await no_sessions(server)
        async with http.get(f"/api/v1/calls/{data['callId']}") as response:
            record = (await response.json())["data"]
        assert (record["assistantId"], record["metadata"]) == ("desk", {"userId": "user-123"})
        assert record["transcript"][0] == {
            "role": "user",
            "text": "where is my order four two seven",
            "start": record["transcript"][0]["start"],
            "end": record["transcript"][0]["end"],
            "interrupted": False,
        }
        assert all(0 < said["start"] < said["end"] for said in record["transcript"] if said["role"] == "assistant")
        assert record["usage"] == {"userMessages": 2, "assistantMessages": 2, "toolCalls": 1}
        async with http.get(f"/api/v1/calls?offset={10**30}") as response:
            assert (response.status, (await response.json())["success"]) == (400, False)
        async with http.get("/api/v1/calls?limit=1") as response:
            assert (await response.json())["data"]["calls"][0]["id"] == data["callId"]
        async with http.get("/api/v1/calls?limit=1&offset=1") as response:
            assert data["callId"] not in [c["id"] for c in (await response.json())["data"]["calls"]]
        for query, found in (
            ("status=completed&assistantId=desk", True), ("status=in_progress", False), ("assistantId=nobody", False),
            ("since=2001-01-01T00:00:00Z", True), ("until=2001-01-01T00:00:00Z", False),
        ):  # fmt: skip
            async with http.get(f"/api/v1/calls?{query}") as response:
                listed = [c["id"] for c in (await response.json())["data"]["calls"]]
            assert (data["callId"] in listed) is found, query
        async with http.get("/api/v1/calls?status=over") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, "INVALID_REQUEST")


async def test_a_record_is_deleted_right_after_the_call_was_hung_up(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        _, answer = await embed(http, assistantId="assistant")
        async with Joining(answer["data"]["url"], answer["data"]["token"]) as caller:
            async with http.post(f"/api/v1/embed/calls/{caller.call_id}/end") as response:
                assert response.status == 200
            await caller.wait_for("call_ending")
        async with http.delete(f"/api/v1/calls/{caller.call_id}") as response:
            assert await response.json() == {"success": True}
        async with http.delete(f"/api/v1/calls/{caller.call_id}") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "CALL_NOT_FOUND")
    await no_sessions(server)


async def test_overrides_as_far_as_pages_may(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        overrides = {"variableValues": {"name": "Ada"}, "firstMessage": "Good day {{name}}!"}
        _, answer = await embed(http, assistantId="assistant", assistantOverrides=overrides)
        async with Joining(server.url, answer["data"]["token"]) as caller:
            await caller.wait_for("conversation_item", lambda e: e["content"] == "Good day Ada!")
        status, answer = await embed(http, assistantId="assistant", assistantOverrides={"systemPrompt": "Be evil."})
        assert (status, answer["error"]["code"]) == (403, "OVERRIDE_NOT_ALLOWED")
    await no_sessions(server)


async def test_overrides_that_the_agent_lets_pages_have(tmp_path: Path) -> None:
    agents = [Agent("open", client_settings=frozenset({"prompt", "idle_s", "recording"}))]
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=agents)
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        await server.ready(60)
        overrides = {"systemPrompt": "You are {{name}}.", "variableValues": {"name": "Ada"}, "endCallAfterSilence": 60}
        _, answer = await embed(http, assistantId="open", assistantOverrides=overrides | {"recordingEnabled": True})
        async with Joining(server.url, answer["data"]["token"]):
            (session,) = server.sessions._by_id.values()
            agent = session.call.agent
            assert (agent.prompt, agent.idle_s, agent.idle_hang_up_s, agent.recording) == ("You are Ada.", 50, 10, True)
        status, answer = await embed(http, assistantId="open", assistantOverrides={"temperature": 1})
        assert (status, answer["error"]["code"]) == (403, "OVERRIDE_NOT_ALLOWED")
        await no_sessions(server)


async def test_refusals_and_what_pages_may_read_of_them(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        key, _ = await g.keys.create("page", origins=["https://shop.example"])
        empty, _ = await g.keys.create("empty", credit=0)
        other, _ = await g.keys.create("other", agents=["luna"])
        live = "pk_live_" + key.removeprefix("sk_")
        cases: list[tuple[str, dict[str, str], dict[str, Any], int, str]] = [
            ("", {}, {"assistantId": "mara"}, 401, "UNAUTHORIZED"),
            ("pk_live_x_y", {}, {"assistantId": "mara"}, 401, "UNAUTHORIZED"),
            (live, {"Origin": "https://evil.example"}, {"assistantId": "mara"}, 403, "DOMAIN_NOT_ALLOWED"),
            (live, ANY_PAGE, {"assistantId": "mara", "metadata": []}, 400, "INVALID_REQUEST"),
            (live, ANY_PAGE, {"assistantId": "nobody"}, 404, "ASSISTANT_NOT_FOUND"),
            (live, ANY_PAGE, {}, 400, "INVALID_REQUEST"),
            (empty, {}, {"assistantId": "mara"}, 402, "INSUFFICIENT_CREDITS"),
            (other, {}, {"assistantId": "mara"}, 404, "ASSISTANT_NOT_FOUND"),
            (live, ANY_PAGE, {"assistantId": ""}, 400, "INVALID_REQUEST"),
        ]
        for shown, headers, body, status, code in cases:
            asked = headers | ({"Authorization": f"Bearer {shown}"} if shown else {})
            async with g.http.post(f"{g.server.url}/api/v1/embed/token", json=body, headers=asked) as response:
                answer = await response.json()
                assert (response.status, answer["success"], answer["error"]["code"]) == (status, False, code)
                assert answer["error"]["message"]
                if origin := headers.get("Origin"):
                    assert response.headers["Access-Control-Allow-Origin"] == origin
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        async with g.http.options(f"{g.server.url}/api/v1/embed/token", headers=preflight) as response:
            assert response.status == 204
        asked = ANY_PAGE | {"Authorization": f"Bearer {live}"}
        async with g.http.get(f"{g.server.url}/api/v1/calls", headers=asked) as response:
            # it may talk, and not read; the origin is not what is wrong
            assert (response.status, (await response.json())["error"]["code"]) == (403, "FORBIDDEN")
        async with g.http.post(
            f"{g.server.url}/api/v1/embed/token", json={"assistantId": "mara"}, headers=asked
        ) as response:
            token = (await response.json())["data"]["token"]
        async with Joining(g.server.url, token) as caller:
            assert caller.call_id
        with pytest.raises(ClientError) as used:
            async with Joining(g.server.url, token):
                pass
        assert used.value.code == "token_used"


BAD_BODIES: list[Any] = [
    None, 5, "x", [], [[]], {"assistantId": None}, {"assistantId": 5}, {"assistantId": ["desk"]}, {"assistantId": {}},
    {"assistantId": "desk", "metadata": "x"}, {"assistantId": "desk", "metadata": [1]},
    {"assistantId": "desk", "assistantOverrides": "x"}, {"assistantId": "desk", "assistantOverrides": [1]},
    {"assistantId": "desk", "assistantOverrides": {"variableValues": [1]}},
    {"assistantId": "desk", "assistantOverrides": {"variableValues": {"a": {}}}},
    {"assistantId": "desk", "assistantOverrides": {"firstMessage": 5}},
    {"assistantId": "desk", "assistantOverrides": {"firstMessage": "x" * 4001}},
]  # fmt: skip
BAD_TEXTS = ["", "{", "\ufeff{}", '{"assistantId": "a\\ud800"}', "[" * 10_000, '{"assistantId": 1e999}', "NaN"]
BAD_QUERIES = [
    "limit=0", "limit=-1", "limit=x", "limit=201", "limit=1e3", "offset=-1", f"offset={2**53}", "offset=x", "status=",
    "status=over", "since=x", "since=2001-13-01", "until=9999-99-99T00:00:00Z", "since=2001-01-01T00:00:00",
]  # fmt: skip


async def test_bad_input_is_refused_in_its_form(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with aiohttp.ClientSession(server.url) as http:

        async def refused(method: str, path: str, data: str | None = None) -> None:
            sent = {} if data is None else {"data": data.encode(), "headers": JSON}
            async with http.request(method, path, **sent) as response:  # type: ignore[arg-type]
                answer = await response.json()
                assert (response.status, answer["success"]) == (400, False), (path, data)
                assert answer["error"]["code"] == "INVALID_REQUEST"
                assert answer["error"]["message"].endswith("."), answer

        for path in ("/api/v1/embed/token", "/api/v1/embed/chat"):
            for text in [*map(json.dumps, BAD_BODIES), *BAD_TEXTS]:
                await refused("POST", path, text)
        for query in BAD_QUERIES:
            await refused("GET", f"/api/v1/calls?{query}")
        async with http.post("/api/v1/embed/chat", json={"assistantId": "desk"}) as response:
            chat = (await response.json())["data"]["chatId"]
        bodies: list[Any] = [{}, {"content": 5}, {"content": None}, {"content": ""}, {"content": "x" * 4001}, []]
        for body in bodies:
            await refused("POST", f"/api/v1/embed/chat/{chat}/messages", json.dumps(body))
        async with http.post(f"/api/v1/embed/chat/{chat}/end") as response:
            assert response.status == 200
    await no_sessions(server)
    assert not [r for r in caplog.records if r.exc_info]


async def test_the_rate_is_told_and_each_request_counted_once(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        key, _ = await g.keys.create("slow", per_minute=4)
        headers = {"Authorization": f"Bearer {key}"}
        conversation = {"message": "StartConversation", "conversation_config": {"template_id": "mara"}}
        async with aiohttp.ClientSession(g.server.url, headers=headers) as http:
            async with http.post("/v1/flow/livekit", json=conversation) as response:
                assert response.status == 200
            async with http.ws_connect("/v1/flow") as socket:
                await socket.send_json(conversation)
                assert (await socket.receive_json())["message"] == "ConversationStarted"
            status, answer = await embed(http, assistantId="mara")
            assert answer["data"]["rateLimit"] == {"remaining": 1, "limit": 4, "resetAt": None}
            assert (await embed(http, assistantId="mara"))[0] == 200
            status, answer = await embed(http, assistantId="mara")
            assert (status, answer["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
            error = answer["error"]
            reset = datetime.fromisoformat(error["resetAt"])
            assert 0 < error["retryAfter"] <= 60
            assert abs(reset.timestamp() - time.time() - error["retryAfter"]) < 5
        await no_sessions(g.server)


async def test_flow_over_webrtc(server: Server, sentence: Callable[[str], Samples]) -> None:
    variables = {"timezone": "UTC"}
    config = {"template_id": "flow-service-assistant-one", "template_variables": variables}
    body = {"message": "StartConversation", "conversation_config": config, "tools": [LOOKUP]}
    async with aiohttp.ClientSession(server.url) as http:
        async with http.post("/v1/flow/livekit", json=body) as response:
            assert response.status == 200
            answer = await response.json()
        assert answer["url"] == server.url
        assert answer["id"]
        async with Joining(answer["url"], answer["token"]) as caller:
            assert caller.call_id == answer["session_id"]
            first = await caller.wait_for("ConversationStarted")
            assert caller.events[0] is first
            caller.speak(sentence("where is my order four two seven"))
            invoked = await caller.wait_for("ToolInvoke")
            assert invoked["function"]["arguments"] == {"order_id": "427"}
            caller.send(message="ToolResult", id=invoked["id"], status="ok", content="shipped")
            done = await caller.wait_for("ResponseCompleted")
            assert done["content"] == "Shipped."
            assert not caller.of("AudioAdded")
            caller.send(**body)
            assert (await caller.wait_for("Warning"))["flow_type"] == "protocol_error"
            caller.send(message="AudioEnded")
            await caller.wait_for("ConversationEnded")
        unknown = '{"message": "StartConversation", "conversation_config": {"template_id": "x"}}'
        for bad, status, code in (
            ("{", 400, "invalid_request"),
            ('{"message": "AudioEnded"}', 400, "invalid_request"),
            (unknown, 404, "template_not_found"),
        ):
            async with http.post("/v1/flow/webrtc", data=bad, headers=JSON) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (status, code)
    await no_sessions(server)


class Offering(Joining):
    """Sends its offer with Flow's request, and is answered at once."""

    async def _signal(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        audio = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
        config = {"template_id": "assistant"}
        body = {"message": "StartConversation", "conversation_config": config, "audio_format": audio}
        async with (
            aiohttp.ClientSession(self._url) as http,
            http.post("/v1/flow/webrtc", json=body | {"sdp": self.pc.localDescription.sdp}) as response,
        ):
            answer = await response.json()
            assert (response.status, answer["type"]) == (200, "answer"), answer
        self.call_id = answer["session_id"]
        return str(answer["sdp"])


async def test_flow_over_webrtc_in_one_request(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with Offering(server.url, "") as caller:
        started = await caller.wait_for("ConversationStarted")
        assert started["id"] == caller.call_id
        assert "audio_format" in (await caller.wait_for("Warning"))["reason"]
        caller.speak(sentence("what is seven plus five"))
        await caller.wait_for("AddPartialTranscript")
        # goodbye in the middle of it: what was said is still understood
        await asyncio.sleep(1.0)
        began = asyncio.get_running_loop().time()
        caller.send(message="AudioEnded")
        await caller.wait_for("ConversationEnded")
        assert caller.of("AddTranscript")[0]["metadata"]["transcript"].startswith("what is seven")
        await no_sessions(server)
        assert asyncio.get_running_loop().time() - began > 1.4, "the client may close first"


async def test_a_call_that_never_comes_is_a_record_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wespoke, "QUEUED_S", 1.0)
    told: list[Any] = []

    async def webhook(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", webhook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook = Webhook(
        url=f"http://127.0.0.1:{runner.addresses[0][1]}/",
        secret="whsec_" + base64.b64encode(b"s" * 32).decode(),
        events=frozenset({"call.failed", "call.started"}),
    )
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", webhooks=[hook])
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        await server.ready(60)
        _, first = await embed(http, assistantId="assistant", metadata={"a": 1})
        _, second = await embed(http, assistantId="assistant")
        address = f"/api/v1/calls/{first['data']['callId']}"
        async with http.get(address) as response:
            assert (await response.json())["data"]["status"] == "queued"
        async with Joining(server.url, second["data"]["token"]) as caller:
            async with http.get(f"/api/v1/calls/{second['data']['callId']}") as response:
                assert (await response.json())["data"]["status"] == "in_progress"
            async with asyncio.timeout(10):
                while (record := (await (await http.get(address)).json())["data"])["status"] == "queued":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert (record["status"], record["endReason"], record["cost"]) == ("failed", "connection_lost", 0)
            assert caller.call_id == second["data"]["callId"]
        async with asyncio.timeout(10):
            while len(told) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await runner.cleanup()
    assert {(m["type"], m["data"]["call_id"]) for m in told} == {
        ("call.failed", first["data"]["callId"]),
        ("call.started", second["data"]["callId"]),
    }


def events_of(text: str) -> list[tuple[str, Any]]:
    """Server-sent events: names and data."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_a_chat_answers_by_server_sent_events(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        overrides = {"firstMessage": "Good day {{name}}!", "variableValues": {"name": "Ada"}}
        body = {"assistantId": "desk", "metadata": {"a": 1}, "assistantOverrides": overrides}
        async with http.post("/api/v1/embed/chat", json=body) as response:
            begun = (await response.json())["data"]
        assert begun["greetingMessage"]["content"] == "Good day Ada!"
        assert begun["assistant"]["id"] == "desk"
        assert begun["startedAt"]
        base = f"/api/v1/embed/chat/{begun['chatId']}"
        async with http.post(f"{base}/messages", json={"content": "where is my order four two seven"}) as response:
            assert response.content_type == "text/event-stream"
            got = events_of(await response.text())
        names = [name for name, _ in got]
        assert names.index("tool:started") < names.index("tool:completed") < names.index("message:complete")
        assert (names[-1], names.count("message:start")) == ("done", 1)
        tool = next(data for name, data in got if name == "tool:completed")
        assert (tool["toolName"], tool["toolType"]) == ("get_order_status", "function")
        assert tool["toolId"]
        assert tool["toolDetails"]["result"] == {"status": "shipped"}
        assert tool["timestamp"] > 1e12
        chunks = [data["accumulatedContent"] for name, data in got if name == "message:chunk"]
        assert all(b.startswith(a) for a, b in itertools.pairwise(chunks))
        complete = next(data for name, data in got if name == "message:complete")
        assert complete["message"]["content"] == chunks[-1] == "The status is shipped."
        assert complete["message"]["role"] == "assistant"
        assert complete["timestamp"]
        async with http.post(f"{base}/messages", json={"content": "what is one plus two"}) as response:
            got = events_of(await response.text())
        assert [name for name, _ in got][-1] == "done"
        assert next(d for n, d in got if n == "message:complete")["message"]["content"] == "One plus two is three."
        async with http.post(f"{base}/messages", json={"content": ""}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, "INVALID_REQUEST")
        async with http.post(f"{base}/end") as response:
            assert await response.json() == {"success": True}
        await no_sessions(server)
        async with http.post(f"{base}/messages", json={"content": "hello"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "CALL_NOT_FOUND")


async def test_a_slow_tool_is_told_and_a_failing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "DELAYED_S", 0.1)
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents_dir=DATA / "agents")
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        await server.ready(60)
        _, answer = await embed(http, assistantId="broken")
        async with Joining(server.url, answer["data"]["token"]) as caller:
            address = f"/api/v1/embed/calls/{caller.call_id}/messages"
            async with http.post(address, json={"message": "what time is it"}) as response:
                assert response.status == 200
            slow = await caller.wait_for("tool_delayed")
            assert (slow["toolName"], slow["toolDetails"]["waited"]) == ("get_time", 0.1)
            failed = await caller.wait_for("tool_failed")
            assert (failed["toolName"], "did not answer" in failed["toolDetails"]["error"]) == ("get_time", True)
            await caller.wait_for("conversation_item", lambda e: e["role"] == "assistant" and e["isComplete"])
            async with asyncio.timeout(5):
                while len(said := (await (await http.get(address)).json())["data"]["messages"]) < 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        assert (said[0]["role"], said[0]["content"]) == ("user", "what time is it")
        assert said[0]["timestamp"] > 1e12, "in milliseconds"
        await no_sessions(server)


async def test_a_credit_that_runs_out_ends_the_call(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(database) as opened:
        secret, _ = await Keys(opened).create("poor", scopes=["call", "admin"], credit=2)
        settings = Settings(port=0, database=database, agents=[Agent("dear", price_per_minute=60)])
        async with running_server(settings) as server:
            await server.ready(60)
            async with aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {secret}"}) as http:
                _, answer = await embed(http, assistantId="dear")
                async with Joining(server.url, answer["data"]["token"]) as caller:
                    warned = await caller.wait_for("call_ending", lambda e: "remaining" in e)
                    assert (warned["remaining"], warned["reason"]) == (1, "credits_exhausted")
                    await caller.wait_for(
                        "call_ending", lambda e: "remaining" not in e and e["reason"] == "credits_exhausted"
                    )
                await no_sessions(server)
                async with asyncio.timeout(5):
                    while True:
                        async with http.get(f"/api/v1/calls/{caller.call_id}") as response:
                            record = (await response.json())["data"]
                        if record["status"] == "completed":
                            break
                        await asyncio.sleep(0.1)
                assert record["endReason"] == "credits_exhausted"
                assert record["cost"] in (2, 3), "by the second begun"
                status, refused = await embed(http, assistantId="dear")
                assert (status, refused["error"]["code"]) == (402, "INSUFFICIENT_CREDITS")


async def test_a_barge_in_is_told(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        _, answer = await embed(http, assistantId="assistant")
        async with Joining(server.url, answer["data"]["token"]) as caller:
            address = f"/api/v1/embed/calls/{caller.call_id}/messages"
            async with http.post(address, json={"message": "what can you do"}) as response:
                assert response.status == 200
            await caller.wait_for("conversation_item", lambda e: e["role"] == "assistant" and e["isComplete"])
            await asyncio.sleep(0.8)
            caller.speak(sentence("what is nine times three"))
            cut = await caller.wait_for("barge_in")
            assert cut["heard"]
            await caller.wait_for("conversation_item", lambda e: "twenty seven" in e["content"])
    await no_sessions(server)


async def test_a_chat_tells_what_fails(tmp_path: Path) -> None:
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents_dir=DATA / "agents")
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        await server.ready(60)

        async def asked(agent: str, text: str) -> list[tuple[str, Any]]:
            async with http.post("/api/v1/embed/chat", json={"assistantId": agent}) as response:
                chat = (await response.json())["data"]["chatId"]
            async with http.post(f"/api/v1/embed/chat/{chat}/messages", json={"content": text}) as response:
                got = events_of(await response.text())
            async with http.post(f"/api/v1/embed/chat/{chat}/end"):
                return got

        failed = next(data for name, data in await asked("broken", "what time is it") if name == "tool:failed")
        assert failed["toolName"] == "get_time"
        assert "did not answer" in failed["toolDetails"]["error"]
        error = next(data for name, data in await asked("echo", "goodbye") if name == "error")
        assert (error["code"], "no goodbyes" in error["message"]) == ("agent_failed", True)
        await no_sessions(server)
