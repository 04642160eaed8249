"""Recorded packets that the callers of the media benchmark send, and finding their clicks again in what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, frame_of, read_wav

__all__ = [
    "CLICK_EVERY",
    "PACKET_S",
    "SENTENCES",
    "Kept",
    "clicks_in",
    "delays_s",
    "encoded",
    "quiet_packets",
    "sentence",
    "sentence_packets",
    "speech",
    "speech_packets",
    "tone_of",
    "tone_packets",
]

FOLDER = Path(__file__).parents[1] / "tests" / "data"
SENTENCES = (
    "book an appointment", "can you repeat that", "goodbye", "hello", "i would like a small pizza with cheese",
    "transfer me to billing", "turn on the light in the kitchen", "what can you do", "what is my name",
    "what is nine times three", "what is seven plus five", "what time is it",
)  # fmt: skip
PACKET = CALL_RATE_HZ // 50
PACKET_S = 0.02
CLICK_EVERY, TONES = 5, 20
"""Packets from one click to the next, and after how many clicks their tones repeat: 2 s."""
CLICK = CALL_RATE_HZ * 12 // 1000
"""It ends within its packet, so that it is not heard in the next where its own is lost."""
LOWEST_HZ, STEP_HZ = 450, 150
LOUD = 1500
"""Amplitude that only a click has."""
ROOM = 12
"""Amplitude of the noise of a room in which nobody speaks."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a server handed on: all samples at 16 kHz, how many came in each piece, and when."""

    samples: Samples
    lengths: list[int]
    handed_on_s: list[float]
    """On the clock of `time.monotonic`, which all processes of a machine share."""


def encoded(samples: Samples, *, application: str = "voip", corrects: bool = False) -> list[bytes]:
    """48 kHz mono as Opus packets of 20 ms at 32 kbit/s.

    Args:
        corrects: each packet holds a copy of the one before, as a browser's do where it is told of losses.
    """
    context: Any = av.CodecContext.create("libopus", "w")
    context.bit_rate, context.format, context.layout, context.sample_rate = 32_000, "s16", "mono", CALL_RATE_HZ
    context.options = {"application": application, "frame_duration": "20"}
    if corrects:
        context.options = context.options | {"fec": "1", "packet_loss": "10"}
    packets = []
    for start in range(0, len(samples) - PACKET + 1, PACKET):
        frame = frame_of(samples[start : start + PACKET], CALL_RATE_HZ)
        frame.pts = start
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def sentence(text: str) -> Samples:
    """One of the recorded sentences, 48 kHz."""
    return read_wav(FOLDER / f"{text.replace(' ', '-')}.wav", CALL_RATE_HZ)


@cache
def speech() -> Samples:
    """All sentences, one after the other, 48 kHz."""
    return np.concatenate([sentence(text) for text in SENTENCES])


@cache
def speech_packets(corrects: bool = False) -> list[bytes]:
    """Somebody who never stops speaking."""
    return encoded(speech(), corrects=corrects)


@cache
def sentence_packets(text: str) -> list[bytes]:
    """A second of a quiet room, a sentence, and a second of the room; with error correction."""
    room = _room(1.0)
    return encoded(np.concatenate([room, sentence(text), room]), corrects=True)


@cache
def quiet_packets() -> list[bytes]:
    """A microphone in a room in which nobody speaks."""
    return encoded(_room(10.0))


def tone_of(packet: int) -> int | None:
    """Which tone the click in a packet of `tone_packets` has, by the packet's number from 0; None without a click."""
    return packet // CLICK_EVERY % TONES if packet % CLICK_EVERY == 0 else None


@cache
def tone_packets() -> list[bytes]:
    """Silence with a click in every fifth packet, each of another tone than its neighbours."""
    at = np.arange(CLICK) / CALL_RATE_HZ
    sound = np.zeros(PACKET * CLICK_EVERY * TONES, np.int16)
    for tone in range(TONES):
        click = np.sin(2 * np.pi * (LOWEST_HZ + STEP_HZ * tone) * at) * np.hanning(CLICK) * 24_000
        sound[PACKET * CLICK_EVERY * tone :][:CLICK] = click.astype(np.int16)
    return encoded(np.concatenate([sound, sound]), application="lowdelay")[: CLICK_EVERY * TONES]


def clicks_in(kept: Kept) -> list[tuple[float, int]]:
    """When each click was handed on, and its tone."""
    ends = np.cumsum(kept.lengths)
    loud = np.nonzero(np.abs(kept.samples.astype(np.int32)) > LOUD)[0]
    found: list[tuple[float, int]] = []
    until = 0
    for at in loud.tolist():
        if at < until:
            continue
        until = at + MODEL_RATE_HZ // 50
        piece = kept.samples[max(0, at - 32) : at + 160].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 2048))
        tone = round((float(np.argmax(spectrum)) * MODEL_RATE_HZ / 2048 - LOWEST_HZ) / STEP_HZ)
        found.append((kept.handed_on_s[int(np.searchsorted(ends, at, "right"))], tone))
    return found


def delays_s(clicks: Sequence[tuple[float, int]], sent_s: Sequence[float]) -> list[tuple[float, float]]:
    """For each click that was found: when its packet had been sent, and how much later it was handed on."""
    sent: dict[int, list[float]] = {}
    for packet, at_s in enumerate(sent_s):
        if (tone := tone_of(packet)) is not None:
            sent.setdefault(tone, []).append(at_s)
    found = []
    for handed_on_s, tone in clicks:
        before = [at_s for at_s in sent.get(tone, []) if at_s <= handed_on_s]
        if before:
            found.append((before[-1], handed_on_s - before[-1]))
    return found


def _room(seconds: float) -> Samples:
    noise = np.random.default_rng(3).normal(size=int(seconds * CALL_RATE_HZ))
    return (noise * ROOM).astype(np.int16)
