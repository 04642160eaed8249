"""Callers over LiveKit's wire that decode nothing: a hundred of them join at once from one core."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiortc import RTCCertificate, RTCDataChannel, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from bench.media_callers import OFFER, LightCaller
from bench.media_sounds import PACKET_S
from media_server.doors.livekit.connection import RELIABLE
from media_server.doors.livekit.messages import ONEOFS, SCHEMA
from media_server.doors.livekit.protobuf import Codec, Message

__all__ = ["LightRoomCaller"]

CODEC = Codec(SCHEMA, ONEOFS)
TRACK = "light"
MICROPHONE = 2
SCTP_PORT = 5000
LOUD_BYTES = 80
"""An encrypted packet of sound with more bytes is no silence."""
ROOM_OFFER = OFFER.replace("BUNDLE 0", "BUNDLE 0 1").replace("a=sendrecv\n", f"a=sendrecv\na=msid:- {TRACK}\n") + (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\nc=IN IP4 0.0.0.0\na=mid:1\n"
    f"a=sctp-port:{SCTP_PORT}\na=max-message-size:65536\n"
    "a=ice-ufrag:{username}\na=ice-pwd:{password}\na=fingerprint:sha-256 {fingerprint}\na=setup:actpass\n"
)


class LightRoomCaller(LightCaller):
    """`call` it once. `times` says when it came how far, in seconds since it began."""

    offer = ROOM_OFFER

    def __init__(self, certificate: RTCCertificate, packets: Sequence[bytes]) -> None:
        super().__init__(certificate, packets)
        self.times: dict[str, float] = {}
        self._started_s = time.monotonic()
        self._loud, self._answered = asyncio.Event(), asyncio.get_running_loop().create_future()
        self._subscribed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def call(self, http: aiohttp.ClientSession, token: str) -> None:
        """Join with this token, publish at once, and stay until it hears the agent and is heard.

        Raises:
            ConnectionError: it was refused, or the connection did not come about.
        """
        async with http.ws_connect("/rtc/v1", params={"access_token": token}) as socket:
            reading = asyncio.create_task(self._read_signals(socket))
            self._tasks.append(reading)
            try:
                await self._join(socket)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks)
                with contextlib.suppress(ConnectionError):
                    await socket.send_bytes(_request(leave={"reason": 1}))
                await self.close()

    async def _join(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async def ask(offer: str) -> str:
            await socket.send_bytes(_request(add_track={"cid": TRACK, "type": 0, "source": MICROPHONE}))
            await socket.send_bytes(_request(offer={"type": "offer", "sdp": offer, "id": 1}))
            return str(await self._answered)

        await self.connect(ask)
        self._note("connected")
        sctp = RTCSctpTransport(self._dtls)
        try:
            RTCDataChannel(sctp, RTCDataChannelParameters(label=RELIABLE))
            await sctp.start(RTCSctpCapabilities(maxMessageSize=65536), SCTP_PORT)
            self._tasks.append(asyncio.create_task(self._speak()))
            await self._subscribed.wait()
            self._note("was heard")
            await self._loud.wait()
        finally:
            await sctp.stop()

    async def _read_signals(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            response: Message = CODEC.decode("SignalResponse", message.data)
            if "join" in response:
                self._note("joined")
            elif "answer" in response and not self._answered.done():
                self._answered.set_result(response["answer"]["sdp"])
            elif "track_subscribed" in response:
                self._subscribed.set()

    async def _speak(self) -> None:
        began_s, sent = time.monotonic(), 0
        while True:
            self.send_next()
            sent += 1
            await asyncio.sleep(max(0.0, began_s + sent * PACKET_S - time.monotonic()))

    def _hear(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        super()._hear(data, ancillary)
        if len(data) > LOUD_BYTES and not self._loud.is_set():
            self._note("heard the agent")
            self._loud.set()

    def _note(self, stage: str) -> None:
        self.times.setdefault(stage, time.monotonic() - self._started_s)


def _request(**request: Any) -> bytes:
    return CODEC.encode("SignalRequest", request)
