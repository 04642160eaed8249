"""A bad network between one caller and a server: what becomes of each packet, and a UDP relay that does it to them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from dataclasses import dataclass

__all__ = ["NETWORKS", "Fates", "Network", "Relay", "is_media"]

LARGEST = 2048


@dataclass(frozen=True, slots=True)
class Network:
    """What it does to the sound that a caller sends."""

    name: str
    loss: float = 0.0
    """Share of packets."""
    burst: float = 1.0
    """Packets lost in a row, in the mean; 1 for losses that know nothing of each other."""
    jitter_s: float = 0.0
    """Mean delay; each packet has its own between nothing and twice that, so that they overtake each other."""
    stall_at_s: float = 0.0
    stall_s: float = 0.0
    """Nothing passes for this long, then all that waited does at once."""


NETWORKS = (
    Network("clean"),
    Network("1 % lost", loss=0.01),
    Network("5 % lost", loss=0.05),
    Network("10 % lost", loss=0.1),
    Network("1 % in bursts", loss=0.01, burst=3),
    Network("5 % in bursts", loss=0.05, burst=3),
    Network("10 % in bursts", loss=0.1, burst=3),
    Network("jitter 20 ms", jitter_s=0.02),
    Network("jitter 60 ms", jitter_s=0.06),
    Network("stall of 1.5 s", stall_at_s=4.0, stall_s=1.5),
)


class Fates:
    """The same packets have the same fate for every server, by the seed. Pure.

    Losses are a two-state chain (Gilbert): `loss` of all packets in runs of `burst` in the mean.
    """

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._random = random.Random(seed)
        self._is_losing = False

    def delay_s(self, since_s: float) -> float | None:
        """How long the next packet takes, sent `since_s` after the first; None where it is lost."""
        network = self._network
        if self._is_losing:
            self._is_losing = self._random.random() >= 1 / network.burst
        if not self._is_losing and network.loss:
            chance = network.loss / (1 - network.loss) / network.burst if network.burst > 1 else network.loss
            self._is_losing = self._random.random() < chance
        delay_s = self._random.uniform(0, 2 * network.jitter_s) if network.jitter_s else 0.0
        if self._is_losing:
            return None
        stalled_s = network.stall_at_s + network.stall_s - since_s
        return max(delay_s, stalled_s) if since_s - network.stall_at_s >= 0 and stalled_s > 0 else delay_s


class Relay:
    """Carries packets both ways between a caller, which sends to `address`, and the server at `to`."""

    def __init__(self, host: str, network: Network, seed: int) -> None:
        self.fates: Fates | None = None
        """Of the caller's sound; None while the network is still good."""
        self.to: tuple[str, int] | None = None
        self._network, self._seed = network, seed
        self._began_s = 0.0
        self._caller: tuple[str, int] | None = None
        self._near, self._far = _bound(host), _bound(host)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._near, self._from_caller)
        self._loop.add_reader(self._far, self._from_server)

    @property
    def address(self) -> tuple[str, int]:
        """Where the caller sends to."""
        host, port = self._near.getsockname()
        return host, port

    @property
    def server_side(self) -> tuple[str, int]:
        """Where the server sees the caller."""
        host, port = self._far.getsockname()
        return host, port

    def begin(self) -> None:
        """From now on the network is as bad as it is."""
        self._began_s = self._loop.time()
        self.fates = Fates(self._network, self._seed)

    def close(self) -> None:
        for each in (self._near, self._far):
            self._loop.remove_reader(each)
            each.close()

    def _from_caller(self) -> None:
        for data, caller in _waiting(self._near):
            self._caller = caller
            if self.fates is None or not is_media(data):
                self._pass_on(data)
                continue
            delay_s = self.fates.delay_s(self._loop.time() - self._began_s)
            if delay_s:
                self._loop.call_later(delay_s, self._pass_on, data)
            elif delay_s is not None:
                self._pass_on(data)

    def _from_server(self) -> None:
        for data, _ in _waiting(self._far):
            if self._caller:
                with contextlib.suppress(OSError):
                    self._near.sendto(data, self._caller)

    def _pass_on(self, data: bytes) -> None:
        if self.to:
            with contextlib.suppress(OSError):
                self._far.sendto(data, self.to)


def is_media(data: bytes) -> bool:
    """Whether a packet is SRTP rather than SRTCP, DTLS or STUN (RFC 7983, 5761)."""
    return len(data) > 12 and 127 < data[0] < 192 and not 64 <= data[1] & 0x7F <= 95


def _bound(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((host, 0))
    return made


def _waiting(source: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    found = []
    while True:
        try:
            found.append(source.recvfrom(LARGEST))
        except OSError:
            return found
