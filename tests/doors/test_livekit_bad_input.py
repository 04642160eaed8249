"""LiveKit's door and messages out of place, tokens of other doors and sids of others: all over the real socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from media_server.http.room_tokens import _key
from media_server.server import Server
from tests.conftest import no_sessions
from tests.doors.livekit import call_of, own_token
from tests.doors.test_livekit_refusals import CODEC, answer, closed, parameter, refusal, request
from tests.integration.test_access import guarded

MOST, LEAST = 2**63 - 1, -(2**63)
TRICKLED = '{"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0"}'
HARMLESS: dict[str, bytes] = {
    "nothing": b"",
    "a field of another version": b"\xfa\x01\x02hi",
    "a subscription to somebody else's track": b"\x32\x09\x0a\x07TR_else",
    "a simulated failure": b"\x6a\x02\x08\x01",
    "settings of a track": b"\x3a\x09\x0a\x07TR_else",
    "who may hear a track": b"\x5a\x02\x08\x01",
    "a state to go on from": b"\x62\x04\x0a\x02\x0a\x00",
    "an answer to no offer": request(answer={"type": "answer", "sdp": "v=0", "id": 7}),
    "mute a track of nobody": request(mute={"sid": "TR_else", "muted": 1}),
    "mute without a sid": request(mute={}),
    "mute a participant": request(mute={"sid": "PA_else", "muted": MOST}),
    "publish nothing": request(add_track={}),
    "publish a camera": request(add_track={"cid": "cam", "type": 1, "source": 1}),
    "publish a source that is none": request(add_track={"cid": "x", "source": 99}),
    "publish with features that are none": request(add_track={"cid": "", "audio_features": [MOST, LEAST]}),
    "long metadata": request(update_metadata={"metadata": "x" * 5000, "request_id": MOST}),
    "long attributes": request(update_metadata={"attributes": {"a": "x" * 5000}}),
    "many attributes": request(update_metadata={"attributes": {str(n): "" for n in range(500)}}),
    "the agent's attribute": request(update_metadata={"attributes": {"lk.agent.state": "speaking"}}),
    "metadata of control characters": request(update_metadata={"metadata": "\0\x1b[2J"}),
    "the last candidate": request(trickle={"candidate_init": '{"candidate": ""}'}),
    "a candidate of nonsense": request(trickle={"candidate_init": '{"candidate": "candidate:nonsense"}'}),
    "a candidate for no connection": request(trickle={"candidate_init": TRICKLED, "target": 1}),
    "a candidate for a target that is none": request(trickle={"candidate_init": TRICKLED, "target": 99}),
    "a ping from the end of time": request(ping=MOST),
    "a ping from before time": request(ping_req={"timestamp": LEAST, "rtt": LEAST}),
}


async def test_a_client_that_floods_its_room_is_sent_away_and_its_call_ends(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        socket = await http.ws_connect("/rtc/v1", params={"access_token": await own_token(server)})
        await answer(socket)
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            for _ in range(8000):
                await socket.send_bytes(request(ping=1))
        async for _ in socket:
            pass
    await no_sessions(server, timeout_s=8)  # a call that waits to be connected may do so for a minute


async def test_messages_out_of_place_change_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    before = len(asyncio.all_tasks())
    async with aiohttp.ClientSession(server.url) as http:
        for path in ("/rtc/v1", "/rtc"):
            socket = await http.ws_connect(path, params={"access_token": await own_token(server)})
            joined = (await answer(socket))["join"]
            agent_state = [p.get("attributes", {}) for p in joined["other_participants"]]
            for number, (name, data) in enumerate(HARMLESS.items(), 1):
                await socket.send_bytes(data)
                await socket.send_bytes(request(ping_req={"timestamp": number}))
                while (came := await answer(socket)).get("pong_resp", {}).get("last_ping_timestamp") != number:
                    assert "leave" not in came, name
            session, line = call_of(server)
            assert not session.over
            assert [p.info().get("attributes", {}) for p in line.room.others] == agent_state, "others' are not its own"
            await socket.send_bytes(request(leave={"reason": 1}))
            await closed(socket)
            await no_sessions(server)
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - connections take a moment to close
            await asyncio.sleep(0.05)
    assert not server.sessions.edge._callers.by_username
    assert not [r for r in caplog.records if r.exc_info]


WRAPPED = CODEC.encode("WrappedJoinRequest", {"join_request": CODEC.encode("JoinRequest", {"metadata": "m" * 50})})
ENDS = (1, 3, 5, len(WRAPPED) - 1)
BAD_JOINS: dict[str, str] = {
    **{f"cut after {end} bytes": base64.urlsafe_b64encode(WRAPPED[:end]).decode() for end in ENDS},
    "no base64 at its end": base64.urlsafe_b64encode(WRAPPED).decode() + "!",
    "one letter": "A",
    "letters of another alphabet": "äöü",
    "a wire type that is none": base64.urlsafe_b64encode(b"\x0f").decode(),
    "a length beyond its end": base64.urlsafe_b64encode(b"\x12\xff\xff\xff\xff\x0f").decode(),
    "a number that never ends": base64.urlsafe_b64encode(b"\x08" + b"\xff" * 20).decode(),
    "zipped, and it is not": parameter({}, 1, b"plain"),
    "zipped nothing": parameter({}, 1, b"\x1f\x8b"),
}  # fmt: skip


async def test_requests_to_join_that_are_cut(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    token = await own_token(server)
    async with aiohttp.ClientSession(server.url) as http:
        for name, wanted in BAD_JOINS.items():
            status, told, _ = await refusal(http, "/rtc/v1", access_token=token, join_request=wanted)
            assert (status, told) == (400, 403), name
        # coming back to what is not there, or is somebody else's
        for sid in ("", "PA_0", "x" * 5000, "'; --"):
            async with http.ws_connect("/rtc", params={"access_token": token, "reconnect": "1", "sid": sid}) as socket:
                assert await answer(socket) == {"leave": {"can_reconnect": 1, "reason": 6, "action": 2}}, sid
                await closed(socket)
    assert len(server.sessions) == 0
    assert not [r for r in caplog.records if r.exc_info]


ELSEWHERE = {
    "/ws": ("token",),
    "/chat/ws": ("token",),
    "/ws/stream": ("token",),
    "/v1/attach": ("token", "call"),
    "/api/scribe/ws": ("token",),
    "/v1/chat": ("token",),
    "/v1/voice": ("token",),
    "/v1/flow": ("jwt",),
}
"""WebSockets of other doors, with the parameters in which they take a token."""


async def test_a_token_is_for_its_own_door_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with guarded(tmp_path) as g, aiohttp.ClientSession(g.server.url) as http:
        admin, _ = await g.keys.create("admin", scopes=["call", "admin"])
        server, keyed = g.server, {"Authorization": f"Bearer {admin}"}
        token = await g.token(kind="livekit")
        secret = jwt.decode(token, options={"verify_signature": False})["jti"]
        for path, names in ELSEWHERE.items():
            for shown in (token, secret):
                query = {name: shown for name in names}
                try:
                    socket = await http.ws_connect(path, params=query)
                except aiohttp.WSServerHandshakeError as refused:
                    assert 400 <= refused.status < 500, path
                else:
                    # a door that accepts the socket first says it there, and closes it
                    await socket.send_json({"message": "StartConversation", "conversation_config": {}})
                    said: list[Any] = []
                    while (message := await socket.receive(10)).type is aiohttp.WSMsgType.TEXT:
                        said.append(message.data)
                    assert socket.close_code not in (None, 1000, 1011), (path, said)
        async with http.post("/webrtc/offer", json={"type": "offer", "sdp": "v=0", "token": token}) as response:
            assert response.status in (401, 403)
        others = {kind: await g.token(kind=kind) for kind in ("webrtc", "chat")} | {"key": g.key}
        async with http.get("/stream/token", params={"agent_id": "mara"}, headers=keyed) as response:
            others["stream"] = (await response.json())["token"]
        async with http.post("/v1/api_keys?type=flow", json={"ttl": 60}, headers=keyed) as response:
            others["short"] = (await response.json())["key_value"]
        for kind, other in others.items():
            signed = jwt.encode({"jti": other, "sub": "ada"}, _key(other), "HS256")
            for shown in (other, signed):
                assert (await refusal(http, "/rtc/v1", access_token=shown))[0] in (401, 403), kind
        # whoever has the whole token may sign it anew: it is the same call's all the same, and no other room's
        claims = {"jti": secret, "sub": "ada", "video": {"room": "another", "roomJoin": True, "roomAdmin": True}}
        mine = jwt.encode(claims, _key(secret), "HS256")
        socket = await http.ws_connect("/rtc/v1", params={"access_token": mine})
        joined = (await answer(socket))["join"]
        assert joined["room"]["name"] == call_of(server)[0].call_id
        await socket.send_bytes(request(leave={"reason": 1}))
        await closed(socket)
        await no_sessions(server)
    assert not [r for r in caplog.records if r.exc_info]
