"""NextEVI in both of its manners: that of its published examples, and that of its SDK."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.config import Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests import sockets
from tests.conftest import no_sessions
from tests.integration.test_access import guarded
from tests.sockets import SocketClient

RATE = 24_000
SEED: dict[str, Any] = {"emotion_detection": {"enabled": True}, "turn_detection": {"enabled": True}}
SEED |= {"audio": {"sample_rate": RATE, "channels": 1, "encoding": "linear16"}}
SDK = {"type": "session_settings", "sample_rate": RATE, "channels": 1, "encoding": "linear16"}


class EviClient(SocketClient):
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(socket)
        self.times: list[float] = []

    async def heard(self, sound: bytes) -> None:
        raise AssertionError("all clients parse every message as JSON")

    async def took(self, message: dict[str, Any]) -> None:
        # every field twice, but for the sound
        assert all(message[k] == v for k, v in message["data"].items() if k not in ("type", "timestamp"))
        self.times.append(asyncio.get_running_loop().time())

    async def send(self, **message: Any) -> None:
        await self.socket.send_json(message)

    async def speak(self, samples: Samples, pause_s: float = 0.8) -> None:
        data = np.concatenate(
            [resample(samples, CALL_RATE_HZ, RATE), np.zeros(int(pause_s * RATE), np.int16)]
        ).tobytes()
        await self.speak_bytes(data, 8192, 2 * RATE)


CONNECTIONS = itertools.count(1)


def connected(url: str, connection: str = "", **query: str) -> contextlib.AbstractAsyncContextManager[EviClient]:
    name = connection or f"connection-{next(CONNECTIONS)}"
    return sockets.connected(EviClient, f"{url}/ws/voice/{name}", None, **query)


def wav_of(message: dict[str, Any]) -> Samples:
    with wave.open(io.BytesIO(base64.b64decode(message["content"]))) as w:
        assert (w.getnchannels(), w.getsampwidth()) == (1, 2)
        return resample(np.frombuffer(w.readframes(w.getnframes()), np.int16), w.getframerate(), CALL_RATE_HZ)


async def test_the_published_clients_get_one_wav_after_the_other(
    server: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with connected(server.url, "conn-1", config_id="assistant") as client:
        opened = await client.wait_for("connection_metadata")
        assert client.messages[0] is opened
        assert opened["data"]["connection_id"] == "conn-1"
        assert (opened["status"], opened["sample_rate"]) == ("connected", RATE)
        await client.send(type="session_settings", timestamp=1.0, message_id="m1", data=SEED)
        await client.speak(sentence("what is seven plus five"))
        await client.wait_for("transcription", is_final=True)
        (final,) = [m for m in client.of("transcription") if m["is_final"]]
        assert final["data"]["transcript"] == "what is seven plus five"
        assert 0 < final["data"]["confidence"] <= 1
        assert [w["word"] for w in final["words"]] == ["what", "is", "seven", "plus", "five"]
        assert final["metadata"]["event_type"] == "utterance_end"
        emotions_told = await client.wait_for("emotion_update")
        emotions = emotions_told["data"]
        scores = [x["score"] for x in emotions["top_emotions"]]
        assert sum(scores) == pytest.approx(1, abs=0.01)
        assert scores == sorted(scores, reverse=True)
        assert emotions["source"] == "text"
        assert {"name", "emotion", "percentage", "confidence"} <= emotions["top_emotions"][0].keys()
        over = await client.wait_for("turn_complete")
        assert over["turn_result"]["is_complete"]
        places = [client.messages.index(m) for m in (final, emotions_told, over)]
        assert places == sorted(places), "the words, what they feel like, and only then that the turn is over"
        last = await client.wait_for("llm_response_chunk", is_final=True)
        assert last["data"]["content"] == "Seven plus five is twelve."
        pieces = [m for m in client.of("llm_response_chunk") if not m["is_final"]]
        assert "".join(m["data"]["content"] for m in pieces) == "".join(m["delta"] for m in pieces)
        assert [m["chunk_index"] for m in client.of("llm_response_chunk")] == list(range(len(pieces) + 1))
        await client.wait_for("status", since=client.messages.index(last), status="listening")
        clips = client.of("tts_chunk")
        assert all(m["format"] == "wav" and len(wav_of(m)) for m in clips), "a file without sound would be played"
        assert hear(np.concatenate([wav_of(m) for m in clips])) == "seven plus five is twelve"
        # a reply of several pieces: each when the one before has been played
        before = len(client.messages)
        await client.send(type="text_input", data={"text": "hello"})
        said = await client.wait_for("llm_response_chunk", since=before, is_final=True)
        await client.wait_for("status", since=client.messages.index(said), status="listening")
        parts = [(m, t) for m, t in zip(client.messages, client.times, strict=True) if m["type"] == "tts_chunk"]
        parts = parts[len(clips) :]
        assert len(parts) == 2
        assert parts[1][1] - parts[0][1] == pytest.approx(len(wav_of(parts[0][0])) / CALL_RATE_HZ, abs=0.15)
    await no_sessions(server)


async def test_the_sdk_gets_raw_sound_and_text_so_far(
    server: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with connected(server.url, "voice_1_x", config_id="assistant") as client:
        await client.wait_for("connection_metadata")
        await client.send(**SDK)
        await client.speak(sentence("what is seven plus five"))
        last = await client.wait_for("llm_response_chunk", is_final=True)
        assert last["content"] == "Seven plus five is twelve."
        pieces = [m["content"] for m in client.of("llm_response_chunk")]
        assert all(b.startswith(a) for a, b in itertools.pairwise(pieces)), "each replaces the one before"
        await client.wait_for("tts_chunk", is_last=True)
        chunks = [m for m in client.of("tts_chunk") if m["content"]]
        assert all((m["format"], m["sample_rate"]) == ("linear16", RATE) for m in chunks)
        sound = b"".join(base64.b64decode(m["content"]) for m in chunks)
        assert max(len(base64.b64decode(m["content"])) for m in chunks) <= 0.2 * RATE * 2
        assert hear(resample(np.frombuffer(sound, np.int16), RATE, CALL_RATE_HZ)) == "seven plus five is twelve"
        assert not client.of("emotion_update")
        before = len(client.messages)
        await client.send(type="text_input", text="what can you do")
        await client.wait_for("tts_chunk", since=before)
        await asyncio.sleep(0.5)
        await client.speak(sentence("what is my name"), pause_s=0)
        await client.wait_for("tts_interruption")


def wav(samples: Samples) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(16000)
        w.writeframes(resample(samples, CALL_RATE_HZ, 16000).tobytes())
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize("manual", [False, True])
async def test_a_whole_file_in_a_message_is_a_turn(
    server: Server, sentence: Callable[[str], Samples], manual: bool
) -> None:
    async with connected(server.url, config_id="assistant") as client:
        if manual:
            await client.send(type="session_settings", data={"turn_detection": {"enabled": False}})
        await client.send(type="audio_input", data={"audio": wav(sentence("what is seven plus five")), "chunk_id": "1"})
        assert (await client.wait_for("transcription", is_final=True))["transcript"] == "what is seven plus five"
        await client.wait_for("llm_response_chunk", is_final=True, content="Seven plus five is twelve.")


async def test_settings_that_come_again_change_what_they_name(
    server: Server, sentence: Callable[[str], Samples]
) -> None:
    sound = resample(sentence("what is seven plus five"), CALL_RATE_HZ, 16000).tobytes()
    async with connected(server.url, config_id="assistant") as client:
        await client.send(type="session_settings", data={"audio": {"sample_rate": 16000}, "turn_detection": None})
        await client.send(type="session_settings", data={"turn_detection": {"enabled": False}, "audio": None})
        await client.send(type="audio_input", data={"audio": base64.b64encode(sound).decode()})
        await client.send(type="end_turn")
        assert (await client.wait_for("transcription", is_final=True))["transcript"] == "what is seven plus five"


async def test_nobody_says_anything(server: Server) -> None:
    async with connected(server.url, config_id="assistant") as client:
        idle = {"warning_timeout": 0.5, "hangup_timeout": 1.0, "enabled": True}
        await client.send(**SDK, idle_timeout=idle)
        warned = await client.wait_for("idle_warning")
        assert (warned["warning_type"], warned["time_remaining"]) == ("warning", 0.5)
        await client.wait_for("system_message", message_type="warning")
        assert (await client.wait_for("idle_warning", warning_type="final_warning"))["time_remaining"] == 0.25
        await client.wait_for("system_message", message_type="hangup")
        assert not [m for m in client.of("system_message") if m["message_type"] == "initial"], "it would be shown"
        await client.wait_for("error", error_code="IDLE_TIMEOUT_HANGUP")
        async with asyncio.timeout(5):
            await client.closed.wait()
        assert client.socket.close_code == 4408


async def test_nonsense_is_answered_and_the_call_goes_on(server: Server) -> None:
    async with connected(server.url, config_id="assistant") as client:
        bad: list[str] = ["hello", "[]", "3", '{"type": "nothing"}', '{"type": "audio_input", "audio": "?"}']
        bad += [json.dumps({"type": "session_settings", "data": {"audio": {"encoding": "mp3"}}})]
        bad += [json.dumps({"type": "audio_input", "audio": base64.b64encode(b"RIFFnonsense").decode()})]
        for text in bad:
            before = len(client.messages)
            await client.socket.send_str(text)
            assert (await client.wait_for("error", since=before))["error_code"] == "INVALID_CONFIG"
        await client.socket.send_bytes(b"")
        await client.socket.send_bytes(b"\x00\x01\x02")
        await client.send(type="ping")
        await client.wait_for("pong")
        await client.send(type="text_input", text="what is one plus two")
        await client.wait_for("llm_response_chunk", is_final=True, content="One plus two is three.")


async def test_refusals_are_said_in_the_socket(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        key = "oak_" + g.key.removeprefix("sk_")
        expired = await g.token(ttl_s=0.01)
        g.server.agents.register(Agent("sofia", tenant="acme"))
        of_acme = "oak_" + (await g.keys.create("acme", tenant="acme"))[0].removeprefix("sk_")
        cases: list[tuple[dict[str, str], int, str]] = [
            ({"config_id": "mara"}, 4401, "AUTHENTICATION_FAILED"),
            ({"config_id": "mara", "api_key": "oak_x_y"}, 4401, "AUTHENTICATION_FAILED"),
            ({"config_id": "nobody", "api_key": key}, 4404, "CONFIG_NOT_FOUND"),
            ({"config_id": "sofia", "api_key": of_acme, "project_id": "other"}, 4403, "PROJECT_NOT_FOUND"),
            ({"config_id": "mara", "authorization": "Bearer wrtc_nonsense"}, 4401, "JWT_TOKEN_INVALID"),
            ({"config_id": "mara", "authorization": f"Bearer {expired}"}, 4401, "JWT_TOKEN_EXPIRED"),
        ]
        for query, code, name in cases:
            async with connected(g.server.url, **query) as client:
                assert (await client.wait_for("error"))["data"]["error_code"] == name
                async with asyncio.timeout(5):
                    await client.closed.wait()
                assert client.socket.close_code == code
        token = await g.token()
        # the SDK cannot do without a project: a key that is of no tenant takes any
        project = {"api_key": key, "project_id": "proj-1"}
        for query in ({"api_key": key}, project, {"authorization": f"Bearer {token}"}):
            async with connected(g.server.url, config_id="mara", **query) as client:
                await client.wait_for("connection_metadata")
        async with connected(g.server.url, "bad id!", config_id="mara", api_key=key) as client:
            await client.wait_for("error", error_code="INVALID_CONFIG")
        await no_sessions(g.server)


def cut(client: EviClient) -> None:
    """The network, not the client: no closing handshake."""
    response = client.socket._response
    assert response is not None
    assert response.connection is not None
    assert response.connection.transport is not None
    response.connection.transport.abort()


@pytest.mark.parametrize("manner", ["seed", "sdk"])
async def test_a_connection_that_breaks_is_taken_up_again(server: Server, manner: str) -> None:
    settings = SDK if manner == "sdk" else {"type": "session_settings", "data": SEED}
    async with connected(server.url, "voice_7", config_id="assistant") as client:
        opened = await client.wait_for("connection_metadata")
        await client.send(**settings)
        await client.send(type="text_input", text="my name is olivia")
        said = await client.wait_for("llm_response_chunk", is_final=True)
        await client.wait_for("status", since=client.messages.index(said), status="listening")
        cut(client)
    async with connected(server.url, "voice_7", config_id="assistant") as again:
        first = await again.wait_for("connection_metadata")
        assert again.messages[0] is first
        assert first["session_id"] == opened["session_id"]
        await again.send(**settings)
        await again.send(type="text_input", text="what is my name")
        await again.wait_for("llm_response_chunk", is_final=True, content="Your name is Olivia.")
        chunk = await again.wait_for("tts_chunk", is_last=False)
        assert chunk["format"] == ("linear16" if manner == "sdk" else "wav")
        # a retry while the old one still seems to be there takes its place
        async with connected(server.url, "voice_7", config_id="assistant") as third:
            assert (await third.wait_for("connection_metadata"))["session_id"] == opened["session_id"]
            async with asyncio.timeout(5):
                await again.closed.wait()
            assert again.socket.close_code == 4409
            await third.send(type="text_input", text="what is my name")
            await third.wait_for("llm_response_chunk", is_final=True, content="Your name is Olivia.")
            assert "thinking" in {m["status"] for m in third.of("status")}
            await third.wait_for("status", status="listening")
    await no_sessions(server)
    async with connected(server.url, "voice_7", config_id="assistant") as new:
        assert (await new.wait_for("connection_metadata"))["session_id"] != opened["session_id"], "it was closed"
    await no_sessions(server)  # the other manner goes by the same name


async def test_a_name_is_its_tenants(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        key = "oak_" + g.key.removeprefix("sk_")
        colleague, _ = await g.keys.create("colleague")
        stranger, _ = await g.keys.create("stranger", tenant="other")
        token = await g.token()
        begun = {"config_id": "mara", "authorization": f"Bearer {token}"}
        async with connected(g.server.url, "mine", **begun) as client:
            opened = await client.wait_for("connection_metadata")
            for bad, code in ((stranger, 4404), ("oak_nonsense_x", 4401), ("", 4401)):
                for name in ("mine", "nobodys"):
                    # the same answer, whether there is such a connection or not
                    async with connected(g.server.url, name, config_id="mara", api_key=bad) as refused:
                        await refused.closed.wait()
                        assert refused.socket.close_code == code, name
            cut(client)
        # the token is used up; who shows it again is who began
        same = {"config_id": "mara", "api_key": colleague}
        for query in (begun, same, {"config_id": "mara", "api_key": key}):
            async with connected(g.server.url, "mine", **query) as again:
                assert (await again.wait_for("connection_metadata"))["session_id"] == opened["session_id"]
                cut(again)


async def test_a_key_and_a_server_that_are_busy_have_codes_of_their_own(tmp_path: Path) -> None:
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", max_calls=2, agents=[Agent("mara")])
    async with Database.open(settings.database) as database, running_server(settings) as server:
        one, _ = await Keys(database).create("one", max_calls=1)
        several, _ = await Keys(database).create("several")
        await server.ready(60)
        taken: list[EviClient] = []
        async with contextlib.AsyncExitStack() as held:
            for key, code in ((one, 0), (one, 4429), (several, 0), (several, 4503)):
                client = connected(server.url, config_id="mara", api_key=key.replace("sk_", "oak_"))
                if not code:
                    taken.append(await held.enter_async_context(client))
                    await taken[-1].wait_for("connection_metadata")
                    continue
                async with client as refused:
                    error = await refused.wait_for("error")
                    assert (error["error_code"], error["message"][-1]) == ("CONNECTION_FAILED", ".")
                    async with asyncio.timeout(5):
                        await refused.closed.wait()
                    assert refused.socket.close_code == code


async def test_a_turn_is_told_with_its_words(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with connected(server.url, config_id="assistant") as client:
        await client.send(**SDK)
        await client.speak(sentence("what is seven plus five"))
        result = await client.wait_for("turn_complete")
        assert result["transcript"] == "what is seven plus five"
        assert result["turn_result"]["reasons"]
        assert 0 <= result["turn_result"]["confidence"] <= 1


async def test_the_client_says_when_a_turn_ends(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with connected(server.url, config_id="assistant") as client:
        await client.send(type="session_settings", data={"turn_detection": {"enabled": False}})
        await client.speak(sentence("what is seven plus five"), pause_s=2)
        assert not client.of("turn_complete")
        await client.send(type="end_turn")
        assert (await client.wait_for("turn_complete"))["transcript"] == "what is seven plus five"


async def test_the_sdks_player_is_waited_for(server: Server) -> None:
    """It is made half a second after the settings: what came before that would be lost."""
    async with connected(server.url, config_id="greeter") as client:
        await client.wait_for("connection_metadata")
        await client.send(**SDK)
        await client.wait_for("tts_chunk")
        settled_s = client.times[0]
        first_s = next(t for m, t in zip(client.messages, client.times, strict=True) if m["type"] == "tts_chunk")
        assert first_s - settled_s >= 0.55
    async with connected(server.url, config_id="greeter") as client:
        await client.wait_for("connection_metadata")
        await client.send(**SDK)
        await client.socket.send_bytes(bytes(4096))  # the microphone, and so the player, is there
        await client.wait_for("tts_chunk")
    await no_sessions(server)
