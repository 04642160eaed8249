"""Payloads of RTP to 16 kHz mono: Opus by libopus, with concealment and error correction; others by FFmpeg."""

from __future__ import annotations

import ctypes
from typing import Protocol, cast

import av
import numpy as np

from media_server.audio import MODEL_RATE_HZ, Resampler, Samples
from media_server.rtc.agreed import Codec
from media_server.rtc.libopus import decoding_library

__all__ = ["Decoder", "decoder_of", "opus_ticks"]

OPUS_CLOCK_HZ = 48_000
MAX_OPUS_TICKS = 5760
"""120 ms, the most that a packet may hold (RFC 6716 section 3.2.5)."""
LONGEST = MAX_OPUS_TICKS * MODEL_RATE_HZ // OPUS_CLOCK_HZ
_NAMES = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g722": "g722", "opus": "opus"}
_RATES = {"pcmu": 8000, "pcma": 8000, "g722": 16_000, "opus": OPUS_CLOCK_HZ}
_FRAME_TICKS = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
"""Frame lengths of SILK, hybrid and CELT, by an Opus packet's configuration (RFC 6716 section 3.1)."""
_EMPTY: Samples = np.zeros(0, np.int16)


class Decoder(Protocol):
    """One stream's decoder; it keeps the state from packet to packet. All samples are 16 kHz mono."""

    def ticks(self, payload: bytes) -> int:
        """How long a payload lasts, on the clock of its RTP timestamps; 0 where it is malformed."""
        ...

    def decode(self, payload: bytes) -> Samples:
        """The samples of the next payload; none where it is malformed."""
        ...

    def has_copy(self, payload: bytes) -> bool:
        """Whether a payload holds a copy of the one before it (in-band error correction)."""
        ...

    def restore(self, successor: bytes, samples: int) -> Samples:
        """The samples of a lost payload out of the copy in the one behind it."""
        ...

    def conceal(self, samples: int) -> Samples:
        """Samples in place of lost ones, which continue what was heard before."""
        ...


def decoder_of(codec: Codec) -> Decoder:
    """A new decoder of Opus, G.711 or G.722."""
    if codec.name == "opus" and (library := decoding_library()) is not None:
        return _Opus(library)
    return _Av(codec.name)


def opus_ticks(payload: bytes) -> int:
    """How long an Opus packet lasts, in 1/48000 s (RFC 6716 section 3.1); 0 where it is malformed."""
    if not payload:
        return 0
    toc = payload[0]
    ticks = _FRAME_TICKS[toc >> 3]
    code = toc & 3
    if code == 3:
        ticks *= payload[1] & 63 if len(payload) > 1 else 0
    elif code:
        ticks *= 2
    return ticks if ticks <= MAX_OPUS_TICKS else 0


class _Opus:
    def __init__(self, library: ctypes.PyDLL) -> None:
        self._library = library
        error = ctypes.c_int()
        self._state = library.opus_decoder_create(MODEL_RATE_HZ, 1, ctypes.byref(error))
        if not self._state:
            raise MemoryError(f"libopus cannot make a decoder ({error.value})")
        self._out: Samples = np.zeros(LONGEST, np.int16)
        self._address = self._out.ctypes.data
        self._decode = library.opus_decode

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_decoder_destroy(state)

    def ticks(self, payload: bytes) -> int:
        return opus_ticks(payload)

    def decode(self, payload: bytes) -> Samples:
        return self._taken(self._decode(self._state, payload, len(payload), self._address, LONGEST, 0))

    def has_copy(self, payload: bytes) -> bool:
        return bool(payload) and self._library.opus_packet_has_lbrr(payload, len(payload)) == 1

    def restore(self, successor: bytes, samples: int) -> Samples:
        samples = min(LONGEST, samples)
        return self._taken(self._decode(self._state, successor, len(successor), self._address, samples, 1))

    def conceal(self, samples: int) -> Samples:
        # libopus takes multiples of 2.5 ms
        samples = min(LONGEST, samples // 40 * 40)
        return self._taken(self._decode(self._state, None, 0, self._address, samples, 0)) if samples else _EMPTY

    def _taken(self, samples: int) -> Samples:
        return self._out[:samples].copy() if samples > 0 else _EMPTY


class _Av:
    """FFmpeg's decoders know neither concealment nor error correction: silence takes the place of what is lost."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._context = cast(av.AudioCodecContext, av.CodecContext.create(_NAMES[name], "r"))
        self._context.sample_rate = _RATES[name]
        self._context.layout = "mono"
        self._resampler = Resampler(MODEL_RATE_HZ)

    def ticks(self, payload: bytes) -> int:
        # G.711 and G.722 have a byte for each tick of their 8 kHz clock
        return opus_ticks(payload) if self._name == "opus" else len(payload)

    def decode(self, payload: bytes) -> Samples:
        try:
            frames = self._context.decode(av.Packet(payload)) if payload else []
        except av.FFmpegError:
            return _EMPTY
        return np.concatenate([_EMPTY, *(self._resampler.push(frame) for frame in frames)])

    def has_copy(self, payload: bytes) -> bool:
        return False

    def restore(self, successor: bytes, samples: int) -> Samples:
        return _EMPTY

    def conceal(self, samples: int) -> Samples:
        return np.zeros(samples, np.int16)
