"""Pinecall: tokens, offers, the events of its data channel, its chats."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from scores import word_errors

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, resample
from media_server.call import Session
from media_server.caller import Caller
from media_server.config import Settings
from media_server.engines.engines import Engines
from media_server.engines.piper import PiperEngine, as_it_stands
from media_server.errors import ClientError
from media_server.server import Server, running_server
from tests.conftest import STARTER, no_sessions, sentence_file
from tests.doors.test_wespoke import events_of
from tests.integration.test_access import PAGE, guarded
from tests.integration.test_knowledge import agents_in
from tests.sockets import SocketClient, connected


class PinecallCaller(Caller):
    """Its client's signalling: a token, an offer with all candidates, nothing after it."""

    def __init__(self, url: str, agent: str, token: str = "", **metadata: Any) -> None:
        super().__init__(url, agent)
        self.token = token
        self.agent = agent
        self.given = metadata
        self.config: dict[str, Any] = {}

    async def _signal(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        async with aiohttp.ClientSession(self._url) as http:
            async with http.get("/webrtc/ice-servers") as response:
                assert await response.json() == {"iceServers": []}
            token = self.token or await page_token(http, self.agent)
            body = {"sdp": self.pc.localDescription.sdp, "type": "offer", "token": token, "metadata": self.given}
            body |= {"config": self.config}
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
            '{"action": "configure", "language": "klingon"}',
            '{"action": "configure", "turn_detection": "psychic"}',
        ):
            since = len(caller.events)
            caller.send_raw(bad)
            await caller.wait_for("llm.error", since=since)
        since = len(caller.events)
        caller.send(action="mute")
        caller.send(action="unmute")
        caller.send(action="set_context", key="page", value="shoes")
        caller.send(action="set_context", key="page", value=None)
        caller.send(action="configure", language="en", turn_detection="patient", whatever=1)
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
                ({"agent_id": "mara", "metadata": "null", "v": "0.3.18"}, pk, 200),
                ({"agent": "mara"}, pk, 400),
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


async def test_a_page_chooses_what_the_agent_lets_it(tmp_path: Path) -> None:
    agents = [Agent("free"), Agent("strict", client_settings=frozenset())]
    async with running_server(Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=agents)) as server:
        await server.ready(60)
        caller = PinecallCaller(server.url, "free")
        # another product's voice keeps nothing else from being chosen
        caller.config = {"language": "de-DE", "voice": "elevenlabs/sarah", "llm": "openai/gpt-5", "stt": {"a": 1}}
        async with caller:
            (session,) = server.sessions._by_id.values()
            async with asyncio.timeout(5):
                while session.call.agent.language != "de":  # noqa: ASYNC110 - nobody else waits for it
                    await asyncio.sleep(0.02)
        await no_sessions(server)
        caller = PinecallCaller(server.url, "strict")
        caller.config = {"language": "de"}
        async with caller:
            refused = await caller.wait_for("llm.error")
            assert "not for clients to change" in refused["error"]
        await no_sessions(server)


async def test_a_caller_who_goes_on_after_all(
    server: Server, sentence: Callable[[str], Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model takes its time, and the caller says something more before anything of the answer is heard."""
    generate = Engines.generate

    @contextlib.asynccontextmanager
    async def slowly(self: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(3)
        async with generate(self, *args, **options) as pieces:
            yield pieces

    monkeypatch.setattr(Engines, "generate", slowly)
    async with PinecallCaller(server.url, "assistant") as caller:
        caller.speak(sentence("my name is olivia"))
        ended = await caller.wait_for("turn.end")
        assert ended["text"] == "my name is olivia"
        caller.speak(sentence("what is my name"))
        went_on = await caller.wait_for("turn.continued")
        assert went_on["text"] == "my name is olivia"
        assert not caller.of("bot.speaking")
        await caller.wait_for("bot.finished")
        assert caller.of("llm.thinking")
    await no_sessions(server)


async def test_a_pause_that_is_none(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with PinecallCaller(server.url, "assistant") as caller:
        caller.speak(sentence("i would like to um"))
        paused = await caller.wait_for("turn.pause")
        assert 0 <= paused["probability"] <= 1
        caller.speak(sentence("book an appointment"))
        resumed = await caller.wait_for("turn.resumed")
        assert resumed["text"] == paused["text"]
        assert (await caller.wait_for("turn.end"))["text"].endswith("appointment")
        eager = caller.of("eager.turn")
        assert eager
        assert all({"text", "probability"} <= e.keys() for e in eager)


async def test_levels_ten_times_a_second(tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    agents = [Agent("loud", audio_levels=True)]
    async with running_server(Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=agents)) as server:
        await server.ready(60)
        async with PinecallCaller(server.url, "loud") as caller:
            caller.speak(sentence("what is seven plus five"))
            await caller.wait_for("bot.finished")
            levels = caller.of("audio.metrics")
        for source in ("user", "bot"):
            mine = [e for e in levels if e["source"] == source]
            assert any(e["is_speech"] and e["energy_db"] > -40 for e in mine), source
            assert all(-60 <= e["energy_db"] <= 0 for e in mine)
            assert all(0 <= e["rms"] <= e["peak"] <= 1 for e in mine)
            assert all(0 <= e["vad_prob"] <= 1 for e in mine)
        user = [e for e in levels if e["source"] == "user"]
        seconds = (user[-1]["time"] - user[0]["time"]) if "time" in user[0] else None
        assert seconds is None or len(user) / seconds == pytest.approx(10, abs=3)
        await no_sessions(server)


@pytest.mark.parametrize("path", ["/ws", "/chat/ws"])
async def test_a_thread_is_come_back_to(server: Server, path: str) -> None:
    thread = f"thread-{secrets.token_hex(8)}"

    async def talk(text: str, before: list[str]) -> str:
        async with aiohttp.ClientSession(server.url) as http:
            token = await page_token(http, "assistant", "chat")
            async with http.ws_connect(path, params={"token": token, "thread": thread}) as socket:
                assert (await socket.receive_json())["event"] == "chat.connected"
                history = await socket.receive_json()
                assert history["event"] == "chat.history"
                assert [m["text"] for m in history["messages"]] == before
                await socket.send_json({"event": "message", "text": text})
                async with asyncio.timeout(10):
                    while (message := await socket.receive_json())["event"] != "chat.done":
                        pass
                return str(message["text"])

    told = "Nice to meet you, Olivia! How can I help you?"
    assert await talk("my name is olivia", []) == told
    assert await talk("what is my name", ["my name is olivia", told]) == "Your name is Olivia."
    (chat,) = server.sessions._by_id.values()
    chat.hang_up("client_hangup")
    await no_sessions(server)
    async with aiohttp.ClientSession(server.url) as http:
        token = await page_token(http, "assistant", "chat")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(path, params={"token": token, "thread": "short"})
        assert refused.value.status == 400


async def test_a_person_takes_over_and_somebody_listens(
    server: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with PinecallCaller(server.url, "assistant") as caller, aiohttp.ClientSession(server.url) as http:
        (session,) = server.sessions._by_id.values()
        base = f"/v1/calls/{session.call_id}"
        async with http.get("/stream/token", params={"agent_id": "assistant,desk", "scope": "observe"}) as response:
            body = await response.json()
            assert response.status == 200
        assert body["token"].startswith("strm_")
        assert body["expires_in"] == body["expiresIn"] == 60
        async with http.ws_connect(f"/live/{session.call_id}/ws", params={"token": body["token"]}) as listening:
            about = await listening.receive_json()
            assert about == {
                "type": "metadata",
                "sampleRate": 16000,
                "channels": 1,
                "bitDepth": 16,
                "sessionId": session.call_id,
            }
            sound = bytearray()

            async def listen() -> None:
                async for message in listening:
                    assert message.type is aiohttp.WSMsgType.BINARY
                    if not message.data:
                        return
                    sound.extend(message.data if len(message.data) > 2 else b"")

            task = asyncio.create_task(listen())
            async with http.post(f"{base}/pause") as response:
                assert response.status == 204
            await caller.wait_for("session.paused")
            caller.speak(sentence("my name is olivia"))
            await caller.wait_for("user.message", lambda e: e["text"] == "my name is olivia")
            words = "Nice to meet you, Olivia! How can I help you?"
            async with http.post(f"{base}/say", json={"text": words}) as response:
                assert response.status == 204
            said = await caller.wait_for("bot.finished")
            assert said["text"] == words
            assert not caller.of("llm.response")[1:], "the agent kept silent"
            async with http.post(f"{base}/resume") as response:
                assert response.status == 204
            await caller.wait_for("session.resumed")
            since = len(caller.events)
            caller.speak(sentence("what is my name"))
            answer = await caller.wait_for("bot.finished", since=since)
            assert "Olivia" in answer["text"], "it knows what was said meanwhile"
            for path, body, status in (
                (f"{base}/say", {"text": ""}, 400),
                ("/v1/calls/nobody/pause", None, 404),
                ("/v1/calls/nobody/say", {"text": "x"}, 404),
            ):
                async with http.post(path, json=body) as response:
                    assert response.status == status
            session.hang_up("agent_hangup")
            async with asyncio.timeout(5):
                await task
        mixed = resample(np.frombuffer(bytes(sound), np.int16), 16000, CALL_RATE_HZ)
        assert "my name is olivia" in hear(mixed[: 4 * CALL_RATE_HZ])
    await no_sessions(server)
    assert isinstance(session, Session)
    assert session.handset.microphone.taps == []
    # the call itself follows what went out just before
    assert not any("listen_in" in tap.__qualname__ for tap in session.handset.speaker.taps)


def synthesized(text: str) -> Samples:
    """In the starter voice."""
    voice = PiperEngine.load(STARTER / "voice" / "starter-voice.onnx")
    return np.concatenate([samples for samples, _ in voice.synthesize(as_it_stands(text))])


async def test_a_person_takes_over_in_their_own_voice(
    server: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with PinecallCaller(server.url, "assistant") as caller, aiohttp.ClientSession(server.url) as http:
        (session,) = server.sessions._by_id.values()
        async with http.get("/stream/token", params={"agent_id": "assistant", "scope": "supervise"}) as response:
            token = (await response.json())["token"]
        async with connected(SocketClient, f"{server.url}/live/{session.call_id}/ws", token=token) as person:
            assert (await person.wait_for("metadata"))["scope"] == "supervise"
            await person.socket.send_bytes(bytes(640))
            assert (await person.wait_for("error"))["code"] == "not_taken_over"
            await person.socket.send_json({"action": "pause", "sample_rate": 48000})
            await caller.wait_for("session.paused")
            caller.speak(sentence("my name is olivia"))
            await caller.wait_for("user.message", lambda e: e["text"] == "my name is olivia")
            before = len(caller.recording())
            words = "nice to meet you olivia how can i help you"
            spoken = await asyncio.to_thread(synthesized, "Nice to meet you, Olivia! How can I help you?")
            loud = np.nonzero(np.abs(spoken.astype(np.int32)) > 300)[0]
            # given back in the same breath: what was said last is known all the same
            await person.speak_bytes(spoken[: loud[-1] + 4800].tobytes(), 960 * 2, 2 * CALL_RATE_HZ)
            await person.socket.send_json({"action": "resume"})
            told = await caller.wait_for("bot.finished")
            assert told["text"] == words
            errors, _ = word_errors(words, hear(caller.recording()[before:]))
            assert errors <= 3, "heard, though perhaps with a gap where this machine is busy"
            assert not caller.of("llm.response")[1:], "the agent kept silent"
            await caller.wait_for("session.resumed")
            since = len(caller.events)
            caller.speak(sentence("what is my name"))
            answer = await caller.wait_for("bot.finished", since=since)
            assert answer["text"] == "Your name is Olivia.", "it knows what was said meanwhile"
            for bad in ("hello", '{"action": "dance"}', '{"action": "say"}', '{"action": "pause", "sample_rate": 1}'):
                since = len(person.messages)
                await person.socket.send_str(bad)
                assert (await person.wait_for("error", since=since))["code"] == "bad_request"
            since = len(caller.events)
            await person.socket.send_json({"action": "pause"})
            await caller.wait_for("session.paused", since=since)
        await caller.wait_for("session.resumed", since=since)
    await no_sessions(server)


async def test_a_person_who_speaks_is_not_cut_off(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with PinecallCaller(server.url, "assistant") as caller, aiohttp.ClientSession(server.url) as http:
        (session,) = server.sessions._by_id.values()
        assert isinstance(session, Session)
        async with http.get("/stream/token", params={"agent_id": "assistant", "scope": "supervise"}) as response:
            token = (await response.json())["token"]
        async with connected(SocketClient, f"{server.url}/live/{session.call_id}/ws", token=token) as person:
            await person.socket.send_json({"action": "pause", "sample_rate": 48000})
            await caller.wait_for("session.paused")
            cut: list[str] = []
            session.handset.speaker.interrupt = lambda: cut.append("cut") or 0.0  # type: ignore[method-assign, func-returns-value]
            speaking = asyncio.create_task(
                person.speak_bytes(sentence("what can you do").tobytes(), 960 * 2, 2 * CALL_RATE_HZ)
            )
            caller.speak(sentence("my name is olivia"))
            await caller.wait_for("user.message")
            await speaking
            assert cut == []
            await person.socket.send_json({"action": "resume"})
            await caller.wait_for("session.resumed")
    await no_sessions(server)


async def test_who_may_only_have_something_said(server: Server) -> None:
    async with PinecallCaller(server.url, "assistant") as caller, aiohttp.ClientSession(server.url) as http:
        (session,) = server.sessions._by_id.values()
        for scope, said in (("observe", False), ("participate", True)):
            async with http.get("/stream/token", params={"agent_id": "assistant", "scope": scope}) as response:
                token = (await response.json())["token"]
            async with connected(SocketClient, f"{server.url}/live/{session.call_id}/ws", token=token) as person:
                await person.socket.send_json({"action": "pause"})
                assert (await person.wait_for("error"))["code"] == "token_scope"
                since = len(person.messages)
                await person.socket.send_json({"action": "say", "text": "One moment."})
                if said:
                    assert (await caller.wait_for("bot.finished"))["text"] == "One moment."
                else:
                    assert (await person.wait_for("error", since=since))["code"] == "token_scope"
    await no_sessions(server)


async def test_who_may_listen(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        url = g.server.url
        boss, _ = await g.keys.create("boss", scopes=["call", "admin"])
        headers = {"Authorization": f"Bearer {boss}"}
        async with PinecallCaller(url, "mara", await g.token()):
            (session,) = g.server.sessions._by_id.values()
            address = f"{url}/live/{session.call_id}/ws"

            async def token(**query: str) -> tuple[int, Any]:
                async with g.http.get(f"{url}/stream/token", params=query, headers=headers) as response:
                    return response.status, await response.json()

            for query, status in (
                ({"agent_id": "nobody"}, 404),
                ({}, 400),
                ({"agent_id": "mara", "scope": "command"}, 400),
            ):
                answer = await token(**query)
                assert (answer[0], bool(answer[1]["detail"])) == (status, True)
            async with g.http.get(f"{url}/stream/token", params={"agent_id": "mara"}) as response:
                assert response.status == 401
            async with g.http.get(
                f"{url}/stream/token", params={"agent_id": "mara"}, headers={"Authorization": f"Bearer {g.key}"}
            ) as response:
                assert response.status == 403, "a key that is not the operator's"
            luna = (await token(agent_id="luna"))[1]["token"]
            other = (await token(agent_id="mara", call_id="another"))[1]["token"]
            once = (await token(agent_id="mara", call_id=session.call_id))[1]["token"]
            for bad, status in ((luna, 403), (other, 403), ("strm_x", 401), (await g.token(), 403)):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await g.http.ws_connect(address, params={"token": bad})
                assert refused.value.status == status
            async with g.http.ws_connect(address, params={"token": once}) as socket:
                assert (await socket.receive_json())["type"] == "metadata"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await g.http.ws_connect(address, params={"token": once})
        await no_sessions(g.server)


async def test_what_its_tools_ask_about_agents_and_voices(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        headers = {"Authorization": f"Bearer {g.key}"}

        async def get(path: str, headers: dict[str, str] = headers) -> tuple[int, Any]:
            async with g.http.get(g.server.url + path, headers=headers) as response:
                return response.status, await response.json()

        status, body = await get("/api/sdk/voices")
        assert (status, body["voices"][0]["provider"]) == (200, "local")
        assert body["total"] == len(body["voices"])
        assert (await get("/api/sdk/voices?language=e"))[1]["voices"] == []
        assert await get("/api/sdk/phone-numbers") == (200, {"success": True, "phones": []})
        status, body = await get("/api/sdk/agents")
        assert {"mara", "luna"} <= {a["id"] for a in body["agents"]}
        info = (await get("/api/sdk/agent-info/mara", {"Origin": PAGE}))[1]
        assert (info["id"], info["agent"]) == ("mara", "mara")
        assert info["channels"] == [{"type": "webrtc"}, {"type": "chat"}], "its widget looks through them"
        assert (await get("/api/sdk/agent-info/mara", {}))[0] == 401
        assert (await get("/api/sdk/agent-info/nobody"))[0] == 404
        assert (await get("/api/sdk/agents", {}))[0] == 401


async def test_a_message_is_dictated(server: Server) -> None:
    sound = read_wav(sentence_file("what is seven plus five"), MODEL_RATE_HZ).tobytes()
    async with aiohttp.ClientSession(server.url) as http:
        token = await page_token(http, "desk", "chat")
        async with http.ws_connect("/api/scribe/ws", params={"token": token, "lang": "en-US"}) as socket:
            assert (await socket.receive_json())["event"] == "ready"
            for at in range(0, len(sound), 3200):
                await socket.send_bytes(sound[at : at + 3200])
            await socket.send_json({"event": "stop"})
            got = [json.loads(message.data) async for message in socket]
        assert [m["text"] for m in got if m["event"] == "final"] == ["what is seven plus five"]
        assert got[-1]["event"] == "done"
        for wrong in ({"token": token}, {"token": ""}, {"token": "cht_x"}, {"lang": "klingonese"}):
            async with http.ws_connect("/api/scribe/ws", params=wrong) as socket:
                refused = await socket.receive_json()
                assert refused["event"] == "error"
                assert refused["error"].endswith(".")


async def test_silence_is_warned_of_and_ends_the_call(server: Server) -> None:
    async with PinecallCaller(server.url, "curt") as caller:
        warned = await caller.wait_for("session.idle_warning")
        assert 0 < warned["remaining_seconds"] <= warned["idle_timeout_seconds"]
        over = await caller.wait_for("session.timeout")
        assert over["reason"] == "idle_timeout"
        assert len(caller.of("session.idle_warning")) == len(caller.of("session.idleWarning")) == 2
    await no_sessions(server)


async def test_what_was_looked_up_is_told(tmp_path: Path) -> None:
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents_dir=agents_in(tmp_path / "agents"))
    async with running_server(settings) as server:
        await server.ready(60)
        async with PinecallCaller(server.url, "guide") as caller:
            async with asyncio.timeout(20):
                while not caller.of("docs.sources"):  # until the documents are indexed
                    since = len(caller.events)
                    caller.send(action="inject_text", text="what is the weather in berlin")
                    await caller.wait_for("llm.response", since=since)
            (source,) = caller.of("docs.sources")[0]["sources"]
            assert (source["file"], bool(source["title"])) == ("berlin.md", True)
        async with aiohttp.ClientSession(server.url) as http:
            # Wespoke's chats say the same
            async with http.post("/api/v1/embed/chat", json={"assistantId": "guide"}) as response:
                chat = (await response.json())["data"]["chatId"]
            wanted = {"content": "what is the weather in berlin"}
            async with http.post(f"/api/v1/embed/chat/{chat}/messages", json=wanted) as response:
                got = events_of(await response.text())
            (used,) = [data for name, data in got if name == "knowledge:used"]
            assert used["sources"] == ["berlin.md"]
            async with http.post(f"/api/v1/embed/chat/{chat}/end") as response:
                assert response.status == 200
        await no_sessions(server)


async def test_events_of_all_calls_over_a_websocket(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:

        async def following(**query: str) -> aiohttp.ClientWebSocketResponse:
            socket = await http.ws_connect("/v1/events", params=query)
            await socket.send_str("nonsense")
            await socket.send_str("3")
            await socket.send_json({"action": "ping"})
            assert await socket.receive_json() == {"event": "pong"}
            return socket

        async with http.get("/stream/token", params={"agent_id": "desk"}) as response:
            token = (await response.json())["token"]
        everything, some = await following(tool_results="1"), await following(token=token)
        for agent in ("assistant", "desk"):
            async with PinecallCaller(server.url, agent) as caller:
                caller.send(action="inject_text", text="where is my order four two seven")
                await caller.wait_for("bot.finished")
            await no_sessions(server)

        async def until_ended(socket: aiohttp.ClientWebSocketResponse, agent: str) -> list[dict[str, Any]]:
            got: list[dict[str, Any]] = []
            async with asyncio.timeout(10):
                while not got or (got[-1]["event"], got[-1]["agent"]) != ("call.ended", agent):
                    got.append(await socket.receive_json())
            return got

        seen = await until_ended(everything, "desk")
        assert {e["agent"] for e in seen} == {"assistant", "desk"}
        assert next(e for e in seen if e["event"] == "tool.returned")["result"] == {"status": "shipped"}
        mine = await until_ended(some, "desk")
        assert {e["agent"] for e in mine} == {"desk"}
        assert "result" not in next(e for e in mine if e["event"] == "tool.returned")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/v1/events", params={"token": token})
        assert refused.value.status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/v1/events", params={"tool_results": "maybe"})
        assert refused.value.status == 400
        await everything.close()
        await some.close()


async def test_events_of_an_agent_s_calls_in_the_product_s_words(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/ws/stream", params={"token": "strm_nonsense"})
        assert refused.value.status == 401
        async with http.get("/stream/token", params={"agent_id": "desk"}) as response:
            token = (await response.json())["token"]
        socket = await http.ws_connect("/ws/stream", params={"token": token, "agent": "desk"})
        for text in ("nonsense", "3", '{"action": "ping"}'):
            await socket.send_str(text)
        got = [await socket.receive_json() for _ in range(2)]
        assert [m["event"] for m in got] == ["connected", "pong"]
        for agent in ("assistant", "desk"):
            async with PinecallCaller(server.url, agent, contact="ada") as caller:
                caller.send(action="inject_text", text="where is my order four two seven")
                await caller.wait_for("bot.finished")
            await no_sessions(server)
        async with asyncio.timeout(10):
            while got[-1]["event"] != "call.ended":
                got.append(await socket.receive_json())
        assert {m["agent"] for m in got[2:]} == {"desk"}
        assert got[2]["event"] == "call.started"
        assert got[2]["callId"] == got[2]["call_id"] == got[-1]["callId"]
        assert [m["text"] for m in got if m["event"] == "user.message"] == ["where is my order four two seven"]
        assert {"bot.speaking", "bot.word", "bot.finished", "turn.end"} <= {m["event"] for m in got}
        await socket.close()


async def log_of(http: aiohttp.ClientSession, token: str, **of: str | int) -> list[dict[str, Any]]:
    """What a log has, up to the marker that says so."""
    params = {"token": token, **{k: str(v) for k, v in of.items()}}
    async with asyncio.timeout(10), http.ws_connect("/v1/attach", params=params) as socket:
        entries: list[dict[str, Any]] = []
        while not entries or entries[-1]["type"] != "log.caught_up":
            entries.append(await socket.receive_json())
        if entries[-2:-1] and entries[-2]["type"] == "call.summary":
            assert (await socket.receive()).data == 1000
        return entries


async def test_the_call_log_goes_on_from_a_cursor(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/stream/token", params={"agent_id": "desk"}) as response:
            token = (await response.json())["token"]
        of_agent = await http.ws_connect("/v1/attach", params={"token": token, "agent": "desk", "after": 2**52})
        assert (await of_agent.receive_json())["type"] == "log.caught_up"
        await of_agent.close()
        before = len(await log_of(http, token, agent="desk"))
        async with PinecallCaller(server.url, "desk", userId="ada") as caller:
            caller.send(action="inject_text", text="where is my order four two seven")
            await caller.wait_for("bot.finished")
            (started,) = [each for each in await log_of(http, token, agent="desk") if each["type"] == "call.started"][
                -1:
            ]
            call_id = started["data"]["call"]
            live = await http.ws_connect("/v1/attach", params={"token": token, "call": call_id})
            got = [await live.receive_json()]
            while got[-1]["type"] != "log.caught_up":
                got.append(await live.receive_json())
        async with asyncio.timeout(10):
            while got[-1]["type"] != "call.summary":
                got.append(await live.receive_json())
        whole = await log_of(http, token, call=call_id)
        assert [each for each in got if not each["type"].startswith("log.")] == whole[:-1]
        middle = whole[len(whole) // 2]["seq"]
        rest = await log_of(http, token, call=call_id, after=middle)
        assert rest[:-1] == [each for each in whole[:-1] if each["seq"] > middle]
        assert rest[-1]["data"]["seq"] == whole[-2]["seq"] == whole[-1]["seq"]
        kinds = [each["type"] for each in whole]
        assert kinds[0] == "call.started"
        assert kinds.index("user.message") < kinds.index("tool.call") < kinds.index("tool.result")
        assert {each["call"] for each in whole} == {call_id}
        assert len(await log_of(http, token, agent="desk")) == before + 2


@pytest.mark.parametrize(
    ("of", "status"),
    [({}, 400), ({"call": "call-1", "agent": "desk"}, 400), ({"agent": "desk", "after": "-1"}, 400),
     ({"agent": "assistant"}, 403), ({"call": "call-nowhere"}, 404), ({"agent": "desk", "token": "strm_x"}, 401)],
)  # fmt: skip
async def test_what_the_call_log_refuses(server: Server, of: dict[str, str], status: int) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/stream/token", params={"agent_id": "desk"}) as response:
            token = (await response.json())["token"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/v1/attach", params={"token": token} | of)
        assert refused.value.status == status
