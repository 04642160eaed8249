"""Raw sound as bytes: every format there and back, and what cannot be a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.audio import Samples
from media_server.events import Encoding
from media_server.rtc.formats import PcmFormat, g711_decoded, g711_encoded

RAMP: Samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)


def mulaw(byte: int) -> int:
    """ITU-T G.711 table 2: the value of a byte, as 16 bits have it."""
    byte = ~byte & 0xFF
    magnitude = (((byte & 15) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -magnitude if byte & 0x80 else magnitude


def alaw(byte: int) -> int:
    """ITU-T G.711 table 1."""
    byte ^= 0x55
    exponent, mantissa = byte >> 4 & 7, byte & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return magnitude if byte & 0x80 else -magnitude


def test_g711_is_decoded_as_the_tables_of_the_standard_have_it() -> None:
    every = bytes(range(256))
    assert g711_decoded("mulaw", every).tolist() == [mulaw(b) for b in every]
    assert g711_decoded("alaw", every).tolist() == [alaw(b) for b in every]


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_goes_to_the_nearest_value_there_is(law: Encoding) -> None:
    form = PcmFormat(8000, encoding=law)
    back = form.decode(form.encode(RAMP))[:, 0].astype(np.int32)
    there = np.unique(form.decode(bytes(range(256)))).astype(np.int32)
    above = there[np.minimum(np.searchsorted(there, RAMP), len(there) - 1)]
    below = there[np.maximum(np.searchsorted(there, RAMP, "right") - 1, 0)]
    nearest = np.minimum(np.abs(above - RAMP), np.abs(below - RAMP))
    # the encoders look at 13 and 14 bits
    assert np.all(np.abs(back - RAMP) <= nearest + 16)
    assert np.all(np.diff(back) >= 0), "louder is louder"
    values = np.unique(back).astype(np.int16)
    assert form.decode(form.encode(values))[:, 0].tolist() == values.tolist()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le", "mulaw", "alaw"])
def test_shapes_and_sizes(encoding: Encoding, channels: int) -> None:
    form = PcmFormat(8000, channels, encoding)
    data = PcmFormat(8000, 1, encoding).encode(RAMP[: 12 * channels])
    assert len(data) == 12 * form.frame_bytes
    assert form.decode(data).shape == (12, channels)
    assert form.decode(data).dtype == np.int16
    assert form.decode(b"").shape == (0, channels)


def test_whole_samples_are_exact() -> None:
    assert PcmFormat().decode(PcmFormat().encode(RAMP))[:, 0].tolist() == RAMP.tolist()
    floats = PcmFormat(encoding="pcm_f32le")
    assert np.abs(floats.decode(floats.encode(RAMP))[:, 0].astype(int) - RAMP).max() <= 1


def test_floats_that_are_no_samples_do_no_harm() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 2, -2, 1e30, -0.0], "<f4").tobytes()
    assert PcmFormat(encoding="pcm_f32le").decode(odd)[:, 0].tolist() == [0, 32767, -32767, 32767, -32767, 32767, 0]


@given(st.binary(max_size=64), st.sampled_from(["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]), st.integers(1, 2))
def test_any_whole_frames_are_sound(data: bytes, encoding: Encoding, channels: int) -> None:
    form = PcmFormat(8000, channels, encoding)
    whole = data[: len(data) - len(data) % form.frame_bytes]
    assert form.decode(whole).shape == (len(whole) // form.frame_bytes, channels)


def test_g711_of_a_slice_that_is_not_contiguous() -> None:
    assert g711_encoded("alaw", np.ascontiguousarray(RAMP[::3])) == b"".join(
        g711_encoded("alaw", RAMP[i : i + 1]) for i in range(0, len(RAMP), 3)
    )
