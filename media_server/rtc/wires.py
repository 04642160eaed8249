"""The sockets that callers' packets come over: UDP, and TCP for networks that block UDP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Address", "Receive", "Tcp", "Udp", "Wire"]

Address = tuple[Any, ...]
"""An address as the socket module has it: host and port, for IPv6 also flow and scope."""
Receive = Callable[["Wire", bytes, Address], None]

log = logging.getLogger(__name__)

BATCH = 64
"""Datagrams read before other work has its turn."""
REST_S = 0.005
"""How long packets are left to gather at most where many come: to be woken costs half as much as to take a packet, and
the first of several costs twice as much as the others."""
COUNT_S = 0.2
"""How often it is looked how many come."""
MANY, FEW = 2.0, 1.2
"""Packets in such a time from which on they gather, and below which each is taken as it comes."""
LARGEST = 2048
"""Bytes of the largest packet; paths carry 1500."""
MAX_FIRST = 600
"""Bytes of the largest STUN request: a connection that begins with more is no caller's."""
STRANGER_S = 10.0
"""Seconds in which a connection has to prove whose it is …"""
STRANGER_PACKETS = 4
"""… and packets: a caller's first check proves it, unless both sides have to agree on their roles first."""
SLICE = 8 * 1024
"""Bytes of a connection that are taken before other work has its turn."""
RECEIVE_BUFFER = 4 * 1024 * 1024
SO_RCVBUFFORCE = 33
"""As SO_RCVBUF, beyond net.core.rmem_max (Linux; it takes CAP_NET_ADMIN)."""
TOO_LATE = 20_000
"""Bytes that wait in a connection, after which packets are dropped: they would be heard seconds later."""


class Wire(Protocol):
    """One socket that packets are sent over. Neither method blocks or fails."""

    protocol: str

    def send(self, data: bytes, address: Address) -> None: ...

    def proved(self) -> None:
        """A check over it was authentic."""

    def release(self) -> None:
        """No call uses it for this address any more."""


class Udp:
    """The UDP socket of one local address.

    It is bound to that address and never to all: an answer has to leave from the address that was asked.

    Raises:
        OSError: the address or port cannot be had.
    """

    protocol = "udp"

    def __init__(self, host: str, port: int, receive: Receive) -> None:
        ipv6 = ":" in host
        self._receive = receive
        self._socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if ipv6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _keep_much(self._socket)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._gathers = False
        """So many packets come that they are left to gather."""
        self._rest: asyncio.TimerHandle | None = None
        self._counted_s, self._count = self._loop.time(), 0
        """Since when packets are counted, and how many came."""

    def send(self, data: bytes, address: Address) -> None:
        try:  # noqa: SIM105 - a context manager takes as long as the rest of this, and this is done for every packet
            self._socket.sendto(data, address)
        except OSError:
            pass  # a full buffer or an unreachable network loses the packet, as the network itself does

    def proved(self) -> None:
        """Nothing to do: a datagram socket is everybody's."""

    def release(self) -> None:
        """Nothing to do: a datagram socket is everybody's."""

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._gathers = False
        if self._rest:
            self._rest.cancel()
        self._socket.close()

    def _read(self) -> None:
        # where they come one by one it is dear to ask for another each time
        most = BATCH if self._gathers else 1
        came = self._take(most)
        self._count += came
        if (passed_s := self._loop.time() - self._counted_s) > COUNT_S:
            self._settle(self._count * REST_S / passed_s)
            self._counted_s, self._count = self._counted_s + passed_s, 0
        if self._gathers:
            # all rests end at multiples of it, so that packets which come every 20 ms stay as far apart
            next_s = (self._loop.time() // REST_S + 1) * REST_S
            self._rest = self._loop.call_at(next_s if came < most else 0.0, self._read)

    def _settle(self, of_a_rest: float) -> None:
        """Let packets gather, or take each as it comes, by how many came in a rest."""
        if not self._gathers and of_a_rest > MANY:
            self._gathers = True
            self._loop.remove_reader(self._socket.fileno())
        elif self._gathers and of_a_rest < FEW:
            self._gathers = False
            self._loop.add_reader(self._socket.fileno(), self._read)

    def _take(self, most: int) -> int:
        """Hand on what is there; how many packets that were."""
        for came in range(most):
            try:
                data, address = self._socket.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                return came
            except OSError:
                continue  # an ICMP error that an earlier packet of ours met
            if data:
                self._receive(self, data, address)
        return most


def _keep_much(udp: socket.socket) -> None:
    """Have the kernel keep what comes while this process stands still: as much as it may be asked for."""
    options = (SO_RCVBUFFORCE, socket.SO_RCVBUF) if sys.platform == "linux" else (socket.SO_RCVBUF,)
    for option in options:
        try:
            udp.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
        except OSError:
            continue  # the first is for administrators of the network
        break
    if udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < RECEIVE_BUFFER:
        log.info("the kernel keeps less sound than wanted for a server that stands still (net.core.rmem_max)")


class Tcp(asyncio.BufferedProtocol):
    """One connection that a caller opened (RFC 6544), with two bytes of length before each packet (RFC 4571).

    Args:
        on_close: is told when the connection is gone.
    """

    protocol = "tcp"

    def __init__(self, receive: Receive, on_open: Callable[[Tcp], bool], on_close: Callable[[Tcp], None]) -> None:
        self.address: Address = ()
        self.known = False
        """A check over it was authentic."""
        self._receive, self._on_open, self._on_close = receive, on_open, on_close
        self._space, self._buffer = bytearray(SLICE), bytearray()
        self._unproved = 0
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = transport.get_extra_info("peername") or ()
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline = asyncio.get_running_loop().call_later(STRANGER_S, self._give_up)
        if not self._on_open(self):
            transport.abort()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        buffer = self._buffer
        buffer += memoryview(self._space)[:nbytes]
        while len(buffer) >= 2:
            size = buffer[0] << 8 | buffer[1]
            if not size or size > (LARGEST if self.known else MAX_FIRST):
                self._transport.abort()
                return
            if len(buffer) < 2 + size:
                return
            packet = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._receive(self, packet, self.address)
            self._unproved += not self.known
            if not self.known and self._unproved >= STRANGER_PACKETS:
                self._transport.abort()
            if self._transport.is_closing():
                return

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._on_close(self)

    def send(self, data: bytes, address: Address) -> None:
        if not self._transport.is_closing() and self._transport.get_write_buffer_size() < TOO_LATE:
            self._transport.write(len(data).to_bytes(2, "big") + data)

    def proved(self) -> None:
        self.known = True

    def release(self) -> None:
        """Close it: a connection is one caller's."""
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _give_up(self) -> None:
        if not self.known:
            self._transport.abort()
