"""A call's transport over aioice, for servers that need STUN or TURN themselves, and for callers that send no checks.

Each such call has sockets of its own. Beside what `Link` does, this one sends checks to the callers' candidates, so
where it may send is bounded here. `tests/unit/rtc/test_relayed.py` pins the private names of aioice that it leans on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aioice import Candidate, Connection
from aioice.ice import get_host_addresses
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs

from media_server.rtc.link import DEAD_S, MAX_QUEUED, Generation, Inbox
from media_server.rtc.sdp import Credentials, Offer

__all__ = ["ALONE", "MAX_CANDIDATES", "Reach", "RelayedLink", "loopback_if_alone", "reach_of_this_machine", "usable"]

log = logging.getLogger(__name__)

ALONE = "127.0.0.1"
"""Where a machine without any network still reaches itself."""
MAX_CANDIDATES = 100
"""Maximum candidates of a caller. To each the server sends checks; RFC 8445 section 6.1.2.5 has no more pairs tried."""
MAX_PORTS = 16
"""Maximum candidates with the same address."""
TRICKLED_PER_S = 1.0
"""Candidates that a call may have tried in the long run, over all restarts, beyond the first hundred."""
GATHER_S = 0.7
"""Seconds for STUN and TURN servers to answer, before the caller is answered without them."""
RESTART_S = 30.0
"""How long a restart is tried; the old path is in use meanwhile."""
THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses of this machine's own may be sent to: those that it listens on itself.

    Without these a stranger could have the server send packets to services of this machine and of its link.
    """

    loopback: bool = False
    link_local: bool = False


def reach_of_this_machine(loopback: bool) -> Reach:
    """Which of its own addresses callers may have it send to.

    Args:
        loopback: whether it listens there for callers.
    """
    own = [ipaddress.ip_address(each) for each in get_host_addresses(use_ipv4=True, use_ipv6=True)]
    # a machine without a network listens on 127.0.0.1 (below)
    return Reach(loopback or not own, any(each.is_link_local for each in own))


def usable(lines: Iterable[str], reach: Reach) -> list[Candidate]:
    """The candidates that checks may be sent to, of lines of SDP without `a=`.

    Browsers hide their addresses behind `.local` names; aioice resolves each by multicast, up to a second. They are
    dropped: the browser's own checks arrive all the same, and its address is learnt from them (peer-reflexive
    candidates, RFC 8445 section 7.3.1.3).
    """
    kept = Counter[str]()
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, IndexError):
            candidate = Candidate.from_sdp(line.partition(":")[2])
            address = _address(candidate, reach)
            if address and kept.total() < MAX_CANDIDATES and kept[address] < MAX_PORTS:
                kept[address] += 1
                found.append(candidate)
    return found


def _address(candidate: Candidate, reach: Reach) -> str | None:
    """Where checks of this candidate would go; None where none may go."""
    if candidate.transport.lower() != "udp" or not 1 <= candidate.port <= 65535:
        return None  # aioice speaks no TCP with peers
    try:
        address = ipaddress.ip_address(candidate.host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return str(address) if reach.loopback else None
    if address.is_link_local:
        return str(address) if reach.link_local else None
    # reserved: 240/4 with the broadcast address, and all IPv6 that stands for other addresses
    if address.is_multicast or address.is_unspecified or address.is_reserved or address in THIS_NETWORK:
        return None
    return str(address)


class RelayedLink:
    """The same as a `Link` to `RTCDtlsTransport` and `Peer`. Call `gather` before anything else.

    Args:
        offer: of the caller; None where the server offers.
        on_media: takes SRTP and SRTCP, and says whether it was authentic.
    """

    is_lite = False

    def __init__(
        self,
        servers: Sequence[RTCIceServer],
        offer: Offer | None,
        remote: Credentials,
        on_media: Callable[[bytes], bool],
        reach: Reach,
    ) -> None:
        # the side that offers is in control, unless the other one is lite (RFC 8445 section 6.1.1)
        self._is_offered_to_lite = offer is not None and offer.is_lite
        self.role = "controlling" if offer is None or offer.is_lite else "controlled"
        self.connected = asyncio.Event()
        self.lost = False
        """The caller cannot be reached any more."""
        self._servers, self._on_media, self._reach = list(servers), on_media, reach
        self._offered = [line for section in offer.sections for line in section.candidates] if offer else []
        self._answered = asyncio.Event()
        """The caller's credentials are known."""
        if offer:
            self._answered.set()
        self._current = self._newest = self._connection(remote)
        self._running: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._switching: asyncio.Task[None] | None = None
        self._inbox = Inbox()
        self._out: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED)
        self._allowance, self._allowed_s = float(MAX_CANDIDATES), time.monotonic()
        self._heard_s = self._allowed_s

    @property
    def generation(self) -> Generation:
        """The newest."""
        newest = self._newest
        remote = Credentials(newest.remote_username or "", newest.remote_password or "")
        return Generation(Credentials(newest.local_username, newest.local_password), remote)

    @property
    def candidates(self) -> list[str]:
        return [f"candidate:{each.to_sdp()}" for each in self._newest.local_candidates]

    @property
    def is_silent(self) -> bool:
        """Whether no packet has come from the caller for `DEAD_S`."""
        return time.monotonic() - self._heard_s > DEAD_S

    async def gather(self) -> None:
        """Open the sockets, ask STUN and TURN servers, and begin with the checks.

        Raises:
            OSError: there are no sockets.
        """
        await self._gather(self._current)
        await self.trickle(self._offered)
        self._running = asyncio.create_task(self._run(), name="ice")
        self._sending = asyncio.create_task(self._send_all(), name="ice-sending")

    async def restart(self, remote: Credentials) -> None:
        """Begin anew with the caller's new credentials; the old path carries the media until the new one stands."""
        await _cancelled(self._switching)
        if not remote.username:
            self._answered.clear()
        new = self._newest = self._connection(remote)
        await self._gather(new)
        self._switching = asyncio.create_task(self._switch(new), name="ice-restart")

    async def answered_by(self, remote: Credentials) -> None:
        """The caller's credentials for the newest generation, which an offer of the server's began without them."""
        self._newest.remote_username, self._newest.remote_password = remote.username, remote.password
        self._answered.set()

    async def trickle(self, candidates: Iterable[str]) -> None:
        """Candidates of the caller for the newest generation.

        There is no end of candidates: aioice would give up where none is left that has an address.
        """
        for candidate in usable(candidates, self._reach):
            now = time.monotonic()
            self._allowance = min(MAX_CANDIDATES, self._allowance + (now - self._allowed_s) * TRICKLED_PER_S)
            self._allowed_s = now
            if self._allowance >= 1 and len(self._newest.remote_candidates) < MAX_CANDIDATES:
                self._allowance -= 1
                await self._newest.add_remote_candidate(candidate)

    def send(self, data: bytes) -> None:
        """Send a packet; it is lost where there is no path."""
        if not self._out.full():
            self._out.put_nowait(data)

    async def close(self) -> None:
        """Give everything back."""
        self._inbox.close()
        for task in (self._switching, self._running, self._sending):
            await _cancelled(task)
        for connection in {self._current, self._newest}:
            await connection.close()

    async def _recv(self) -> bytes:
        return await self._inbox.get()

    async def _send(self, data: bytes) -> None:
        if self._inbox.is_closed:
            raise ConnectionError
        self.send(data)

    def _connection(self, remote: Credentials) -> Connection:
        settings = connection_kwargs(self._servers)
        connection = Connection(ice_controlling=self.role == "controlling", **settings)
        connection.remote_is_lite = self._is_offered_to_lite
        connection.remote_username, connection.remote_password = remote.username, remote.password
        return connection

    async def _gather(self, connection: Any) -> None:
        # aioice waits five seconds for a STUN or TURN server that says nothing
        connection.get_component_candidates = partial(connection.get_component_candidates, timeout=GATHER_S)
        await connection.gather_candidates()
        await loopback_if_alone(connection)

    async def _run(self) -> None:
        """Take what comes over the connection in use."""
        while not self._inbox.is_closed:
            connection = self._current
            try:
                if not self.connected.is_set():
                    await self._answered.wait()
                    await connection.connect()
                    self.connected.set()
                while True:
                    self._take(await connection.recv())
            except ConnectionError:
                if self._switching and connection is self._current:
                    await asyncio.wait([self._switching])
                if connection is self._current:
                    self.lost = not self._inbox.is_closed
                    self._inbox.close()

    def _take(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        if 127 < data[0] < 192:
            self._on_media(data)
        else:
            self._inbox.put(data)

    async def _send_all(self) -> None:
        while True:
            data = await self._out.get()
            with contextlib.suppress(ConnectionError):
                await self._current.send(data)

    async def _switch(self, new: Connection) -> None:
        try:
            async with asyncio.timeout(RESTART_S):
                await self._answered.wait()
                await new.connect()
        except (ConnectionError, TimeoutError):
            log.info("ICE restart failed; keeping the current path")
            await new.close()
            return
        except asyncio.CancelledError:
            await new.close()
            raise
        old, self._current = self._current, new
        self.connected.set()
        await old.close()


async def loopback_if_alone(connection: Connection) -> None:
    """A machine with no network at all still talks to itself: aioice leaves 127.0.0.1 out."""
    if connection._local_candidates:
        return
    for component in connection._components:
        found: list[Candidate] = await connection.get_component_candidates(component=component, addresses=[ALONE])
        connection._local_candidates += found


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()
        await asyncio.wait([task])
