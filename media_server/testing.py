"""Testing agents: drive one by text or by recordings, and look at what it said and did. A pytest plugin.

    # pyproject.toml: [tool.pytest.ini_options] media_server_agents = "agents"

    async def test_the_desk_finds_an_order(talk: Talk) -> None:
        async with talk("order-desk") as conversation:
            reply = await conversation.type("where is my order four two seven")
            assert reply.text == "The status is shipped."
            assert reply.tools == [ToolUse("get_order_status", {"order_id": "427"}, {"status": "shipped"})]

Tests are async: have pytest-asyncio or anyio run them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from media_server.audio import CALL_RATE_HZ, read_wav
from media_server.caller import Caller

__all__ = ["Conversation", "Reply", "Talk", "ToolUse"]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that was called, and what came of it."""

    name: str
    arguments: dict[str, Any] | None
    result: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent made of a turn."""

    text: str
    """What was heard of it."""
    heard_as: str = ""
    """The caller's words, as the recogniser understood them."""
    tools: list[ToolUse] = field(default_factory=list)
    response_ms: float = 0.0
    """Time from the caller's last sound to the agent's first."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """All of the turn."""


class Conversation:
    """A call with an agent. Each turn returns when the answer was heard, or the call was over."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._seen = 0

    async def greeting(self) -> str:
        """What the agent says first."""
        return (await self._reply()).text

    async def type(self, text: str) -> Reply:
        """Say it in writing; the answer is spoken all the same."""
        self.caller.send(type="text.send", text=text)
        return await self._reply()

    async def play(self, recording: str | Path) -> Reply:
        """Say it by voice: an audio file of any format and rate."""
        self._seen = len(self.caller.events)
        self.caller.speak(read_wav(Path(recording), CALL_RATE_HZ))
        return await self._reply()

    async def end_reason(self) -> str:
        """Wait until the call is over; why."""
        return str((await self.caller.wait_for("call.ended"))["reason"])

    async def _reply(self) -> Reply:
        await self.caller.wait_for("agent.speech_stopped", since=self._seen)
        since, self._seen = self._seen, len(self.caller.events)
        events = self.caller.events[since:]
        returned = {each["id"]: each for each in self.caller.of("tool.returned", since)}
        tools = [_use(each, returned.get(each["id"], {})) for each in self.caller.of("tool.called", since)]
        heard = [each["heard"] for each in self.caller.of("agent.speech_stopped", since)]
        said = [each["text"] for each in self.caller.of("user.transcript", since) if each["final"]]
        times = [each["response_ms"] for each in self.caller.of("turn.metrics", since)]
        return Reply(" ".join(heard), " ".join(said), tools, times[0] if times else 0.0, events)


def _use(called: dict[str, Any], returned: dict[str, Any]) -> ToolUse:
    return ToolUse(called["name"], called.get("arguments"), returned.get("result"), returned.get("error"))


Talk = Callable[..., AbstractAsyncContextManager[Conversation]]
"""`talk(agent, **variables)`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("media_server_agents", "folder of the agents that are tested", default="agents")
    parser.addini("media_server_pack", "model pack that they are tested with", default="starter")


@pytest.fixture(scope="session")
def agents_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server with the agents, in a process of its own; it keeps nothing."""
    agents = Path(request.config.rootpath / str(request.config.getini("media_server_agents")))
    pack = str(request.config.getini("media_server_pack"))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = os.environ | {"MEDIA_SERVER_DATABASE": f"sqlite:///{folder}/media_server.sqlite"}
        command = [sys.executable, "-m", "media_server.cli", "serve", str(agents), "--port", "0", "--pack", pack]
        with log.open("w") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
        assert process.stdout is not None
        try:
            ready = next((line for line in process.stdout if "Ready" in line), None)
            if ready is None:
                pytest.fail(f"the server with {agents} did not start:\n{log.read_text()}")
            yield next(word for word in ready.split() if word.startswith("http://"))
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def talk(agents_url: str) -> Talk:
    """Call an agent: `async with talk("mara") as conversation`."""

    @contextlib.asynccontextmanager
    async def talk(agent: str, **variables: Any) -> AsyncIterator[Conversation]:
        async with Caller(agents_url, agent, variables=variables) as caller:
            await caller.wait_for("state.changed", lambda e: e["state"] == "listening")
            yield Conversation(caller)

    return talk
