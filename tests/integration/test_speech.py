"""The recogniser and the voice by themselves."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, resample, write_wav
from media_server.engines import client
from media_server.engines.messages import ChatMessage, Transcript
from media_server.server import Server
from tests.conftest import sentence_file
from tests.integration.test_access import guarded


async def test_text_to_speech_and_back(server: Server, hear: Callable[[Samples], str]) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/v1/audio/voices") as response:
            assert (await response.json())["voices"]
        body = {"model": "tts-1", "voice": "alloy", "input": "Seven plus five is twelve."}
        async with http.post("/v1/audio/speech", json=body) as response:
            assert (response.status, response.content_type) == (200, "audio/wav")
            file = await response.read()
        assert hear(read_wav(io.BytesIO(file), CALL_RATE_HZ)) == "seven plus five is twelve"
        async with http.post("/v1/audio/speech", json=body | {"response_format": "pcm", "speed": 1.5}) as response:
            raw = np.frombuffer(await response.read(), np.int16)
        assert len(raw) / 24_000 < 0.8 * len(read_wav(io.BytesIO(file), CALL_RATE_HZ)) / CALL_RATE_HZ
        assert np.abs(resample(raw, 24_000, CALL_RATE_HZ)).max() > 1000
        form = aiohttp.FormData()
        form.add_field("model", "whisper-1")
        form.add_field("file", sentence_file("what is seven plus five").read_bytes(), filename="a.wav")
        async with http.post("/v1/audio/transcriptions", data=form) as response:
            said = await response.json()
        assert (said["text"], said["duration"] > 1) == ("what is seven plus five", True)


@pytest.mark.parametrize(
    "body", [{}, {"input": ""}, {"input": "x", "speed": 9}, {"input": "x", "response_format": "mp3"}, {"input": 3}]
)
async def test_bad_wishes_for_speech(server: Server, body: dict[str, object]) -> None:
    async with aiohttp.ClientSession(server.url) as http, http.post("/v1/audio/speech", json=body) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "bad_request")


async def test_bad_recordings(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        for content, code in ((b"nonsense", "bad_request"), (b"", "bad_request")):
            form = aiohttp.FormData()
            form.add_field("file", content, filename="a.wav")
            async with http.post("/v1/audio/transcriptions", data=form) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (400, code)
        form = aiohttp.FormData()
        form.add_field("other", b"x", filename="a.wav")
        async with http.post("/v1/audio/transcriptions", data=form) as response:
            assert "file" in (await response.json())["error"]["message"]
        form = aiohttp.FormData()
        form.add_field("file", sentence_file("hello").read_bytes(), filename="a.wav")
        form.add_field("language", "<|en|>")
        async with http.post("/v1/audio/transcriptions", data=form) as response:
            assert (response.status, "ISO 639" in (await response.json())["error"]["message"]) == (400, True)
        async with http.post("/v1/audio/transcriptions", json={}) as response:
            assert response.status == 415
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        async with http.post("/v1/audio/transcriptions", data=b"nonsense", headers=headers) as response:
            assert response.status == 400


async def test_only_with_a_key(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        for method, path in (("GET", "voices"), ("POST", "speech"), ("POST", "transcriptions")):
            async with g.http.request(method, f"{g.server.url}/v1/audio/{path}") as response:
                assert response.status == 401


async def test_recordings_wait_for_what_callers_say(server: Server) -> None:
    """A caller's words are there before any of three recordings that were there first."""
    engines = server.engines
    noise = np.random.default_rng(0).integers(-3000, 3000, 100 * MODEL_RATE_HZ).astype(np.int16)
    said = resample(read_wav(sentence_file("hello"), CALL_RATE_HZ), CALL_RATE_HZ, MODEL_RATE_HZ)
    async with asyncio.TaskGroup() as group:
        recordings = [group.create_task(engines.transcribe(noise, final=True, live=False)) for _ in range(3)]
        await asyncio.sleep(0)
        transcript = await engines.transcribe(said, final=True)
        assert transcript.text == "hello"
        assert not any(task.done() for task in recordings)
        assert engines.room_to_hear_ahead


async def test_recordings_wait_for_replies_but_not_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = server.engines
    noise = np.zeros(MODEL_RATE_HZ, np.int16)
    async with asyncio.TaskGroup() as group:
        async with engines.generate("call-1", (ChatMessage("user", "hello"),), 20) as pieces:
            recording = group.create_task(engines.transcribe(noise, final=True, live=False))
            await asyncio.sleep(0.2)
            assert engines.llm.under_way == 1
            assert not engines.stt.under_way
            assert [piece async for piece in pieces]
        await recording
        monkeypatch.setattr(client, "PATIENCE_S", 0.1)
        async with engines.generate("call-1", (ChatMessage("user", "hello"),), 20):
            async with asyncio.timeout(10):
                await engines.transcribe(noise, final=True, live=False)


async def test_a_recording_whose_client_is_gone_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(-3000, 3000, 700 * MODEL_RATE_HZ).astype(np.int16)
    file = io.BytesIO()
    write_wav(file, noise, MODEL_RATE_HZ)
    pieces = 0
    begun = asyncio.Event()
    transcribe = server.engines.transcribe

    async def counted(*args: Any, **kwargs: Any) -> Transcript:
        nonlocal pieces
        pieces += 1
        begun.set()
        return await transcribe(*args, **kwargs)

    monkeypatch.setattr(server.engines, "transcribe", counted)
    async with aiohttp.ClientSession(server.url) as http:
        form = aiohttp.FormData()
        form.add_field("file", file.getvalue(), filename="a.wav")
        asked = asyncio.ensure_future(http.post("/v1/audio/transcriptions", data=form))
        await begun.wait()
        asked.cancel()
    async with asyncio.timeout(10):
        while server.engines.stt.under_way:  # noqa: ASYNC110 - nobody tells when a request is over
            await asyncio.sleep(0.05)
    assert pieces < 28
