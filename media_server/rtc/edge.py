"""The server's own ICE agent: one UDP port and one TCP port for all calls.

It answers the callers' checks and nominates nothing (ICE-lite, RFC 8445 section 2.5). What is not authentic is met with
silence, so nobody can have it send anything to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import ifaddr
from aioice import stun
from aiortc import RTCCertificate, RTCIceServer

from media_server.addresses import subscriber_of
from media_server.rtc.link import Callers, Generation, Link, Path
from media_server.rtc.pacer import Pacer
from media_server.rtc.relayed import ALONE, RelayedLink, reach_of_this_machine
from media_server.rtc.rtp import is_rtcp
from media_server.rtc.sdp import Credentials, Offer
from media_server.rtc.stun_attributes import not_understood, refusal_of
from media_server.rtc.wires import Address, Tcp, Udp, Wire

__all__ = ["Edge", "IceTransport", "Ports", "local_addresses"]

log = logging.getLogger(__name__)

_Opener = Callable[[str, int], Awaitable[int]]
_Closer = Callable[[str], None]

SWEEP_S = 1.0
RESCAN_S = 5.0
"""How often the machine's addresses are looked up: networks come and go."""
MAX_STRANGERS, MAX_OF_ADDRESS = 128, 16
"""TCP connections that have not proved whose they are: in all, and of one address."""
TRIES = 20
"""Ports that are tried where any free one will do, for it has to be free on each address."""
CERTIFICATE_S = 24 * 3600.0
UDP_PRIORITY, TCP_PRIORITY = 126 << 24, 90 << 24
"""TCP stands far behind, so that it is taken only where UDP is blocked (RFC 6544 section 4.2)."""


class IceTransport(Protocol):
    """The path to one caller; `RTCDtlsTransport` asks it for `role`, `_recv` and `_send`."""

    role: str
    is_lite: bool
    connected: asyncio.Event
    lost: bool

    @property
    def generation(self) -> Generation: ...

    @property
    def candidates(self) -> list[str]: ...

    @property
    def is_silent(self) -> bool: ...

    async def gather(self) -> None: ...

    async def restart(self, remote: Credentials) -> None: ...

    async def answered_by(self, remote: Credentials) -> None: ...

    async def trickle(self, candidates: list[str]) -> None: ...

    def send(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Where to listen. Port 0 stands for the usual one, or any free one where that is taken."""

    udp: int = 0
    tcp: int = 0
    usual: int = 0


class Edge:
    """All sockets of calls, and the table of which packet is whose. Use `Edge.open`.

    Args:
        public_addresses: of this server where callers are, if a NAT or a container stands in between.
        ice_servers: STUN and TURN servers that the server itself has to use. Each call then has sockets of its own.
        loopback: whether the server listens for callers on this machine itself.
    """

    def __init__(
        self, public_addresses: Sequence[str] = (), ice_servers: Sequence[RTCIceServer] = (), loopback: bool = False
    ) -> None:
        self.udp_port = self.tcp_port = 0
        self._public, self._ice_servers = list(public_addresses), list(ice_servers)
        self._loopback = loopback
        self.pacer = Pacer()
        """The clock of all calls' outgoing sound."""
        self._udp: dict[str, Udp] = {}
        self._tcp: dict[str, asyncio.Server] = {}
        self._connections: set[Tcp] = set()
        self._callers = Callers()
        self._certificate = RTCCertificate.generateCertificate()
        self._certified_s = time.monotonic()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        ports: Ports = Ports(),
        public_addresses: Sequence[str] = (),
        ice_servers: Sequence[RTCIceServer] = (),
        loopback: bool = False,
    ) -> AsyncIterator[Edge]:
        """An edge that listens while the block runs.

        Raises:
            OSError: a port cannot be had.
        """
        edge = cls(public_addresses, ice_servers, loopback)
        try:
            if not ice_servers:
                await edge._listen(ports)
            sweeping = asyncio.create_task(edge._sweep(), name="edge")
            try:
                yield edge
            finally:
                sweeping.cancel()
                await asyncio.wait([sweeping])
        finally:
            edge.pacer.close()
            await edge._close()

    @property
    def certificate(self) -> RTCCertificate:
        """The certificate by which the server proves to callers that it is the one that answered them."""
        return self._certificate

    def link(self, offer: Offer | None, remote: Credentials, on_media: Callable[[bytes], bool]) -> IceTransport:
        """The transport of a new call; it has to be closed.

        Args:
            offer: of the caller; None where the server offers, whose link is `answered_by` the caller later.
        """
        if self._ice_servers or (offer and offer.is_lite):
            reach = reach_of_this_machine(self._loopback)
            return RelayedLink(self._ice_servers, offer, remote, on_media, reach)
        return Link(self._callers, remote, on_media, self.candidates)

    def candidates(self) -> list[str]:
        """Where callers reach the server, as lines of SDP without `a=`."""
        hosts = [*self._public, *(host for host in self._udp if host not in self._public)]
        found = []
        for i, host in enumerate(hosts):
            priority = UDP_PRIORITY | (65535 - i) << 8 | 255
            found.append(f"candidate:{i + 1} 1 udp {priority} {host} {self.udp_port} typ host")
        for i, host in enumerate(hosts):
            priority = TCP_PRIORITY | (4 << 13 | 8191 - i) << 8 | 255  # direction preference 4: passive
            line = f"candidate:{len(hosts) + i + 1} 1 tcp {priority} {host} {self.tcp_port} typ host tcptype passive"
            found.append(line)
        return found

    def received(self, wire: Wire, data: bytes, address: Address) -> None:
        """Give a packet to the call that it is for (RFC 7983)."""
        first, path = data[0], (wire, address)
        if first < 4:
            self._take_stun(path, data)
        elif 127 < first < 192 and len(data) >= 12:
            if link := self._callers.by_path.get(path):
                link.take_media(path, data)
            else:
                ssrc = data[4:8] if is_rtcp(data) else data[8:12]
                for sharing in tuple(self._callers.by_ssrc.get(ssrc, ())):
                    if sharing.take_media(path, data):
                        break
        elif 19 < first < 64:
            if link := self._callers.by_path.get(path):
                link.take_dtls(path, data)
            elif wire.protocol == "udp":
                self._callers.keep(path, data)

    def _take_stun(self, path: Path, data: bytes) -> None:
        wire, address = path
        try:
            message = stun.parse_message(data)
        except (ValueError, IndexError, KeyError, struct.error):  # aioice lets all of these through
            return
        if message.message_method != stun.Method.BINDING:
            return
        if message.message_class in (stun.Class.RESPONSE, stun.Class.ERROR):
            if message.message_class == stun.Class.RESPONSE and (
                link := self._callers.by_check.get(message.transaction_id)
            ):
                link.answered(path, message)
            return
        username = message.attributes.get("USERNAME", "").partition(":")[0]
        link = self._callers.by_username.get(username)
        if link is None or message.message_class != stun.Class.REQUEST:
            return
        key = link.password(username).encode()
        if not message.check_message_integrity(key):
            return
        if unknown := not_understood(data):
            wire.send(refusal_of(unknown, message.transaction_id, key), address)
            return
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        is_conflict = "ICE-CONTROLLED" in message.attributes
        if is_conflict:  # the server never is the controlling side
            answer.message_class = stun.Class.ERROR
            answer.attributes["ERROR-CODE"] = (487, "Role Conflict")
        else:
            host, port = address[:2]
            answer.attributes["XOR-MAPPED-ADDRESS"] = (host.partition("%")[0], port)
        answer.add_message_integrity(key)
        wire.send(bytes(answer), address)
        if not is_conflict:
            link.checked(path, username, "USE-CANDIDATE" in message.attributes)

    async def _listen(self, ports: Ports) -> None:
        hosts = local_addresses()
        wanted = ports.udp or ports.usual
        self.udp_port = await _on_one_port(hosts, wanted, bool(ports.udp), self._open_udp, self._close_udp)
        wanted = ports.tcp or ports.usual or self.udp_port
        self.tcp_port = await _on_one_port(hosts, wanted, bool(ports.tcp), self._open_tcp, self._close_tcp)

    async def _open_udp(self, host: str, port: int) -> int:
        self._udp[host] = udp = Udp(host, port, self.received)
        return udp.port

    async def _open_tcp(self, host: str, port: int) -> int:
        # one by one: for several addresses at once asyncio takes another free port for each
        loop = asyncio.get_running_loop()
        made = partial(Tcp, self.received, self._on_connection, self._on_connection_lost)
        self._tcp[host] = server = await loop.create_server(made, host, port)
        return int(server.sockets[0].getsockname()[1])

    def _on_connection(self, connection: Tcp) -> bool:
        strangers = [subscriber_of(each.address[0]) for each in self._connections if not each.known and each.address]
        mine = subscriber_of(connection.address[0]) if connection.address else ""
        if len(strangers) >= MAX_STRANGERS or strangers.count(mine) >= MAX_OF_ADDRESS:
            return False
        self._connections.add(connection)
        return True

    def _on_connection_lost(self, connection: Tcp) -> None:
        self._connections.discard(connection)
        path = (connection, connection.address)
        if link := self._callers.by_path.get(path):
            link.forget(path)

    async def _sweep(self) -> None:
        scanned_s = time.monotonic()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for link in set(self._callers.by_username.values()):
                link.sweep(now)
            if now - self._certified_s > CERTIFICATE_S:
                self._certificate, self._certified_s = RTCCertificate.generateCertificate(), now
            if self._udp and now - scanned_s > RESCAN_S:
                scanned_s = now
                await self._rescan()

    async def _rescan(self) -> None:
        """Follow the machine's addresses."""
        there = await asyncio.to_thread(local_addresses)
        for host in [host for host in self._udp if host not in there]:
            log.info("the address %s is gone", host)
            self._close_tcp(host)
            self._close_udp(host)
        for host in there:
            if host in self._udp and host in self._tcp:
                continue
            try:
                if host not in self._udp:
                    await self._open_udp(host, self.udp_port)
                if host not in self._tcp:
                    await self._open_tcp(host, self.tcp_port)
                log.info("callers may reach this server at %s from now on", host)
            except OSError as failed:  # it may be in the middle of coming up: the next time
                log.debug("the address %s cannot be used: %s", host, failed)

    def _close_tcp(self, host: str) -> None:
        if server := self._tcp.pop(host, None):
            server.close()

    def _close_udp(self, host: str) -> None:
        if udp := self._udp.pop(host, None):
            for path in [path for path in self._callers.by_path if path[0] is udp]:
                self._callers.by_path[path].forget(path)
            udp.close()

    async def _close(self) -> None:
        for connection in list(self._connections):
            connection.abort()
        for host in list(self._tcp):
            self._close_tcp(host)
        for host in list(self._udp):
            self._close_udp(host)


async def _on_one_port(hosts: Sequence[str], wanted: int, is_fixed: bool, opened: _Opener, close: _Closer) -> int:
    """Listen on the same port of each address: on the wanted one, or else, where that is not fixed, a free one."""
    for attempt in range(TRIES):
        port, error = 0 if attempt else wanted, OSError(errno.EADDRNOTAVAIL, "there is no address to listen on")
        is_open = False
        for host in hosts:
            try:
                port, is_open = await opened(host, port), True
            except OSError as failed:
                error = failed
                if failed.errno not in (errno.EADDRNOTAVAIL, None):  # else it is just coming up, or going
                    is_open = False
                    break
        if is_open:
            return port
        for host in hosts:
            close(host)
        if is_fixed:
            break
    raise error


def local_addresses() -> list[str]:
    """Those of this machine at which callers may reach it, IPv4 first."""
    found = []
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            host = each.ip if isinstance(each.ip, str) else each.ip[0]
            address = ipaddress.ip_address(host)
            # an IPv6 address of the link needs the link's name beside it, which browsers do not take
            if not address.is_loopback and not (address.version == 6 and address.is_link_local):
                found.append(host)
    return sorted(found, key=lambda host: ":" in host) or [ALONE]
