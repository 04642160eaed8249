"""The recogniser and the voice by themselves."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, resample, write_wav
from media_server.engines import engines as pack_engines
from media_server.engines.messages import Transcript
from media_server.server import Server
from tests.conftest import sentence_file
from tests.integration.test_access import guarded


async def test_text_to_speech_and_back(server: Server, hear: Callable[[Samples], str]) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/v1/audio/voices") as response:
            assert [voice["id"] for voice in (await response.json())["voices"]] == ["default", "calm"]
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
    "body", [{}, {"input": ""}, {"input": "x", "speed": 9}, {"input": "x", "response_format": "midi"}, {"input": 3}]
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
        assert engines.can_transcribe_early


async def test_where_memory_is_short_recordings_come_after_what_callers_say(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = server.engines
    monkeypatch.setattr(pack_engines, "available_bytes", lambda: 0)
    monkeypatch.setattr(engines.recordings.client, "pid", None)
    noise = np.zeros(MODEL_RATE_HZ, np.int16)
    async with asyncio.TaskGroup() as group:
        recording = group.create_task(engines.transcribe(noise, final=True, live=False))
        await asyncio.sleep(0)
        assert engines.stt.pending_requests == 1
        assert engines.can_transcribe_early
        await recording


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
    async with asyncio.timeout(30):
        while server.engines.recordings.client.pending_requests:  # noqa: ASYNC110 - nobody tells when a request is over
            await asyncio.sleep(0.05)
    assert pieces < 28


SDK = {"Accept": "audio/*"}
SAID = ["what", "is", "seven", "plus", "five"]


@pytest.mark.parametrize(
    ("wanted", "headers", "kind", "rate_hz"),
    [
        ({}, {}, "audio/wav", 48_000),
        ({"response_format": "wav", "sample_rate": 16_000}, {}, "audio/wav", 16_000),
        ({"response_format": "pcm"}, {}, "audio/pcm", 24_000),
        ({"response_format": "pcm", "sample_rate": 16_000}, {}, "audio/pcm", 16_000),
        ({"response_format": "mp3"}, {}, "audio/mpeg", 24_000),
        ({"response_format": "opus"}, {}, "audio/ogg", 48_000),
        # as Pinecall's SDK asks: raw sound at 16 kHz where nothing else is said
        ({}, SDK, "audio/pcm", 16_000),
        ({"response_format": "pcm", "sample_rate": 24_000}, SDK, "audio/pcm", 24_000),
        ({"response_format": "mp3"}, SDK, "audio/mpeg", 24_000),
    ],
)
async def test_speech_comes_in_the_form_that_is_asked_for(
    server: Server, wanted: dict[str, Any], headers: dict[str, str], kind: str, rate_hz: int
) -> None:
    body = {"input": "Yes.", **wanted}
    async with (
        aiohttp.ClientSession(server.url, headers=headers) as http,
        http.post("/v1/audio/speech", json=body) as response,
    ):
        assert (response.status, response.content_type) == (200, kind)
        assert response.headers["x-sample-rate"] == str(rate_hz)
        data = await response.read()
    samples = np.frombuffer(data, np.int16) if kind == "audio/pcm" else read_wav(io.BytesIO(data), rate_hz)
    assert 0.2 < len(samples) / rate_hz < 2


async def test_words_come_with_their_times(server: Server) -> None:
    text = "Seven plus five is twelve."
    body = {"input": text, "voice": "elevenlabs/sarah", "timestamps": True}
    async with aiohttp.ClientSession(server.url, headers={"Accept": "text/event-stream"}) as http:
        async with http.post("/v1/audio/speech", json=body) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            lines = [line[6:] for line in (await response.text()).split("\n\n") if line]
        assert lines.pop() == "[DONE]"
        start, *between, done = [json.loads(line) for line in lines]
        assert (start["type"], start["format"], start["sample_rate"]) == ("start", "pcm", 16_000)
        words = [x for x in between if x["type"] == "word"]
        assert [w["word"] for w in words] == text.split()
        assert all(a["end"] <= b["start"] + 0.01 for a, b in itertools.pairwise(words))
        sound = b"".join(base64.b64decode(x["data"]) for x in between if x["type"] == "audio")
        assert done["audio_ms"] / 1000 == pytest.approx(len(sound) / 32_000, abs=0.1)
        async with http.post("/v1/audio/speech", json={"input": ""}) as response:
            refused = await response.json()
        assert response.status == 400
        assert refused["error"] == refused["message"], "its client shows it where it is a string"


async def test_transcripts_come_in_the_form_that_is_asked_for(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:

        async def transcribe(**fields: str) -> tuple[int, str, str]:
            form = aiohttp.FormData(fields)
            form.add_field("file", sentence_file("what is seven plus five").read_bytes(), filename="a.wav")
            async with http.post("/v1/audio/transcriptions", data=form) as response:
                return response.status, response.content_type, await response.text()

        assert await transcribe(response_format="text") == (200, "text/plain", "what is seven plus five")
        said = json.loads((await transcribe(response_format="verbose_json"))[2])
        assert [w["word"] for w in said["words"]] == SAID
        (segment,) = said["segments"]
        assert (segment["id"], segment["text"], segment["start"] < segment["end"]) == (0, said["text"], True)
        assert (await transcribe(response_format="srt"))[2].startswith("1\n00:00:00,000 --> 00:00:0")
        assert (await transcribe(response_format="vtt"))[2].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:0")
        for wrong, code in (({"response_format": "morse"}, "bad_request"), ({"diarize": "true"}, "not_supported")):
            status, _, text = await transcribe(**wrong)
            refused = json.loads(text)
            assert (status, refused["code"], refused["error"]["code"]) == (400, code, code)


async def test_live_sound_is_written_down(server: Server) -> None:
    sound = read_wav(sentence_file("what is seven plus five"), MODEL_RATE_HZ)
    pause = np.zeros(MODEL_RATE_HZ, np.int16)
    async with aiohttp.ClientSession(server.url) as http:
        async with http.ws_connect("/v1/audio/transcriptions/stream", params={"sample_rate": "16000"}) as socket:
            ready = await socket.receive_json()
            assert (ready["type"], ready["sample_rate"]) == ("ready", 16_000)
            data = np.concatenate([sound, pause, sound]).tobytes() + b"\0"
            for at in range(0, len(data), 3201):
                await socket.send_bytes(data[at : at + 3201])
            await socket.send_str("nonsense")
            await socket.send_json({"type": "stop"})
            got = [json.loads(message.data) async for message in socket]
        assert got.pop()["type"] == "done"
        finals = [x for x in got if x["type"] == "final"]
        assert [x["text"] for x in finals] == ["what is seven plus five"] * 2
        assert finals[1]["start"] > finals[0]["end"] - 0.1
        assert [w["word"] for w in finals[1]["words"]] == SAID
        assert [x["code"] for x in got if x["type"] == "warning"] == ["bad_message"]
        for wrong in ({"sample_rate": "1"}, {"encoding": "morse"}, {"language": "klingonese"}, {"diarize": "true"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect("/v1/audio/transcriptions/stream", params=wrong)
            assert refused.value.status == 400


async def test_words_come_with_their_times_also_where_no_form_is_asked_for(server: Server) -> None:
    async with (
        aiohttp.ClientSession(server.url) as http,
        http.post("/v1/audio/speech", json={"input": "Hello.", "timestamps": True}) as response,
    ):
        assert response.status == 200
        start = json.loads((await response.text()).split("\n\n")[0].removeprefix("data: "))
    assert (start["format"], start["sample_rate"]) == ("pcm", 24_000)
