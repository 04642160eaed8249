"""A caller over a WebSocket: sound in, kept to real time; sound out, a little ahead of it; messages beside both."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from media_server.audio import CALL_RATE_HZ, Resampler, Samples, frame_of
from media_server.events import Transport
from media_server.rtc.formats import PcmFormat
from media_server.rtc.handset import Handset
from media_server.rtc.pacing import PacedSound
from media_server.rtc.speaker import FRAME_S, Playback

__all__ = ["SocketLine", "SocketWire"]

TOO_MUCH = 8 * 1024 * 1024
"""Bytes for a client that does not read them, after which it is taken for gone."""
QUIET_S = 0.5
"""Seconds without sound after which there is silence: some clients send a few hundred milliseconds at a time."""


@dataclass(frozen=True, slots=True)
class SocketWire:
    """How sound goes over one client's WebSocket."""

    microphone: PcmFormat = field(default_factory=PcmFormat)
    """What the client sends."""
    voice: PcmFormat = field(default_factory=PcmFormat)
    """The agent's voice, mono."""
    packet_s: float = FRAME_S
    """Sound in a message to the client."""
    lead_s: float = 0.2
    """How far ahead of real time the agent's voice is sent, so that a late packet is not heard."""
    packed: Callable[[bytes], str | bytes] = bytes
    """Makes a message of sound."""
    clip: Callable[[Samples], str | bytes] | None = None
    """Makes a message of a whole piece of speech (48 kHz), sent when it begins, for clients that play pieces."""


class SocketLine:
    """One WebSocket's side of a call. Its owner puts what arrives into `hear`, and sends what `next` returns."""

    def __init__(self, handset: Handset, wire: SocketWire) -> None:
        self.connected, self.gone = asyncio.Event(), asyncio.Event()
        """The call begins when it is connected: set by who knows that the client is ready."""
        self.closed_by_peer = False
        """The client closed the socket, as one does who has nothing more to say."""
        self.wire = wire
        """May be replaced; the voice's format changes with the next packet."""
        self._speaker = handset.speaker
        self._clock = handset.clock
        # its sound has no times: what comes late counts as said late
        handset.microphone.quiet_s, handset.microphone.stall_s = QUIET_S, 0.0
        self._sound = PacedSound(handset.microphone, handset.clock)
        self._odd = b""
        self._out: deque[str | bytes] = deque()
        self._out_bytes = 0
        self._out_changed = asyncio.Event()
        self._began_s: float | None = None
        """When the speech that is being sent began to be heard."""
        self._sent_s = 0.0
        self._reported: tuple[float, float] | None = None
        """What the client last said that it had still to play, and when."""

    @property
    def transport(self) -> Transport:
        return "websocket"

    async def hear(self, data: bytes) -> None:
        """Take sound of the client; returns when more is welcome. Bytes that are half a sample wait for the rest."""
        data = self._odd + data
        form = self.wire.microphone
        whole = len(data) - len(data) % form.frame_bytes
        self._odd = data[whole:]
        await self._sound.push(form.decode(data[:whole]), form.rate_hz)

    async def hear_samples(self, samples: Samples, rate_hz: int) -> None:
        """The same for sound that is decoded already, shape [n, channels]."""
        await self._sound.push(samples, rate_hz)

    async def heard_all(self) -> None:
        """Wait until all sound that came was heard."""
        await self._sound.drained()

    def acknowledge(self, buffered_s: float) -> None:
        """The client says how much it has still to play."""
        self._reported = (max(0.0, buffered_s), self._clock())

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails: what cannot be sent is lost with the connection."""
        self._put(json.dumps(message, ensure_ascii=False, separators=(",", ":")))

    async def next(self) -> str | bytes | None:
        """What is to be sent next, text or sound; None when nothing more comes."""
        while not self._out:
            if self.gone.is_set():
                return None
            self._out_changed.clear()
            await self._out_changed.wait()
        item = self._out.popleft()
        self._out_bytes -= len(item)
        return item

    async def run(self) -> None:
        """Send the agent's voice; returns when the client is gone."""
        self._speaker.buffered, self._speaker.on_start = self._buffered, self._on_start
        try:
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(self._talk()), group.create_task(self._sound.run())]
                await self.gone.wait()
                for part in parts:
                    part.cancel()
        finally:
            self._speaker.forget_listener()

    async def flush(self) -> None:
        """Wait a moment for what was said to be played."""
        await asyncio.sleep(min(self._buffered(), 2 * self.wire.lead_s))

    async def close(self) -> None:
        """Nothing comes and goes any more, but what is to be sent already."""
        self.gone.set()
        self._sound.close()
        self._out_changed.set()

    def _on_start(self, playback: Playback) -> None:
        if self.wire.clip:
            self._put(self.wire.clip(playback.speech.samples))

    async def _talk(self) -> None:
        voice = self.wire.voice
        resampler, due_s, waiting = Resampler(voice.rate_hz), self._clock(), np.zeros(0, np.int16)
        while True:
            samples = self._speaker.take()
            now = self._clock()
            if self.wire.clip:
                # the client plays what it was sent in time; here the time is kept
                due_s = max(due_s + FRAME_S, now - FRAME_S)
                await asyncio.sleep(max(0.0, due_s - self._clock()))
                continue
            if voice != self.wire.voice:
                voice, waiting = self.wire.voice, waiting[:0]
                resampler = Resampler(voice.rate_hz)
            if samples.any() or not self._speaker.drained.is_set():
                if self._began_s is None or self._began_s + self._sent_s < now:
                    self._began_s, self._sent_s = now, 0.0
                waiting = np.concatenate([waiting, resampler.push(frame_of(samples, CALL_RATE_HZ))])
                # the end of speech is not kept back: nothing of it may come after what is told of its end
                if len(waiting) >= int(self.wire.packet_s * voice.rate_hz * 0.9) or self._speaker.drained.is_set():
                    self._put(self.wire.packed(voice.encode(waiting)))
                    waiting = waiting[:0]
                self._sent_s += FRAME_S
                await asyncio.sleep(max(0.0, self._began_s + self._sent_s - self.wire.lead_s - self._clock()))
            else:
                if len(waiting):
                    self._put(self.wire.packed(voice.encode(waiting)))
                    waiting = waiting[:0]
                await asyncio.sleep(FRAME_S)

    def _buffered(self) -> float:
        """Seconds that were sent and are still to be played: by what the client says, else by the time."""
        if self._reported:
            said_s, at_s = self._reported
            return max(0.0, said_s - (self._clock() - at_s))
        if self._began_s is None:
            return 0.0
        return max(0.0, self._began_s + self._sent_s - self._clock())

    def _put(self, item: str | bytes) -> None:
        if not item:
            return
        self._out.append(item)
        self._out_bytes += len(item)
        self._out_changed.set()
        if self._out_bytes > TOO_MUCH:
            self.gone.set()
