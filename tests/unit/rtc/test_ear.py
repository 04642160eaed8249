"""The receiver on real Opus packets: what is heard, and when it was said, whatever the network does."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.decoding import opus_ticks
from media_server.rtc.ear import Ear
from media_server.rtc.encoding import FRAME, encoder_of
from media_server.rtc.microphone import Frame, Microphone
from media_server.rtc.rtp import RtpPacket, SenderReport, write_red, write_rtp

OPUS = Codec(111, "opus", 48_000, 2)
RED = Codec(63, "red", 48_000, 2)
KEYS = Codec(126, "telephone-event", 8000)
PCMU, G722 = Codec(0, "pcmu", 8000), Codec(9, "g722", 8000)
AGREED = AgreedAudio((OPUS, RED, KEYS, PCMU, G722), None)
SSRC = 1234


class Line:
    """A receiver, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 10.0
        self.frames: list[Frame] = []
        self.digits: list[str] = []
        self.microphone = Microphone(lambda: self.now)
        self.microphone.taps.append(self.frames.append)
        self.ear = Ear(AGREED, self.microphone, self.digits.append)

    def arrive(self, number: int, payload: bytes, at_s: float, payload_type: int = 111, **other: int) -> None:
        while self.now < at_s - 1e-9:
            self.now = min(at_s, self.now + 0.005)
            self.ear.tick(self.now)
        time = other.get("time", number * 960)
        packet = RtpPacket(
            payload_type & 127, payload_type > 127, number & 0xFFFF, time & 0xFFFFFFFF, other.get("ssrc", SSRC), payload
        )
        self.ear.take(write_rtp(packet), self.now)

    def heard(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *(f.samples for f in self.frames)])

    @property
    def heard_s(self) -> float:
        return len(self.heard()) / MODEL_RATE_HZ


def voice(seconds: float) -> Samples:
    """A sound that changes, so that what is missing shows."""
    t = np.arange(int(seconds * CALL_RATE_HZ)) / CALL_RATE_HZ
    return (np.sin(2 * np.pi * (200 + 100 * t) * t) * 9000 * (0.6 + 0.4 * np.sin(9 * t))).astype(np.int16)


def encoded(seconds: float, codec: Codec = OPUS, corrects: bool = False) -> list[bytes]:
    samples, encoder = voice(seconds), encoder_of(codec, corrects)
    return [encoder.encode(samples[i : i + FRAME]) for i in range(0, len(samples), FRAME)]


@pytest.mark.parametrize("codec", [OPUS, PCMU, G722])
def test_what_is_said_is_heard_at_once_and_whole(codec: Codec) -> None:
    line = Line()
    for n, packet in enumerate(encoded(1.0, codec)):
        line.arrive(n, packet, 10 + n * 0.02, codec.payload_type, time=n * codec.clock_hz // 50)
        assert abs(line.heard_s - (n + 1) * 0.02) < 0.003, "nothing waits"
    assert np.abs(line.heard()).max() > 6000
    assert line.frames[25].captured_at_s == pytest.approx(10 + 25 * 0.02 - 0.02, abs=0.002)
    assert line.ear.reception.lost == 0


def test_one_lost_packet_costs_one_packet_and_delays_none_after_it() -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        if n != 50:
            line.arrive(n, packet, 10 + n * 0.02)
        if n > 53:
            assert line.frames[-1].captured_at_s == pytest.approx(10 + n * 0.02 - 0.02, abs=0.002)
    assert line.heard_s == pytest.approx(2.0, abs=0.003), "it is concealed"
    assert line.ear.reception.lost == 1
    assert line.ear.reception.concealed_s == pytest.approx(0.02)


@pytest.mark.parametrize("way", ["in-band", "redundant"])
def test_a_lost_packet_is_restored_from_the_next(way: str) -> None:
    line, packets = Line(), encoded(3.0, corrects=way == "in-band")
    lost = set(range(20, 150, 10))
    for n, packet in enumerate(packets):
        if n in lost:
            continue
        if way == "redundant":
            line.arrive(n, write_red(111, [(960, packets[n - 1])] if n else [], packet), 10 + n * 0.02, 63)
        else:
            line.arrive(n, packet, 10 + n * 0.02)
    assert line.heard_s == pytest.approx(3.0, abs=0.003)
    # the encoder itself decides which packets are worth a copy
    assert line.ear.reception.restored_s >= 0.02 * len(lost) * (0.5 if way == "in-band" else 0.99)


def test_silence_in_place_of_lost_packets_is_only_assumed() -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        if not 30 <= n < 60:
            line.arrive(n, packet, 10 + n * 0.02)
    (missing,) = [f for f in line.frames if f.assumed]
    assert not missing.samples.any()
    assert len(missing.samples) / MODEL_RATE_HZ == pytest.approx(0.5, abs=0.01)


def test_silence_that_the_caller_did_not_send_is_certain() -> None:
    line = Line()
    for n, packet in enumerate(encoded(1.0)):
        # the time goes on, the numbers have no hole: discontinuous transmission
        line.arrive(n, packet, 10 + n * 0.02 + (n >= 25), time=(n + 50 * (n >= 25)) * 960)
    (silent,) = [f for f in line.frames if not f.samples.any()]
    assert len(silent.samples) / MODEL_RATE_HZ == pytest.approx(1.0, abs=0.01)
    assert not silent.assumed


def test_a_stall_delays_and_loses_nothing() -> None:
    line, packets = Line(), encoded(3.0)
    for n, packet in enumerate(packets):
        said_s = 10 + n * 0.02
        line.arrive(n, packet, 12.5 if 11 <= said_s < 12.5 else said_s)
    said = np.concatenate([f.samples for f in line.frames if f.samples.any()])
    assert len(said) / MODEL_RATE_HZ == pytest.approx(3.0, abs=0.01)
    assert all(abs(f.captured_at_s - (9.98 + n * 0.02)) < 0.005 for n, f in enumerate(line.frames))


@pytest.mark.parametrize("payload_type", [111, 63, 13, 126, 99])
def test_packets_without_sound_make_nobody_deaf(payload_type: int) -> None:
    line = Line()
    for n, packet in enumerate(encoded(1.0)):
        if n % 10 == 5:
            line.arrive(n, b"" if payload_type in (111, 63) else b"\x0b", 10 + n * 0.02, payload_type)
        else:
            line.arrive(n, packet, 10 + n * 0.02)
    assert line.heard_s == pytest.approx(0.98, abs=0.05)
    assert line.ear.reception.lost == 0


@pytest.mark.parametrize("shift", [-60, 0, 1, 300, 30_000])
def test_a_new_ssrc_takes_over_within_a_tenth_of_a_second(shift: int) -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        new = n >= 50
        line.arrive(n + shift if new else n, packet, 10 + n * 0.02, ssrc=SSRC + new, time=n * 960 + new * 123_456)
    assert line.heard_s == pytest.approx(2.0, abs=0.03)


def test_a_stray_ssrc_beside_the_one_that_is_heard_is_not() -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        line.arrive(n, packet, 10 + n * 0.02)
        line.arrive(n + 500, b"\xf8\xff\xfe", 10 + n * 0.02, ssrc=99)
    assert line.heard_s == pytest.approx(2.0, abs=0.003)


@pytest.mark.parametrize(("payload_type", "payload"), [(111, b""), (90, b"\x00" * 40), (63, write_red(90, [], b"x"))])
@pytest.mark.parametrize("is_first", [False, True])
def test_a_stream_without_sound_takes_no_ones_place(payload_type: int, payload: bytes, is_first: bool) -> None:
    """Probes of an SFU, or what is left of a track that was replaced: they never end."""
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        at_s = 10 + n * 0.02 + (0.5 if n >= 50 else 0.0)
        if is_first or n:
            for i in range(25 if n == 50 else 1):
                probed_s = at_s - 0.5 + i * 0.02 if n == 50 else at_s
                line.arrive(n + i + 500 + (n > 50) * 25, payload, probed_s, payload_type, ssrc=99)
        line.arrive(n, packet, at_s, time=round((at_s - 10) * 48_000))
    # the pause is silence in the sound
    assert line.ear.reception.played_s == pytest.approx(2.0, abs=0.001)


def test_a_stream_that_only_pads_makes_room_for_one_with_sound() -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        if n < 50:
            line.arrive(n, packet, 10 + n * 0.02)
        else:
            line.arrive(n, b"", 10 + n * 0.02)
            line.arrive(n + 7000, packet, 10 + n * 0.02, ssrc=99)
    assert line.heard_s == pytest.approx(2.0, abs=0.03)


def test_a_key_on_a_stream_of_its_own_is_told_while_the_caller_speaks() -> None:
    line, packets = Line(), encoded(1.0)
    for n, packet in enumerate(packets):
        line.arrive(n, packet, 10 + n * 0.02)
        if 10 <= n < 20:
            line.arrive(n, key(5, 160 * (n - 9), n > 16), 10 + n * 0.02, 126, time=700, ssrc=99)
    assert line.digits == ["5"]
    assert line.heard_s == pytest.approx(1.0, abs=0.003)


def test_a_copy_of_what_was_heard_is_not_heard_again() -> None:
    """Redundant audio may skip the packet before: its only copy is of the one before that."""
    packets = encoded(1.0)
    gone = {20}
    lines = Line(), Line()
    for n, packet in enumerate(packets):
        if n not in gone:
            lines[0].arrive(n, packet, 10 + n * 0.02)
            lines[1].arrive(n, write_red(111, [(1920, packets[n - 2])] if n > 1 else [], packet), 10 + n * 0.02, 63)
    assert lines[1].ear.reception.restored_s == 0
    assert np.array_equal(lines[1].heard(), lines[0].heard())


def test_times_wrap() -> None:
    line, packets = Line(), encoded(1.0)
    for n, packet in enumerate(packets):
        line.arrive(n + 65_510, packet, 10 + n * 0.02, time=0x1_0000_0000 - 20 * 960 + n * 960)
    assert line.heard_s == pytest.approx(1.0, abs=0.003)
    assert line.frames[-1].captured_at_s == pytest.approx(10.96, abs=0.003)


def test_reports_are_honest() -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        if n % 10 != 3:
            line.arrive(n, packet, 10 + n * 0.02)
        if n == 49:
            line.ear.control(SenderReport(SSRC, 0x1234_5678_9ABC_DEF0, 0, 0, 0), line.now - 0.5)
            report = line.ear.report(line.now)
            assert report
            assert report.lost_share == pytest.approx(0.1, abs=0.02)
            assert (report.about, report.lost, report.highest) == (SSRC, 5, 49)
            assert report.last_report == 0x5678_9ABC
            assert report.delay == pytest.approx(32768, abs=2)
    assert line.ear.report(line.now).lost == 10  # type: ignore[union-attr]


def test_a_key_is_told_once() -> None:
    line = Line()
    for n in range(8):
        line.arrive(n, bytes([5, 0x80 if n > 4 else 0, 0, n]), 10 + n * 0.02, 126, time=7)
    line.arrive(9, bytes([11, 0, 0, 1]), 10.3, 126, time=99)
    assert line.digits == ["5", "#"]


def key(digit: int, duration: int, ended: bool = False) -> bytes:
    return bytes([digit, 128 * ended | 10, *duration.to_bytes(2, "big")])


@pytest.mark.parametrize(
    ("packets", "told"),
    [
        (
            [(1, 100, key(1, 160)), (2, 100, key(1, 320, True)), (4, 900, key(1, 160)), (3, 100, key(1, 320, True))],
            "11",
        ),
        ([(1, 100, key(5, 0xFFFF)), (2, 100 + 0xFFFF, key(5, 160)), (3, 100 + 0xFFFF, key(5, 900, True))], "5"),
        ([(1, 100, key(5, 0)), (2, 100, key(5, 0xFFFF, True)), (3, 100, key(5, 1, True)), (4, 100, key(5, 7))], "5"),
        ([(1, 100, key(1, 800, True) + key(2, 800, True) + key(3, 80)), (2, 1700, key(3, 160, True))], "123"),
        ([(1, 100, key(16, 100)), (2, 100, key(255, 100, True)), (3, 300, key(4, 100)[:3])], ""),
    ],
    ids=["late copies", "held for long", "odd durations", "several in one packet", "no keys"],
)
@pytest.mark.parametrize("is_red", [False, True])
def test_keys_are_told_once_whatever_their_packets_look_like(
    packets: list[tuple[int, int, bytes]], told: str, is_red: bool
) -> None:
    line = Line()
    for number, time, payload in packets:
        payload = write_red(126, [], payload) if is_red else payload
        line.arrive(number, payload, 10 + number * 0.02, 63 if is_red else 126, time=time)
    assert "".join(line.digits) == told


@pytest.mark.parametrize("marker", [0, 128])
@pytest.mark.parametrize("stall_s", [4.5, 10.0, 18.0])
def test_what_was_held_up_for_long_is_heard_where_it_was_said(stall_s: float, marker: int) -> None:
    line, packets = Line(), encoded(stall_s + 2)
    for n, packet in enumerate(packets):
        said_s = 10 + n * 0.02
        line.arrive(n, packet, 11 + stall_s if 11 <= said_s < 11 + stall_s else said_s, 111 | marker)
    said = [frame for frame in line.frames if frame.samples.any()]
    assert sum(len(frame.samples) for frame in said) / MODEL_RATE_HZ == pytest.approx(stall_s + 2, abs=0.01)
    # a fifth of a second tells a network that stood still from a clock that did
    wrong = [n for n, frame in enumerate(said) if abs(frame.captured_at_s - (9.98 + n * 0.02)) > 0.005]
    assert wrong == list(range(50, 50 + len(wrong)))
    assert len(wrong) <= 11


def test_numbers_that_leap_while_the_sound_goes_on_are_no_loss() -> None:
    line, packets = Line(), encoded(2.0)
    for n, packet in enumerate(packets):
        line.arrive(n + 2000 * (n >= 30) + 500 * (n >= 60), packet, 10 + n * 0.02, time=n * 960)
    assert line.heard_s == pytest.approx(2.0, abs=0.003)
    assert (line.ear.reception.lost, line.ear.reception.concealed_s) == (0, 0)


@pytest.mark.parametrize("way", ["in order", "with holes", "redundant"])
def test_a_flood_of_sound_is_decoded_no_further_than_a_stall_can_hold_up(way: str) -> None:
    line, packets = Line(), encoded(1.0)
    for n in range(5000):  # 100 s of sound in half a second
        if n % 2 and way == "with holes":
            continue
        payload = write_red(111, [(960, packets[n % 50])], packets[n % 50]) if way == "redundant" else packets[n % 50]
        line.now = 10 + n * 0.0001
        sent = RtpPacket(63 if way == "redundant" else 111, False, n, n * 960, SSRC, payload)
        line.ear.take(write_rtp(sent), line.now)
    reception = line.ear.reception
    assert 20 < reception.played_s + reception.restored_s + reception.concealed_s < 27
    line.frames.clear()
    for n, payload in enumerate(packets * 3, 5000):
        line.arrive(n, payload, 60 + (n - 5000) * 0.02)
    said = sum(len(frame.samples) for frame in line.frames if frame.samples.any()) / MODEL_RATE_HZ
    assert said == pytest.approx(3.0, abs=0.2), "what comes at the pace of speech afterwards is heard"


def test_a_flood_of_keys_is_a_hundred() -> None:
    line = Line()
    for n in range(2000):
        line.now = 10 + n * 0.0001
        packet = RtpPacket(126, False, n, n * 800, SSRC, key(n % 10, 80) * 5)
        line.ear.take(write_rtp(packet), line.now)
    assert 100 <= len(line.digits) < 110


def test_garbage_within_speech_does_no_harm() -> None:
    line = Line()
    rng = np.random.default_rng(3)
    for n, packet in enumerate(encoded(2.0)):
        line.arrive(n, rng.bytes(40) if n % 7 == 3 else packet, 10 + n * 0.02)
    assert 1.6 < line.heard_s < 5


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=30))
def test_no_packet_raises(payloads: list[bytes]) -> None:
    line = Line()
    for n, payload in enumerate(payloads):
        line.now += 0.01
        line.ear.take(payload, line.now)
        line.arrive(n, payload, line.now, [111, 63, 126, 0, 9][payload[0] % 5])
        line.ear.tick(line.now)


@given(st.binary(max_size=60))
def test_the_length_of_an_opus_packet_is_bounded(payload: bytes) -> None:
    assert 0 <= opus_ticks(payload) <= 5760


async def test_silence_after_a_fifth_of_a_second_without_packets() -> None:
    loop = asyncio.get_running_loop()
    microphone = Microphone(loop.time)
    microphone.quiet_s, microphone.stall_s = 0.2, 0.35
    heard: list[Frame] = []
    enough = asyncio.Event()

    async def listen() -> None:
        async for frame in microphone:
            heard.append(frame)
            if sum(len(f.samples) for f in heard) > 0.6 * MODEL_RATE_HZ:
                enough.set()

    listening = asyncio.create_task(listen())
    began_s = loop.time()
    microphone.push(np.full(1600, 500, np.int16), began_s - 0.1)
    async with asyncio.timeout(5):
        await enough.wait()
    assert 0.4 < loop.time() - began_s < 0.9
    for before, after in itertools.pairwise(heard):
        assert after.captured_at_s == pytest.approx(
            before.captured_at_s + len(before.samples) / MODEL_RATE_HZ, abs=0.001
        )
    silent = [f for f in heard if not f.samples.any()]
    assert silent[0].assumed
    assert not silent[-1].assumed, "nobody waits for sound any more"
    microphone.push(np.full(1600, 500, np.int16), began_s + 0.1)  # what was held up has its own time
    await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert any(f.captured_at_s == pytest.approx(began_s + 0.1) and f.samples.any() for f in heard)
    listening.cancel()


async def test_silence_behind_a_goodbye_is_certain_and_comes_at_once() -> None:
    loop = asyncio.get_running_loop()
    microphone = Microphone(loop.time)
    microphone.quiet_s, microphone.stall_s = 5.0, 9.0
    frames = aiter(microphone)
    microphone.push(np.full(1600, 500, np.int16), loop.time() - 0.1)
    async with asyncio.timeout(5):
        assert (await anext(frames)).samples.any()
        silent = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0.01)
        microphone.pause()
        frame = await silent
    assert not frame.samples.any()
    assert not frame.assumed


def test_a_gap_in_the_time_of_capture_is_silence_and_what_waits_is_bounded() -> None:
    now = 100.0
    microphone = Microphone(lambda: now)
    frames: list[Frame] = []
    microphone.taps.append(frames.append)
    microphone.push(np.full(320, 9, np.int16), 90.0)
    microphone.push(np.full(320, 9, np.int16), 90.5)
    assert [round(f.captured_at_s, 2) for f in frames] == [90.0, 90.02, 90.5]
    assert not frames[1].samples.any()
    for i in range(3000):
        microphone.push(np.full(320, 9, np.int16), 90.52 + i * 0.02)
    assert microphone._waiting <= 20 * MODEL_RATE_HZ


@pytest.mark.parametrize("is_red", [False, True])
def test_the_short_way_of_plain_packets_and_the_long_way_of_others_sound_the_same(is_red: bool) -> None:
    """A header extension makes a packet take the long way."""
    short, long, packets = Line(), Line(), encoded(1.0, corrects=True)
    for n, packet in enumerate(packets):
        if n in (20, 33, 34):
            continue
        payload = write_red(111, [(960, packets[n - 1])] if n else [], packet) if is_red else packet
        time = n * 960 + (9600 if n > 40 else 0)  # silence without packets
        for line in (short, long):
            line.now = 10 + n * 0.02 + (0.2 if n > 40 else 0)
            line.ear.tick(line.now)
            plain = write_rtp(RtpPacket(63 if is_red else 111, n == 0, n, time, SSRC, payload))
            extended = bytes([plain[0] | 16]) + plain[1:12] + b"\xbe\xde\0\1\x10\xff\0\0" + plain[12:]
            line.ear.take(plain if line is short else extended, line.now)
    assert np.array_equal(short.heard(), long.heard())
    assert short.ear.reception == long.ear.reception
    assert short.ear.report(12) == long.ear.report(12)
    assert len(short.heard()) == pytest.approx(1.2 * MODEL_RATE_HZ, abs=2 * MODEL_RATE_HZ // 50)


@pytest.mark.parametrize("chunk", [512, 1024])
async def test_a_listener_is_woken_as_soon_as_it_can_decide(chunk: int) -> None:
    now = 10.0
    microphone = Microphone(lambda: now)
    microphone.chunk = chunk
    woken: list[tuple[float, int]] = []
    samples = 0

    async def listen() -> None:
        nonlocal samples
        async for frame in microphone:
            samples += len(frame.samples)
            woken.append((now, samples))

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for n in range(16):
        now = 10 + 0.02 * (n + 1)
        microphone.push(np.full(320, 9, np.int16), now - 0.02)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert samples // chunk == 320 * (n + 1) // chunk, "the listener decides every so many samples"
    listening.cancel()
    assert len(woken) == 5120 // chunk
