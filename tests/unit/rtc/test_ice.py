"""The private names of aiortc and aioice that ICE restart leans on: an upgrade that moves them fails here."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import time
from typing import Any

import pytest
from aioice import Connection
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.sdp import candidate_from_sdp

from media_server.config import IceServer
from media_server.errors import ConfigurationError
from media_server.rtc.ice import RestartableConnection, gather_in_time, ice_transports
from media_server.rtc.sdp import MOST_CANDIDATES
from media_server.rtc.servers import check_ice_servers


async def test_a_transport_uses_its_connection_by_these_names() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transport = pc.addTrack(AudioStreamTrack()).transport.transport
    assert transport._connection is transport.iceGatherer._connection
    assert transport._recv == transport._connection.recv
    assert transport._send == transport._connection.send
    await pc.close()


def test_dtls_asks_the_transport_for_recv_and_send_each_time() -> None:
    source = inspect.getsource(RTCDtlsTransport)
    assert "self.transport._recv()" in source
    assert "self.transport._send(data)" in source


def test_the_transport_uses_nothing_of_the_connection_that_the_stand_in_lacks() -> None:
    used = set(re.findall(r"self\._connection\.(\w+)", inspect.getsource(RTCIceTransport)))
    assert {"connect", "close", "get_event", "remote_username"} <= used
    connection = RestartableConnection(Connection(ice_controlling=False))
    for name in used:
        assert hasattr(connection, name), name


async def test_a_connection_has_the_private_names() -> None:
    connection = Connection(ice_controlling=False)
    assert connection._local_candidates == []
    assert connection._components == {1}
    assert connection._transport_policy is not None
    await connection.close()


async def test_attributes_are_set_on_the_connection_itself() -> None:
    inner = Connection(ice_controlling=False)
    outer = RestartableConnection(inner)
    outer.remote_username = "abcd"
    outer.ice_controlling = True
    assert (inner.remote_username, inner.ice_controlling) == ("abcd", True)
    await outer.close()


async def test_of_two_restarts_at_a_time_one_is_left() -> None:
    connection = RestartableConnection(Connection(ice_controlling=False))
    await asyncio.gather(*(connection.restart(f"user{i}", "password" * 3) for i in range(3)))
    restarts = [task for task in asyncio.all_tasks() if task.get_name() == "ice-restart"]
    assert len(restarts) == 1
    await connection.close()
    assert restarts[0].done()


async def test_no_more_candidates_are_taken_than_is_usual() -> None:
    inner = Connection(ice_controlling=False)
    outer = RestartableConnection(inner)
    for i in range(150):
        await outer.trickle(candidate_from_sdp(f"{i} 1 udp 2113937151 192.0.2.{i} 50000 typ host"))
    assert len(inner.remote_candidates) == MOST_CANDIDATES
    await outer.close()


async def test_a_machine_without_a_network_offers_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    connection = RestartableConnection(Connection(ice_controlling=False))
    await connection.gather_candidates()
    assert [c.host for c in connection.local_candidates] == ["127.0.0.1"]
    await connection.close()


async def test_a_peer_connection_keeps_its_transports_by_this_name() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transport = pc.addTrack(AudioStreamTrack()).transport.transport
    assert ice_transports(pc) == [transport]
    await pc.close()


async def test_a_stun_and_a_turn_server_that_say_nothing_hold_up_no_answer() -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    turn = RTCIceServer(f"turn:127.0.0.1:{port}", "user", "secret")
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[RTCIceServer(f"stun:127.0.0.1:{port}"), turn]))
    pc.addTrack(AudioStreamTrack())
    gather_in_time(ice_transports(pc))
    began = time.monotonic()
    await pc.setLocalDescription(await pc.createOffer())
    assert time.monotonic() - began < 3
    assert "a=candidate:" in pc.localDescription.sdp
    await pc.close()
    silent.close()


async def test_restarts_do_not_let_a_caller_try_ever_more_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = RestartableConnection(Connection(ice_controlling=False))
    tried = 0

    async def count(_: object, candidate: object) -> None:
        nonlocal tried
        tried += candidate is not None

    monkeypatch.setattr(Connection, "add_remote_candidate", count)
    for i in range(1000):
        await connection.trickle(candidate_from_sdp(f"{i} 1 udp 2130706431 198.51.100.{i % 250} 50000 typ host"))
    assert MOST_CANDIDATES <= tried <= MOST_CANDIDATES + 2
    await connection.close()


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
