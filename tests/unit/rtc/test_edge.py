"""The server's own ICE agent, with real sockets and aiortc as the caller."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from aioice import stun
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.errors import ClientError
from media_server.rtc import Edge, Handset, Microphone, Peer, Ports, Speaker, Speech, wires
from media_server.rtc.link import Link
from media_server.rtc.sdp import Credentials, Offer
from media_server.rtc.tracks import received

THEIRS = Credentials("them", "t" * 22)
LITE = Offer((), (), False)


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with Edge.open() as edge:
        yield edge
        callers = edge._callers
        assert not any((callers.by_username, callers.by_path, callers.by_ssrc, callers.by_host))
        assert not edge._callers.by_check


def host_of(edge: Edge) -> str:
    return next(iter(edge._udp))


class Call:
    """A caller with aiortc, and the server's side of it."""

    def __init__(self, edge: Edge) -> None:
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.handset = Handset(time.monotonic, Microphone(time.monotonic), Speaker(), self.messages.put_nowait)
        self.peer = Peer(edge, self.handset)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.track: Any = None
        self.pc.on("track", lambda track: setattr(self, "track", track))
        self.running: asyncio.Task[None] | None = None

    async def connect(self, port: int | None = None, edit: Callable[[str], str] = str) -> None:
        """Args: port: on 127.0.0.1, in place of the server's candidates; edit: changes the offer."""
        self.pc.addTrack(AudioStreamTrack())
        channel = self.pc.createDataChannel("events")
        channel.on("open", lambda: channel.send("hello"))
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.peer.accept(edit(self.pc.localDescription.sdp))
        if port:
            elsewhere = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
            answer = re.sub("(a=candidate:.*\r\n)+", elsewhere, answer)
        self.running = asyncio.create_task(self.peer.run())
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(10):
            await self.peer.connected.wait()
            assert await self.messages.get() == "hello"

    async def close(self) -> None:
        await self.pc.close()
        if self.running:
            async with asyncio.timeout(5):
                await self.running
        await self.peer.close()


@contextlib.asynccontextmanager
async def in_call(edge: Edge, port: int | None = None) -> AsyncIterator[Call]:
    call = Call(edge)
    try:
        await call.connect(port)
        yield call
    finally:
        await call.close()


async def test_a_call_is_up_within_a_moment_and_leaves_nothing_behind(edge: Edge) -> None:
    began = time.monotonic()
    async with in_call(edge) as call:
        assert time.monotonic() - began < 2
        assert call.peer.transport == "webrtc"
    assert call.peer.closed_by_peer


OTHERS = [f"a=fingerprint:{name} " + ":".join(["AB"] * size) for name, size in (("sha-256", 32), ("sha-512", 64))]
"""Fingerprints of a certificate that the caller does not use."""


@pytest.mark.parametrize("way", ["first", "last"])
async def test_a_caller_may_have_several_certificates(edge: Edge, way: str) -> None:
    call = Call(edge)

    def edit(offer: str) -> str:
        lines = re.findall("a=fingerprint.*", offer)[:3]
        lines = [*OTHERS, *lines] if way == "first" else [*lines, *OTHERS]
        return re.sub("(a=fingerprint.*\r\n)+", "\r\n".join(line.strip() for line in lines) + "\r\n", offer)

    await call.connect(edit=edit)
    await call.close()


async def test_a_caller_with_another_certificate_is_not_connected(edge: Edge) -> None:
    call = Call(edge)
    connecting = asyncio.create_task(
        call.connect(edit=lambda offer: re.sub("(a=fingerprint.*\r\n)+", "\r\n".join(OTHERS) + "\r\n", offer))
    )
    async with asyncio.timeout(10):
        await call.peer.gone.wait()
    assert not call.peer.connected.is_set()
    connecting.cancel()
    await asyncio.wait([connecting])
    await call.close()


async def test_many_calls_share_one_port_and_take_no_descriptors(edge: Edge) -> None:
    async with contextlib.AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(in_call(edge)) for _ in range(4)]
        ports = {call.peer.link.selected[0].port for call in calls}  # type: ignore[union-attr]
        assert ports == {edge.udp_port}
        assert len(edge._callers.by_path) >= 4


def request(username: str, password: str, **more: Any) -> stun.Message:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes.update({"USERNAME": username, "PRIORITY": 1, "ICE-CONTROLLING": 1, **more})
    message.add_message_integrity(password.encode())
    return message


class Stranger:
    """A UDP socket beside everything; `ask` is what comes back, or None."""

    def __init__(self, edge: Edge) -> None:
        self.address = (host_of(edge), edge.udp_port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host_of(edge), 0))
        self.socket.setblocking(False)

    async def ask(self, data: bytes, within_s: float = 0.15) -> bytes | None:
        self.socket.sendto(data, self.address)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                return await asyncio.get_running_loop().sock_recv(self.socket, 2048)
        return None


@pytest.fixture
async def link(edge: Edge) -> AsyncIterator[Link]:
    made = edge.link(LITE, THEIRS, lambda _: False)
    assert isinstance(made, Link)
    yield made
    await made.close()


async def test_a_check_is_answered_and_the_unauthenticated_meet_silence(edge: Edge, link: Link) -> None:
    ours, stranger = link.generation.local, Stranger(edge)
    username = f"{ours.username}:{THEIRS.username}"
    good = bytes(request(username, ours.password))
    unsigned = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    unsigned.attributes["USERNAME"] = username
    for bad in (bytes(request(username, "wrong")), bytes(request("nobody:them", ours.password)), bytes(unsigned),
                bytes(stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)), b"\x16" * 100, b"\x80" * 100, b"\x00",
                good[:-9]):  # fmt: skip
        assert await stranger.ask(bad) is None, bad
    assert not link.connected.is_set()
    answer = await stranger.ask(good)
    assert answer is not None
    parsed = stun.parse_message(answer)
    assert parsed.check_message_integrity(ours.password.encode())
    assert parsed.attributes["XOR-MAPPED-ADDRESS"] == stranger.socket.getsockname()
    assert link.connected.is_set()


async def test_a_role_conflict_is_answered_and_leads_nowhere(edge: Edge, link: Link) -> None:
    ours = link.generation.local
    message = request(f"{ours.username}:them", ours.password, **{"ICE-CONTROLLED": 1})
    answer = await Stranger(edge).ask(bytes(message))
    assert answer is not None
    assert stun.parse_message(answer).attributes["ERROR-CODE"][0] == 487
    assert not link.connected.is_set()


@pytest.mark.parametrize(
    ("kinds", "named"),
    [([0x7FF0], [0x7FF0]), ([0xC057, 0x0003, 0x7FF1, 0x7FF1], [0x0003, 0x7FF1]), ([0xFF00, 0x0014, 0x001D], [])],
    ids=["one", "among others", "none"],
)
async def test_attributes_that_have_to_be_understood_and_are_not_are_named(
    edge: Edge, link: Link, kinds: list[int], named: list[int]
) -> None:
    ours = link.generation.local
    plain = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    plain.attributes.update({"USERNAME": f"{ours.username}:them", "PRIORITY": 1, "ICE-CONTROLLING": 1})
    body = bytes(plain) + b"".join(struct.pack("!HH", kind, 4) + b"abcd" for kind in kinds)
    signature = stun.message_integrity(body, ours.password.encode())
    body += struct.pack("!HH", 0x0008, 20) + signature
    after = struct.pack("!HH", 0x7FFF, 0)  # what comes behind the signature is not part of the request
    answer = await Stranger(edge).ask(stun.set_body_length(body + after, len(body + after) - 20), 1.0)
    assert answer is not None
    parsed = stun.parse_message(answer)
    assert parsed.check_message_integrity(ours.password.encode())
    assert parsed.transaction_id == plain.transaction_id
    if named:
        assert parsed.attributes["ERROR-CODE"][0] == 420
        assert struct.pack(f"!HH{len(named)}H", 0x000A, 2 * len(named), *named) in answer
    else:
        assert parsed.message_class == stun.Class.RESPONSE
    assert link.connected.is_set() != bool(named)


async def test_damaged_packets_are_passed_over(edge: Edge, link: Link) -> None:
    ours, chance = link.generation.local, random.Random(1)
    good = bytes(request(f"{ours.username}:them", ours.password))
    wire = next(iter(edge._udp.values()))
    for _ in range(20_000):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        edge.received(wire, bytes(data[: chance.randrange(1, len(data) + 1)]), ("192.0.2.9", 9))
    assert len(edge._callers.by_path) <= 1


async def packets(stream: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await stream.readexactly(2), "big")
    return await stream.readexactly(size)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


async def test_checks_over_tcp_in_parts_and_several_at_once(edge: Edge, link: Link) -> None:
    ours = link.generation.local
    check = framed(bytes(request(f"{ours.username}:them", ours.password)))
    reader, writer = await asyncio.open_connection(host_of(edge), edge.tcp_port)
    async with asyncio.timeout(5):
        for byte in check:
            writer.write(bytes([byte]))
            await writer.drain()
        assert stun.parse_message(await packets(reader)).message_class == stun.Class.RESPONSE
        writer.write(check * 3)
        for _ in range(3):
            await packets(reader)
        assert link.selected
        assert link.selected[0].protocol == "tcp"
        link.send(b"\x14voice")
        assert await packets(reader) == b"\x14voice"
        writer.close()
        while link.selected:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    link.send(b"\x14voice")  # nobody is there: lost, and no error


@pytest.mark.parametrize(
    "said", [b"\x00\x00", framed(bytes(700)), b"GET / HTTP/1.1\r\n\r\n", framed(b"\x00") * 4, framed(b"\x80" * 20) * 4]
)
async def test_a_tcp_connection_that_is_no_callers_is_closed(edge: Edge, said: bytes) -> None:
    reader, writer = await asyncio.open_connection(host_of(edge), edge.tcp_port)
    writer.write(said)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_many_small_packets_over_tcp_leave_others_their_turn(edge: Edge, link: Link) -> None:
    ours = link.generation.local
    reader, writer = await asyncio.open_connection(host_of(edge), edge.tcp_port)
    check = framed(bytes(request(f"{ours.username}:them", ours.password)))
    longest_s, last_s = 0.0, time.thread_time()
    async with asyncio.timeout(10):
        writer.write(check)
        await packets(reader)
        writer.write(framed(b"\x00\x01" + bytes(18)) * 20_000 + check)
        answered = asyncio.create_task(packets(reader))
        while not answered.done():
            await asyncio.sleep(0)
            longest_s, last_s = max(longest_s, time.thread_time() - last_s), time.thread_time()
    writer.close()
    assert longest_s < 0.05


async def test_a_tcp_connection_that_says_nothing_is_closed(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "STRANGER_S", 0.1)
    reader, writer = await asyncio.open_connection(host_of(edge), edge.tcp_port)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


class Relay(asyncio.DatagramProtocol):
    """A NAT on 127.0.0.1: `rebind` gives the caller another port towards the server."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server, self.caller = server, ("", 0)
        self.down: Any = None
        self.up: Any = None
        self.rebound_s = self.heard_s = 0.0

    async def start(self) -> int:
        loop = asyncio.get_running_loop()
        self.down, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        await self.rebind()
        return int(self.down.get_extra_info("sockname")[1])

    async def rebind(self) -> None:
        if self.up:
            self.up.close()
        relay = self

        class Up(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: Any) -> None:
                if 127 < data[0] < 192 and relay.rebound_s and not relay.heard_s:
                    relay.heard_s = time.monotonic() - relay.rebound_s
                relay.down.sendto(data, relay.caller)

        self.up, _ = await asyncio.get_running_loop().create_datagram_endpoint(Up, remote_addr=self.server)
        self.rebound_s = time.monotonic() if self.caller[1] else 0.0

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.caller = address
        self.up.sendto(data)

    def close(self) -> None:
        self.down.close()
        self.up.close()


TONE: Samples = (np.sin(np.arange(3 * CALL_RATE_HZ) / 20) * 8000).astype(np.int16)


async def test_a_caller_whose_nat_gives_him_another_port_hears_on(edge: Edge) -> None:
    relay = Relay((host_of(edge), edge.udp_port))
    try:
        async with in_call(edge, await relay.start()) as call:
            call.handset.speaker.play(Speech(TONE))
            heard: list[Samples] = []

            async def hear() -> None:
                async for samples in received(call.track, CALL_RATE_HZ):
                    heard.append(samples)

            hearing = asyncio.create_task(hear())
            frames = aiter(call.handset.microphone)
            async with asyncio.timeout(10):
                for _ in range(20):
                    await anext(frames)
                before = call.peer.link.selected  # type: ignore[union-attr]
                await relay.rebind()
                while not relay.heard_s:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.01)
            assert relay.heard_s < 1.0
            assert call.peer.link.selected != before  # type: ignore[union-attr]
            assert edge._callers.by_check == {}
            hearing.cancel()
    finally:
        relay.close()


async def test_a_caller_whose_address_changes_in_the_handshake_is_followed(edge: Edge) -> None:
    class Rebinding(Relay):
        def datagram_received(self, data: bytes, address: Any) -> None:
            super().datagram_received(data, address)
            if 19 < data[0] < 64 and not self.rebound_s:
                self.rebound_s = time.monotonic()
                self.rebinding = asyncio.ensure_future(self.rebind())

    relay = Rebinding((host_of(edge), edge.udp_port))
    try:
        began = time.monotonic()
        async with in_call(edge, await relay.start()):
            await relay.rebinding
            assert time.monotonic() - began < 3, "the caller's next packet comes after a second"
    finally:
        relay.close()


async def test_the_ports_are_as_asked_for_and_the_public_addresses_are_told(edge: Edge) -> None:
    async with Edge.open(Ports(usual=edge.udp_port), ["203.0.113.7"]) as other:
        assert edge.udp_port != other.udp_port  # the usual one is taken
        first = other.candidates()[0]
        assert f" 203.0.113.7 {other.udp_port} typ host" in first
        wanted = other.udp_port
    with pytest.raises(OSError, match="in use"):
        async with Edge.open(Ports(udp=edge.udp_port)):
            pass
    async with Edge.open(Ports(udp=wanted, tcp=wanted)) as third:
        assert (third.udp_port, third.tcp_port) == (wanted, wanted)


async def test_an_offer_that_is_refused_leaves_nothing(edge: Edge) -> None:
    call = Call(edge)
    with pytest.raises(ClientError):
        await call.peer.accept("v=0")
    await call.close()


async def test_addresses_that_come_and_go_are_followed(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(edge._udp)
    monkeypatch.setattr("media_server.rtc.edge.local_addresses", lambda: ["127.0.0.1"])
    await edge._rescan()
    assert [c.split()[4] for c in edge.candidates()] == ["127.0.0.1", "127.0.0.1"]
    monkeypatch.undo()
    await edge._rescan()
    assert sorted(edge._udp) == sorted(before)
