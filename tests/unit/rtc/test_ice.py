"""The private names of aiortc and aioice that ICE restart leans on: an upgrade that moves them fails here."""

from __future__ import annotations

import asyncio
import inspect
import re

import pytest
from aioice import Connection
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.sdp import candidate_from_sdp

from media_server.rtc.ice import RestartableConnection
from media_server.rtc.sdp import MOST_CANDIDATES


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
