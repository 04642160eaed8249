"""What goes wrong in practice: engines that die, peers that vanish, many calls one after the other."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from media_server.audio import Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.engines import client
from media_server.engines.client import EngineClient
from media_server.engines.engines import Engines
from media_server.engines.messages import Cancel, ChatMessage, Generate, ToHost
from media_server.engines.packs import load_pack
from media_server.errors import ConfigurationError, EngineLost
from media_server.rtc.tracks import SpeakerTrack
from media_server.server import Server
from tests.conftest import STARTER, no_sessions

Say = Callable[[str], Samples]


@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
async def test_an_engine_killed_in_a_turn_is_restarted_and_the_call_goes_on(
    server: Server, caller: Caller, sentence: Say, kind: str
) -> None:
    engine: EngineClient = getattr(server.engines, kind)
    restarts = engine.restarts
    caller.speak(sentence("what is seven plus five"))
    await caller.wait_for("user.speech_started")
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)  # it takes the request, and dies over it
    await caller.wait_for("user.speech_stopped")
    if kind != "stt":
        await caller.wait_for("turn.ended")
    if kind == "tts":
        await caller.wait_for("agent.text")
    os.kill(engine.pid, signal.SIGKILL)
    warning = await caller.wait_for("warning")
    assert warning["code"] == "engine_lost"
    stopped = await caller.wait_for("agent.speech_stopped", timeout_s=60)
    assert stopped["heard"].startswith("Seven plus five is")
    assert engine.restarts == restarts + 1
    assert server.engines.ready


async def test_an_engine_that_hangs_is_ended_and_restarted(
    server: Server, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "HANG_TIMEOUT_S", 0.5)
    pid = server.engines.llm.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    caller.send(type="text.send", text="hello")
    warning = await caller.wait_for("warning")
    assert warning["code"] == "engine_lost"
    await caller.wait_for("agent.speech_stopped", timeout_s=60)
    assert server.engines.llm.pid != pid


async def test_an_engine_killed_while_idle_is_back_for_the_next_turn(
    server: Server, caller: Caller, sentence: Say
) -> None:
    pid = server.engines.llm.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    caller.send(type="text.send", text="hello")
    await caller.wait_for("agent.speech_stopped", timeout_s=60)
    assert server.engines.llm.pid != pid


async def test_a_request_that_nobody_waits_for_is_withdrawn(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left early, a generation is cancelled in the host (which stops within a token: test_llama.py)."""
    sent: list[ToHost] = []
    write = client._write

    def spy(writer: asyncio.StreamWriter, message: ToHost) -> None:
        sent.append(message)
        write(writer, message)

    monkeypatch.setattr(client, "_write", spy)
    question = (ChatMessage("user", "what can you do"),)
    async with server.engines.generate("left", question, 500) as pieces:
        async for _ in pieces:
            break
    request, cancel = sent
    assert isinstance(request, Generate)
    assert cancel == Cancel(request.id)
    sent.clear()
    async with server.engines.generate("other", question, 500) as pieces:
        assert [piece async for piece in pieces]
    assert len(sent) == 1
    assert server.engines.llm._inboxes == {}


async def test_a_request_that_meets_an_engine_that_has_just_died_ends_nothing_else(server: Server) -> None:
    engine = server.engines.llm
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)  # noqa: ASYNC251 - it is dead, and the loop has not heard of it
    with pytest.raises(EngineLost):
        async with engine.ask(lambda i: Generate(i, "x", (), 1)) as pieces:
            assert [piece async for piece in pieces]
    await server.ready(60)
    assert engine.pid not in (None, pid)


async def test_a_request_to_an_engine_that_is_not_there_fails_at_once() -> None:
    engine = EngineClient("llm", {})
    with pytest.raises(EngineLost):
        async with engine.ask(lambda i: Generate(i, "x", (), 1)):
            pass


async def test_a_model_that_cannot_be_loaded_is_a_clear_error() -> None:
    engines = Engines(load_pack("starter", STARTER.parent), Settings())
    broken = EngineClient("llm", {"path": str(STARTER / "pack.toml")})
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        async with asyncio.timeout(30):
            await broken.run()
    assert not engines.ready


async def test_a_caller_who_vanishes_is_noticed(server: Server) -> None:
    before = _resources()
    caller = Caller(server.url)
    await caller.__aenter__()
    await caller.wait_for("call.started")
    session = server.sessions.get(caller.session_id)
    # no goodbye of any kind: the sockets are gone, as with a cable that was pulled
    for sender in caller.pc.getSenders():
        for protocol in sender.transport.transport._connection._protocols:
            protocol.transport.abort()
    await no_sessions(server, timeout_s=12)
    assert session.over
    assert session.reason in ("idle_timeout", "connection_lost")
    await caller.close()
    await _nothing_left(before)


async def test_a_caller_gives_up_where_no_connection_comes_about(server: Server) -> None:
    """No check will ever succeed: an error within the caller's own time, and no hanging."""
    caller = Caller(server.url, timeout_s=2)
    signal_ = caller._signal

    async def astray() -> str:
        return re.sub("a=ice-pwd:.*", "a=ice-pwd:0123456789012345678901", await signal_())

    caller._signal = astray  # type: ignore[method-assign]
    async with asyncio.timeout(8):
        with pytest.raises(TimeoutError):
            async with caller:
                pass
    await no_sessions(server, timeout_s=12)


async def test_a_caller_who_never_connects_is_forgotten(server: Server) -> None:
    caller = Caller(server.url)
    caller.pc.addTrack(SpeakerTrack(caller._speaker, time.monotonic))
    await caller._signal()
    assert len(server.sessions) == 1
    session = server.sessions.get(caller.session_id)
    await no_sessions(server, timeout_s=12)
    assert session.reason == "connect_timeout"
    await caller.close()


def _resources() -> tuple[int, int, int]:
    gc.collect()
    tasks = [t for t in asyncio.all_tasks() if not t.done()]
    process = psutil.Process()
    sockets = [c for c in process.net_connections(kind="all") if c.family != 1]
    # the loop's own pool keeps its threads; it has a limit
    threads = [t for t in threading.enumerate() if not t.name.startswith("asyncio_")]
    return len(tasks), len(threads), len(sockets)


async def _nothing_left(before: tuple[int, int, int]) -> None:
    """Wait until there is no task, thread or socket that was not there before."""
    async with asyncio.timeout(10):
        while any(a > b for a, b in zip(_resources(), before, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_fifty_calls_leave_nothing_behind(server: Server) -> None:
    async def one(i: int) -> None:
        async with Caller(server.url) as caller:
            await caller.wait_for("call.started")
            if i % 5 == 0:
                caller.send(type="text.send", text="what can you do")
                await caller.wait_for("agent.word")
            if i % 3 == 0:
                caller.send(type="call.end")
                await caller.wait_for("call.ended")

    for i in range(3):
        await asyncio.gather(one(i), one(i))
    await no_sessions(server)
    before = _resources()
    for i in range(0, 50, 2):
        await asyncio.gather(one(i), one(i + 1))
    await no_sessions(server)
    await _nothing_left(before)
