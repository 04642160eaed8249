"""The sound of a call: both sides, in time, and gone with its record."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import aiohttp
import av
import numpy as np
import pytest

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import running_server
from tests.conftest import no_sessions
from tests.integration.test_records import ended_record, get


def both_sides(ogg: bytes) -> tuple[Samples, Samples]:
    """The caller and the agent, 48 kHz."""
    with av.open(BytesIO(ogg), "r") as container:
        (stream,) = container.streams.audio
        assert (stream.codec_context.name, stream.codec_context.layout.name) == ("opus", "stereo")
        resampler = av.AudioResampler(format="s16p", layout="stereo", rate=CALL_RATE_HZ)
        parts = [f.to_ndarray() for frame in container.decode(stream) for f in resampler.resample(frame)]
    samples = np.concatenate(parts, axis=1)
    return samples[0], samples[1]


def onset_s(samples: Samples) -> float:
    return float(np.nonzero(np.abs(samples.astype(np.int32)) > 600)[0][0] / CALL_RATE_HZ)


async def test_both_sides_are_recorded_in_time(
    tmp_path: Path, sentence: Callable[[str], Samples], hear: Callable[[Samples], str]
) -> None:
    settings = Settings(
        port=0,
        database=f"sqlite:///{tmp_path}/x.sqlite",
        recordings_dir=tmp_path / "sound",
        agents=[Agent("kept", greeting="Hello!", recording=True), Agent("unkept")],
    )
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        await server.ready(60)
        async with Caller(server.url, "kept") as caller:
            began = await caller.wait_for("agent.speech_started")
            caller.send(
                type="user.mute", muted=True
            )  # of a silenced caller nothing is recorded: the rest stays in time
            greeted = await caller.wait_for("agent.speech_stopped")
            caller.send(type="user.mute", muted=False)
            caller.speak(sentence("what is seven plus five"))
            await caller.wait_for("agent.speech_stopped", since=caller.events.index(greeted) + 1)
            async with http.get(f"/v1/calls/{caller.call_id}/recording") as early:
                assert (early.status, (await early.json())["error"]["code"]) == (409, "call_active")
            caller.send(type="call.end")
            await caller.wait_for("call.ended")
        await no_sessions(server)
        record = await ended_record(http, caller.call_id)
        async with http.get(record["recording"]) as response:
            assert response.content_type == "audio/ogg"
            left, right = both_sides(await response.read())
        assert hear(left) == "what is seven plus five"
        assert hear(right).endswith("seven plus five is twelve")
        (said,) = [t for t in record["transcript"] if t["role"] == "user"]
        assert onset_s(left) == pytest.approx(said["at_s"], abs=0.25)
        assert onset_s(right) == pytest.approx(began["time"], abs=0.25)
        assert len(left) / CALL_RATE_HZ == pytest.approx(record["duration_s"], abs=0.5)

        async with http.delete(f"/v1/calls/{caller.call_id}") as deleted:
            assert deleted.status == 204
        assert not list((tmp_path / "sound").iterdir())

        async with Caller(server.url, "unkept") as caller:
            await caller.wait_for("call.started")
            caller.send(type="call.end")
            await caller.wait_for("call.ended")
        record = await ended_record(http, caller.call_id)
        assert "recording" not in record
        refused = await get(http, f"/v1/calls/{caller.call_id}/recording", 404)
        assert refused["error"]["code"] == "no_recording"


async def test_a_disk_that_cannot_be_written_ends_no_call(
    tmp_path: Path, sentence: Callable[[str], Samples], caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    settings = Settings(
        port=0,
        database=f"sqlite:///{tmp_path}/x.sqlite",
        recordings_dir=blocked,
        agents=[Agent("kept", recording=True)],
    )
    async with running_server(settings) as server:
        await server.ready(60)
        async with Caller(server.url, "kept") as caller:
            await caller.wait_for("call.started")
            caller.speak(sentence("what is seven plus five"))
            assert (await caller.wait_for("agent.speech_stopped"))["heard"] == "Seven plus five is twelve."
    assert "goes on unrecorded" in caplog.text
