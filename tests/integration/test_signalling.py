"""The HTTP side: what is answered to offers, good and bad, and that nothing of a bad one stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aioice import Connection
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from yarl import URL

from media_server.caller import Caller
from media_server.rtc.answer import local_fragment
from media_server.rtc.relayed import Reach, usable
from media_server.rtc.sdp import Credentials, parse_fragment
from media_server.server import Server
from tests.conftest import no_sessions
from tests.proxies import under_a_path

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session
    await no_sessions(server)


@pytest.fixture
async def offer() -> AsyncIterator[str]:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    pc.createDataChannel("events")
    await pc.setLocalDescription(await pc.createOffer())
    yield pc.localDescription.sdp
    await pc.close()


def peer_connections() -> int:
    gc.collect()
    return sum(isinstance(o, RTCDtlsTransport) and o.state != "closed" for o in gc.get_objects())


def location_of(response: aiohttp.ClientResponse) -> str:
    """Where the session is: the header is relative to the request's address."""
    return response.url.join(URL(response.headers["Location"])).path


async def test_the_operations_endpoints(http: aiohttp.ClientSession) -> None:
    async with http.get("/healthz") as r:
        assert (r.status, await r.json()) == (200, {"status": "ok"})
    async with http.get("/readyz") as r:
        assert r.status == 200
        assert await r.json() == {"ready": True, "engines": {"stt": True, "llm": True, "tts": True}}
    async with http.get("/v1/agents") as r:
        assert (await r.json())["agents"][0] == {"name": "assistant"}


async def test_the_page_and_its_files(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as r:
        assert r.status == 200
        assert "default-src 'self'" in r.headers["Content-Security-Policy"]
        page = await r.text()
    assert "://" not in page.replace("http://www.w3.org", "")
    async with http.get("/static/js/app.js") as r:
        assert r.status == 200
        assert "javascript" in r.content_type
    async with http.get("/static/../pyproject.toml") as r:
        assert r.status == 404


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "no JSON": ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "bad_json"),
    "no object": ({"json": []}, 400, "bad_request"),
    "missing field": ({"json": {"agent": "assistant", "type": "offer"}}, 400, "bad_request"),
    "unknown field": ({"json": {"agent": "assistant", "sdp": "v=0", "type": "offer", "x": 1}}, 400, "bad_request"),
    "more messages than there can be": (
        {"json": {"sdp": "v=0", "type": "offer", "continues": "x", "received": 10**30}},
        400,
        "bad_request",
    ),
    "not an offer": ({"json": {"agent": "assistant", "sdp": "v=0", "type": "answer"}}, 400, "bad_request"),
    "wrong content type": ({"data": "hello", "headers": {"Content-Type": "text/plain"}}, 415, "wrong_content_type"),
    "no UTF-8": ({"data": b'{"agent":"\xff"}', "headers": {"Content-Type": "application/json"}}, 400, "bad_encoding"),
    "unknown charset": (
        {"data": b"{}", "headers": {"Content-Type": "application/json; charset=no-such"}},
        400,
        "bad_encoding",
    ),
    "no SDP": ({"json": {"agent": "assistant", "sdp": "nonsense", "type": "offer"}}, 400, "bad_sdp"),
    "broken SDP": ({"json": {"agent": "assistant", "sdp": "v=0\r\nm=audio x", "type": "offer"}}, 400, "bad_sdp"),
    "unknown agent": ({"json": {"agent": "nobody", "sdp": "v=0", "type": "offer"}}, 404, "unknown_agent"),
    "too large": ({"json": {"agent": "assistant", "sdp": "x" * 70_000, "type": "offer"}}, 413, "body_too_large"),
}


@pytest.mark.parametrize(("request_", "status", "code"), BAD.values(), ids=BAD.keys())
async def test_a_bad_request_is_refused_with_its_own_code(
    http: aiohttp.ClientSession, request_: dict[str, Any], status: int, code: str
) -> None:
    before = peer_connections()
    async with http.post("/v1/sessions", **request_) as r:
        body = await r.json()
    assert (r.status, body["error"]["code"]) == (status, code)
    assert body["error"]["message"].endswith(".")
    assert "Traceback" not in str(body)
    assert peer_connections() == before


def without_audio(sdp: str) -> str:
    head, *media = sdp.split("m=")
    return "m=".join([head.replace("BUNDLE 0 1", "BUNDLE 1"), *[m for m in media if not m.startswith("audio")]])


BAD_OFFERS: dict[str, tuple[Callable[[str], str], str]] = {
    "no audio": (without_audio, "no_audio"),
    "unknown codec only": (
        lambda s: re.sub("opus/48000/2|PCMU/8000|PCMA/8000|G722/8000", "speex/16000", s),
        "no_common_codec",
    ),
    "no fingerprint": (
        lambda s: "\r\n".join(x for x in s.splitlines() if "fingerprint" not in x) + "\r\n",
        "bad_sdp",
    ),
    "no ICE": (lambda s: "\r\n".join(x for x in s.splitlines() if "ice-" not in x) + "\r\n", "bad_sdp"),
    "cut in the middle": (lambda s: s[: s.index("m=") + 9], "bad_sdp"),
    "broken candidate": (lambda s: s.replace("a=setup", "a=candidate:1 x udp y 1.2.3.4 z\r\na=setup"), "bad_sdp"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "code"), BAD_OFFERS.values(), ids=BAD_OFFERS.keys())
async def test_a_bad_offer_is_refused(
    http: aiohttp.ClientSession, server: Server, offer: str, spoil: Callable[[str], str], code: str
) -> None:
    before = peer_connections()
    body = {"agent": "assistant", "sdp": spoil(offer), "type": "offer"}
    async with http.post("/v1/sessions", json=body) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (400, code)
    assert peer_connections() == before
    assert len(server.sessions) == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("DELETE", "/v1/sessions/none", 404, "unknown_session"),
        ("PATCH", "/v1/sessions/none", 404, "unknown_session"),
        ("GET", "/v1/sessions", 405, "method_not_allowed"),
        ("GET", "/no/such", 404, "not_found"),
        ("GET", "/static/no-such.js", 404, "not_found"),
    ],
)
async def test_a_wrong_address_is_a_clear_error(
    http: aiohttp.ClientSession, method: str, path: str, status: int, code: str
) -> None:
    async with http.request(method, path) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (status, code)


async def test_local_names_of_a_browser_cost_no_waiting(http: aiohttp.ClientSession, offer: str) -> None:
    lines = [x for x in offer.splitlines() if not x.startswith("a=candidate")]
    at = next(i for i, x in enumerate(lines) if x.startswith("a=setup"))
    hidden = [f"a=candidate:{i} 1 udp 2113937151 {i}c3d5e0e-aaaa.local 5000{i} typ host" for i in range(3)]
    sdp = "\r\n".join(lines[:at] + hidden + lines[at:]) + "\r\n"
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with http.post("/v1/sessions", json={"agent": "assistant", "sdp": sdp, "type": "offer"}) as r:
        assert r.status == 201
        location = location_of(r)
    assert loop.time() - began < 0.8
    async with http.delete(location) as r:
        assert r.status == 204


async def test_a_browser_that_hides_its_addresses_connects(http: aiohttp.ClientSession) -> None:
    """All that the server is told are `.local` names; the browser's own checks show it the way."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    opened = asyncio.Event()
    pc.createDataChannel("events").on("open", opened.set)
    await pc.setLocalDescription(await pc.createOffer())
    hidden = re.sub(r"(a=candidate:\S+ \d \w+ \d+) \S+ ", r"\1 1c3d5e0e-aaaa.local ", pc.localDescription.sdp)
    assert hidden.count(".local") >= 1
    async with http.post("/v1/sessions", json={"agent": "assistant", "sdp": hidden, "type": "offer"}) as r:
        answer = await r.json()
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    async with asyncio.timeout(8):
        await opened.wait()
    await pc.close()


async def test_whip(http: aiohttp.ClientSession, offer: str) -> None:
    async with http.post("/v1/whip/assistant", data=offer, headers={"Content-Type": "application/sdp"}) as r:
        assert r.status == 201
        assert r.content_type == "application/sdp"
        assert (await r.text()).startswith("v=0")
        location, etag = location_of(r), r.headers["ETag"]
    candidate = "a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
    async with http.patch(location, data=candidate, headers={**FRAGMENT, "If-Match": etag}) as r:
        assert r.status == 204
    for odd in ("7 udp 1 127.0.0.1 9 typ host", "1 tcp 1 127.0.0.1 9 typ host", "1 udp 1 ::1 99999999 typ relay",
                "1 udp 1 127.0.0.1 -1 typ what", "1 udp 1 name.local 9 typ host"):  # fmt: skip
        async with http.patch(location, data=f"a=mid:0\r\na=candidate:1 {odd}\r\n", headers=FRAGMENT) as r:
            assert r.status in (204, 400), odd
    async with http.patch(location, data=candidate, headers={"Content-Type": FRAGMENT["Content-Type"]}) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (428, "no_ice_session")
    async with http.patch(location, data=candidate, headers={**FRAGMENT, "If-Match": '"old"'}) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (412, "stale_ice_session")
    async with http.patch(location, data="nonsense", headers=FRAGMENT) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (400, "bad_sdp_fragment")
    async with http.patch(location, data=candidate) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (415, "wrong_content_type")
        assert r.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    async with http.delete(location) as r:
        assert r.status == 204


async def test_what_whip_addresses_take_is_told(http: aiohttp.ClientSession, offer: str) -> None:
    async with http.options("/v1/whip/assistant") as r:
        assert (r.status, r.headers["Accept-Post"]) == (204, "application/sdp")
        assert "POST" in r.headers["Allow"]
    async with http.options("/v1/sessions/none") as r:
        assert r.status == 204
        assert "PATCH" in r.headers["Allow"]
        assert r.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_a_server_under_a_path_of_a_proxy(server: Server, http: aiohttp.ClientSession, offer: str) -> None:
    async with under_a_path(server.url) as url:
        for path, sent in (
            ("v1/whip/assistant", {"data": offer, "headers": {"Content-Type": "application/sdp"}}),
            ("v1/sessions", {"json": {"agent": "assistant", "sdp": offer, "type": "offer"}}),
        ):
            async with http.post(url + path, **sent) as r:
                assert r.status == 201
                location = r.url.join(URL(r.headers["Location"]))
            assert str(location).startswith(url)
            async with http.delete(location) as r:
                assert r.status == 204


@pytest.mark.parametrize("direction", ["sendonly", "inactive", "recvonly"])
async def test_a_caller_who_hears_or_says_nothing_has_a_conversation(
    http: aiohttp.ClientSession, server: Server, direction: str
) -> None:
    """Questions are typed here; where nobody hears the answer its time passes all the same."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    channel = pc.createDataChannel("events")
    channel.on("message", lambda text: messages.put_nowait(json.loads(text)))
    await pc.setLocalDescription(await pc.createOffer())
    sdp = pc.localDescription.sdp.replace("a=sendrecv", f"a={direction}")
    async with http.post("/v1/sessions", json={"agent": "assistant", "sdp": sdp, "type": "offer"}) as r:
        answer = await r.json()
    assert f"a={ {'sendonly': 'recvonly', 'recvonly': 'sendonly'}.get(direction, direction) }\r\n" in answer["sdp"]
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    for question, said in (("what is seven plus five", "twelve"), ("what is nine times three", "twenty")):
        async with asyncio.timeout(15):
            while channel.readyState != "open":  # noqa: ASYNC110 - the first time
                await asyncio.sleep(0.02)
            channel.send(json.dumps({"type": "text.send", "text": question}))
            while (message := await messages.get())["type"] != "agent.speech_stopped":
                pass
        assert said in message["heard"]
    await pc.close()


@pytest.mark.parametrize("content_type", ["application/sdp; charset=utf-8", "Application/SDP"])
async def test_whip_in_other_spellings(http: aiohttp.ClientSession, offer: str, content_type: str) -> None:
    async with http.post("/v1/whip/assistant", data=offer, headers={"Content-Type": content_type}) as r:
        assert r.status == 201
        location, etag = location_of(r), r.headers["ETag"]
    fragment = "a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
    async with http.patch(location, data=fragment, headers={**FRAGMENT, "If-Match": f'"other", {etag}'}) as r:
        assert r.status == 204
    for status in (204, 404):
        async with http.delete(location) as r:
            assert r.status == status
    async with http.patch(location, data=fragment, headers={**FRAGMENT, "If-Match": etag}) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (404, "unknown_session")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_whip_is_posted(http: aiohttp.ClientSession, method: str) -> None:
    async with http.request(method, "/v1/whip/assistant") as r:
        assert r.status == 405
        assert "POST" in r.headers["Allow"]


async def test_whip_refuses_what_is_not_sdp(http: aiohttp.ClientSession, offer: str) -> None:
    async with http.post("/v1/whip/assistant", json={"sdp": offer}) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (415, "wrong_content_type")
        assert r.headers["Accept-Post"] == "application/sdp"
    async with http.post("/v1/whip/nobody", data=offer, headers={"Content-Type": "application/sdp"}) as r:
        assert (r.status, (await r.json())["error"]["code"]) == (404, "unknown_agent")


async def test_candidates_may_come_later(http: aiohttp.ClientSession, server: Server) -> None:
    """The offer goes out without candidates; the connection comes about by trickling them."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    channel = pc.createDataChannel("events")
    opened = asyncio.Event()
    channel.on("open", opened.set)
    await pc.setLocalDescription(await pc.createOffer())
    lines = pc.localDescription.sdp.splitlines()
    bare = "\r\n".join(x for x in lines if "candidate" not in x) + "\r\n"
    candidates = [x for x in lines if x.startswith("a=candidate")]
    async with http.post("/v1/sessions", json={"agent": "assistant", "sdp": bare, "type": "offer"}) as r:
        answer = await r.json()
        location = location_of(r)
    fragment = "m=audio 9 RTP 0\r\na=mid:0\r\n" + "\r\n".join(candidates[:4]) + "\r\na=end-of-candidates\r\n"
    async with http.patch(location, data=fragment, headers=FRAGMENT) as r:
        assert r.status == 204
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    async with asyncio.timeout(10):
        await opened.wait()
    await pc.close()


async def test_an_ice_restart_keeps_the_call(http: aiohttp.ClientSession, server: Server) -> None:
    """Both sides get new credentials and a new path; the channel and the call stay."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = pc.addTrack(AudioStreamTrack())
    channel = pc.createDataChannel("events")
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    channel.on("message", lambda text: messages.put_nowait(json.loads(text)))
    ours = Switch(sender.transport.transport)
    await pc.setLocalDescription(await pc.createOffer())
    body = {"agent": "assistant", "sdp": pc.localDescription.sdp, "type": "offer"}
    async with http.post("/v1/sessions", json=body) as r:
        answer = await r.json()
        location, etag = location_of(r), r.headers["ETag"]
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))

    async def answered(text: str) -> str:
        channel.send(json.dumps({"type": "text.send", "text": text}))
        async with asyncio.timeout(10):
            while (message := await messages.get())["type"] != "agent.speech_stopped":
                pass
            return str(message["heard"])

    async with asyncio.timeout(10):
        assert (await messages.get())["type"] == "call.started"
    await answered("my name is olivia")

    new = Connection(ice_controlling=True)
    await new.gather_candidates()
    credentials = Credentials(new.local_username, new.local_password)
    fragment = local_fragment(credentials, "0", [f"candidate:{c.to_sdp()}" for c in new.local_candidates])

    async def patched() -> tuple[str, str]:
        async with http.patch(location, data=fragment, headers=FRAGMENT) as r:
            assert r.status == 200
            assert r.content_type == "application/trickle-ice-sdpfrag"
            assert r.headers["ETag"] != etag
            return await r.text(), r.headers["ETag"]

    # whoever asks twice, or trickles before the answer has come, gets the same one
    first, second, third = await asyncio.gather(patched(), patched(), patched())
    assert first == second == third
    theirs = parse_fragment(first[0])
    assert theirs.credentials
    late = "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"
    old = ours.current
    async with http.patch(location, data=late.format(old.local_username, old.local_password), headers=FRAGMENT) as r:
        assert r.status == 204  # candidates of the former generation begin nothing
    new.remote_username, new.remote_password = theirs.credentials.username, theirs.credentials.password
    new.remote_is_lite = True
    for candidate in usable(theirs.candidates, Reach(loopback=True)):
        await new.add_remote_candidate(candidate)
    await new.add_remote_candidate(None)
    async with asyncio.timeout(5):
        await new.connect()
    ours.current = new
    await old.close()  # what comes now comes over the new path

    assert "Olivia" in await answered("what is my name")
    assert server.sessions.peer(answer["session_id"]).etag == first[1]
    await pc.close()


class Switch:
    """Stands under a client's transport, so that it can go on over another connection: aiortc has no ICE restart."""

    def __init__(self, transport: Any) -> None:
        self.current: Any = transport._connection
        transport._recv, transport._send = self.recv, self.send

    async def recv(self) -> bytes:
        while True:
            connection = self.current
            try:
                return bytes(await connection.recv())
            except ConnectionError:
                if connection is self.current:
                    raise

    async def send(self, data: bytes) -> None:
        await self.current.send(data)


async def test_a_session_can_be_hung_up(http: aiohttp.ClientSession, caller: Caller) -> None:
    async with http.delete(f"/v1/sessions/{caller.session_id}") as r:
        assert r.status == 204
    ended = await caller.wait_for("call.ended")
    assert ended["reason"] == "client_hangup"
    async with http.delete(f"/v1/sessions/{caller.session_id}") as r:
        assert r.status == 404


async def test_more_calls_than_allowed_are_told_to_come_later(
    server: Server, http: aiohttp.ClientSession, offer: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4 - len(server.sessions)):
            await stack.enter_async_context(Caller(server.url))
        async with http.post("/v1/sessions", json={"agent": "assistant", "sdp": offer, "type": "offer"}) as r:
            assert (r.status, (await r.json())["error"]["code"]) == (503, "too_many_calls")
            assert int(r.headers["Retry-After"]) > 0
