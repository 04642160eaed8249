"""The sending half of a call's RTP session: the speaker's speech as packets, one tick of 20 ms at a time."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from media_server.audio import Samples
from media_server.rtc.agreed import AgreedAudio
from media_server.rtc.encoding import FRAME, Encoder, comfort_of, encoder_of
from media_server.rtc.rtp import RtpPacket, write_red, write_rtp
from media_server.rtc.speaker import Speaker

__all__ = ["Mouth"]

COMFORT_TICKS = 20
"""Ticks between two packets in silence: 400 ms."""
LOW, MOST = 10, 50
"""Packets ahead of time below which more are encoded, and how many at most: what is interrupted is wasted."""
LOSSY = 0.02
"""Share of lost packets from which they are sent with copies of those before."""
LOSSY_TICKS = 500
"""How long this lasts after the last such report: 10 s."""


class Mouth:
    """`tick` sends the next 20 ms. Speech is encoded before, in a thread; only what begins, ends or is cut is not.

    Args:
        send: takes plain RTP packets.
        encoders: the thread that encodes ahead of time.
    """

    def __init__(
        self, agreed: AgreedAudio, speaker: Speaker, send: Callable[[bytes], None], encoders: Executor
    ) -> None:
        self.number = int.from_bytes(os.urandom(2), "big") & 0x7FFF
        """The last packet's number, extended beyond 16 bits; below 32768 at first (RFC 3711 section 3.3.1)."""
        self.time = int.from_bytes(os.urandom(4), "big")
        """The RTP time of the tick that was last."""
        self.packets = self.octets = 0
        self.spoke_ticks_ago = 0
        """Ticks since the last speech went out."""
        self._codec, self._red = agreed.send, agreed.send_red
        self._ssrc = agreed.local_ssrc
        self._speaker = speaker
        self._send = send
        self._encoders = encoders
        self._run: _Run | None = None
        """The speech that goes out now, without a gap so far."""
        self._lossy_ticks = 0
        self._before: tuple[int, bytes] | None = None
        """Time and payload of the packet before."""
        self._silent_ticks = 0
        self._talking = False

    def note_loss(self, share: float) -> None:
        """A report of the caller's says that this share of our packets was lost."""
        if share >= LOSSY:
            self._lossy_ticks = LOSSY_TICKS

    def tick(self, late: bool) -> None:
        """Send what is due; `late` where it should have been sent before."""
        speaker, codec = self._speaker, self._codec
        if codec is None:
            speaker.skip()  # without a listener its time passes all the same
            return
        self.time = self.time + codec.clock_hz // 50 & 0xFFFFFFFF
        self._lossy_ticks -= self._lossy_ticks > 0
        self.spoke_ticks_ago += 1
        speaks = not speaker.is_silent
        if speaks:
            speaker.late_frames += late
            payload = self._speech()
        else:
            payload = self._silence()
        if payload is None:
            return
        self._put(codec.payload_type, payload, speaks)
        if speaks:
            self.spoke_ticks_ago = 0

    def _speech(self) -> bytes | None:
        speaker = self._speaker
        if speaker.fades:
            return self._faded()
        run = self._run
        if run is None or run.epoch != speaker.epoch:
            assert self._codec
            corrects = bool(self._lossy_ticks) and self._red is None
            run = self._run = _Run(encoder_of(self._codec, corrects), speaker.epoch)
        if run.packets:
            speaker.skip()
            payload = run.packets.popleft()
        elif run.is_busy:
            # the thread has not come to it: better late than not at all
            speaker.late_frames += self._talking
            return None
        else:
            payload = run.encoder.encode(speaker.take())
        if len(run.packets) < LOW and not run.is_busy:
            run.encode_ahead(speaker.ahead(len(run.packets) * FRAME, MOST * FRAME), self._encoders)
        return payload

    def _faded(self) -> bytes:
        """Speech is cut: its last milliseconds, which nobody could encode before."""
        assert self._codec
        self._run = None
        encoder = encoder_of(self._codec)
        before = self._speaker.before_fade
        # the decoder at the other end goes on from what it has heard
        for start in range(len(before) % FRAME, len(before), FRAME):
            encoder.encode(before[start : start + FRAME])
        payload = encoder.encode(self._speaker.take())
        self._run = _Run(encoder, -1)
        return payload

    def _silence(self) -> bytes | None:
        self._speaker.skip()
        self._silent_ticks += 1
        if self._run is not None:
            # the decoder overlaps frames: one of silence lets the last of speech ring out
            run, self._run = self._run, None
            self._silent_ticks = 0
            if not run.is_busy:
                return run.encoder.encode(np.zeros(FRAME, np.int16))
        assert self._codec
        if self._codec.name != "opus" or self._silent_ticks % COMFORT_TICKS == 1:
            return comfort_of(self._codec.name)
        return None

    def _put(self, payload_type: int, payload: bytes, speaks: bool) -> None:
        if self._codec and self._codec.name == "opus" and len(payload) > 1:
            for tap in self._speaker.packet_taps:
                tap(payload)
        marker, self._talking = speaks and not self._talking, speaks
        before, self._before = self._before, (self.time, payload)
        if self._red and self._lossy_ticks and speaks:
            older = [(self.time - before[0] & 0xFFFFFFFF, before[1])] if before else []
            payload = write_red(payload_type, older, payload)
            payload_type = self._red.payload_type
        self.number += 1
        self.packets += 1
        self.octets += len(payload)
        self._send(write_rtp(RtpPacket(payload_type, marker, self.number & 0xFFFF, self.time, self._ssrc, payload)))


class _Run:
    """Speech without a gap: one encoder, and the packets that it has made of what will be said."""

    def __init__(self, encoder: Encoder, epoch: int) -> None:
        self.encoder = encoder
        self.epoch = epoch
        """The speaker's epoch when this began."""
        self.packets: deque[bytes] = deque()
        self.is_busy = False
        """The thread has the encoder."""

    def encode_ahead(self, samples: Samples, encoders: Executor) -> None:
        """Encode the whole frames of what comes after the packets."""
        frames = [samples[i : i + FRAME] for i in range(0, len(samples) - FRAME + 1, FRAME)]
        if not frames:
            return
        self.is_busy = True

        def encode() -> list[bytes]:
            return [self.encoder.encode(frame) for frame in frames]

        encoding = asyncio.get_running_loop().run_in_executor(encoders, encode)
        encoding.add_done_callback(self._take)

    def _take(self, encoding: asyncio.Future[list[bytes]]) -> None:
        self.is_busy = False
        if not encoding.cancelled() and not encoding.exception():
            self.packets.extend(encoding.result())
