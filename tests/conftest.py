"""Fixtures: a real server with the starter models in this process, callers, and sentences to speak."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, resample
from media_server.call import hurry
from media_server.caller import Caller
from media_server.config import Settings
from media_server.engines.whisper import WhisperEngine
from media_server.paths import BUNDLED_MODELS
from media_server.server import Server, running_server
from tests.real_models import MODELS, SPEECH

# a busy machine takes its time
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
DATA = Path(__file__).parent / "data"
STARTER = BUNDLED_MODELS / "starter"


def sentence_file(text: str) -> Path:
    return DATA / f"{text.replace(' ', '-')}.wav"


@pytest.fixture(scope="session")
def sentence() -> Callable[[str], Samples]:
    """What a caller says, at 48 kHz."""
    return lambda text: read_wav(sentence_file(text), CALL_RATE_HZ)


@pytest.fixture(scope="session")
def hear() -> Callable[[Samples], str]:
    """What somebody who listens to 48 kHz samples understands: the starter recogniser, away from the server."""
    engine = WhisperEngine.load(STARTER / "stt")

    def hear(samples: Samples) -> str:
        # a listener waits for the voice, as the server's voice activity does
        loud = np.nonzero(np.abs(samples.astype(np.int32)) > 300)[0]
        if len(loud) == 0:
            return ""
        margin = CALL_RATE_HZ // 5
        spoken = samples[max(0, loud[0] - margin) : loud[-1] + margin]
        return engine.transcribe([resample(spoken, CALL_RATE_HZ, MODEL_RATE_HZ)])[0].text

    return hear


@pytest.fixture(scope="session")
def real_pack() -> str:
    """The pack of real models that tests marked `real` run on: MEDIA_SERVER_TESTS_REAL, or the small one."""
    name = os.environ.get("MEDIA_SERVER_TESTS_REAL", "real-small")
    if not (MODELS / name / "pack.toml").is_file() or not (SPEECH / ".complete").is_file():
        missing = f"the pack {name} or the recordings are not here: make real-models ARGS='{name} speech'"
        if "MEDIA_SERVER_TESTS_NEED_REAL" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return name


@pytest.fixture(scope="module", autouse=True)
def unhurried(request: pytest.FixtureRequest) -> Iterator[None]:
    """A machine that is busy with tests is no model that writes slowly: real servers answer in whole clauses."""
    with pytest.MonkeyPatch.context() as patch:
        if "unit" not in request.path.parts:
            patch.setattr(hurry, "HURRY_S", 10.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def database(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Servers that the tests start keep nothing in this folder."""
    os.environ["MEDIA_SERVER_DATABASE"] = f"sqlite:///{tmp_path_factory.mktemp('database')}/media_server.sqlite"
    os.environ["MEDIA_SERVER_BASES_DIR"] = str(tmp_path_factory.mktemp("knowledge-bases"))
    os.environ["MEDIA_SERVER_KNOWLEDGE_DIR"] = str(tmp_path_factory.mktemp("knowledge-index"))


async def kept(settings: Settings, ready_s: float = 60) -> AsyncIterator[Server]:
    """A server for several tests, in a task of its own: fixtures are entered and left in different ones."""
    started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def run() -> None:
        async with running_server(settings) as server:
            await server.ready(ready_s)
            started.set_result(server)
            await stop.wait()

    task = asyncio.create_task(run())
    either: list[asyncio.Future[Any]] = [task, started]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    yield started.result()
    stop.set()
    await task


async def left_empty(server: Server) -> AsyncIterator[Server]:
    """The server of several tests, for one of them: calls that it leaves, as where it fails, are over for the next."""
    yield server
    for session in list(server.sessions._by_id.values()):
        session.hang_up("operator_hangup")
    await no_sessions(server)


@pytest.fixture
async def server(one_server: Server) -> AsyncIterator[Server]:
    """One server for all tests; its timeouts are short."""
    async for server in left_empty(one_server):
        yield server


@pytest.fixture(scope="session")
async def one_server(database: None) -> AsyncIterator[Server]:
    agents = [
        Agent(name="lonely", idle_s=0.8, idle_hang_up_s=1.0),
        Agent(name="curt", idle_s=0.5, idle_prompt="", idle_hang_up_s=0.5),
        Agent(name="hurried", answer_timeout_s=1.5),
        Agent(name="brief", max_duration_s=1.2, max_calls=1),
        Agent(name="push-to-talk", turns="manual"),
        Agent(name="greeter", greeting="Hello {{name}}! {{other}}"),
        Agent(name="steady", interruptible=False),
        Agent(name="notice", greeting="This call is recorded for training purposes.", greeting_interruptible=False),
    ]
    settings = Settings(
        port=0,
        max_calls=4,
        connect_timeout_s=4,
        idle_timeout_s=4,
        reconnect_s=3,
        chat_linger_s=1,
        agents=agents,
        agents_dir=DATA / "agents",
    )
    async for server in kept(settings):
        yield server


@pytest.fixture
async def caller(server: Server) -> AsyncIterator[Caller]:
    """A call that is up and listening."""
    async with Caller(server.url) as caller:
        await caller.wait_for("state.changed", lambda e: e["state"] == "listening")
        yield caller
    await no_sessions(server)


async def no_sessions(server: Server, timeout_s: float = 10) -> None:
    """Wait until every session is over."""
    async with asyncio.timeout(timeout_s):
        while len(server.sessions):  # noqa: ASYNC110 - the server has no use for such an event
            await asyncio.sleep(0.02)


def done_by_desk(server: Server) -> list[Any]:
    """What the tools of this server's agent `desk` do; empty now. Each server has read its file for itself."""
    agent = server.agents.get("desk")
    assert agent is not None
    function: Any = agent.tools[0].function
    kept: list[Any] = function.__globals__["DONE"]
    kept.clear()
    return kept
