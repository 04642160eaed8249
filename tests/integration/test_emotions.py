"""What callers seem to feel: by the words, or by the sound where the pack has a classifier."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import Server
from tests.conftest import DATA, STARTER, kept, no_sessions

AGENTS = [
    Agent(name="kind", emotions=("anger", "joy", "sadness")),
    Agent(name="other", emotions=("anger", "fear")),
    Agent(name="blunt"),
]


@pytest.fixture(scope="module")
async def feeling(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server whose pack has a classifier, to which all speech is sad."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(STARTER, models / "feels")
    shutil.copy(DATA / "emotion.onnx", models / "feels" / "emotion.onnx")
    manifest = models / "feels" / "pack.toml"
    table = '[emotion]\npath = "emotion.onnx"\nlabels = ["joy", "sadness", "neutral"]\nthreads = 1\n\n[tts]'
    manifest.write_text(manifest.read_text().replace("[tts]", table, 1).replace('"starter"', '"feels"', 1))
    async for server in kept(Settings(port=0, pack="feels", models_dir=models, agents=AGENTS)):
        yield server


def kinds(caller: Caller) -> list[str]:
    told = ("emotion.updated", "turn.ended")
    return [e["type"] for e in caller.events if e["type"] in told or (e["type"] == "user.transcript" and e["final"])]


async def spoken(caller: Caller, samples: Samples) -> dict[str, Any]:
    since = len(caller.events)
    caller.speak(samples)
    felt = await caller.wait_for("emotion.updated", since=since)
    await caller.wait_for("agent.speech_stopped", since=since)
    return felt


async def test_what_is_spoken_is_judged_by_its_sound(feeling: Server, sentence: Callable[[str], Samples]) -> None:
    async with Caller(feeling.url, "kind") as caller:
        felt = await spoken(caller, sentence("what is seven plus five"))
        assert felt["source"] == "audio"
        # neither what the agent does not ask for, nor what the classifier does not know
        assert [x["name"] for x in felt["emotions"]] == ["sadness", "joy"]
        assert sum(x["score"] for x in felt["emotions"]) == pytest.approx(1, abs=0.01)
        assert felt["emotions"][0]["score"] > 0.9
        final = next(e for e in caller.events if e["type"] == "user.transcript" and e["final"])
        assert felt["turn_id"] == final["turn_id"]
        assert kinds(caller) == ["user.transcript", "emotion.updated", "turn.ended"]
    await no_sessions(feeling)


async def test_what_is_typed_is_judged_by_its_words(feeling: Server) -> None:
    async with Caller(feeling.url, "kind") as caller:
        await caller.wait_for("call.started")
        caller.send(type="text.send", text="hello")
        felt = await caller.wait_for("emotion.updated")
        assert felt["source"] == "text"
        assert {x["name"] for x in felt["emotions"]} == {"anger", "joy", "sadness"}
    await no_sessions(feeling)


async def test_names_that_the_classifier_does_not_know_are_judged_by_the_words(
    feeling: Server, sentence: Callable[[str], Samples]
) -> None:
    async with Caller(feeling.url, "other") as caller:
        felt = await spoken(caller, sentence("hello"))
        assert felt["source"] == "text"
        assert {x["name"] for x in felt["emotions"]} == {"anger", "fear"}
    await no_sessions(feeling)


async def test_nobody_who_does_not_want_to_know_is_told(feeling: Server, sentence: Callable[[str], Samples]) -> None:
    async with Caller(feeling.url, "blunt") as caller:
        caller.speak(sentence("hello"))
        await caller.wait_for("agent.speech_stopped")
        assert kinds(caller) == ["user.transcript", "turn.ended"]
    await no_sessions(feeling)


async def test_a_pause_that_is_no_end_leaves_no_trace(feeling: Server, sentence: Callable[[str], Samples]) -> None:
    async with Caller(feeling.url, "kind") as caller:
        # in the pause the reply is begun on trial, and with it the look for emotions
        gap = np.zeros(int(0.6 * CALL_RATE_HZ), np.int16)
        caller.speak(np.concatenate([sentence("i would like to um"), gap, sentence("book an appointment")]))
        await caller.wait_for("agent.speech_stopped")
        assert caller.of("turn.eager")
        assert caller.of("turn.resumed")
        assert kinds(caller) == ["user.transcript", "emotion.updated", "turn.ended"]
    await no_sessions(feeling)
