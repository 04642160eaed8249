"""Where LiveKit's components ask for tokens: who gets one, for which agent, and what is sealed under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt

from tests.conftest import no_sessions
from tests.doors.test_livekit_refusals import CODEC, answer, closed
from tests.integration.test_access import guarded

WANTED: dict[str, Any] = {
    "room_name": "lobby",
    "participant_name": "Ada",
    "participant_identity": "ada",
    "participant_metadata": "gold",
    "participant_attributes": {"page": "prices"},
    "room_config": {"agents": [{"agent_name": "mara", "metadata": '{"plan": 2}'}]},
}
BAD: list[Any] = [
    5, [], {"participant_identity": 5}, {"participant_identity": "x" * 1000}, {"room_config": 5},
    {"room_config": {"agents": [5]}}, {"room_config": {"agents": [{"agent_name": 5}]}},
    {"participant_attributes": {"a": 5}}, {"participant_metadata": "x" * 3000},
]  # fmt: skip


async def test_a_token_for_its_components(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        address, keyed = f"{g.server.url}/v1/livekit/token", {"Authorization": f"Bearer {g.key}"}
        async with g.http.post(address, json=WANTED, headers=keyed) as response:
            assert response.status == 201
            given = await response.json()
        assert given["server_url"] == g.server.url
        claims = jwt.decode(given["participant_token"], options={"verify_signature": False})
        assert claims["sub"] == "ada"
        assert claims["video"] == {
            "room": claims["video"]["room"], "roomJoin": True, "canPublish": True, "canSubscribe": True,
            "canPublishData": True,
        }  # fmt: skip
        socket = await g.http.ws_connect(f"{g.server.url}/rtc/v1", params={"access_token": given["participant_token"]})
        joined = (await answer(socket))["join"]
        assert joined["participant"]["identity"] == "ada"
        (session,) = g.server.sessions._by_id.values()
        assert session.call.agent.name == "mara"
        assert session.call.metadata == {
            "userId": "ada",
            "participant_name": "Ada",
            "participant_metadata": "gold",
            "participant_attributes": {"page": "prices"},
            "agent_metadata": '{"plan": 2}',
        }
        await socket.send_bytes(CODEC.encode("SignalRequest", {"leave": {"reason": 1}}))
        await closed(socket)
        await no_sessions(g.server)
        for body in BAD:
            async with g.http.post(address, json=body, headers=keyed) as response:
                assert response.status == 400, body
        nobody = {"room_config": {"agents": [{"agent_name": "nobody"}]}}
        for body, headers, status in ((nobody, keyed, 404), (WANTED, {}, 401)):
            async with g.http.post(address, json=body, headers=headers) as response:
                assert response.status == status
