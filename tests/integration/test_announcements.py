"""The voice in calls: long texts, several listeners, and models that write slowly."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable

import aiohttp
import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, Samples, read_wav
from media_server.call import hurry
from media_server.caller import Caller
from media_server.server import Server
from tests.conftest import no_sessions

SENTENCE = "The office in the town hall is open from nine in the morning to six in the evening."
LONG = " ".join([SENTENCE] * 60)[:3999]
SHORT = "Yes, the light is on."


async def idle(server: Server, timeout_s: float = 5) -> None:
    """Wait until the voice has nothing to do."""
    async with asyncio.timeout(timeout_s):
        while server.engines.tts.pending_requests:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def first_sound_s(caller: Caller, text: str) -> float:
    since, began_s = len(caller.events), time.monotonic()
    caller.send(type="agent.say", text=text)
    await caller.wait_for("agent.speech_started", since=since)
    return time.monotonic() - began_s


async def test_a_long_text_begins_with_its_first_clause(caller: Caller, server: Server) -> None:
    assert await first_sound_s(caller, LONG) < 4
    first = await caller.wait_for("agent.segment_started")
    assert SENTENCE.startswith(first["text"]), "and no more than its first sentence"
    await caller.wait_for("agent.segment_started", lambda e: e["segment"] == 1)
    caller.send(type="agent.interrupt")
    stopped = await caller.wait_for("agent.speech_stopped")
    assert stopped["reason"] == "interrupted"
    assert stopped["heard"]
    assert LONG.startswith(stopped["heard"])
    assert len(stopped["heard"]) < 400
    await idle(server)


async def test_a_text_of_several_sentences_is_one_thing_that_is_said(caller: Caller) -> None:
    text = "Hello there! This is the desk, and it is open. Bye."
    caller.send(type="agent.say", text=text)
    caller.send(type="agent.say", text="Seven.")
    first = await caller.wait_for("agent.speech_stopped", timeout_s=30)
    assert (first["reason"], first["heard"]) == ("completed", text)
    await caller.wait_for("agent.speech_stopped", lambda e: e["turn_id"] != first["turn_id"], timeout_s=30)
    assert [e["text"] for e in caller.of("agent.text")] == [text, "Seven."]
    assert " ".join(e["text"] for e in caller.of("agent.word") if e["turn_id"] == first["turn_id"]) == text
    segments = [e for e in caller.of("agent.segment_stopped") if e["turn_id"] == first["turn_id"]]
    assert " ".join(e["heard"] for e in segments) == text
    starts = [e["start_s"] for e in caller.of("agent.word") if e["turn_id"] == first["turn_id"]]
    assert starts == sorted(starts)


async def test_others_are_heard_while_a_long_text_is_read_out(caller: Caller, server: Server) -> None:
    async with Caller(server.url) as other:
        await other.wait_for("state.changed", lambda e: e["state"] == "listening")
        caller.send(type="agent.say", text=LONG)
        assert await first_sound_s(other, SHORT) < 4
        stopped = await other.wait_for("agent.speech_stopped")
        assert stopped["heard"] == SHORT
        caller.send(type="agent.interrupt")
        await idle(server)


async def test_what_is_interrupted_takes_no_time_from_others(caller: Caller, server: Server) -> None:
    async with Caller(server.url) as other:
        await other.wait_for("state.changed", lambda e: e["state"] == "listening")
        caller.send(type="agent.say", text="a" * 3999)
        await asyncio.sleep(0.2)
        caller.send(type="agent.interrupt")
        assert await first_sound_s(other, SHORT) < 4
        await other.wait_for("agent.speech_stopped")
    await idle(server)


@pytest.mark.parametrize("text", ["x\0y \x1b[1m", "a\u2028b\u202ec", "😀👍🏽🎉", "\x01\x02"])
async def test_odd_characters_end_nothing(caller: Caller, server: Server, text: str) -> None:
    host = server.engines.tts.pid
    caller.send(type="agent.say", text=text)
    caller.send(type="agent.say", text="Seven.")
    await caller.wait_for("agent.speech_stopped", lambda e: e["heard"] == "Seven.", timeout_s=20)
    assert server.engines.tts.pid == host
    assert not caller.of("error")
    assert not caller.of("warning")


async def test_a_slow_answer_is_spoken_while_it_is_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hurry, "HURRY_S", 1.2)
    async with Caller(server.url, "slowly") as caller:
        await caller.wait_for("state.changed", lambda e: e["state"] == "listening")
        caller.send(type="text.send", text="hello")
        await caller.wait_for("agent.speech_started", timeout_s=20)
        assert not caller.of("agent.text"), "it is not written to its end yet"
        stopped = await caller.wait_for("agent.speech_stopped", timeout_s=30)
        assert stopped["heard"] == caller.of("agent.text")[0]["text"]
        assert not caller.of("warning")
    await no_sessions(server)


async def test_a_file_is_made_piece_by_piece_behind_callers(caller: Caller, server: Server) -> None:
    body = {"input": LONG, "response_format": "pcm"}
    async with aiohttp.ClientSession(server.url) as http, http.post("/v1/audio/speech", json=body) as response:
        assert await response.content.readexactly(2 * 24_000), "what is made is sent"
        async with asyncio.timeout(10):
            while server.engines.tts.pending_requests > 1:  # noqa: ASYNC110 - phrases are prepared at the start
                await asyncio.sleep(0.02)
        assert server.engines.tts.pending_requests == 1
        assert await first_sound_s(caller, SHORT) < 4
    await idle(server)


async def test_a_file_is_not_made_for_a_client_that_is_gone(server: Server) -> None:
    for kind in ("wav", "pcm"):
        async with aiohttp.ClientSession(server.url) as http:
            asking = asyncio.create_task(
                http.post("/v1/audio/speech", json={"input": LONG, "response_format": kind}).__aenter__()
            )
            async with asyncio.timeout(10):
                while not server.engines.tts.pending_requests:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.01)
            asking.cancel()
        await idle(server)


async def test_files_of_any_text(server: Server) -> None:
    text = f"{SENTENCE} x\0y. {SENTENCE}"
    async with aiohttp.ClientSession(server.url) as http:
        async with http.post("/v1/audio/speech", json={"input": text}) as response:
            assert response.status == 200
            wav = read_wav(io.BytesIO(await response.read()), CALL_RATE_HZ)
        async with http.post("/v1/audio/speech", json={"input": text, "response_format": "pcm"}) as response:
            pcm = np.frombuffer(await response.read(), np.int16)
        assert 0.8 < (len(pcm) / 24_000) / (len(wav) / CALL_RATE_HZ) < 1.25
        for kind, empty in (("wav", 44), ("pcm", 0)):
            async with http.post("/v1/audio/speech", json={"input": "😀\0", "response_format": kind}) as response:
                assert (response.status, len(await response.read())) == (200, empty)


async def test_a_soft_sound_fills_the_wait_and_a_notice_within_an_answer_is_heard_to_its_end(
    server: Server, sentence: Callable[[str], Samples]
) -> None:
    async with Caller(server.url, "humming") as caller:
        before = len(caller.recording())
        caller.send(type="text.send", text="look it up")
        await caller.wait_for("state.changed", lambda e: e["state"] == "agent_speaking")
        waited = np.abs(caller.recording()[before:].astype(np.int32))
        assert 200 < waited.max() < 1500
        await caller.wait_for("agent.word", lambda e: e["text"] == "cannot")
        caller.speak(sentence("what is seven plus five"))
        stopped = await caller.wait_for("agent.speech_stopped")
        assert stopped["heard"].startswith("You cannot stop this notice.")
        await caller.wait_for("user.transcript", lambda e: e["final"] and "seven plus five" in e["text"])
    await no_sessions(server)


async def test_code_is_said_to_be_there_and_remembered(caller: Caller) -> None:
    since = len(caller.events)
    caller.send(type="agent.say", text="Look here.\n```python\nx = 123456\n```\nThat is all.")
    stopped = await caller.wait_for("agent.speech_stopped", since=since)
    assert stopped["heard"] == "Look here. ```python x = 123456\n``` That is all."
    words = [e["text"] for e in caller.events[since:] if e["type"] == "agent.word"]
    assert words == ["Look", "here.", "```python", "That", "is", "all."]
