"""Two mono streams of Opus as the two channels of a file: what others' decoders make of it."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.rtc import ogg
from media_server.rtc.encoding import FRAME, opus_encoder


def plain_crc(data: bytes) -> int:
    """RFC 3533 section 6, a bit at a time."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return crc


@given(st.lists(st.binary(max_size=600), max_size=5))
def test_a_page_is_as_the_standard_has_it(packets: list[bytes]) -> None:
    page = ogg.page(packets, 960, 7, 3, ogg.ENDS)
    assert int.from_bytes(page[22:26], "little") == plain_crc(page[:22] + bytes(4) + page[26:])
    lengths, n = [0], page[26]
    for lace in page[27 : 27 + n]:
        lengths[-1] += lace
        if lace < 255:
            lengths.append(0)
    assert lengths[:-1] == [len(p) for p in packets]
    assert page[27 + n :] == b"".join(packets)


@pytest.mark.parametrize("length", [1, 2, 251, 252, 253, 254, 255, 256, 1275])
def test_lengths_of_every_form(length: int) -> None:
    left = bytes([0xF8]) + bytes(length - 1)
    both = ogg.channels(left, b"right")
    n = both[1] if both[1] < 252 else both[1] + 4 * both[2]
    assert n == length - 1
    assert both.endswith(left[1:] + b"right")


def tone(hz: float, seconds: float = 1.0) -> Samples:
    return (np.sin(2 * np.pi * hz * np.arange(int(seconds * CALL_RATE_HZ)) / CALL_RATE_HZ) * 8000).astype(np.int16)


def test_each_side_is_on_its_channel() -> None:
    left, right = opus_encoder(), opus_encoder()
    low, high = tone(440), tone(1500)
    packets = [
        ogg.channels(
            left.encode(low[i : i + FRAME]) if i < len(low) // 2 else ogg.SILENCE,
            right.encode(high[i : i + FRAME]) if i >= len(high) // 2 else ogg.SILENCE,
        )
        for i in range(0, len(low), FRAME)
    ]
    file = BytesIO(ogg.headers(1) + ogg.page(packets, len(packets) * FRAME, 1, 2, ogg.ENDS))
    with av.open(file, "r") as container:
        (stream,) = container.streams.audio
        assert stream.codec_context.layout.name == "stereo"
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
    assert sound.shape == (2, CALL_RATE_HZ - ogg.PRE_SKIP)
    halves = sound[:, 2400:21600], sound[:, 26400:45600]
    peaks = [[float(np.argmax(np.abs(np.fft.rfft(ch)))) / 0.4 for ch in half] for half in halves]
    levels = [[float(ch.std()) for ch in half] for half in halves]
    assert peaks[0][0] == pytest.approx(440, abs=5)
    assert peaks[1][1] == pytest.approx(1500, abs=5)
    assert levels[0][1] < 0.001 < 0.1 < levels[0][0]
    assert levels[1][0] < 0.001 < 0.1 < levels[1][1]
