"""48 kHz speech to payloads of RTP: Opus (CELT, mono), G.711 and G.722, 20 ms at a time."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any, Protocol

import av
import numpy as np

from media_server.audio import CALL_RATE_HZ, Resampler, Samples, frame_of
from media_server.rtc.agreed import Codec
from media_server.rtc.formats import g711_encoded
from media_server.rtc.libopus import encoding_library

__all__ = ["FRAME", "Encoder", "comfort_of", "encoder_of", "opus_encoder"]

FRAME = CALL_RATE_HZ // 50
BIT_RATE, MIN_BIT_RATE = 32_000, 6000
"""Bits per second of Opus, and the least that a listener can ask for (RFC 7587 section 6.1)."""
LOW_BIT_RATE = 24_000
"""Bits per second below which speech sounds better by SILK than by CELT."""
COMPLEXITY = 5
"""Encoder complexity, from 0 to 10. Speech at 10 is hardly better and costs twice the time."""
EXPECTED_LOSS = 10
"""Percent, for which error correction is made where a caller loses packets."""
LARGEST = 1275
"""Bytes of the largest Opus frame (RFC 6716 section 3.2.1)."""
_VOIP, _RESTRICTED_LOWDELAY = 2048, 2051
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_VBR_CONSTRAINT = 4002, 4010, 4012, 4014, 4020
"""Numbers of opus_defines.h."""
_DTX = b"\xf8"
"""An Opus packet of 20 ms without a frame in it (RFC 6716 section 3.2.1, RFC 7587 section 3.1.3): receivers fade to
comfort noise, where they would conceal a loss without any packet."""


class Encoder(Protocol):
    """One run of speech without a gap; not for two threads at a time."""

    def encode(self, frame: Samples) -> bytes:
        """The payload of the next 20 ms, which are 960 samples where nothing else was asked for."""
        ...


def encoder_of(codec: Codec, corrects: bool = False) -> Encoder:
    """A new encoder.

    Args:
        corrects: each Opus packet holds a copy of the one before, for a caller who loses packets; six times the CPU.
    """
    match codec.name:
        case "opus":
            return opus_encoder(corrects=corrects, bit_rate=_bit_rate(codec))
        case "g722":
            return _G722()
        case _:
            return _G711(codec.name == "pcma")


@cache
def comfort_of(name: str) -> bytes:
    """The payload that stands for 20 ms of silence."""
    if name == "opus":
        return _DTX
    silence = np.zeros(FRAME, np.int16)
    return encoder_of(Codec(0, name, 8000)).encode(silence)


def _bit_rate(codec: Codec) -> int:
    """What the listener takes at most, if that is less than usual."""
    asked = codec.parameters.get("maxaveragebitrate", "")
    return max(MIN_BIT_RATE, min(BIT_RATE, int(asked))) if re.fullmatch("[0-9]{1,9}", asked) else BIT_RATE


def opus_encoder(rate_hz: int = CALL_RATE_HZ, corrects: bool = False, bit_rate: int = BIT_RATE) -> Encoder:
    """A new encoder of mono Opus that takes 20 ms of samples at `rate_hz` at a time; its packets are alike at any rate.

    Args:
        corrects: as in `encoder_of`.
    """
    library = encoding_library()
    return _Opus(library, rate_hz, corrects, bit_rate) if library else _AvOpus(rate_hz, corrects, bit_rate)


class _Opus:
    def __init__(self, library: ctypes.CDLL, rate_hz: int, corrects: bool, bit_rate: int) -> None:
        self._library = library
        self._frame = rate_hz // 50
        error = ctypes.c_int()
        # what has a low delay is always CELT, which takes a sixth of the time that SILK takes; only SILK corrects
        application = _VOIP if corrects or bit_rate < LOW_BIT_RATE else _RESTRICTED_LOWDELAY
        self._state = library.opus_encoder_create(rate_hz, 1, application, ctypes.byref(error))
        if not self._state:
            raise MemoryError(f"libopus cannot make an encoder ({error.value})")
        settings = {_SET_BITRATE: bit_rate, _SET_COMPLEXITY: COMPLEXITY, _SET_VBR_CONSTRAINT: 0}
        if corrects:
            settings |= {_SET_INBAND_FEC: 1, _SET_PACKET_LOSS: EXPECTED_LOSS}
        for request, value in settings.items():
            library.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))
        self._out = ctypes.create_string_buffer(LARGEST)

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_encoder_destroy(state)

    def encode(self, frame: Samples) -> bytes:
        frame = np.ascontiguousarray(frame, np.int16)
        assert len(frame) == self._frame
        size = self._library.opus_encode(self._state, frame.ctypes.data, self._frame, self._out, LARGEST)
        return ctypes.string_at(self._out, max(0, size))


class _AvOpus:
    """Opus by FFmpeg, where libopus is not found; it takes twice the time, and two threads for each encoder."""

    def __init__(self, rate_hz: int, corrects: bool, bit_rate: int) -> None:
        self._rate_hz = rate_hz
        self._context: Any = av.CodecContext.create("libopus", "w")
        self._context.bit_rate = bit_rate
        self._context.format, self._context.layout, self._context.sample_rate = "s16", "mono", rate_hz
        self._context.options = {
            "application": "voip" if corrects or bit_rate < LOW_BIT_RATE else "lowdelay",
            "frame_duration": "20",
            "compression_level": str(COMPLEXITY),
            **({"fec": "1", "packet_loss": str(EXPECTED_LOSS)} if corrects else {}),
        }
        self._pts = 0

    def encode(self, frame: Samples) -> bytes:
        sound = frame_of(frame, self._rate_hz)
        sound.pts = self._pts
        self._pts += len(frame)
        return b"".join(map(bytes, self._context.encode(sound)))


class _Narrow:
    """Resamples to `rate_hz`; every frame is 20 ms of it."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._resampler = Resampler(rate_hz)
        self._waiting: Samples = np.zeros(0, np.int16)

    def frame(self, samples: Samples) -> Samples:
        n = self._rate_hz // 50
        self._waiting = np.concatenate([self._waiting, self._resampler.push(frame_of(samples, CALL_RATE_HZ))])
        if len(self._waiting) < n:
            # the filter holds the first samples back
            self._waiting = np.pad(self._waiting, (n - len(self._waiting), 0))
        frame, self._waiting = self._waiting[:n], self._waiting[n:]
        return frame


class _G711:
    def __init__(self, a_law: bool) -> None:
        self._a_law = a_law
        self._narrow = _Narrow(8000)

    def encode(self, frame: Samples) -> bytes:
        return g711_encoded("alaw" if self._a_law else "mulaw", self._narrow.frame(frame))


class _G722:
    def __init__(self) -> None:
        self._narrow = _Narrow(16_000)
        self._context: Any = av.CodecContext.create("g722", "w")
        self._context.format, self._context.layout, self._context.sample_rate = "s16", "mono", 16_000

    def encode(self, frame: Samples) -> bytes:
        return b"".join(map(bytes, self._context.encode(frame_of(self._narrow.frame(frame), 16_000))))
