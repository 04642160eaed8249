"""Raw sound on the wire: PCM of several kinds, and G.711 both ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from media_server.audio import Samples, frame_of
from media_server.events import Encoding

__all__ = ["PcmFormat", "g711_decoded", "g711_encoded"]

G711 = Literal["mulaw", "alaw"]
WIDTHS: dict[Encoding, int] = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
RATE_HZ = 8000


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """A format of raw sound."""

    rate_hz: int = 16_000
    channels: int = 1
    encoding: Encoding = "pcm_s16le"

    @property
    def frame_bytes(self) -> int:
        """The size of one sample of every channel."""
        return WIDTHS[self.encoding] * self.channels

    def decode(self, data: bytes) -> Samples:
        """int16, shape [n, channels]; `data` holds whole frames."""
        match self.encoding:
            case "pcm_s16le":
                samples = np.frombuffer(data, "<i2").astype(np.int16)
            case "pcm_f32le":
                floats = np.nan_to_num(np.frombuffer(data, "<f4"))
                samples = (np.clip(floats, -1, 1) * 32767).astype(np.int16)
            case "mulaw" | "alaw":
                samples = g711_decoded(self.encoding, data)
        return samples.reshape(-1, self.channels)

    def encode(self, samples: Samples) -> bytes:
        """Mono samples at `rate_hz`, shape [n]."""
        match self.encoding:
            case "pcm_s16le":
                return samples.astype("<i2").tobytes()
            case "pcm_f32le":
                return (samples / np.float32(32768)).astype("<f4").tobytes()
            case "mulaw" | "alaw":
                return g711_encoded(self.encoding, samples)


def g711_decoded(law: G711, data: bytes) -> Samples:
    """Samples, shape [n], of as many bytes (ITU-T G.711)."""
    return _decoding(law)[np.frombuffer(data, np.uint8)]


def g711_encoded(law: G711, samples: Samples) -> bytes:
    """A byte for each sample, shape [n] (ITU-T G.711)."""
    return _encoding(law)[samples.view(np.uint16)].tobytes()


# FFmpeg's codecs hold their state for one thread and take longer to set up than a packet lasts to decode: each is asked
# once for all that it can be asked


@cache
def _decoding(law: G711) -> Samples:
    context: Any = av.CodecContext.create(f"pcm_{law}", "r")
    context.sample_rate, context.layout = RATE_HZ, "mono"
    frames = context.decode(av.Packet(bytes(range(256))))
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)


@cache
def _encoding(law: G711) -> NDArray[np.uint8]:
    context: Any = av.CodecContext.create(f"pcm_{law}", "w")
    context.sample_rate, context.layout, context.format = RATE_HZ, "mono", "s16"
    every = np.arange(65536, dtype=np.uint16).view(np.int16)
    packets = [*context.encode(frame_of(every, RATE_HZ)), *context.encode(None)]
    return np.frombuffer(b"".join(map(bytes, packets)), np.uint8)
