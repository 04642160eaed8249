"""Callers for the media benchmark: one socket each, recorded packets out, nothing decoded; their CPU is not counted."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aioice import stun
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from bench.media_network import Network, Relay, is_media
from bench.media_sounds import PACKET_S
from media_server.rtc.edge import local_addresses
from media_server.rtc.link import Inbox

__all__ = ["OFFER", "Arrival", "LightCaller", "sending"]


PAYLOAD_TYPE = 111
TICKS = 960
SLOTS = 10
"""In which of this many slots within 20 ms a caller sends: real ones do not all send at once."""
USERNAME, PASSWORD = "lght", "lightcallerlightcaller00"
CHECK_EVERY_S = 0.05
CONNECT_S = 20.0
SO_TIMESTAMPNS = 35
"""The kernel's own time of arrival, which this process's delays do not change (asm-generic/socket.h)."""
HEADER = struct.Struct("!BBHII")
OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=ssrc:{ssrc} cname:x
a=ice-ufrag:{username}
a=ice-pwd:{password}
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=candidate:1 1 udp 2130706431 {host} {port} typ host
a=end-of-candidates
"""

Ask = Callable[[str], Awaitable[str]]
"""Gives an offer to a server and returns its answer."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet of sound from the server. `at_s` is on the clock of `time.time`."""

    at_s: float
    number: int
    time: int
    data: bytes
    """As it came, encrypted."""


class LightCaller:
    """`connect` it, let it send by `sending`, and `close` it.

    Args:
        packets: payloads that it sends again and again.
        timed: whether arrivals are kept, with the kernel's times.
    """

    role = "controlling"
    offer = OFFER

    def __init__(self, certificate: RTCCertificate, packets: Sequence[bytes], *, timed: bool = False) -> None:
        self.sent_s: list[float] = []
        """When each packet was sent, by `time.monotonic`; kept where it is `timed`."""
        self.arrivals: list[Arrival] = []
        self.received = 0
        self.connected_s = self.first_sound_s = 0.0
        """Since the offer was given to the server."""
        self.relay: Relay | None = None
        self._certificate, self._packets, self._timed = certificate, packets, timed
        self._loop = asyncio.get_running_loop()
        self._began_s = 0.0
        self._ssrc = random.getrandbits(31) + 1
        self._number = 0
        self._inbox = Inbox()
        self._to: tuple[str, int] | None = None
        self._proved, self.sounded = asyncio.Event(), asyncio.Event()
        self._host = next(host for host in local_addresses() if ":" not in host)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((self._host, 0))
        if timed:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._loop.add_reader(self._socket, self._read)
        self._dtls = RTCDtlsTransport(self, [certificate])  # type: ignore[arg-type]

    async def connect(self, ask: Ask, network: Network | None = None, seed: int = 0) -> None:
        """Place the call, through a relay where there is a `network`.

        Raises:
            ConnectionError: it did not come about.
        """
        if network:
            self.relay = Relay(self._host, network, seed)
        host, port = self.relay.server_side if self.relay else self._socket.getsockname()
        fingerprint = next(f.value for f in self._certificate.getFingerprints() if f.algorithm == "sha-256")
        offer = self.offer.format(
            ssrc=self._ssrc, username=USERNAME, password=PASSWORD, fingerprint=fingerprint, host=host, port=port
        )
        self._began_s = time.monotonic()
        try:
            async with asyncio.timeout(CONNECT_S):
                answer = await ask(offer.replace("\n", "\r\n"))
                await self._reach(answer)
                self._dtls._set_role("server" if _line(answer, "setup") == "active" else "client")
                algorithm, _, value = _line(answer, "fingerprint").partition(" ")
                await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm, value)]))
        except TimeoutError:
            raise ConnectionError("no connection") from None
        if self._dtls.state != "connected":
            raise ConnectionError("the handshake failed")
        self.connected_s = time.monotonic() - self._began_s

    def send_next(self) -> None:
        """Send the next recorded packet."""
        payload = self._packets[self._number % len(self._packets)]
        self._number += 1
        head = HEADER.pack(128, PAYLOAD_TYPE, self._number & 0xFFFF, self._number * TICKS & 0xFFFFFFFF, self._ssrc)
        data = self._dtls._tx_srtp.protect(head + payload)
        if self._timed:
            self.sent_s.append(time.monotonic())
        self._send_now(data)

    def payloads(self) -> list[bytes]:
        """What the arrivals were, decrypted; ask once."""
        packets = (self._dtls._rx_srtp.unprotect(each.data) for each in self.arrivals)
        return [packet[HEADER.size :] for packet in packets]

    async def close(self) -> None:
        """Hang up."""
        await self._dtls.stop()
        self._inbox.close()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self.relay:
            self.relay.close()

    async def _recv(self) -> bytes:
        return await self._inbox.get()

    async def _send(self, data: bytes) -> None:
        self._send_now(data)

    def _send_now(self, data: bytes) -> None:
        if self._to:
            with contextlib.suppress(OSError):
                self._socket.sendto(data, self._to)

    async def _reach(self, answer: str) -> None:
        """Have a check answered at the server's candidate."""
        places = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer, re.MULTILINE)
        host, port = next((host, int(port)) for host, port in places if ":" not in host)
        self._to = host, port
        if self.relay:
            self.relay.to, self._to = self._to, self.relay.address
        self._remote = _line(answer, "ice-ufrag"), _line(answer, "ice-pwd")
        while not self._proved.is_set():
            request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{self._remote[0]}:{USERNAME}"
            request.attributes["PRIORITY"] = 2130706431
            request.attributes["ICE-CONTROLLING"] = 1
            request.attributes["USE-CANDIDATE"] = None
            request.add_message_integrity(self._remote[1].encode())
            self._send_now(bytes(request))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._proved.wait(), CHECK_EVERY_S)

    def _read(self) -> None:
        while True:
            try:
                if self._timed:
                    data, ancillary, _, address = self._socket.recvmsg(2048, 64)
                else:
                    (data, address), ancillary = self._socket.recvfrom(2048), []
            except OSError:
                return
            if is_media(data):
                self._hear(data, ancillary)
            elif 19 < data[0] < 64:
                self._inbox.put(data)
            elif data[0] < 4:
                self._take_stun(data, address)

    def _hear(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        if not self.received:
            self.first_sound_s = time.monotonic() - self._began_s
            self.sounded.set()
        self.received += 1
        if self._timed:
            at_s = time.time()
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("@ll", value)
                    at_s = seconds + nanoseconds / 1e9
            _, _, number, rtp_time, _ = HEADER.unpack_from(data)
            self.arrivals.append(Arrival(at_s, number, rtp_time, data))

    def _take_stun(self, data: bytes, address: tuple[str, int]) -> None:
        message = stun.parse_message(data)
        if message.message_class == stun.Class.RESPONSE:
            self._proved.set()
        elif message.message_class == stun.Class.REQUEST:
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = self.relay.server_side if self.relay else address
            answer.add_message_integrity(PASSWORD.encode())
            with contextlib.suppress(OSError):
                self._socket.sendto(bytes(answer), address)


@contextlib.asynccontextmanager
async def sending(callers: Sequence[LightCaller]) -> AsyncIterator[None]:
    """While the block runs they all send, each every 20 ms."""

    async def send() -> None:
        loop = asyncio.get_running_loop()
        began_s, slot = loop.time(), 0
        while True:
            for caller in callers[slot % SLOTS :: SLOTS]:
                caller.send_next()
            slot += 1
            await asyncio.sleep(max(0.0, began_s + slot * PACKET_S / SLOTS - loop.time()))

    task = asyncio.create_task(send())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def _line(answer: str, name: str) -> Any:
    found = re.search(rf"^a={name}:(.*?)\r?$", answer, re.MULTILINE)
    if not found:
        raise ConnectionError(f"the answer has no {name}")
    return found[1]
