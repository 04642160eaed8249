"""A caller over a WebSocket: PCM in, kept to real time; PCM out, a little ahead of it; messages beside both."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Resampler, Samples, frame_of
from media_server.events import Encoding, Transport
from media_server.rtc.handset import Handset
from media_server.rtc.speaker import FRAME_S, Playback

__all__ = ["PcmFormat", "PcmTrack", "SocketLine"]

WIDTHS: dict[Encoding, int] = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1}
WAITING_S = 2.0
"""Of sound that came faster than it was spoken; a client that sends more has to wait."""
PIECE_S = 0.1
"""In which such sound is heard."""
QUIET_S = 0.5
"""Without sound, after which there is silence: a client that is muted, or at the end of its file."""
TOO_MUCH = 8 * 1024 * 1024
"""Bytes for a client that does not read them, after which it is taken for gone."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """Of raw sound on the wire."""

    rate_hz: int = 16_000
    channels: int = 1
    encoding: Encoding = "pcm_s16le"

    @property
    def frame_bytes(self) -> int:
        """Of one sample of every channel."""
        return WIDTHS[self.encoding] * self.channels

    def decode(self, data: bytes) -> Samples:
        """int16, shape [n, channels]; `data` holds whole frames."""
        match self.encoding:
            case "pcm_s16le":
                samples = np.frombuffer(data, "<i2")
            case "pcm_f32le":
                floats = np.nan_to_num(np.frombuffer(data, "<f4"))
                samples = (np.clip(floats, -1, 1) * 32767).astype(np.int16)
            case "mulaw":
                samples = _MULAW[np.frombuffer(data, np.uint8)]
        return samples.astype(np.int16).reshape(-1, self.channels)


def _mulaw() -> Samples:
    """int16 of each byte (ITU-T G.711)."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


_MULAW = _mulaw()


class PcmTrack(MediaStreamTrack):
    """What a client sends, as a track. Sound that comes faster than it is spoken is heard as if it were spoken now.

    Args:
        clock: seconds.
    """

    kind = "audio"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._chunks: deque[tuple[Samples, int]] = deque()
        """Shape [n, channels], and the rate."""
        self._chunks_s = 0.0
        self._changed = asyncio.Event()
        self._due_s = 0.0
        """When the next sample may be heard at the earliest."""
        self._quiet_s = QUIET_S

    async def push(self, samples: Samples, rate_hz: int) -> None:
        """Take sound, shape [n, channels]; returns when little enough waits for more to be welcome."""
        if not len(samples):
            return
        if not self._chunks:
            # a chunk was spoken before it came: it may be heard at once
            self._due_s = max(self._due_s, self._clock() - len(samples) / rate_hz)
        self._chunks.append((samples, rate_hz))
        self._chunks_s += len(samples) / rate_hz
        self._changed.set()
        while self._chunks_s > WAITING_S and self.readyState == "live":
            self._changed.clear()
            await self._changed.wait()

    async def drained(self) -> None:
        """Wait until all that came was heard."""
        while self._chunks and self.readyState == "live":
            self._changed.clear()
            await self._changed.wait()

    async def recv(self) -> av.AudioFrame:
        if not await self._come():
            self._due_s = self._clock()
            return frame_of(np.zeros((int(PIECE_S * MODEL_RATE_HZ), 1), np.int16), MODEL_RATE_HZ)
        samples, rate_hz = self._joined()
        n = len(samples)
        if self._due_s + n / rate_hz > self._clock() + FRAME_S:
            # it is ahead of its time: a piece of it when that is over
            n = min(n, int(PIECE_S * rate_hz))
            await asyncio.sleep(max(0.0, self._due_s + n / rate_hz - self._clock()))
        self._due_s += n / rate_hz
        piece, rest = samples[:n], samples[n:]
        if len(rest):
            self._chunks[0] = (rest, rate_hz)
        else:
            self._chunks.popleft()
        self._chunks_s = self._chunks_s - n / rate_hz if self._chunks else 0.0
        self._changed.set()
        self._quiet_s = QUIET_S
        return frame_of(piece, rate_hz)

    def _joined(self) -> tuple[Samples, int]:
        """The first chunk, which shall be no crumb: a client may send sound a sample at a time."""
        (first, rate_hz), parts, n = self._chunks[0], [], 0
        while self._chunks and n < int(PIECE_S * rate_hz):
            samples, its_rate_hz = self._chunks[0]
            if its_rate_hz != rate_hz or samples.shape[1] != first.shape[1]:
                break
            parts.append(samples)
            n += len(samples)
            self._chunks.popleft()
        self._chunks.appendleft((np.concatenate(parts), rate_hz))
        return self._chunks[0]

    async def _come(self) -> bool:
        """Wait for sound; false if there is none for so long that it has to be taken for silence."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._quiet_s):
                while not self._chunks:
                    if self.readyState != "live":
                        raise MediaStreamError
                    self._changed.clear()
                    await self._changed.wait()
            return True
        self._quiet_s = PIECE_S
        return False

    def stop(self) -> None:
        super().stop()
        self._changed.set()


class SocketLine:
    """One WebSocket's side of a call. Who has the socket puts what comes into `hear`, and sends what `next` gives.

    Args:
        rate_hz: of the agent's voice on the wire (int16, mono).
        lead_s: how far ahead of real time it is sent, so that a late packet is not heard.
    """

    def __init__(self, handset: Handset, rate_hz: int = 16_000, lead_s: float = 0.2) -> None:
        self.connected, self.gone = asyncio.Event(), asyncio.Event()
        """The call begins when it is connected: set by who knows that the client is ready."""
        self.hung_up = False
        """The client closed the socket, as one does who has nothing more to say."""
        self._speaker = handset.speaker
        self.format = PcmFormat()
        """Of what the client sends; may change."""
        self.rate_hz = rate_hz
        """Of the agent's voice; may change while it is silent."""
        self.packet_s = FRAME_S
        """Of sound in a message."""
        self.packed: Callable[[bytes], str | bytes] = bytes
        """Makes a message of sound."""
        self.clip: Callable[[Samples], str | bytes] | None = None
        """Makes a message of a whole piece of speech (48 kHz), sent when it begins, for clients that play pieces."""
        self._lead_s = lead_s
        self._clock = handset.clock
        self._track = PcmTrack(handset.clock)
        handset.microphone.attach(self._track)
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
        whole = len(data) - len(data) % self.format.frame_bytes
        self._odd = data[whole:]
        await self._track.push(self.format.decode(data[:whole]), self.format.rate_hz)

    async def hear_samples(self, samples: Samples, rate_hz: int) -> None:
        """The same for sound that is decoded already, shape [n, channels]."""
        await self._track.push(samples, rate_hz)

    async def heard_all(self) -> None:
        """Wait until all sound that came was heard."""
        await self._track.drained()

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
                talking = group.create_task(self._talk())
                await self.gone.wait()
                talking.cancel()
        finally:
            self._speaker.forget_listener()

    async def flush(self) -> None:
        """Wait a moment for what was said to be played."""
        await asyncio.sleep(min(self._buffered(), 2 * self._lead_s))

    async def close(self) -> None:
        """Nothing comes and goes any more, but what is to be sent already."""
        self.gone.set()
        self._track.stop()
        self._out_changed.set()

    def _on_start(self, playback: Playback) -> None:
        if self.clip:
            self._put(self.clip(playback.speech.samples))

    async def _talk(self) -> None:
        resampler, rate_hz = Resampler(self.rate_hz), self.rate_hz
        due_s, waiting = self._clock(), b""
        while True:
            samples = self._speaker.take()
            now = self._clock()
            if self.clip:
                # the client plays what it was sent in time; here the time is kept
                due_s = max(due_s + FRAME_S, now - FRAME_S)
                await asyncio.sleep(max(0.0, due_s - self._clock()))
                continue
            if rate_hz != self.rate_hz:
                resampler, rate_hz = Resampler(self.rate_hz), self.rate_hz
            if samples.any() or not self._speaker.drained.is_set():
                if self._began_s is None or self._began_s + self._sent_s < now:
                    self._began_s, self._sent_s = now, 0.0
                waiting += resampler.push(frame_of(samples, CALL_RATE_HZ)).tobytes()
                if len(waiting) >= int(self.packet_s * rate_hz * 0.9) * 2:
                    self._put(self.packed(waiting))
                    waiting = b""
                self._sent_s += FRAME_S
                await asyncio.sleep(max(0.0, self._began_s + self._sent_s - self._lead_s - self._clock()))
            else:
                if waiting:
                    self._put(self.packed(waiting))
                    waiting = b""
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
