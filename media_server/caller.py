"""A caller without a browser: places a call, speaks recordings into it, collects events and the agent's voice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Self

import aiohttp
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceTransport,
    RTCPeerConnection,
    RTCSessionDescription,
)

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.errors import ClientError
from media_server.rtc import Playback, Speaker, Speech
from media_server.rtc.relayed import loopback_if_alone
from media_server.rtc.tracks import SpeakerTrack, received

__all__ = ["Caller", "WireEvent"]

WireEvent = dict[str, Any]


class Caller:
    """An async context manager: inside it the call is up.

    Args:
        url: of the server, like http://127.0.0.1:8080.
        auth: a key or a token, for a server that asks for one.
        metadata, variables: sent with the offer.
        timeout_s: how long the connection may take.

    Raises (on entering):
        ClientError: the server refused; with its code and message.
        aiohttp.ContentTypeError, ValueError: what answers at `url` is no media server.
        aiohttp.ClientConnectionError: nobody answers at `url`.
        TimeoutError: no connection within `timeout_s`.
    """

    def __init__(
        self,
        url: str,
        agent: str = "assistant",
        *,
        auth: str = "",
        metadata: dict[str, Any] | None = None,
        variables: dict[str, Any] | None = None,
        timeout_s: float = 15.0,
    ) -> None:
        self.events: list[WireEvent] = []
        self.session_id = ""
        self.call_id = ""
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {auth}"} if auth else {}
        self._extra: dict[str, Any] = {"agent": agent, "metadata": metadata or {}, "variables": variables or {}}
        self._timeout_s = timeout_s
        self.verify = True
        """Whether the server's certificate is checked; off for one that it made for itself."""
        self.on_event: Callable[[WireEvent], None] = lambda event: None
        """Gets every event as it arrives."""
        self.on_sound: Callable[[Samples], None] = lambda samples: None
        """Gets the agent's voice as it arrives, 48 kHz mono."""
        self._speaker = Speaker()
        self._channel: RTCDataChannel | None = None
        self._changed = asyncio.Event()
        self._received: list[Samples] = []
        self._recording: asyncio.Task[None] | None = None

    @classmethod
    def continuing(cls, url: str, lost: Caller) -> Self:
        """A caller over whose connection the call of another one goes on, which has lost its own."""
        caller = cls(url)
        caller._extra = {"continues": lost.session_id, "received": len(lost.events)}
        return caller

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _connect(self) -> None:
        self.pc.addTrack(SpeakerTrack(self._speaker, time.monotonic))
        self.pc.on("track", self._on_track)
        channel = self.pc.createDataChannel("events")
        opened = asyncio.Event()
        channel.on("open", opened.set)
        channel.on("message", self._on_message)
        channel.on("close", self._changed.set)
        self._channel = channel
        assert self.pc.sctp is not None
        for transport in (self.pc.getSenders()[0].transport, self.pc.sctp.transport):
            _gather_loopback(transport.transport)
        answer = await self._signal()
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await opened.wait()

    async def _signal(self) -> str:
        """The answer to our offer."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        body = {"sdp": self.pc.localDescription.sdp, "type": "offer", **self._extra}
        async with (
            aiohttp.ClientSession(headers=self._headers) as http,
            http.post(f"{self._url}/v1/sessions", json=body, ssl=self.verify) as response,
        ):
            answer = await response.json()
        match answer:
            case {"error": {"code": str(code), "message": str(message)}}:
                raise ClientError(code, message, status=response.status)
            case {"session_id": str(session_id), "call_id": str(call_id), "sdp": str(sdp)}:
                self.session_id, self.call_id = session_id, call_id
                return sdp
        raise ValueError(f"status {response.status} and no answer of a media server")

    def speak(self, samples: Samples) -> Playback:
        """Say a recording (48 kHz mono int16) after what is being said."""
        return self._speaker.play(Speech(samples))

    @property
    def ahead_s(self) -> float:
        """Seconds of what `speak` was given that are still to be said."""
        return self._speaker.ahead_s

    def send(self, **message: Any) -> None:
        """A message on the events channel, like `send(type="text.send", text="hello")`."""
        assert self._channel is not None
        self._channel.send(json.dumps(message))

    def send_raw(self, text: str | bytes) -> None:
        assert self._channel is not None
        self._channel.send(text)

    def recording(self) -> Samples:
        """What came from the agent so far: 48 kHz mono."""
        return np.concatenate(self._received) if self._received else np.zeros(0, np.int16)

    def of(self, kind: str, since: int = 0) -> list[WireEvent]:
        """The events of one type so far, from the `since`-th event on."""
        return [told for told in self.events[since:] if told["type"] == kind]

    async def wait_for(
        self,
        kind: str,
        where: Callable[[WireEvent], bool] = lambda _: True,
        *,
        since: int = 0,
        timeout_s: float | None = 20.0,
    ) -> WireEvent:
        """The first event of a type that fits, from the `since`-th on; one that has come already counts.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                for event in filter(where, self.of(kind, since)):
                    return event
                self._changed.clear()
                await self._changed.wait()

    @property
    def lost(self) -> bool:
        """Whether the connection is closed; a server that is gone is noticed after half a minute."""
        return self._channel is None or self._channel.readyState in ("closing", "closed")

    async def over(self) -> None:
        """Return when the call has ended, or its connection is lost."""
        while not (self.of("call.ended") or self.lost):
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Hang up by closing the connection."""
        self._speaker.interrupt()
        await self.pc.close()
        if self._recording:
            # where the connection never came about the track has no end of its own
            self._recording.cancel()
            await asyncio.wait([self._recording])

    def _on_message(self, text: str | bytes) -> None:
        event = json.loads(text)
        self.events.append(event)
        self._changed.set()
        self.on_event(event)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._recording = asyncio.create_task(self._record(track), name="caller-recording")

    async def _record(self, track: MediaStreamTrack) -> None:
        async for samples in received(track, CALL_RATE_HZ):
            self._received.append(samples)
            self.on_sound(samples)


def _gather_loopback(transport: RTCIceTransport) -> None:
    """Have it find 127.0.0.1 on a machine without a network, as the server does."""
    connection: Any = transport._connection
    gather = connection.gather_candidates

    async def gather_all() -> None:
        await gather()
        await loopback_if_alone(connection)

    connection.gather_candidates = gather_all
