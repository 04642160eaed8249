"""The sender: packets, their times and marks, and what an interruption sounds like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, Resampler, Samples
from media_server.rtc.agreed import AgreedAudio, Codec
from media_server.rtc.encoding import FRAME
from media_server.rtc.mouth import Mouth
from media_server.rtc.pacer import Pacer
from media_server.rtc.rtp import RtpPacket, parse_red, parse_rtp
from media_server.rtc.speaker import Speaker, Speech

OPUS, RED = Codec(111, "opus", 48_000, 2), Codec(63, "red", 48_000, 2)


@pytest.fixture
def encoders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


class Sender:
    def __init__(self, encoders: ThreadPoolExecutor, codec: Codec | None = OPUS, red: Codec | None = None) -> None:
        self.speaker = Speaker()
        self.sent: list[RtpPacket] = []
        self.ticks: list[RtpPacket | None] = []
        agreed = AgreedAudio((), codec, red, 77)
        self.mouth = Mouth(agreed, self.speaker, self._take, encoders)

    def _take(self, packet: bytes) -> None:
        parsed = parse_rtp(packet)
        assert parsed
        self.sent.append(parsed)

    async def tick(self, n: int) -> None:
        for _ in range(n):
            before = len(self.sent)
            self.mouth.tick(False)
            self.ticks.append(self.sent[-1] if len(self.sent) > before else None)
            run = self.mouth._run
            async with asyncio.timeout(5):
                while run is not None and run.is_busy:  # noqa: ASYNC110 - the sender has no use for such an event
                    await asyncio.sleep(0.001)


def tone(seconds: float) -> Samples:
    return (np.sin(2 * np.pi * 300 * np.arange(int(seconds * CALL_RATE_HZ)) / CALL_RATE_HZ) * 9000).astype(np.int16)


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ("8000", 8000),
        ("20000", 20_000),
        ("1", 6000),
        ("510000", 32_000),
        ("", 32_000),
        ("many", 32_000),
        ("9" * 5000, 32_000),
    ],
    ids=["8000", "20000", "1", "510000", "none", "a word", "5000 digits"],
)
async def test_a_listener_says_how_many_bits_of_speech_it_takes(
    encoders: ThreadPoolExecutor, asked: str, most: int
) -> None:
    sender = Sender(encoders, Codec(111, "opus", 48_000, 2, {"maxaveragebitrate": asked}))
    noise = np.random.default_rng(1).normal(size=2 * CALL_RATE_HZ) * 3000
    sender.speaker.play(Speech(noise.astype(np.int16)))
    await sender.tick(100)
    bits_per_s = sum(len(packet.payload) for packet in sender.sent) * 8 / 2
    assert most / 2 < bits_per_s < 1.2 * most


def decoded(packets: list[RtpPacket | None], name: str = "libopus") -> Samples:
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = (48_000 if name == "libopus" else 8000), "mono"
    resampler, out = Resampler(CALL_RATE_HZ), [np.zeros(0, np.int16)]
    for packet in packets:
        if packet and len(packet.payload) > 1:
            out += [resampler.push(frame) for frame in context.decode(av.Packet(packet.payload))]
        else:
            out.append(np.zeros(FRAME, np.int16))
    return np.concatenate(out)


async def test_times_numbers_and_marks_are_right_across_gaps(encoders: ThreadPoolExecutor) -> None:
    sender = Sender(encoders)
    await sender.tick(50)
    assert 2 <= len(sender.sent) <= 4, "in silence a packet now and then"
    assert all(p.payload == b"\xf8" and not p.marker for p in sender.sent)
    sender.speaker.play(Speech(tone(0.5)))
    await sender.tick(100)
    sender.speaker.play(Speech(tone(0.51)))
    await sender.tick(60)
    assert [p.number for p in sender.sent] == [(sender.sent[0].number + i) & 0xFFFF for i in range(len(sender.sent))]
    first = next(i for i, p in enumerate(sender.ticks) if p)
    for i, packet in enumerate(sender.ticks):
        if packet:
            assert packet.time == (sender.ticks[first].time + (i - first) * 960) & 0xFFFFFFFF  # type: ignore[union-attr]
    assert [i for i, p in enumerate(sender.ticks) if p and p.marker] == [50, 150]
    assert all(p.ssrc == 77 and p.payload_type == 111 for p in sender.sent)


@pytest.mark.parametrize("name", ["opus", "pcmu", "pcma", "g722"])
async def test_what_is_said_is_what_is_heard(encoders: ThreadPoolExecutor, name: str) -> None:
    codec = {"pcmu": Codec(0, name, 8000), "pcma": Codec(8, name, 8000), "g722": Codec(9, name, 8000)}.get(name, OPUS)
    sender = Sender(encoders, codec)
    for _ in range(3):
        sender.speaker.play(Speech(tone(0.33)))
    await sender.tick(60)
    decoder = {"opus": "libopus", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "g722": "g722"}[name]
    if name == "g722":
        assert {len(p.payload) for p in sender.sent} == {160}
        return
    out = decoded(sender.ticks, decoder).astype(float)
    assert np.sqrt(np.mean(out[4800:40_000] ** 2)) == pytest.approx(9000 / np.sqrt(2), rel=0.1)
    assert np.abs(out[50 * FRAME + 960 :]).max() < 300
    # between pieces there is neither a gap nor a click
    assert np.abs(np.diff(out[2000:45_000])).max() < 9000 * 2 * np.pi * 300 / CALL_RATE_HZ * 1.6 or name != "opus"


async def test_an_interruption_is_silence_within_a_packet_and_no_click(encoders: ThreadPoolExecutor) -> None:
    sender = Sender(encoders)
    playback = sender.speaker.play(Speech(tone(2.0)))
    await sender.tick(20)
    sender.speaker.interrupt()
    await sender.tick(30)
    assert playback.played == 20 * FRAME
    spoken = [i for i, p in enumerate(sender.ticks) if p and len(p.payload) > 3]
    assert max(spoken) <= 21, "the fade, and one frame of silence"
    out = decoded(sender.ticks).astype(float)
    assert np.abs(out[22 * FRAME :]).max() < 200
    assert np.abs(np.diff(out[2000:])).max() < 1000


async def test_a_held_speech_goes_on_where_it_stopped(encoders: ThreadPoolExecutor) -> None:
    sender = Sender(encoders)
    playback = sender.speaker.play(Speech(tone(1.0)))
    await sender.tick(10)
    sender.speaker.hold()
    await sender.tick(20)
    assert playback.played == 10 * FRAME
    sender.speaker.resume()
    await sender.tick(45)
    assert playback.finished.is_set()
    out = decoded(sender.ticks).astype(float)
    assert np.abs(np.diff(out[2000 : 65 * FRAME])).max() < 1500
    assert np.sqrt(np.mean(out[34 * FRAME : 68 * FRAME] ** 2)) == pytest.approx(9000 / np.sqrt(2), rel=0.15)


async def test_packets_carry_the_one_before_where_the_caller_loses_some(encoders: ThreadPoolExecutor) -> None:
    sender = Sender(encoders, red=RED)
    sender.speaker.play(Speech(tone(1.0)))
    await sender.tick(10)
    assert {p.payload_type for p in sender.sent} == {111}
    sender.mouth.note_loss(0.1)
    await sender.tick(10)
    blocks = parse_red(sender.sent[-1].payload)
    assert sender.sent[-1].payload_type == 63
    assert blocks[0][:2] == (111, 960)
    assert blocks[0][2] == parse_red(sender.sent[-2].payload)[-1][2]


async def test_without_a_listener_speech_takes_its_time(encoders: ThreadPoolExecutor) -> None:
    sender = Sender(encoders, codec=None)
    playback = sender.speaker.play(Speech(tone(0.2)))
    await sender.tick(9)
    assert not playback.finished.is_set()
    await sender.tick(1)
    assert playback.finished.is_set()
    assert sender.sent == []


async def test_the_clock_does_not_drift_and_one_calls_fault_is_its_own() -> None:
    loop = asyncio.get_running_loop()
    pacer, ticks = Pacer(), 0
    done = asyncio.Event()

    def bad(late: bool) -> None:
        raise RuntimeError

    def good(late: bool) -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 50:
            done.set()

    began_s = loop.time()
    pacer.add("bad", bad)
    pacer.add("good", good)
    async with asyncio.timeout(5):
        await done.wait()
    assert loop.time() - began_s == pytest.approx(1.0, abs=0.1)
    pacer.remove("good")
    pacer.close()
