"""One call's transport over the server's own ports: its credentials, and the paths to its caller.

Which path is used:

| until the caller's first DTLS or authentic SRTP packet | the first path with an authentic check, then the nominated |
| from then on | the one that the caller's DTLS or authentic SRTP came over last |
| the one in use has been silent for `DEAD_S`, another has a check | the other |

DTLS from an unknown address is kept until a check shows whose it is; callers of that host are asked at once.

A caller sends data only where it has seen the server's answers, so the data show which path is good both ways; checks
and nominations do not. This needs callers that send the first DTLS packet (`a=setup:passive` in the answer).
"""

from __future__ import annotations

import asyncio
import heapq
import secrets
import string
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aioice import stun

from media_server.rtc.rtp import is_rtcp
from media_server.rtc.sdp import Credentials
from media_server.rtc.wires import Address, Wire

__all__ = ["DEAD_S", "Callers", "Generation", "Inbox", "Link", "Path"]

CHARACTERS = string.ascii_letters + string.digits
LOST_S = 30.0
"""Seconds without a check or a packet of the caller after which the connection is lost (RFC 7675 section 5.1)."""
DEAD_S = 6.0
"""Seconds without any packet after which a path is out of use; callers check theirs at least every 5.3 seconds."""
MAX_PATHS = 16
MAX_QUEUED = 256
"""DTLS packets that wait to be read."""
MAX_SSRCS = 8
"""Streams of one caller that are remembered."""
MAX_SHARING = 8
"""Callers of one SSRC: it is theirs to choose, so each is tried."""
MAX_GENERATIONS = 4
CHANGE_OF_CIPHERS, HANDSHAKE = 20, 22
"""Content types of DTLS by which a handshake goes on."""
MAX_FLIGHT = 8
CHECK_EVERY_S = 0.1
MAX_CHECK = 700
"""Bytes of a check: the caller's user name has 256 at most."""
CHECK_S = 5.0
"""How long an answer to a check of ours is waited for."""
MAX_ASKED = 4
"""Callers that are asked whether a packet is theirs."""
MAX_STRAYS, MAX_STRAYS_OF_PATH, STRAYS_S = 64, 8, 10.0
"""Unknown addresses whose DTLS packets are kept, packets of each, and for how many seconds."""


Path = tuple[Wire, Address]
"""A socket of the server's and an address of the caller's, made for each packet: an instance would take ten times as
long."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The credentials of both sides from one ICE restart to the next."""

    local: Credentials
    remote: Credentials

    @classmethod
    def new(cls, remote: Credentials) -> Generation:
        return cls(Credentials(_token(8), _token(24)), remote)


@dataclass(slots=True)
class Callers:
    """Which call a packet is for."""

    by_username: dict[str, Link] = field(default_factory=dict)
    by_path: dict[Path, Link] = field(default_factory=dict)
    by_ssrc: dict[bytes, list[Link]] = field(default_factory=dict)
    by_check: dict[bytes, Link] = field(default_factory=dict)
    """Checks of the server's own, by their transaction."""
    by_host: dict[str, dict[Link, int]] = field(default_factory=dict)
    """How many paths each has from a host."""
    strays: OrderedDict[Path, tuple[float, list[bytes]]] = field(default_factory=OrderedDict)
    """DTLS packets of unknown addresses, and when the first came: one of them may be a caller's with another address
    than before, whose next check or answer tells."""

    def keep(self, path: Path, data: bytes) -> None:
        """A DTLS packet came from an unknown address.

        The callers of that host who have been silent for longest are asked whether it is theirs, with no more bytes
        than came.
        """
        now = time.monotonic()
        _, kept = self.strays.setdefault(path, (now, []))
        kept.append(data)
        del kept[:-MAX_STRAYS_OF_PATH]
        if len(self.strays) > MAX_STRAYS:
            self.strays.popitem(last=False)
        if links := self.by_host.get(_host(path)):
            left = len(data)
            for link in heapq.nsmallest(MAX_ASKED, links, key=lambda link: link.heard_s):
                left -= link.ask(path, left)

    def kept(self, path: Path) -> list[bytes]:
        """What was kept of an address that is known now."""
        since_s, kept = self.strays.pop(path, (-STRAYS_S, []))
        return kept if time.monotonic() - since_s < STRAYS_S else []


class Inbox:
    """DTLS packets that came and are still to be read. A flood of them loses the newest; reading ends with `close`.

    What comes before the first packet of a handshake is lost: OpenSSL would give up the connection for it, though it
    may be what is left of another one (RFC 6347 section 4.1.2.7).
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._has_begun = False
        self._packets: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_QUEUED)

    def put(self, data: bytes) -> None:
        """Take a packet; what comes after the end is lost."""
        self._has_begun = self._has_begun or data[0] == HANDSHAKE
        if self._has_begun and not self.is_closed and not self._packets.full():
            self._packets.put_nowait(data)

    async def get(self) -> bytes:
        """The next packet.

        Raises:
            ConnectionError: there will be none.
        """
        data = None if self.is_closed else await self._packets.get()
        if data is None:
            raise ConnectionError
        return data

    def close(self) -> bool:
        """End it and forget what waits; false if it was closed before."""
        if self.is_closed:
            return False
        self.is_closed = True
        while not self._packets.empty():
            self._packets.get_nowait()
        self._packets.put_nowait(None)
        return True


class Link:
    """What `RTCDtlsTransport` needs of its transport (`role`, `_recv`, `_send`), and what a `Peer` needs beside it.

    Args:
        on_media: takes SRTP and SRTCP, and says whether it was authentic.
        candidates: the server's addresses, as lines of SDP without `a=`.
    """

    role = "controlled"
    is_lite = True

    def __init__(
        self,
        callers: Callers,
        remote: Credentials,
        on_media: Callable[[bytes], bool],
        candidates: Callable[[], list[str]],
    ) -> None:
        self.connected = asyncio.Event()
        self.lost = False
        """The caller cannot be reached any more."""
        self.selected: Path | None = None
        self._callers, self._on_media, self._candidates = callers, on_media, candidates
        self._generations: list[Generation] = []
        self._paths: dict[Path, float] = {}
        """When something authentic came last, by the path it came over."""
        self._ssrcs: set[bytes] = set()
        self._checks: dict[bytes, tuple[Path, Generation, float]] = {}
        self._has_data = False
        self._flight: deque[bytes] = deque(maxlen=MAX_FLIGHT)
        """The newest packets of the handshake, which are sent again over another path: else a timer is waited for."""
        self._is_answering = False
        self.heard_s = self._checked_s = time.monotonic()
        """When something authentic came last."""
        self._inbox = Inbox()
        self._begin(remote)

    @property
    def generation(self) -> Generation:
        """The newest."""
        return self._generations[-1]

    @property
    def candidates(self) -> list[str]:
        return self._candidates()

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come from the caller for `DEAD_S`."""
        return time.monotonic() - self.heard_s > DEAD_S

    async def gather(self) -> None:
        """Nothing to do: the ports are open."""

    async def restart(self, remote: Credentials) -> None:
        """New credentials; the old ones hold until the caller nominates a path under the new."""
        self._begin(remote)

    async def answered_by(self, remote: Credentials) -> None:
        """The caller's credentials for the newest generation, which an offer of the server's began without them."""
        self._generations[-1] = Generation(self.generation.local, remote)

    async def trickle(self, candidates: list[str]) -> None:
        """Nothing to do: the server sends to no address that the caller has not sent from."""

    def send(self, data: bytes) -> None:
        """Send a packet at once; it is lost where there is no path."""
        if self.selected is not None:
            wire, address = self.selected
            wire.send(data, address)

    def password(self, username: str) -> str:
        """The server's password in the generation that has this user name."""
        return next((g.local.password for g in self._generations if g.local.username == username), "")

    def checked(self, path: Path, username: str, nominated: bool) -> None:
        """An authentic check came over a path."""
        now = self._note(path)
        newest = self.generation.local.username == username
        if nominated and newest:
            for old in self._generations[:-1]:
                del self._callers.by_username[old.local.username]
            del self._generations[:-1]
        dead = self.selected is not None and now - self._paths[self.selected] > DEAD_S
        if self.selected is None or dead or (nominated and not self._has_data):
            self._use(path)
        self.connected.set()

    def take_dtls(self, path: Path, data: bytes) -> None:
        """A DTLS packet came over a known path."""
        if not self._inbox.is_closed:
            self._select(path)
            self._inbox.put(data)

    def take_media(self, path: Path, data: bytes) -> bool:
        """A packet of SRTP or SRTCP came; whether it was authentic.

        From an unknown address it is the caller's, whose NAT gave it another port: it is heard at once, and the address
        is used when it has answered a check.
        """
        if self._inbox.is_closed or not self._on_media(data):
            return False
        if path in self._paths:
            self._select(path)
        else:
            self.heard_s = time.monotonic()
            self.ask(path, MAX_CHECK)
        # that of sound, which nearly all packets are, is looked up first
        if data[8:12] not in self._ssrcs and len(self._ssrcs) < MAX_SSRCS:
            self._remember(data[4:8] if is_rtcp(data) else data[8:12])
        return True

    def answered(self, path: Path, message: stun.Message) -> None:
        """A check of the server's own was answered."""
        self._callers.by_check.pop(message.transaction_id, None)
        asked, generation, _ = self._checks.pop(message.transaction_id)
        if asked == path and message.check_message_integrity(generation.remote.password.encode()):
            self._note(path)

    def sweep(self, now: float) -> None:
        """Once a second: give up what did not come."""
        for transaction in [t for t, (_, _, sent_s) in self._checks.items() if now - sent_s > CHECK_S]:
            del self._checks[transaction], self._callers.by_check[transaction]
        if self.connected.is_set() and now - self.heard_s > LOST_S:
            self.lose()

    def forget(self, path: Path) -> None:
        """A path is no more."""
        del self._paths[path]
        of_host = self._callers.by_host[_host(path)]
        of_host[self] -= 1
        if not of_host[self]:
            del of_host[self]
        if not of_host:
            del self._callers.by_host[_host(path)]
        if self._callers.by_path.get(path) is self:
            del self._callers.by_path[path]
        path[0].release()
        if self.selected == path:
            self.selected = max(self._paths, key=self._paths.__getitem__, default=None)

    def lose(self) -> None:
        """End it, as the caller is gone."""
        if not self._inbox.is_closed:
            self.lost = True
            self._end()

    async def close(self) -> None:
        """Give everything back. What was sent last still leaves."""
        self._end()
        for path in list(self._paths):
            self.forget(path)

    async def _recv(self) -> bytes:
        data = await self._inbox.get()
        self._is_answering = True
        return data

    async def _send(self, data: bytes) -> None:
        if self._inbox.is_closed:
            raise ConnectionError
        if data[0] in (CHANGE_OF_CIPHERS, HANDSHAKE):
            if self._is_answering:
                self._is_answering = False
                self._flight.clear()
            self._flight.append(data)
        self.send(data)

    def _begin(self, remote: Credentials) -> None:
        generation = Generation.new(remote)
        self._generations.append(generation)
        self._callers.by_username[generation.local.username] = self
        while len(self._generations) > MAX_GENERATIONS:
            del self._callers.by_username[self._generations.pop(1).local.username]

    def _note(self, path: Path) -> float:
        """The path is good in the caller's direction at least."""
        self.heard_s = now = time.monotonic()
        if path not in self._paths:
            if len(self._paths) >= MAX_PATHS:
                self.forget(min((p for p in self._paths if p != self.selected), key=self._paths.__getitem__))
            if other := self._callers.by_path.get(path):
                other.forget(path)  # a NAT gave the port of a caller who has gone to this one
            self._callers.by_path[path] = self
            of_host = self._callers.by_host.setdefault(_host(path), {})
            of_host[self] = of_host.get(self, 0) + 1
            path[0].proved()
            self._paths[path] = now
            for data in self._callers.kept(path):
                self.take_dtls(path, data)
        self._paths[path] = now
        return now

    def _use(self, path: Path) -> None:
        """Send over this path from now on, first what of the handshake may have been lost with another one."""
        if path != self.selected:
            self.selected = path
            for data in self._flight:
                self.send(data)

    def _select(self, path: Path) -> None:
        self._has_data = True
        self._use(path)
        self.heard_s = self._paths[path] = time.monotonic()

    def _remember(self, ssrc: bytes) -> None:
        if ssrc in self._ssrcs:
            return
        sharing = self._callers.by_ssrc.setdefault(ssrc, [])
        if len(sharing) < MAX_SHARING:
            self._ssrcs.add(ssrc)
            sharing.append(self)

    def ask(self, path: Path, most: int) -> int:
        """Ask an address whether it is the caller; no more is ever sent to one that has not proved it.

        Args:
            most: bytes that may be sent.

        Returns:
            How many were.
        """
        now = time.monotonic()
        if self._inbox.is_closed or now - self._checked_s < CHECK_EVERY_S:
            return 0
        local, remote = self.generation.local, self.generation.remote
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{remote.username}:{local.username}"
        request.attributes["PRIORITY"] = 110 << 24 | 65535 << 8 | 255  # peer-reflexive (RFC 8445 section 7.1.1)
        request.attributes["ICE-CONTROLLED"] = secrets.randbits(63)
        request.add_message_integrity(remote.password.encode())
        if len(check := bytes(request)) > most:
            return 0
        self._checked_s = now
        self._checks[request.transaction_id] = path, self.generation, now
        self._callers.by_check[request.transaction_id] = self
        wire, address = path
        wire.send(check, address)
        return len(check)

    def _end(self) -> None:
        if not self._inbox.close():
            return
        callers = self._callers
        for generation in self._generations:
            del callers.by_username[generation.local.username]
        for transaction in self._checks:
            del callers.by_check[transaction]
        self._checks.clear()
        for ssrc in self._ssrcs:
            callers.by_ssrc[ssrc].remove(self)
            if not callers.by_ssrc[ssrc]:
                del callers.by_ssrc[ssrc]
        self._ssrcs.clear()


def _host(path: Path) -> str:
    return str(path[1][0])


def _token(length: int) -> str:
    return "".join(secrets.choice(CHARACTERS) for _ in range(length))
