"""Recordings that are uploaded cost what they are worth: little memory, few at once, nothing once nobody wants them."""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path

import aiohttp
import av
import numpy as np
import psutil
import pytest

from bench.hostile import attacked_server
from media_server.audio import MODEL_RATE_HZ, read_wav
from media_server.engines.guards import windows
from media_server.http.uploads import MOST, Upload
from tests.conftest import sentence_file


def silence(minutes: int) -> bytes:
    """A small file of many minutes."""
    made = io.BytesIO()
    with av.open(made, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono")
        for i in range(minutes * 60):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, i * 16_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


async def test_pieces_are_those_of_the_whole() -> None:
    whole = np.concatenate([read_wav(sentence_file("what time is it"), MODEL_RATE_HZ)] * 90)
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=MODEL_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), "s16", "mono")
        frame.sample_rate = MODEL_RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    upload = Upload(file)
    await upload.measure()
    assert upload.duration_s == pytest.approx(len(whole) / MODEL_RATE_HZ, abs=0.01)
    pieces = [piece async for piece in upload.pieces(25.0)]
    assert [len(p) for p in pieces] == [len(p) for _, p in windows(whole, 25.0)]
    assert np.array_equal(np.concatenate(pieces), whole)


async def test_many_small_files_of_an_hour_take_little_memory_and_stop_with_their_clients(tmp_path: Path) -> None:
    file = silence(58)
    assert len(file) < 700_000
    async with attacked_server(tmp_path) as server:
        process = psutil.Process(server.process.pid)
        before, most = process.memory_info().rss, 0

        async def one(http: aiohttp.ClientSession) -> int:
            form = aiohttp.FormData()
            form.add_field("file", file, filename="x.flac")
            async with http.post("/v1/audio/transcriptions", data=form) as answer:
                return answer.status

        async with aiohttp.ClientSession(server.url) as http:
            asking = [asyncio.create_task(one(http)) for _ in range(MOST + 4)]
            for _ in range(40):
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.1)
            refused = [task.result() for task in asking if task.done()]
            assert refused.count(503) >= 4
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        assert (most - before) / 2**20 < 60
        async with aiohttp.ClientSession(server.url) as http, asyncio.timeout(60):
            # who comes afterwards does not wait for what nobody wants any more
            form = aiohttp.FormData()
            form.add_field("file", sentence_file("yes").read_bytes(), filename="x.wav")
            while True:
                async with http.post("/v1/audio/transcriptions", data=form) as answer:
                    if answer.status == 200:
                        break
                form = aiohttp.FormData()
                form.add_field("file", sentence_file("yes").read_bytes(), filename="x.wav")
                await asyncio.sleep(0.2)


async def test_heads_and_names_of_parts_count_as_well(tmp_path: Path) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    async with attacked_server(tmp_path) as server, aiohttp.ClientSession(server.url) as http:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        status = 0
        await server.gaps()  # those of the start do not count
        with contextlib.suppress(aiohttp.ClientError):
            async with http.post("/v1/audio/transcriptions", data=part * 400_000, headers=headers) as answer:
                status = answer.status
        assert status == 400
        _, work_s = await server.gaps()
        assert work_s < 0.1
