"""What belongs to one tenant does not exist for another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.agents import Agent
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import running_server
from media_server.store import Database, Keys
from tests.conftest import no_sessions

OFFER = {"type": "offer", "sdp": "v=0"}


async def test_another_tenants_key_gets_nothing_anywhere(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/x.sqlite"
    agents = [Agent("ours", tenant="ours", recording=True), Agent("theirs", tenant="theirs"), Agent("operators")]
    settings = Settings(port=0, database=database, agents=agents, recordings_dir=tmp_path / "sound")
    async with Database.open(database) as opened, running_server(settings) as server:
        await server.ready(60)
        keys = Keys(opened)
        ours, _ = await keys.create("ours", ["admin"], tenant="ours")
        theirs, _ = await keys.create("theirs", ["admin"], tenant="theirs")
        async with Caller(server.url, "ours", auth=ours) as caller:
            await caller.wait_for("call.started")
            call, embedded = f"/v1/calls/{caller.call_id}", f"/v1/embed/calls/{caller.call_id}"
            conversation = {"message": "StartConversation", "conversation_config": {"template_id": "ours"}}

            async with aiohttp.ClientSession(server.url) as http:

                async def ask(key: str, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
                    headers = {"Authorization": f"Bearer {key}"}
                    async with http.request(method, path, headers=headers, **kwargs) as response:
                        text = await response.text()
                        is_json = response.content_type == "application/json"
                        return response.status, await response.json() if is_json and text else text

                everything: list[tuple[str, str, dict[str, Any]]] = [
                    ("GET", "/v1/agents/ours", {}),
                    ("PATCH", "/v1/agents/ours", {"json": {"prompt": "You are theirs."}}),
                    ("POST", "/v1/sessions", {"json": {"agent": "ours"} | OFFER}),
                    ("POST", "/v1/whip/ours", {"data": "v=0", "headers": {"Content-Type": "application/sdp"}}),
                    ("POST", "/v1/tokens", {"json": {"agent": "ours"}}),
                    ("GET", "/webrtc/token?agent_id=ours", {}),
                    ("POST", "/webrtc/token", {"json": {"agent_id": "ours"}}),
                    ("GET", call, {}),
                    ("GET", f"{call}/events", {}),
                    ("GET", f"{call}/recording", {}),
                    ("DELETE", call, {}),
                    ("GET", "/chat/token?agent_id=ours", {}),
                    ("POST", "/api/v1/embed/token", {"json": {"assistantId": "ours"}}),
                    ("POST", f"/api{embedded}/end", {}),
                    ("POST", f"/api{embedded}/mute", {"json": {"muted": True}}),
                    ("POST", f"/api{embedded}/messages", {"json": {"message": "hello"}}),
                    ("GET", f"/api{embedded}/messages", {}),
                    ("GET", f"/api{call}", {}),
                    ("DELETE", f"/api{call}", {}),
                    ("POST", "/v1/flow/livekit", {"json": conversation}),
                    ("GET", "/metrics", {}),
                ]
                for method, path, kwargs in everything:
                    headers = kwargs.pop("headers", {}) | {"Authorization": f"Bearer {theirs}"}
                    async with http.request(method, path, headers=headers, **kwargs) as response:
                        assert response.status == 404, f"{method} {path}"
                for path in ("/v1/chat", "/v1/voice"):
                    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                        await http.ws_connect(f"{path}?agent=ours&token={theirs}")
                    assert refused.value.status == 404
                async with http.ws_connect("/v1/flow", headers={"Authorization": f"Bearer {theirs}"}) as socket:
                    await socket.send_json(conversation)
                    assert (await socket.receive_json())["type"] == "config_error"
                async with http.ws_connect(f"/ws/voice/c?api_key={theirs}&config_id=ours") as socket:
                    assert (await socket.receive_json())["code"] == "CONFIG_NOT_FOUND"
                assert (await ask(theirs, "GET", "/v1/discovery/templates"))[1]["templates"].keys() == {"theirs"}
                assert (await ask(theirs, "GET", "/api/v1/calls"))[1]["data"]["calls"] == []

                assert await ask(theirs, "GET", "/v1/agents") == (200, {"agents": [{"name": "theirs"}]})
                assert (await ask(theirs, "GET", "/v1/calls"))[1]["calls"] == []
                status, listed = await ask(ours, "GET", "/v1/calls")
                assert (status, [c["id"] for c in listed["calls"]]) == (200, [caller.call_id])
                assert (await ask(ours, "GET", "/v1/agents"))[1] == {"agents": [{"name": "ours"}]}

                headers = {"Authorization": f"Bearer {theirs}"}
                async with http.get("/v1/events", headers=headers) as stream:
                    caller.send(type="text.send", text="hello")
                    await caller.wait_for("agent.speech_stopped")
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(1):
                            await stream.content.readline()
        await no_sessions(server)


async def test_a_call_is_not_handed_over_to_another_tenants_agent(tmp_path: Path) -> None:
    agents = [Agent("ours", tenant="ours"), Agent("theirs", tenant="theirs")]
    async with running_server(Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=agents)) as server:
        await server.ready(60)
        async with Caller(server.url, "ours") as caller:
            await caller.wait_for("call.started")
            session = server.sessions.get(caller.session_id)
            session.call.forward("theirs")
            forwarded = await caller.wait_for("call.forwarded")
            assert not forwarded["agent"]
            assert (await caller.wait_for("call.ended"))["reason"] == "forwarded"
