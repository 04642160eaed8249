"""LiveKit's door to those whom it does not let in, or sends away: none of it is an error of the server's."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import struct
import time
from collections.abc import Callable
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import WSMsgType

from media_server.doors.livekit import routes
from media_server.doors.livekit.messages import SCHEMA
from media_server.doors.livekit.protobuf import Codec, Message
from media_server.errors import ClientError
from media_server.server import Server
from tests.conftest import no_sessions
from tests.doors.livekit import call_of, own_token

CODEC = Codec(SCHEMA, frozenset({"SignalRequest"}))


def parameter(request: Message, compression: int = 0, zipped: bytes = b"") -> str:
    data = CODEC.encode("JoinRequest", request)
    data = zipped or (gzip.compress(data) if compression else data)
    wrapped = CODEC.encode("WrappedJoinRequest", {"compression": compression, "join_request": data})
    return base64.urlsafe_b64encode(wrapped).decode()


def forged(token: str) -> dict[str, str]:
    """Tokens that somebody has made of a good one."""
    head, claims, signature = token.split(".")
    changed = jwt.decode(token, options={"verify_signature": False})
    other = changed | {"sub": "somebody else"}
    claimed = base64.urlsafe_b64encode(json.dumps(other).encode()).decode().rstrip("=")
    return {
        "empty": "",
        "no token": "hello",
        "cut": token[: len(token) // 2],
        "without its signature": f"{head}.{claims}.",
        "another signature": f"{head}.{claims}.{signature[::-1]}",
        "other claims": f"{head}.{claimed}.{signature}",
        "another key": jwt.encode(other, "a" * 32, "HS256"),
        "no algorithm": jwt.encode(changed, None, "none"),  # type: ignore[arg-type]
        "no secret": jwt.encode({"sub": "ada"}, "a" * 32, "HS256"),
        "a secret that is none": jwt.encode({"sub": "ada", "jti": "lkt_x"}, "a" * 32, "HS256"),
        "a secret of another type": jwt.encode({"sub": "ada", "jti": "1", "x": [1]}, "b" * 32, "HS256"),
        "very long": token + "x" * 5000,
        "not in ASCII": "ä.ö.ü",
        "many dots": "." * 100,
    }


BAD_JOINS = {
    "no base64": "%%%",
    "no wrapper": base64.urlsafe_b64encode(b"\xff\xff").decode(),
    "cut gzip": base64.urlsafe_b64encode(b"\x08\x01\x12\x04\x1f\x8b\x08\x00").decode(),
    "a bomb": base64.urlsafe_b64encode(
        CODEC.encode("WrappedJoinRequest", {"compression": 1, "join_request": gzip.compress(b"\0" * 5_000_000)})
    ).decode(),
    "a bomb in a bomb": parameter({"metadata": "x"}, 1, gzip.compress(gzip.compress(b"\0" * 50_000_000))),
    "a bomb in many parts": parameter({}, 1, gzip.compress(b"\0" * 200_000) * 8),
    "something else behind it": parameter({}, 1, gzip.compress(b"\xff" * 9) + b"more"),
    "another compression": base64.urlsafe_b64encode(b"\x08\x09").decode(),
}


async def refusal(http: aiohttp.ClientSession, path: str, **query: str) -> tuple[int, int, str]:
    """How a client is refused: the status of the upgrade, and what `validate` says."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(path, params=query)
    async with http.get(f"{path}/validate", params=query) as response:
        return refused.value.status, response.status, await response.text()


async def test_tokens_that_open_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    token = await own_token(server)
    async with aiohttp.ClientSession(server.url) as http:
        for name, shown in forged(token).items():
            status, told, text = await refusal(http, "/rtc/v1", access_token=shown)
            assert (status, told) == (401, 401), name
            assert text.endswith("."), name
        # tokens of other doors, and this one's there
        answers = {}
        for kind in ("webrtc", "chat"):
            async with http.post("/v1/tokens", json={"agent": "desk", "kind": kind}) as response:
                answers[kind] = (await response.json())["token"]
        for other in answers.values():
            assert (await refusal(http, "/rtc", access_token=other))[:2] == (401, 401)
        offer = {"type": "offer", "sdp": "v=0"}
        headers = {"Authorization": f"Bearer {token}"}
        async with http.post("/v1/sessions", json=offer, headers=headers) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (403, "token_wrong_kind")
        for wanted in BAD_JOINS.values():
            status, told, _ = await refusal(http, "/rtc/v1", access_token=token, join_request=wanted)
            assert (status, told) == (400, 403)
        expired = await own_token(server, ttl_s=0.01)
        await asyncio.sleep(0.02)
        assert (await refusal(http, "/rtc/v1", access_token=expired))[:2] == (401, 401)
        # after all of this it is still good, once
        socket = await http.ws_connect("/rtc/v1", params={"access_token": token})
        assert "join" in await answer(socket)
        await socket.send_bytes(CODEC.encode("SignalRequest", {"leave": {"reason": 1}}))
        await closed(socket)
        await no_sessions(server)
        status, told, text = await refusal(http, "/rtc/v1", access_token=token)
        assert (status, told, text) == (401, 401, "The token was used already; each is good for one call.")
    assert not [r for r in caplog.records if r.exc_info]


async def answer(socket: aiohttp.ClientWebSocketResponse) -> Message:
    message = await socket.receive(10)
    assert message.type is WSMsgType.BINARY, message
    return CODEC.decode("SignalResponse", message.data)


async def closed(socket: aiohttp.ClientWebSocketResponse) -> list[Message]:
    """What comes until the socket is closed."""
    messages = []
    while (message := await socket.receive(10)).type is WSMsgType.BINARY:
        messages.append(CODEC.decode("SignalResponse", message.data))
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED), message
    return messages


def request(**fields: Any) -> bytes:
    return CODEC.encode("SignalRequest", fields)


BAD_MESSAGES: dict[str, Callable[[], bytes | str]] = {
    "text": lambda: "hello",
    "no protobuf": lambda: b"\xff" * 20,
    "a wire type that is none": lambda: b"\x0b",
    "a cut offer": lambda: request(offer={"type": "offer", "sdp": "v=0"})[:-2],
    "an empty offer": lambda: request(offer={}),
    "an offer without sections": lambda: request(offer={"sdp": "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"}),
    "many values": lambda: b"\x2a\x00" * 30_000,
    "a message of 200 kB": lambda: request(offer={"sdp": "x" * 200_000}),
    "a candidate that is none": lambda: request(trickle={"candidate_init": "{"}),
    "encryption": lambda: request(add_track={"cid": "a", "encryption": 1}),
}


async def test_messages_that_cannot_be_end_the_call_alone(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        for name, message in BAD_MESSAGES.items():
            began = time.monotonic()
            socket = await http.ws_connect("/rtc", params={"access_token": await own_token(server)}, autoclose=False)
            assert "join" in await answer(socket), name
            data = message()
            await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
            left = [m["leave"] for m in await closed(socket) if "leave" in m]
            assert left in ([{"reason": 6}], []), name
            await socket.close()
            assert time.monotonic() - began < 20
    await no_sessions(server)
    assert not [r for r in caplog.records if r.exc_info]


SDP = (
    "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n"
    "a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\na=mid:0\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\na=sctp-port:5000\r\n"
)
WHOLE = [
    request(offer={"type": "offer", "sdp": SDP, "id": 1, "mid_to_track_id": {"0": "TR_1"}}),
    request(add_track={"cid": "a", "name": "mic", "source": 2, "audio_features": [2, 3, 4]}),
    request(trickle={"candidate_init": '{"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host"}', "target": 1}),
    request(update_metadata={"metadata": "m", "attributes": {"page": "prices"}, "request_id": 7}),
    request(mute={"sid": "TR_1", "muted": 1}, ping_req={"timestamp": 2**62, "rtt": -1}),
]
CUT = [
    whole[:end] for whole in WHOLE for end in sorted({1, 2, 3, 5, 8, len(whole) // 2, len(whole) - 4, len(whole) - 1})
]


async def test_messages_that_are_cut_anywhere(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    before = len(asyncio.all_tasks())
    async with aiohttp.ClientSession(server.url) as http:
        for data in CUT:
            socket = await http.ws_connect("/rtc/v1", params={"access_token": await own_token(server)}, autoclose=False)
            assert "join" in await answer(socket)
            await socket.send_bytes(data)
            # some are whole by chance; what follows is none
            await socket.send_bytes(b"\x0b")
            assert [m["leave"] for m in await closed(socket) if "leave" in m] == [{"reason": 6}], data
            await socket.close()
    await no_sessions(server)
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - connections take a moment to close
            await asyncio.sleep(0.05)
    assert not server.sessions._names
    assert not server.sessions.edge._callers.by_username
    assert not [r for r in caplog.records if r.exc_info]


async def test_a_thousand_offers_are_the_last_ones(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        socket = await http.ws_connect("/rtc/v1", params={"access_token": await own_token(server)})
        assert "join" in await answer(socket)
        for number in range(1000):
            await socket.send_bytes(request(offer={"type": "offer", "sdp": SDP, "id": number + 1}))
        came = await closed(socket)
        assert 20 <= len([m for m in came if "answer" in m]) < 40
        assert [m["leave"] for m in came if "leave" in m] == [{"reason": 6}]
    await no_sessions(server)


async def test_a_token_that_is_shown_by_many_at_once_is_one_call(server: Server) -> None:
    token = await own_token(server)
    async with aiohttp.ClientSession(server.url) as http:
        sockets = await asyncio.gather(*(http.ws_connect("/rtc/v1", params={"access_token": token}) for _ in range(10)))
        assert len(server.sessions) == 1
        call_of(server)[0].hang_up("client_hangup")
        left = [m["leave"]["reason"] for s in sockets for m in await closed(s) if "leave" in m]
        assert sorted(left) == [1] + [2] * 9, "the newest had the call, the others were told that it is there"
    await no_sessions(server)


async def test_nobody_takes_over_another_ones_place(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        mine, theirs = await own_token(server), await own_token(server)
        socket = await http.ws_connect("/rtc/v1", params={"access_token": mine})
        sid = (await answer(socket))["join"]["participant"]["sid"]
        again = {"reconnect": 1, "participant_sid": sid}
        for token, wanted in ((theirs, again), (mine, {"reconnect": 1, "participant_sid": "PA_0"})):
            other = await http.ws_connect("/rtc/v1", params={"access_token": token, "join_request": parameter(wanted)})
            assert await answer(other) == {"leave": {"can_reconnect": 1, "reason": 6, "action": 2}}
            await closed(other)
        # with both it is the same one, who has come back; the socket before is closed
        back = await http.ws_connect("/rtc/v1", params={"access_token": mine, "join_request": parameter(again, 1)})
        assert "reconnect" in await answer(back)
        await closed(socket)
        await back.send_bytes(request(leave={}))
        await closed(back)
    await no_sessions(server)


async def test_a_token_whose_call_never_came_about_is_good_once_more(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "CONNECTED_S", 0.0)
    token = await own_token(server)
    async with aiohttp.ClientSession(server.url) as http:
        async with http.ws_connect("/rtc/v1", params={"access_token": token}) as socket:
            assert "join" in await answer(socket)
            await closed(socket)  # it has offered nothing
        await no_sessions(server)
        async with http.get("/rtc/v1/validate", params={"access_token": token}) as response:
            assert response.status == 200, await response.text()
        async with http.ws_connect("/rtc/v1", params={"access_token": token}) as socket:
            assert "join" in await answer(socket)
            await socket.send_bytes(CODEC.encode("SignalRequest", {"leave": {"reason": 1}}))
            await closed(socket)
        await no_sessions(server)
        assert (await refusal(http, "/rtc/v1", access_token=token))[0] == 401, (
            "a call that was hung up is none that failed"
        )


async def test_a_token_is_good_after_the_server_has_failed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise ClientError("no_records", "The database cannot be written.", status=503)

    token = await own_token(server)
    async with aiohttp.ClientSession(server.url) as http:
        with monkeypatch.context() as patch:
            patch.setattr(server.sessions, "_begin_record", fail)
            assert (await refusal(http, "/rtc/v1", access_token=token))[:2] == (503, 200)
        async with http.ws_connect("/rtc/v1", params={"access_token": token}) as socket:
            assert "join" in await answer(socket)
            await socket.send_bytes(CODEC.encode("SignalRequest", {"leave": {"reason": 1}}))
            await closed(socket)
    await no_sessions(server)


async def test_a_socket_that_is_reset_ends_no_call(server: Server) -> None:
    token = await own_token(server)
    async with aiohttp.ClientSession(server.url) as http:
        socket = await http.ws_connect("/rtc/v1", params={"access_token": token})
        assert "join" in await answer(socket)
        session, _ = call_of(server)
        transport = socket.get_extra_info("socket")
        transport.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        assert socket._response.connection
        assert socket._response.connection.transport
        socket._response.connection.transport.abort()
        await asyncio.sleep(0.5)
        assert not session.over
        async with http.ws_connect("/rtc/v1", params={"access_token": token}) as again:
            assert "join" in await answer(again), "its token is good for as long as its call lasts"
            assert call_of(server)[0] is session
            await again.send_bytes(CODEC.encode("SignalRequest", {"leave": {"reason": 1}}))
            await closed(again)
    await no_sessions(server)
