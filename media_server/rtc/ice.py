"""ICE restart for aiortc, which has none: a connection that can be exchanged for a new one under a running session.

It stands in for the `aioice.Connection` inside an `RTCIceTransport`. `tests/unit/rtc/test_ice.py` pins the private
names of aiortc that this leans on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from aioice import Candidate, Connection
from aioice.ice import get_host_addresses
from aiortc import RTCIceCandidate, RTCPeerConnection
from aiortc.rtcicetransport import RTCIceTransport, candidate_from_aioice, candidate_to_aioice
from aiortc.sdp import candidate_to_sdp

from media_server.rtc.sdp import MOST_CANDIDATES, Reach

__all__ = ["RestartableConnection", "gather_in_time", "ice_transports", "local_fragment", "reach_of_this_machine"]

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
GATHER_S = 0.7
"""For STUN and TURN servers to answer, before the caller is answered without them."""
TRICKLED_PER_S = 1.0
"""Candidates that a call may have tried in the long run, over all restarts, beyond the first hundred."""
RESTART_S = 30.0
"""How long a restart is tried; the old path is in use meanwhile."""


class RestartableConnection:
    """The parts of `aioice.Connection` that aiortc uses, over a connection that `restart` replaces."""

    def __init__(self, connection: Connection) -> None:
        self._current = connection
        self._restart: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        """A restart: two requests at a time would each begin one, and one of them would be nobody's."""
        self._closed = False
        self._lost = False
        self._allowance, self._allowed_s = float(MOST_CANDIDATES), time.monotonic()

    @classmethod
    def install(cls, transport: RTCIceTransport) -> RestartableConnection:
        """Put one into `transport`, which must not have started yet."""
        connection = cls(transport._connection)
        transport._connection = transport.iceGatherer._connection = connection  # type: ignore[assignment]
        transport._recv, transport._send = connection.recv, connection.send
        return connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._current, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:  # remote_username, remote_password, remote_is_lite, ice_controlling
            setattr(self._current, name, value)

    async def gather_candidates(self) -> None:
        await self._current.gather_candidates()
        await _loopback_if_alone(self._current)

    async def restart(self, username: str, password: str) -> None:
        """Begin anew with the peer's new credentials; the old path carries the media until the new one stands."""
        async with self._beginning:
            await self._restart_with(username, password)

    async def _restart_with(self, username: str, password: str) -> None:
        await self._cancel_restart()
        new = Connection(
            ice_controlling=self._current.ice_controlling,
            stun_server=self._current.stun_server,
            turn_server=self._current.turn_server,
            turn_username=self._current.turn_username,
            turn_password=self._current.turn_password,
            turn_ssl=self._current.turn_ssl,
            turn_transport=self._current.turn_transport,
            transport_policy=self._current._transport_policy,
        )
        new.remote_username, new.remote_password = username, password
        _limit_gathering(new)
        await new.gather_candidates()
        await _loopback_if_alone(new)
        if self._closed:
            await new.close()
            return
        self._next = new
        self._restart = asyncio.create_task(self._switch(new), name="ice-restart")

    async def trickle(self, candidate: RTCIceCandidate) -> None:
        """A candidate of the peer for the restart under way or else the connection in use.

        There is no end of candidates: aioice would give up where none is left that has an address.
        """
        now = time.monotonic()
        self._allowance = min(MOST_CANDIDATES, self._allowance + (now - self._allowed_s) * TRICKLED_PER_S)
        self._allowed_s = now
        if self._allowance >= 1 and len(self.newest.remote_candidates) < MOST_CANDIDATES:
            self._allowance -= 1
            await self.newest.add_remote_candidate(candidate_to_aioice(candidate))

    @property
    def newest(self) -> Connection:
        """The connection of the restart under way, else the one in use."""
        return self._next if self._restart and not self._restart.done() else self._current

    async def _switch(self, new: Connection) -> None:
        try:
            async with asyncio.timeout(RESTART_S):
                await new.connect()
        except (ConnectionError, TimeoutError):
            log.info("an ICE restart failed, the old path stays")
            await new.close()
            return
        except asyncio.CancelledError:
            await new.close()
            raise
        old, self._current = self._current, new
        await old.close()

    async def _cancel_restart(self) -> None:
        if self._restart:
            self._restart.cancel()
            await asyncio.wait([self._restart])

    async def recv(self) -> bytes:
        while True:
            connection = self._current
            try:
                return await connection.recv()
            except ConnectionError:
                if not await self._replaced(connection):
                    self._lost = True
                    raise

    @property
    def lost(self) -> bool:
        """Whether the other side cannot be reached any more."""
        return self._lost

    async def send(self, data: bytes) -> None:
        connection = self._current
        try:
            await connection.send(data)
        except ConnectionError:
            if connection is self._current and not self._restarting:
                raise

    async def get_event(self) -> Any:
        while True:
            connection = self._current
            event = await connection.get_event()
            if not await self._replaced(connection):
                return event

    @property
    def _restarting(self) -> bool:
        return self._restart is not None and not self._restart.done()

    async def _replaced(self, connection: Connection) -> bool:
        """Whether there is another connection than this one, which has ended; waits for a restart under way."""
        if self._closed:
            return False
        if self._restarting and connection is self._current:
            assert self._restart is not None
            await asyncio.wait([self._restart])
        return connection is not self._current

    async def close(self) -> None:
        self._closed = True
        await self._cancel_restart()
        await self._current.close()


def ice_transports(pc: RTCPeerConnection) -> list[RTCIceTransport]:
    """All of a peer connection, also those that it has not started."""
    return list(pc._RTCPeerConnection__iceTransports)  # type: ignore[attr-defined]


def gather_in_time(transports: Iterable[RTCIceTransport]) -> None:
    """Have them wait for STUN and TURN servers for a moment only: aioice waits for five seconds."""
    for transport in transports:
        connection: Any = transport._connection
        _limit_gathering(connection._current if isinstance(connection, RestartableConnection) else connection)


def _limit_gathering(connection: Any) -> None:
    connection.get_component_candidates = partial(connection.get_component_candidates, timeout=GATHER_S)


def reach_of_this_machine(loopback: bool) -> Reach:
    """Which of its own addresses callers may have it send to.

    Args:
        loopback: whether it listens there for callers.
    """
    own = [ipaddress.ip_address(each) for each in get_host_addresses(use_ipv4=True, use_ipv6=True)]
    # a machine without a network listens on 127.0.0.1 (below)
    return Reach(loopback or not own, any(each.is_link_local for each in own))


async def _loopback_if_alone(connection: Connection) -> None:
    """A machine with no network at all still talks to itself: aioice leaves 127.0.0.1 out."""
    if connection._local_candidates:
        return
    for component in connection._components:
        found: list[Candidate] = await connection.get_component_candidates(component=component, addresses=[LOOPBACK])
        connection._local_candidates += found


def local_fragment(connection: Connection, mid: str) -> str:
    """Our side of an ICE restart, as a trickle ICE fragment (RFC 8840)."""
    lines = [
        f"a=ice-ufrag:{connection.local_username}",
        f"a=ice-pwd:{connection.local_password}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        *[f"a=candidate:{candidate_to_sdp(candidate_from_aioice(c))}" for c in connection.local_candidates],
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"
