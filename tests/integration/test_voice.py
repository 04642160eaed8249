"""Calls over a WebSocket: sound in any format, kept in time; what was heard stays right."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.server import Server
from tests.conftest import no_sessions
from tests.sockets import SocketClient, connected

QUESTION = "what is seven plus five"


class SocketCaller(SocketClient):
    """A client that sends sound in real time."""

    async def send(self, **message: Any) -> None:
        await self.socket.send_json(message)

    async def speak(self, data: bytes, rate: int, chunk_s: float = 0.1) -> None:
        """Send bytes at so many a second, a chunk at a time."""
        await self.speak_bytes(data, int(rate * chunk_s), rate)


@contextlib.asynccontextmanager
async def calling(server: Server, agent: str = "assistant", **query: Any) -> AsyncIterator[SocketCaller]:
    async with connected(SocketCaller, f"{server.url}/v1/voice", agent=agent, **query) as caller:
        yield caller
    await no_sessions(server)


def quiet(seconds: float, rate: int) -> Samples:
    return np.zeros(int(seconds * rate), np.int16)


async def test_a_question_is_answered_over_a_websocket(
    server: Server, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    async with calling(server, voice_rate=24000) as caller:
        started = await caller.wait_for("call.started")
        assert started["transport"] == "websocket"
        spoken = resample(sentence(QUESTION), CALL_RATE_HZ, 16000)
        await caller.speak(np.concatenate([spoken, quiet(0.6, 16000)]).tobytes(), 32000)
        final = await caller.wait_for("user.transcript", final=True)
        assert final["text"] == QUESTION
        await caller.wait_for("agent.speech_stopped")
        await caller.send(type="call.end")
        assert (await caller.wait_for("call.ended"))["reason"] == "client_hangup"
        async with asyncio.timeout(5):
            await caller.closed.wait()
        assert [e["seq"] for e in caller.messages if "seq" in e] == list(range(len(caller.messages) - 1))
        answer = resample(np.frombuffer(caller.sound, np.int16), 24000, CALL_RATE_HZ)
        assert hear(answer) == "seven plus five is twelve"
        assert len(answer) / CALL_RATE_HZ < 4, "silence is not sent"


def as_floats(samples: Samples) -> bytes:
    stereo = np.repeat(samples[:, None], 2, axis=1)
    data: bytes = (stereo / 32768).astype("<f4").tobytes()
    return data


def as_mulaw(samples: Samples) -> bytes:
    """ITU-T G.711."""
    x = samples.astype(np.int32)
    sign = np.where(x < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(x), 32635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    data: bytes = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return data


@pytest.mark.parametrize(
    ("encoding", "rate", "channels", "encode", "second"),
    [("pcm_f32le", 44100, 2, as_floats, 44100 * 8), ("mulaw", 8000, 1, as_mulaw, 8000)],
)
async def test_sound_comes_in_other_formats(
    server: Server,
    sentence: Callable[[str], Samples],
    encoding: str,
    rate: int,
    channels: int,
    encode: Callable[[Samples], bytes],
    second: int,
) -> None:
    async with calling(server, sample_rate=rate, encoding=encoding, channels=channels) as caller:
        await caller.wait_for("call.started")
        spoken = np.concatenate([resample(sentence(QUESTION), CALL_RATE_HZ, rate), quiet(0.6, rate)])
        # chunks that end within a sample
        await caller.speak(encode(spoken), second, chunk_s=0.0701)
        assert (await caller.wait_for("user.transcript", final=True))["text"] == QUESTION


async def test_a_file_sent_at_once_is_heard_as_if_it_were_spoken(
    server: Server, sentence: Callable[[str], Samples]
) -> None:
    async with calling(server) as caller:
        await caller.wait_for("call.started")
        twice = [resample(sentence(QUESTION), CALL_RATE_HZ, 16000), quiet(2.5, 16000)]
        last = resample(sentence("what is my name"), CALL_RATE_HZ, 16000)
        # nothing follows: what does not come is silence
        data = np.concatenate([*twice, last]).tobytes()
        for at in range(0, len(data), 8000):
            await caller.socket.send_bytes(data[at : at + 8000])
        assert (await caller.wait_for("user.transcript", final=True))["text"] == QUESTION
        second = await caller.wait_for("user.transcript", final=True, turn_id="turn-2")
        assert second["text"] == "what is my name"
        times = [e["time"] for e in caller.messages if e["type"] == "user.speech_started"]
        assert times[1] - times[0] > 3, "it took the time that it takes to say"


@pytest.mark.parametrize("buffered_s", [None, 1.0])
async def test_what_was_heard_is_right_although_the_client_buffers(server: Server, buffered_s: float | None) -> None:
    async with calling(server) as caller:
        await caller.wait_for("call.started")
        await caller.send(type="text.send", text="what can you do")
        await caller.wait_for("agent.speech_started")
        await asyncio.sleep(1.5)
        if buffered_s:
            await caller.send(type="playback.ack", buffered_s=buffered_s)
            await asyncio.sleep(0.1)
        words = [e for e in caller.messages if e["type"] == "agent.word"]
        await caller.send(type="agent.interrupt")
        stopped = await caller.wait_for("agent.speech_stopped", reason="interrupted")
        heard = stopped["heard"].split()
        # 1.5 s and what was sent ahead, less what the client has still to play
        until = len(caller.sound) / 48000 - (0.9 if buffered_s else 0.1)
        middle = [w["text"] for w in words if (w["start_s"] + w["end_s"]) / 2 < until]
        assert abs(len(heard) - len(middle)) <= 1, (heard, middle, len(caller.sound) / 48000)
        assert len(heard) < len(words)
        sent = len(caller.sound)
        await asyncio.sleep(0.4)
        assert len(caller.sound) - sent < 0.1 * 48000, "it is silent at once"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"agent": "nobody"}, 404),
        ({"sample_rate": "4000"}, 400),
        ({"encoding": "mp3"}, 400),
        ({"channels": "3"}, 400),
        ({"metadata": "{"}, 400),
        ({"nonsense": "1"}, 400),
    ],
)
async def test_what_cannot_be_is_refused_before_the_call(server: Server, query: dict[str, str], status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with calling(server, **query):
            pass
    assert error.value.status == status
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/v1/voice?agent=assistant") as response:
        assert (await response.json())["error"]["code"] == "no_websocket"


async def test_nonsense_does_not_end_the_call(server: Server) -> None:
    async with calling(server, encoding="pcm_f32le") as caller:
        await caller.wait_for("call.started")
        await caller.socket.send_str("hello")
        assert (await caller.wait_for("error"))["code"] == "bad_message"
        await caller.socket.send_bytes(b"")
        await caller.socket.send_bytes(b"\xff" * 4001)
        await caller.send(type="playback.ack", buffered_s=-1)
        await caller.wait_for("error", since=len(caller.messages) - 1)
        await caller.send(type="text.send", text="what is one plus two")
        assert (await caller.wait_for("agent.speech_stopped"))["heard"] == "One plus two is three."


async def test_a_client_that_is_gone_ends_the_call(server: Server) -> None:
    async with calling(server) as caller:
        await caller.wait_for("call.started")
        assert len(server.sessions) == 1
        await caller.socket.close()
        await no_sessions(server, timeout_s=5)
