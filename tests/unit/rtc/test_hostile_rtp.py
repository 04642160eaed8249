"""Packets that no sound client sends: whatever came before, the caller is heard as soon as good packets come."""

from __future__ import annotations

import os
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, frame_of, resample
from media_server.rtc.formats import g711_encoded
from media_server.rtc.rtp import RtpPacket, write_red, write_rtp
from tests.unit.rtc.test_ear import OPUS, PCMU, SSRC, Line, encoded, voice

GOOD = encoded(3.0)

# what of a packet may be odd: its number and time, from where the stream is; its payload type, SSRC, payload and header
ODD = st.tuples(
    st.sampled_from([0, 0, 0, 1, 2, 60, -1, -3, -99, -101, 2999, 3001, 20_000, -20_000, 32_768]),
    st.sampled_from([0, 0, 0, 960, -960, 9600, -48_000, 480_000, 2_880_000, -2_880_001, 1 << 31, (1 << 31) - 1]),
    st.sampled_from([111, 111, 111, 63, 126, 0, 9, 13, 77, 127]),
    st.sampled_from([SSRC, SSRC, SSRC, 7, 8, 0, 0xFFFFFFFF]),
    st.one_of(
        st.sampled_from([GOOD[0], GOOD[30], b"", b"\xf8", b"\x03\x30" + bytes(50), b"\x07\x3f", b"\xff" * 200]),
        st.just(bytes(1400)),
        st.binary(max_size=60),
        st.lists(st.tuples(st.integers(0, 16383), st.binary(max_size=9)), max_size=6)
        .map(lambda older: write_red(111, older, GOOD[5])),
    ),
    st.sampled_from([b"", b"csrc", b"extension", b"extension too long", b"padding", b"padding too long", b"cut"]),
    st.sampled_from([0.0, 0.02, 0.02, 0.3]),
)  # fmt: skip


def dressed(packet: bytes, header: bytes) -> bytes:
    """The packet with something more, or wrong, in its header or at its end."""
    match header:
        case b"csrc":
            return bytes([packet[0] | 15]) + packet[1:12] + os.urandom(60) + packet[12:]
        case b"extension":
            return bytes([packet[0] | 16]) + packet[1:12] + b"\xbe\xde\0\2\x10\xff\0\0\x20\x01\0\0" + packet[12:]
        case b"extension too long":
            return bytes([packet[0] | 16]) + packet[1:12] + b"\xbe\xde\xff\xff" + packet[12:]
        case b"padding":
            return bytes([packet[0] | 32]) + packet[1:] + bytes(19) + b"\x14"
        case b"padding too long":
            return bytes([packet[0] | 32]) + packet[1:] + b"\xff"
        case b"cut":
            return packet[:11]
    return packet


@settings(max_examples=80, deadline=None)
@given(st.lists(ODD, max_size=40))
def test_whatever_came_before_good_packets_are_heard(odd: list[tuple[int, int, int, int, bytes, bytes, float]]) -> None:
    line, number, time = Line(), 1000, 0
    for n in range(10):
        line.arrive(number + n, GOOD[n], line.now + 0.02, time=time + n * 960)
    number, time = number + 10, time + 9600
    for far, later, payload_type, ssrc, payload, header, after_s in odd:
        line.now += after_s
        line.ear.tick(line.now)
        packet = RtpPacket(payload_type, False, number + far & 0xFFFF, time + later & 0xFFFFFFFF, ssrc, payload)
        line.ear.take(dressed(write_rtp(packet), header), line.now)
        number, time = number + 1, time + 960
        assert line.microphone._waiting <= 20 * MODEL_RATE_HZ
        assert len(line.ear._waiting) <= 50
    for frame in line.frames:
        assert frame.captured_at_s <= line.now + 1e-6
    counts = line.ear.reception
    assert min(counts.received, counts.lost, counts.malformed) >= 0
    line.ear.report(line.now)
    for n, good in enumerate(GOOD):
        if n == 100:
            line.frames.clear()
        line.arrive(number + n, good, line.now + 0.02, time=time + n * 960)
    said = [frame for frame in line.frames if frame.samples.any()]
    assert sum(len(frame.samples) for frame in said) == pytest.approx(MODEL_RATE_HZ, abs=320)
    # a sender whose time leaps ahead by less than a second is believed for a while
    assert line.now - 1.1 < said[-1].captured_at_s < line.now


def opus_packets(ms: float) -> list[bytes]:
    context: Any = av.CodecContext.create("libopus", "w")
    context.bit_rate, context.format, context.layout, context.sample_rate = 32_000, "s16", "mono", CALL_RATE_HZ
    context.options = {"frame_duration": f"{ms:g}"}
    size = int(ms * 48)
    samples = voice(1.2)
    packets: list[bytes] = []
    for i in range(0, len(samples) - size + 1, size):
        frame = frame_of(samples[i : i + size], CALL_RATE_HZ)
        frame.pts = i
        packets += map(bytes, context.encode(frame))
    return packets


@pytest.mark.parametrize("ms", [2.5, 5, 10, 20, 40, 60, 120])
@pytest.mark.parametrize("name", ["opus", "pcmu"])
def test_packets_of_any_length_are_heard_whole(name: str, ms: float) -> None:
    line = Line()
    if name == "opus":
        codec, packets = OPUS, opus_packets(ms)
    else:
        sound = g711_encoded("mulaw", resample(voice(1.2), CALL_RATE_HZ, 8000))
        codec, size = PCMU, int(ms * 8)
        packets = [sound[i : i + size] for i in range(0, len(sound) - size + 1, size)]
    for n, packet in enumerate(packets):
        time = int(n * ms * codec.clock_hz / 1000)
        line.arrive(n, packet, 10 + n * ms / 1000, codec.payload_type, time=time)
    assert line.heard_s == pytest.approx(len(packets) * ms / 1000, abs=0.005)
    assert np.abs(line.heard()).max() > 6000
    assert line.ear.reception.lost == 0


def test_a_caller_who_changes_the_codec_is_heard_at_the_right_time() -> None:
    line, narrow = Line(), encoded(1.0, PCMU)
    for n in range(50):
        line.arrive(n, GOOD[n], 10 + n * 0.02, time=500_000 + n * 960)
    for n in range(50, 100):
        # the times go on from where they were, in ticks of the other codec's clock
        line.arrive(n, narrow[n - 50], 10 + n * 0.02, 0, time=548_000 + (n - 50) * 160)
    assert line.heard_s == pytest.approx(2.0, abs=0.03)
    for frame in line.frames[-40:]:
        assert 11 < frame.captured_at_s < 12.01


@pytest.mark.parametrize("each", [1, 7])
@pytest.mark.parametrize("count", ["one", "one for each"])
@pytest.mark.parametrize("network", ["clean", "reorders", "loses", "changes the stream"])
def test_codecs_that_change_again_and_again_are_heard_at_the_right_time(network: str, count: str, each: int) -> None:
    line, narrow, time = Line(), encoded(3.0, PCMU), 0xFFFF_FF00
    packets = []
    for n in range(150):
        codec, payload = (OPUS, GOOD[n]) if n // each % 2 else (PCMU, narrow[n])
        packets.append((n, codec, payload, time if count == "one" else 500_000 + n * codec.clock_hz // 50))
        time += codec.clock_hz // 50
    if network == "reorders":
        for n in range(10, 140, 5):
            packets[n], packets[n + 1] = packets[n + 1], packets[n]
    for at, (n, codec, payload, stamp) in enumerate(packets):
        if network != "loses" or n % 9 != 4:
            ssrc = SSRC + (network == "changes the stream" and n >= 70)
            line.arrive(n, payload, 10 + at * 0.02, codec.payload_type, time=stamp, ssrc=ssrc)
    assert line.heard_s == pytest.approx(3.0, abs=0.06)
    at_s = np.array([frame.captured_at_s for frame in line.frames])
    lengths_s = np.array([len(frame.samples) / MODEL_RATE_HZ for frame in line.frames])
    said_s = 9.98 + np.cumsum(lengths_s) - lengths_s
    assert np.abs(at_s - said_s).max() < 0.05
    assert line.ear.reception.concealed_s == pytest.approx(0.34 if network == "loses" else 0.0, abs=0.1)


def test_a_caller_whose_time_stood_still_while_he_was_mute_is_heard_when_he_speaks() -> None:
    line = Line()
    for n, packet in enumerate(GOOD):
        line.arrive(n, packet, 10 + n * 0.02 + 7.0 * (n >= 75))
    assert line.frames[-1].captured_at_s == pytest.approx(10 + 149 * 0.02 + 7.0 - 0.02, abs=0.001)
    said = [frame for frame in line.frames if frame.captured_at_s > 17]
    assert sum(len(frame.samples) for frame in said) == pytest.approx(1.5 * MODEL_RATE_HZ, abs=640)
