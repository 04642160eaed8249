"""A call's sound between RTP packets and the tracks that microphone and speaker are made of."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import Callable

import av
from aiortc import MediaStreamTrack
from aiortc.codecs import get_encoder
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from media_server.audio import CALL_RATE_HZ
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.speaker import Speaker

__all__ = ["Incoming", "play_out"]

DECODERS = {"opus": "libopus", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g722": "g722"}
MOST_WAITING = 100


class Incoming(MediaStreamTrack):
    """What the caller says, decoded as it comes."""

    kind = "audio"

    def __init__(self, agreed: AgreedAudio) -> None:
        super().__init__()
        self._codecs = {codec.payload_type: codec for codec in agreed.receive}
        self._decoders: dict[int, av.AudioCodecContext] = {}
        self._last: tuple[int, int] | None = None
        self._frames: asyncio.Queue[av.AudioFrame | None] = asyncio.Queue(MOST_WAITING)

    def take(self, packet: bytes) -> None:
        try:
            rtp = RtpPacket.parse(packet)
        except ValueError:
            return
        codec = self._codecs.get(rtp.payload_type)
        if codec is None or not rtp.payload:
            return
        behind = (self._last[1] - rtp.sequence_number) & 0xFFFF if self._last and self._last[0] == rtp.ssrc else 0xFFFF
        if behind < 0x8000:
            return
        self._last = rtp.ssrc, rtp.sequence_number
        try:
            for frame in self._decoder(codec).decode(av.Packet(rtp.payload)):
                if not self._frames.full():
                    self._frames.put_nowait(frame)
        except av.FFmpegError:
            self._decoders.pop(codec.payload_type, None)

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if (frame := await self._frames.get()) is None:
            raise MediaStreamError
        return frame

    def stop(self) -> None:
        super().stop()
        while not self._frames.empty():
            self._frames.get_nowait()
        self._frames.put_nowait(None)

    def _decoder(self, codec: Codec) -> av.AudioCodecContext:
        if codec.payload_type not in self._decoders:
            made = av.CodecContext.create(DECODERS[codec.name], "r")
            assert isinstance(made, av.AudioCodecContext)
            made.sample_rate = 48_000 if codec.name == "opus" else 16_000 if codec.name == "g722" else 8000
            made.layout, made.format = ("stereo" if codec.name == "opus" else "mono"), av.AudioFormat("s16")
            self._decoders[codec.payload_type] = made
        return self._decoders[codec.payload_type]


async def play_out(speaker: Speaker, agreed: AgreedAudio, send: Callable[[bytes], None]) -> None:
    """Send what the agent says, for ever; where the caller hears nothing its time passes all the same."""
    codec, encoder = agreed.send, None
    if codec:
        parameters = RTCRtpCodecParameters(f"audio/{codec.name}", codec.clock_hz, 2 if codec.name == "opus" else 1)
        encoder = get_encoder(parameters)
    sequence = 0
    while True:
        frame = await speaker.recv()
        if codec is None or encoder is None:
            continue
        frame.time_base = fractions.Fraction(1, CALL_RATE_HZ)
        payloads, timestamp = encoder.encode(frame)
        for payload in payloads:
            sequence = (sequence + 1) & 0xFFFF
            packet = RtpPacket(codec.payload_type, 0, sequence, timestamp & 0xFFFFFFFF, agreed.local_ssrc, payload)
            send(packet.serialize())
