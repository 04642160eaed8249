"""Speechmatics Flow over its WebSocket: a client written after its description, and what it gets wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.config import Settings
from media_server.doors.flow.dialect import Flow
from media_server.events import ToolResult
from media_server.server import Server, running_server
from tests import sockets
from tests.conftest import no_sessions
from tests.integration.test_access import guarded
from tests.sockets import SocketClient

RATE = 16_000
LOOKUP = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "description": "Get the status of an order",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
    },
}


LONG = {"type": "object", "description": "m" * 1000}
TOO_MANY_TOOLS = json.dumps(
    {
        "message": "StartConversation",
        "conversation_config": {"template_id": "default"},
        "tools": [{"type": "function", "function": {"name": f"f{i}", "parameters": LONG}} for i in range(70)],
    }
)


class FlowClient(SocketClient):
    kind_key = "message"

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(socket)
        self.sounds = 0
        self.acknowledge = True

    async def heard(self, sound: bytes) -> None:
        self.sounds += 1
        if self.acknowledge:
            await self.send("AudioReceived", seq_no=self.sounds, buffering=0.01)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"message": kind, **fields})

    async def start(self, template: str = "default", **more: Any) -> None:
        await self.send(
            "StartConversation", conversation_config={"template_id": template, **more.pop("config", {})}, **more
        )

    async def speak(self, samples: Samples, pause_s: float = 0.8) -> int:
        """A sentence and silence; how many messages it took."""
        data = np.concatenate(
            [resample(samples, CALL_RATE_HZ, RATE), np.zeros(int(pause_s * RATE), np.int16)]
        ).tobytes()
        return await self.speak_bytes(data, 2048, 2 * RATE)


def connected(url: str, auth: str = "", **query: str) -> contextlib.AbstractAsyncContextManager[FlowClient]:
    headers = {"Authorization": f"Bearer {auth}"} if auth else {}
    return sockets.connected(FlowClient, f"{url}/v1/flow", headers, **query)


async def test_a_client_that_is_given_an_address_alone(server: Server) -> None:
    async with sockets.connected(FlowClient, f"{server.url}/") as client:
        await client.start()
        assert await client.wait_for("ConversationStarted")
        await client.send("AudioEnded", last_seq_no=0)
        await client.wait_for("ConversationEnded")
    await no_sessions(server)


async def test_a_conversation_in_flows_own_words(
    server: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with connected(server.url) as client:
        variables = {"template_variables": {"timezone": "UTC"}}
        audio = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE}
        await client.start("flow-service-assistant-amelia", config=variables, audio_format=audio)
        started = await client.wait_for("ConversationStarted")
        assert client.messages[0] is started
        assert started["id"] == started["asr_session_id"]
        assert started["language_pack_info"]["word_delimiter"] == " "
        sent = await client.speak(sentence("what is seven plus five"))
        partial = client.of("AddPartialTranscript")[-1]
        final = await client.wait_for("AddTranscript")
        for transcript in (partial, final):
            assert transcript["format"] == "2.9"
            assert transcript["metadata"]["transcript"].endswith(" ")
            assert 0 < transcript["metadata"]["start_time"] < transcript["metadata"]["end_time"]
            assert all(r["alternatives"][0]["speaker"] == "S1" for r in transcript["results"])
        *words, mark = final["results"]
        assert [w["alternatives"][0]["content"] for w in words] == ["what", "is", "seven", "plus", "five"]
        assert all(w["type"] == "word" and 0 < w["start_time"] < w["end_time"] for w in words)
        assert (mark["type"], mark["attaches_to"], mark["is_eos"]) == ("punctuation", "previous", True)
        said, pieces = "", 0
        while not said.endswith("twelve."):  # a model that is slow is spoken before its sentence is whole
            pieces += 1
            await client.nth("ResponseCompleted", pieces)
            begun, done = client.of("ResponseStarted")[-1], client.of("ResponseCompleted")[-1]
            assert done["content"] == begun["content"]
            assert 0 < begun["start_time"] == done["start_time"] < done["end_time"]
            said = f"{said} {done['content']}".strip()
        assert said == "Seven plus five is twelve."
        assert [m["seq_no"] for m in client.of("AudioAdded")][:sent] == list(range(1, sent + 1))
        voice = resample(np.frombuffer(client.sound, np.int16), RATE, CALL_RATE_HZ)
        assert hear(voice) == "seven plus five is twelve"
        await client.send("AudioEnded", last_seq_no=sent)
        await client.wait_for("ConversationEnded")
        assert not client.of("ConversationEnding"), "that is for an agent that hangs up"
        assert not client.of("Warning") + client.of("Error")
    await no_sessions(server)


async def test_what_was_said_last_is_still_understood(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with connected(server.url) as client:
        await client.start()
        await client.wait_for("ConversationStarted")
        data = resample(sentence("what is seven plus five"), CALL_RATE_HZ, RATE).tobytes()
        for i in range(0, len(data), 2048):
            await client.socket.send_bytes(data[i : i + 2048])
        await client.send("AudioEnded", last_seq_no=1)
        await client.wait_for("ConversationEnded")
        assert client.of("AddTranscript")[0]["metadata"]["transcript"] == "what is seven plus five "


@pytest.mark.parametrize(
    ("status", "content", "says"),
    [
        ("ok", '"shipped"', "Shipped."),
        ("ok", "shipped", "Shipped."),
        ("failed", "no connection", "I am sorry, that did not work: no connection."),
        ("rejected", None, "I am sorry, that did not work: "),
        ("ok", "<NO_RESPONSE_REQUIRED/>", None),
    ],
)
async def test_tools_run_in_the_client(
    server: Server, sentence: Callable[[str], Samples], status: str, content: str | None, says: str | None
) -> None:
    async with connected(server.url) as client:
        await client.start(tools=[LOOKUP])
        await client.wait_for("ConversationStarted")
        await client.speak(sentence("where is my order four two seven"))
        invoked = await client.wait_for("ToolInvoke")
        assert invoked["type"] == "function"
        assert invoked["function"] == {"name": "get_order_status", "arguments": {"order_id": "427"}}
        answer = {"content": content} if content is not None else {}
        await client.send("ToolResult", id=invoked["id"], status=status, **answer)
        if says is None:
            await asyncio.sleep(0.7)
            assert not client.of("ResponseStarted")
        else:
            await client.nth("ResponseCompleted", says.count(",") + 1)
            assert " ".join(m["content"] for m in client.of("ResponseCompleted")).startswith(says)
        await client.send("ToolResult", id="nothing", status="ok", content="x")
        assert (await client.wait_for("Warning"))["type"] == "protocol_error"


async def test_input_waits_or_interrupts(server: Server) -> None:
    """What the starter model makes of an instruction is a greeting; that it is asked, and when, is what counts."""
    async with connected(server.url) as client:
        await client.start(
            "greeter", config={"template_variables": {"name": "Olivia", "other": "Welcome to the shop."}}
        )
        await client.wait_for("ConversationStarted")
        await client.wait_for("ResponseStarted", content="Hello Olivia!")
        # queued behind what is being said, and then cut into
        await client.send("AddInput", input="greet the caller", immediate=True)
        await client.nth("ResponseStarted", 3)
        assert not client.of("ResponseInterrupted"), "it was finished first"
        assert [m["content"] for m in client.of("ResponseCompleted")] == ["Hello Olivia!", "Welcome to the shop."]
        before = len(client.messages)
        await asyncio.sleep(0.3)
        await client.send("AddInput", input="greet the caller", immediate=True, interrupt_response=True)
        cut = await client.wait_for("ResponseInterrupted", since=before)
        assert cut["start_time"] == client.of("ResponseStarted")[2]["start_time"]
        await client.nth("ResponseStarted", 4)
        before = len(client.messages)
        await client.send("AddInput", input="be brief")
        await asyncio.sleep(0.3)
        assert not [m for m in client.messages[before:] if m["message"] in ("AddTranscript", "ResponseInterrupted")]
        assert not client.of("AddTranscript"), "nobody said it"
        await client.send("AudioEnded", last_seq_no=0)
        await client.wait_for("ConversationEnded")
        begun, over = client.of("ResponseStarted"), client.of("ResponseCompleted") + client.of("ResponseInterrupted")
        assert sorted(m["start_time"] for m in begun) == sorted(m["start_time"] for m in over)


async def test_the_callers_voice_interrupts(server: Server, sentence: Callable[[str], Samples]) -> None:
    async with connected(server.url) as client:
        client.acknowledge = False
        await client.start()
        await client.wait_for("ConversationStarted")
        await client.speak(sentence("what can you do"))
        await client.wait_for("ResponseStarted")
        await asyncio.sleep(0.5)
        await client.speak(sentence("what is my name"))
        cut = await client.wait_for("ResponseInterrupted")
        assert cut["content"]
        (_, second) = client.of("AddTranscript")
        assert second["metadata"]["transcript"] == "what is my name "


@pytest.mark.parametrize("content", ["[" * 100_000, '"\\ud800"', "9" * 10_000])
def test_a_result_that_is_no_json_is_text(content: str) -> None:
    message = json.dumps({"message": "ToolResult", "id": "a", "status": "ok", "content": content})
    assert [m.result for m in Flow().incoming(message) if isinstance(m, ToolResult)] == [content]


@pytest.mark.parametrize(
    ("first", "kind", "reason"),
    [
        ("hello", "protocol_error", "Invalid JSON"),
        ('{"message": "AudioEnded"}', "protocol_error", "must be StartConversation"),
        ('{"message": "StartConversation"}', "protocol_error", "conversation_config"),
        ('{"message": "StartConversation", "conversation_config": {"template_id": "x"}}', "config_error", "no agent"),
        (
            '{"message": "StartConversation", "conversation_config": {"template_id": "default"},'
            ' "audio_format": {"type": "raw", "encoding": "mp3", "sample_rate": 16000}}',
            "protocol_error",
            "encoding",
        ),
        (
            '{"message": "StartConversation", "conversation_config": {"template_id": "default"},'
            ' "tools": [{"type": "function", "function": {"name": "a b"}}]}',
            "protocol_error",
            "name",
        ),
        (
            TOO_MANY_TOOLS,
            "config_error",
            "more than 65536 characters",
        ),
    ],
)
async def test_a_bad_beginning_is_an_error_and_the_end(server: Server, first: str, kind: str, reason: str) -> None:
    async with connected(server.url) as client:
        await client.socket.send_str(first)
        error = await client.wait_for("Error")
        assert error["type"] == kind
        assert reason in error["reason"]
        async with asyncio.timeout(5):
            await client.closed.wait()
        assert client.socket.close_code == 1008
    await no_sessions(server)


async def test_nonsense_later_is_a_warning(server: Server) -> None:
    async with connected(server.url) as client:
        await client.start()
        await client.wait_for("ConversationStarted")
        for text in (
            "hello",
            '{"message": "Nothing"}',
            '{"message": "AddInput"}',
            '{"message": "AddInput", "input": ""}',
        ):
            before = len(client.messages)
            await client.socket.send_str(text)
            warning = await client.wait_for("Warning", since=before)
            assert (warning["type"], bool(warning["reason"])) == ("protocol_error", True)
        before = len(client.messages)
        await client.start()
        assert "started already" in (await client.wait_for("Warning", since=before))["reason"]
        await client.send("AddInput", input="greet the caller", immediate=True)
        await client.wait_for("ResponseStarted")


async def test_keys_and_short_keys(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        url = g.server.url
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(url):
                pass
        assert refused.value.status == 401
        async with connected(url, jwt="nonsense") as client:
            await client.start("mara")
            assert (await client.wait_for("Error"))["type"] == "not_authorised"
        headers = {"Authorization": f"Bearer {g.key}"}
        async with g.http.post(
            f"{url}/v1/api_keys?type=flow", json={"ttl": 300, "sm-sdk": "x"}, headers=headers
        ) as made:
            assert made.status == 201
            short = (await made.json())["key_value"]
        async with g.http.post(f"{url}/api_keys?type=flow", json={"ttl": 5}, headers=headers) as refusal:
            assert refusal.status == 422
            assert {"code", "message"} <= (await refusal.json()).keys()
        async with g.http.post(f"{url}/api_keys?type=flow", json={"ttl": 300}) as refusal:
            assert refusal.status == 401
        for _ in range(2):
            async with connected(url, jwt=short, **{"sm-app": "x"}) as client:
                await client.start("mara")
                await client.wait_for("ConversationStarted")
            async with connected(url, auth=short) as client:
                await client.start("mara")
                await client.wait_for("ConversationStarted")
        async with g.http.get(f"{url}/v1/discovery/templates", headers=headers) as found:
            templates = (await found.json())["templates"]
        assert {"mara", "luna"} <= templates.keys()
        assert templates["mara"]["name"] == "mara"
        await no_sessions(g.server)


async def test_what_the_client_is_told_beside_the_conversation(tmp_path: Path) -> None:
    agents = [Agent("mara", max_duration_s=3, tell_prompts=True)]
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=agents)
    async with running_server(settings) as server:
        await server.ready(60)
        async with connected(server.url) as client:
            await client.start("mara", debug={"llm": True})
            limit = await client.wait_for("Info", type="conversation_duration_limit")
            assert limit["conversation_duration_limit"] == 3
            usage = await client.wait_for("Info", type="concurrent_session_usage")
            assert (usage["usage"], usage["quota"]) == (1, 32)
            assert usage["last_updated"]
            await client.send("AddInput", input="what is one plus two", immediate=True)
            prompted = (await client.wait_for("prompt"))["prompt"]
            assert prompted["prompt"][0]["role"] == "system"
            assert prompted["response"]
            assert (await client.wait_for("Debug"))["llm"]["response_ms"] >= 0
            changes = [m["event"] for m in client.of("Info") if m["type"] == "status_update"]
            assert {"prev_status": "listening", "status": "thinking"} in changes
            warning = await client.wait_for("Warning", type="conversation_termination")
            assert warning["conversation_termination"] == 2, "whole seconds, as it is documented"
            assert all(m["reason"] for m in client.messages if m["message"] in ("Info", "Warning"))
            await client.wait_for("ConversationEnded")
            assert len(client.of("ConversationEnding")) == 1
        async with connected(server.url) as client:
            await client.start("mara")
            await client.send("AddInput", input="what is one plus two", immediate=True)
            await client.wait_for("ResponseStarted")
            assert not client.of("prompt"), "not asked for"
            await client.send("AudioEnded", last_seq_no=0)


async def test_an_agent_that_hangs_up_finishes_what_it_says(server: Server) -> None:
    async with connected(server.url) as client:
        await client.start("assistant")
        await client.wait_for("ConversationStarted")
        (session,) = server.sessions._by_id.values()
        session.call.say("goodbye and have a nice day")
        session.call.hangup(after_speech=True)
        await client.wait_for("ConversationEnded")
        kinds = [m["message"] for m in client.messages]
        assert kinds.index("ConversationEnding") < kinds.index("ResponseCompleted") < kinds.index("ConversationEnded")
        async with asyncio.timeout(5):
            await client.closed.wait()
        assert client.socket.close_code == 1000


async def test_a_silent_caller_is_warned(server: Server) -> None:
    async with connected(server.url) as client:
        await client.start("curt")
        assert (await client.wait_for("Warning", type="idle_timeout"))["reason"]
        await client.wait_for("ConversationEnded")


async def test_more_calls_than_the_key_may_have(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        key, _ = await g.keys.create("one", max_calls=1)
        async with connected(g.server.url, auth=key) as first:
            await first.start("mara")
            usage = await first.wait_for("Info", type="concurrent_session_usage")
            assert (usage["usage"], usage["quota"]) == (1, 1)
            async with connected(g.server.url, auth=key) as second:
                await second.start("mara")
                assert (await second.wait_for("Error"))["type"] == "quota_exceeded"
            body = {"message": "StartConversation", "conversation_config": {"template_id": "mara"}}
            offer = body | {"sdp": "v=0\r\n"}
            async with g.http.post(
                f"{g.server.url}/v1/flow/webrtc", json=offer, headers={"Authorization": f"Bearer {key}"}
            ) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (429, "quota_exceeded")
                assert refused.headers["Retry-After"]
        await no_sessions(g.server)


async def test_sound_in_the_same_breath_is_acknowledged_once_the_conversation_has_started(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http, http.ws_connect("/v1/flow") as socket:
        await socket.send_json({"message": "StartConversation", "conversation_config": {"template_id": "default"}})
        for _ in range(5):
            await socket.send_bytes(bytes(640))
        kinds: list[str] = []
        while kinds.count("AudioAdded") < 5:
            kinds.append((await socket.receive_json())["message"])
        assert kinds[0] == "ConversationStarted"
