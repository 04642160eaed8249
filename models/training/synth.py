"""Labelled speech for the recogniser: sentences spoken by free speech programs, damaged as a call would.

    python synth.py --out /tmp/clips.pkl

Needs the Debian packages that `speech_programs` names, and wamerican. Writes a pickle of `Clip`s.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from clip import Clip
from dialogues import replies, sentences
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt
from skills import UNCLEAR
from speech_programs import FLITE_PITCH_HZ, RATE, STARTER, Words, speak
from transcripts import collapsed, foreign, label, plain, salad

VOICES = ["espeak", "espeak", "espeak", *FLITE_PITCH_HZ]
SLOW_VOICES = ["festival:kal_diphone", "festival:cmu_us_slt_arctic_hts"]
ACCEPTANCE = [
    "hello", "what is seven plus five", "my name is olivia", "turn on the light in the kitchen", "what is nine times three",
    "what is my name", "i would like a small pizza with cheese", "what time is it", "transfer me to billing",
    "can you repeat that", "purple elephants calculate democracy", "goodbye",
]  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What to say; `cut` breaks off after some word, `pauses` makes silences inside, `clean` leaves the sound alone."""

    seed: int
    said: str
    voice: str
    clean: bool = False
    cut: bool = False
    pauses: bool = False


def through_opus(x: np.ndarray, bit_rate: int) -> np.ndarray:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.format, encoder.layout, encoder.sample_rate = bit_rate, "s16", "mono", 48000
    encoder.options = {"application": "voip"}
    decoder = av.CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", 48000
    y = (np.clip(resample_poly(x, 3, 1), -1, 1) * 32767).astype(np.int16)
    y = np.pad(y, (0, -len(y) % 960))
    packets = []
    for i in range(0, len(y), 960):
        frame = av.AudioFrame.from_ndarray(y[None, i : i + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, i
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    out = [f.to_ndarray().reshape(-1, f.layout.nb_channels)[:, 0] for p in packets for f in decoder.decode(p)]
    return resample_poly(np.concatenate(out).astype(np.float32) / 32768, 1, 3)[: len(x)].astype(np.float32)


def damage(y: np.ndarray, r: random.Random, noise: np.random.Generator, tail: float) -> tuple[np.ndarray, float, float]:
    """Another vocal tract, a room, a telephone band, noise, a codec, each with some probability.

    Returns the samples, the factor of time, and the seconds of silence before.
    """
    tract = r.choice([86, 90, 94, 97, 100, 100, 100, 103, 107, 112])
    if tract != 100:
        y = resample_poly(y, tract, 100).astype(np.float32)
    if r.random() < 0.3:
        n = int(RATE * r.uniform(0.05, 0.3))
        room = noise.normal(size=n) * np.exp(-np.linspace(0, 6, n))
        room *= r.uniform(0.05, 0.35) / np.sqrt((room**2).sum())
        room[0] += 1
        y = fftconvolve(y, room)[: len(y)].astype(np.float32)
    if r.random() < 0.15:
        y = sosfilt(butter(4, [300, 3400], "bandpass", fs=RATE, output="sos"), y).astype(np.float32)
    if r.random() < 0.3:  # a microphone that prefers some frequencies
        tilt = r.uniform(-0.6, 0.6)
        y = lfilter([1, tilt], [1], y).astype(np.float32)
    y = y / (np.abs(y).max() + 1e-6) * r.uniform(0.05, 0.9)
    lead = r.uniform(0.05, 0.6)
    y = np.pad(y, (int(lead * RATE), int(tail * RATE)))
    if r.random() < 0.65:
        hiss = noise.normal(size=len(y))
        if r.random() < 0.6:
            hiss = lfilter([1], [1, -r.uniform(0.5, 0.97)], hiss)
        power = np.sqrt((y**2).mean() + 1e-9) / (np.sqrt((hiss**2).mean()) + 1e-9)
        y = y + hiss * power * 10 ** (-r.uniform(6, 40) / 20)
    if r.random() < 0.4:
        y = through_opus(y, r.choice([16000, 20000, 24000, 32000]))
    return np.clip(y, -1, 1).astype(np.float32), tract / 100, lead


def with_pauses(text: str, voice: str, r: random.Random) -> tuple[np.ndarray, Words]:
    """A text with silences between its clauses or, where it has no marks, in some place."""
    pieces = re.split(r"(?<=[.,:!?])\s+", text)
    words = text.split()
    if len(pieces) == 1 and len(words) > 1:
        k = r.randint(1, len(words) - 1)
        pieces = [" ".join(words[:k]), " ".join(words[k:])]
    sound, times, timed = np.zeros(0, np.float32), [], True
    for piece in pieces:
        x, known = speak(piece if voice == STARTER else plain(piece), voice, r)
        loud = np.nonzero(np.abs(x) > 1e-3)[0]
        if len(loud):
            first, before = loud[0], len(sound) / RATE - loud[0] / RATE
            times += [(a + before, b + before) for a, b in known]
            timed = timed and bool(known)
            sound = np.concatenate(
                [sound, x[first : loud[-1] + 1], np.zeros(int(RATE * r.uniform(0.1, 1.3)), np.float32)]
            )
    return sound, times if timed else []


def make(job: Job) -> Clip | None:
    r, noise = random.Random(job.seed * 7919 + 13), np.random.default_rng(job.seed)
    if job.pauses:
        y, times = with_pauses(job.said, job.voice, r)
    else:
        y, times = speak(job.said if job.voice == STARTER else plain(job.said), job.voice, r)
    loud = np.nonzero(np.abs(y) > 1e-3)[0]
    if len(loud) == 0:
        return None
    first, last = max(0, loud[0] - 800), loud[-1] + 800
    words = label(plain(job.said))
    tail = r.uniform(0.05, 0.8)
    if job.cut and len(times) == len(words) > 1:
        k = r.randint(1, len(words) - 1)
        heard, following = times[k - 1][1], times[k]
        last = min(last, int((heard + r.uniform(0, 0.3) * (following[1] - following[0])) * RATE))
        words, times, tail = words[:k], times[:k], r.uniform(0, 0.06)
    y = y[first:last]
    if job.clean:
        y, factor, lead = np.pad(y, (4800, 8000)), 1.0, 0.3
    else:
        y, factor, lead = damage(y, r, noise, tail)

    def placed(t: float) -> float:
        return (t - first / RATE) * factor + lead

    return Clip(
        collapsed(words), job.voice, (np.clip(y, -1, 1) * 32767).astype(np.int16),
        [(placed(a), placed(b)) for a, b in times] if UNCLEAR not in words else [],
        (lead, lead + (last - first) / RATE * factor),
    )  # fmt: skip


def hesitant(text: str, r: random.Random) -> str:
    """Somebody who looks for words."""
    words = text.split()
    for _ in range(r.choice([1, 1, 2])):
        words.insert(r.randint(0, len(words)), r.choice(["um", "um", "uh"]))
    return " ".join(words)


def jobs(size: float) -> list[Job]:
    """`size` 1 is 40,000 clips."""
    r = random.Random(5)

    def n(count: int) -> int:
        return int(count * size)

    spelled = sentences(n(1500), 31, skills=["spell_name", "tell_code"]) + sentences(
        n(1200), 32, skills=["number", "order_status", "sum"]
    )
    short = sentences(
        n(900), 33, skills=["greet", "thanks", "bye", "yes_no", "how", "repeat", "ask_name", "tell_name", "hear"]
    )
    callers = sentences(n(11000), 1) + spelled + short + ACCEPTANCE * 4
    agents = replies(n(3500), 1)
    everything = [(t, r.choice(VOICES)) for t in callers + salad(n(5500), 77)]
    everything += [(t, r.choice(["slt", "slt", STARTER, STARTER, STARTER, r.choice(VOICES)])) for t in agents]
    everything += [(t, r.choice(VOICES)) for t in foreign(n(3500), 7)]
    everything += [(t, r.choice(SLOW_VOICES)) for t in r.sample(callers, n(1000))]
    everything += [(t, STARTER) for t in r.sample(callers, n(800))]
    everything += [(hesitant(t, r), r.choice(VOICES)) for t in r.sample(callers, n(2500))]
    made = [Job(i, t, v, clean=r.random() < 0.12) for i, (t, v) in enumerate(everything)]
    # the pause must not be taken for the end: what an agent says has several sentences
    paused = [(t, r.choice([STARTER, STARTER, "slt", r.choice(VOICES)])) for t in agents]
    paused += [(t, r.choice(VOICES)) for t in r.sample(callers, n(2500))]
    made += [Job(len(made) + i, t, v, clean=r.random() < 0.12, pauses=True) for i, (t, v) in enumerate(paused)]
    made += [
        Job(len(made) + i, t, r.choice(VOICES), cut=True)
        for i, t in enumerate(r.sample(callers, n(4000)) + salad(n(600), 78))
    ]
    r.shuffle(made)
    return made


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--size", type=float, default=1.0, help="factor on the number of clips")
    ap.add_argument("--processes", type=int, default=os.cpu_count())
    args = ap.parse_args()
    wanted = jobs(args.size)
    clips: list[Clip] = []
    with ProcessPoolExecutor(args.processes) as pool:
        for clip in pool.map(make, wanted, chunksize=32):
            if clip:
                clips.append(clip)
            if clip and len(clips) % 2000 == 0:
                print(f"{len(clips)} of {len(wanted)} clips", flush=True)
    args.out.write_bytes(pickle.dumps(clips))
    print(f"{len(clips)} clips, {sum(len(c.samples) for c in clips) / RATE / 3600:.1f} h")


if __name__ == "__main__":
    main()
