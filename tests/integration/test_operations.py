"""What an operator sees, and how the server stops."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp

from media_server.caller import Caller
from media_server.server import Server
from tests.conftest import no_sessions


async def metrics(url: str) -> dict[str, float]:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        assert response.status == 200
        lines = [line for line in (await response.text()).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_prometheus_is_told_of_calls_turns_and_tools(server: Server) -> None:
    before = await metrics(server.url)
    async with Caller(server.url, "desk") as caller:
        await caller.wait_for("call.started")
        caller.send(type="text.send", text="where is my order four two seven")
        await caller.wait_for("agent.speech_stopped")
        during = await metrics(server.url)
        assert during["media_server_calls"] == 1
        caller.send(type="call.end")
        await caller.wait_for("call.ended")
    await no_sessions(server)
    after = await metrics(server.url)

    def grew(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert after["media_server_calls"] == 0
    assert grew('media_server_calls_total{agent="desk",reason="client_hangup"}') == 1
    assert grew('media_server_tools_total{name="get_order_status",outcome="ok"}') == 1
    assert grew('media_server_turn_seconds_count{stage="response"}') == 1
    assert grew('media_server_turn_seconds_sum{stage="response"}') > 0
    assert after['media_server_engine_requests{engine="llm"}'] == 0
    assert 'media_server_engine_restarts_total{engine="tts"}' in after


async def test_a_server_that_is_asked_to_stop_lets_calls_end(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "serve", "--port", "0", "--log-level", "error",
        stdout=asyncio.subprocess.PIPE, cwd=tmp_path, env=os.environ | {"MEDIA_SERVER_DRAIN_S": "20"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"Ready" not in (line := await process.stdout.readline()):
                assert line
        url = next(word for word in line.decode().split() if word.startswith("http://"))
        async with Caller(url) as caller, aiohttp.ClientSession(url) as http:
            await caller.wait_for("call.started")
            process.send_signal(signal.SIGTERM)
            while b"Waiting for 1 call," not in (line := await process.stdout.readline()):
                assert line
            async with http.get("/readyz") as ready:
                assert ready.status == 503
            offer = {"agent": "assistant", "type": "offer", "sdp": "v=0"}
            async with http.post("/v1/sessions", json=offer) as refused:
                assert (refused.status, (await refused.json())["error"]["code"]) == (503, "draining")
            caller.send(type="text.send", text="hello")
            assert (await caller.wait_for("agent.speech_stopped"))["heard"], "the call goes on"
            caller.send(type="call.end")
            assert (await caller.wait_for("call.ended"))["reason"] == "client_hangup"
        async with asyncio.timeout(15):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
