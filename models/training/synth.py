"""Labelled speech for the recogniser: sentences spoken by free speech programs, damaged as a call would.

    python synth.py --out /tmp/clips.pkl --processes 2

Needs Debian's flite and espeak-ng. Writes a pickle of (text, voice, int16 samples at 16 kHz).
"""

from __future__ import annotations

import argparse
import functools
import pickle
import random
import subprocess
import tempfile
import wave
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
from dialogues import DOMAIN_WORDS, OUT_OF_DOMAIN, replies
from domain import Grammar, corpus
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

RATE = 16000
ESPEAK_ACCENTS = ["en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029"]
ESPEAK_VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Andy Annie Gene Jacky Lee Mario Michael Mike adam anika antonio belinda "
    "benjamin david ed edward iven john linda max michel pablo paul robert steph travis victor"
).split()
FLITE_PITCH_HZ = {"awb": 120, "rms": 105, "kal16": 110, "slt": 175}
VOICES = ["espeak", "espeak", *FLITE_PITCH_HZ]
ACCEPTANCE = [
    "hello", "what is seven plus five", "my name is olivia", "turn on the light in the kitchen", "what is nine times three",
    "what is my name", "i would like a small pizza with cheese", "what time is it", "transfer me to billing",
    "can you repeat that", "purple elephants calculate democracy", "goodbye",
]  # fmt: skip

Job = tuple[int, str, str, bool]


def held_out() -> list[str]:
    """Sentences never trained on: patterns filled in a way that is rare. What callers say word for word is trained."""
    rare = [s for s, n in _sample().items() if n == 1 and len(s.split()) >= 5]
    return rare[:150]


def fixed_phrases() -> list[str]:
    """What callers say word for word: sentences that come up again and again."""
    return sorted(s for s, n in _sample().items() if n >= 6)


@functools.cache
def _sample() -> Counter[str]:
    grammar = Grammar(999)
    return Counter(grammar.say() for _ in range(20_000))


def plain(text: str) -> str:
    """What the recogniser writes: lower case, no punctuation."""
    return " ".join("".join(c if c.isalpha() or c in "' " else " " for c in text.lower()).split())


def read_wav(path: str) -> np.ndarray:
    with wave.open(path) as w:
        x = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768
        rate = w.getframerate()
    if rate != RATE:
        g = int(np.gcd(rate, RATE))
        x = resample_poly(x, RATE // g, rate // g).astype(np.float32)
    return x


def speak(text: str, voice: str, rng: random.Random) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        if voice == "espeak":
            v = f"{rng.choice(ESPEAK_ACCENTS)}+{rng.choice(ESPEAK_VARIANTS)}"
            command = [
                "espeak-ng",
                "-v",
                v,
                "-s",
                str(rng.randint(120, 200)),
                "-p",
                str(rng.randint(25, 75)),
                "-g",
                str(rng.choice([0, 0, 1, 3])),
                "-w",
                f.name,
                text,
            ]
        else:
            pitch, stretch = FLITE_PITCH_HZ[voice] * rng.uniform(0.8, 1.25), rng.uniform(0.8, 1.3)
            command = [
                "flite",
                "-voice",
                voice,
                "--setf",
                f"duration_stretch={stretch:.2f}",
                "--setf",
                f"int_f0_target_mean={pitch:.0f}",
                "-t",
                text,
                "-o",
                f.name,
            ]
        subprocess.run(command, check=True, capture_output=True)
        return read_wav(f.name)


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


def damage(x: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Another vocal tract, a room, a telephone band, noise, a codec: each with some probability."""
    tract = rng.choice([88, 92, 96, 100, 100, 100, 100, 104, 108, 112])
    if tract != 100:
        x = resample_poly(x, tract, 100).astype(np.float32)
    if rng.random() < 0.3:
        n = int(RATE * rng.uniform(0.05, 0.25))
        room = noise.normal(size=n) * np.exp(-np.linspace(0, 6, n))
        room *= rng.uniform(0.05, 0.3) / np.sqrt((room**2).sum())
        room[0] += 1
        x = fftconvolve(x, room)[: len(x)].astype(np.float32)
    if rng.random() < 0.15:
        x = sosfilt(butter(4, [300, 3400], "bandpass", fs=RATE, output="sos"), x).astype(np.float32)
    x = x / (np.abs(x).max() + 1e-6) * rng.uniform(0.1, 0.9)
    x = np.pad(x, (int(rng.uniform(0.1, 0.6) * RATE), int(rng.uniform(0.1, 0.8) * RATE)))
    if rng.random() < 0.6:
        hiss = noise.normal(size=len(x))
        if rng.random() < 0.6:
            hiss = lfilter([1], [1, -rng.uniform(0.5, 0.97)], hiss)
        power = np.sqrt((x**2).mean() + 1e-9) / (np.sqrt((hiss**2).mean()) + 1e-9)
        x = x + hiss * power * 10 ** (-rng.uniform(8, 40) / 20)
    if rng.random() < 0.5:
        x = through_opus(x, rng.choice([16000, 20000, 24000, 32000]))
    return np.clip(x, -1, 1).astype(np.float32)


def make(job: Job) -> tuple[str, str, np.ndarray] | None:
    i, text, voice, clean = job
    rng, noise = random.Random(i * 7919 + 13), np.random.default_rng(i)
    x = speak(text, voice, rng)
    loud = np.nonzero(np.abs(x) > 1e-3)[0]
    if len(loud) == 0:
        return None
    x = x[max(0, loud[0] - 800) : loud[-1] + 1600]
    x = np.pad(x, (4800, 8000)) if clean else damage(x, rng, noise)
    return plain(text), voice, (np.clip(x, -1, 1) * 32767).astype(np.int16)


def salad(n: int, avoid: set[str]) -> list[str]:
    """Sentences that no language model can guess, so that the decoder has to listen."""
    r = random.Random(77)
    bag = [s.split() for s in corpus(6000, 1)]
    out: dict[str, None] = {}
    while len(out) < n:
        kind = r.random()
        words: list[str] = []
        if kind < 0.35:
            words = [r.choice(DOMAIN_WORDS) for _ in range(r.randint(1, 6))]
        elif kind < 0.5:
            words = [r.choice(OUT_OF_DOMAIN) for _ in range(r.randint(1, 5))]
        else:
            while len(words) < r.randint(2, 7):
                x = r.choice(bag)
                i = r.randrange(len(x))
                words += x[i : i + r.randint(1, 3)]
        s = " ".join(words[:8])
        if s not in avoid:
            out[s] = None
    return list(out)


def jobs() -> list[Job]:
    """Each sentence by one voice; the fixed phrases, which callers use most, by four more."""
    r = random.Random(5)
    test = set(held_out())
    fixed = fixed_phrases()
    texts = corpus(7500, 1, frozenset(test)) + fixed + replies(1500, 1) + salad(4500, test)
    once = [(i, t, r.choice(VOICES), r.random() < 0.15) for i, t in enumerate(texts)]
    again = [(t, v) for t in fixed for v in r.sample(VOICES, 4)]
    return once + [(len(once) + i, t, v, r.random() < 0.3) for i, (t, v) in enumerate(again)]


def test_jobs() -> list[Job]:
    sentences = held_out()
    return [
        (10_000_000 + i, t, v, True) for v in ("slt", "rms", "espeak") for i, t in enumerate(sentences + ACCEPTANCE)
    ]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--test", action="store_true", help="the held-out sentences instead, clean, in three voices")
    ap.add_argument("--processes", type=int, default=2)
    args = ap.parse_args()
    source: Callable[[], list[Job]] = test_jobs if args.test else jobs
    with ProcessPoolExecutor(args.processes) as pool:
        clips = [c for c in pool.map(make, source(), chunksize=32) if c]
    args.out.write_bytes(pickle.dumps(clips))
    print(f"{len(clips)} clips, {sum(len(c[2]) for c in clips) / RATE / 3600:.1f} h")


if __name__ == "__main__":
    main()
