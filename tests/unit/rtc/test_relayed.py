"""The transport over aioice, and the private names that it leans on: an upgrade that moves them fails here."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
from aioice import Connection
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from media_server.config import IceServer
from media_server.errors import ConfigurationError
from media_server.rtc import Edge, Handset, Microphone, Peer, Speaker
from media_server.rtc.relayed import MAX_CANDIDATES, MAX_PORTS, Reach, RelayedLink, usable
from media_server.rtc.sdp import Credentials, Offer
from media_server.rtc.servers import check_ice_servers

THEIRS = Credentials("abcd", "0123456789012345678901")
NOWHERE = [
    "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "224.0.0.251",
    "ff02::1", "255.255.255.255", "0.0.0.0", "0.1.2.3", "::", "::ffff:224.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "localhost", "example.org", "1c3d.local", "127.1", "2130706433", "0x7f000001",
]  # fmt: skip


def line(address: str, port: int = 50000, protocol: str = "udp", n: int = 1) -> str:
    return f"candidate:{n} 1 {protocol} 2113937151 {address} {port} typ host"


def link(servers: list[RTCIceServer] | None = None) -> RelayedLink:
    return RelayedLink(servers or [], Offer((), (), False), THEIRS, lambda _: True, Reach())


@pytest.mark.parametrize("address", NOWHERE)
def test_the_server_is_not_made_to_send_to_itself_or_to_everybody(address: str) -> None:
    assert usable([line(address)], Reach()) == []


@pytest.mark.parametrize(("protocol", "port"), [("udp", 0), ("udp", 65536), ("tcp", 9)])
def test_ports_that_cannot_be_and_tcp_are_left_out(protocol: str, port: int) -> None:
    assert usable([line("198.51.100.1", port, protocol)], Reach()) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_server_that_listens_on_this_machine_alone_reaches_its_callers(address: str) -> None:
    assert [c.host for c in usable([line(address)], Reach(loopback=True))] == [address]


def test_no_more_addresses_are_tried_than_is_usual() -> None:
    assert len(usable([line(f"198.51.100.{i}", n=i) for i in range(150)], Reach())) == MAX_CANDIDATES
    assert len(usable([line("198.51.100.1", 5000 + i) for i in range(150)], Reach())) == MAX_PORTS


async def test_a_connection_has_the_private_names() -> None:
    connection = Connection(ice_controlling=False)
    assert connection._local_candidates == []
    assert connection._components == {1}
    assert callable(connection.get_component_candidates)
    await connection.close()


async def test_restarts_one_after_the_other_leave_one() -> None:
    made = link()
    await made.gather()
    for i in range(3):
        await made.restart(Credentials(f"user{i}", "password" * 3))
    assert made.generation.remote.username == "user2"
    restarts = [task for task in asyncio.all_tasks() if task.get_name() == "ice-restart" and not task.done()]
    assert len(restarts) == 1
    await made.close()
    assert restarts[0].done()


async def test_restarts_do_not_let_a_caller_try_ever_more_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    made = link()
    tried = 0

    async def count(_: object, candidate: object) -> None:
        nonlocal tried
        tried += candidate is not None

    monkeypatch.setattr(Connection, "add_remote_candidate", count)
    for i in range(1000):
        await made.trickle([line(f"198.51.100.{i % 250}", n=i)])
    assert MAX_CANDIDATES <= tried <= MAX_CANDIDATES + 2
    await made.close()


async def test_a_machine_without_a_network_offers_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    made = link()
    await made.gather()
    assert [each.split()[4] for each in made.candidates] == ["127.0.0.1"]
    await made.close()


async def test_a_stun_and_a_turn_server_that_say_nothing_hold_up_no_answer() -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    made = link([RTCIceServer(f"stun:127.0.0.1:{port}"), RTCIceServer(f"turn:127.0.0.1:{port}", "user", "secret")])
    began = time.monotonic()
    await made.gather()
    assert time.monotonic() - began < 3
    assert made.candidates
    await made.close()
    silent.close()


@pytest.mark.parametrize("shape", ["a STUN server", "a caller that sends no checks"])
async def test_a_call_over_it(shape: str) -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    servers = [RTCIceServer(f"stun:127.0.0.1:{silent.getsockname()[1]}")] if shape == "a STUN server" else []
    messages: asyncio.Queue[str | bytes] = asyncio.Queue()
    handset = Handset(time.monotonic, Microphone(time.monotonic), Speaker(), messages.put_nowait)
    peer, pc = Peer(Edge(ice_servers=servers), handset), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    channel = pc.createDataChannel("events")
    channel.on("open", lambda: channel.send("hello"))
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp
    if not servers:
        offer = offer.replace("s=-\r\n", "s=-\r\na=ice-lite\r\n", 1)
        pc.getSenders()[0].transport.transport._connection.ice_controlling = False
    answer = await peer.accept(offer)
    assert "ice-lite" not in answer
    running = asyncio.create_task(peer.run())
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(10):
        assert await messages.get() == "hello"
        await pc.close()
        await running
    assert peer.closed_by_peer
    await peer.close()
    silent.close()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"urls": "stun.example.org"}, "is not the address"),
        ({"urls": "http://example.org"}, "is not the address"),
        ({"urls": []}, "has no urls"),
        ({"urls": "stun:example.org:99999"}, "a port that cannot be"),
        ({"urls": "stun:exa mple.org"}, "characters in it"),
        ({"urls": "stun:example.org?transport=udp"}, "is not the address"),
        ({"urls": "turn:example.org"}, "needs a username and a credential"),
        ({"urls": "turn:example.org?transport=sctp", "username": "u", "credential": "c"}, "transport udp or tcp"),
        ({"urls": "turn:example.org", "username": 'u"', "credential": "c"}, "marks that cannot be sent"),
    ],
)
def test_a_wrong_entry_of_ice_servers_is_told_at_the_start(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        check_ice_servers([IceServer(**entry)])


def test_good_entries_of_ice_servers_are_taken() -> None:
    check_ice_servers(
        [
            IceServer(urls=["stun:192.0.2.1", "stun:stun.example.org:3478"]),
            IceServer(urls=["turn:192.0.2.1?transport=tcp", "turns:example.org"], username="u", credential="c"),
        ]
    )
