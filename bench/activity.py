"""How soon, and how exactly, speech is noticed: in noise, and through Opus.

    python -m bench.activity

Recorded sentences after a second and a half of noise go through the listener that calls use. The true onset is where
the clean recording is first heard.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass

import av
import numpy as np

from bench.server import SENTENCES
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, resample
from media_server.call.listen import Listener
from media_server.call.turns import CHUNK_S, SpeechPaused, SpeechStarted, TurnMachine, TurnSettings
from media_server.engines.silero import VoiceActivity, VoiceActivityModel
from media_server.rtc import Frame

BEFORE_S, AFTER_S = 1.5, 1.0
FRAME = MODEL_RATE_HZ // 50
AUDIBLE = 0.02
"""Of the loudest sample."""


class Recording:
    """A microphone that plays samples at 16 kHz, with the times at which they would arrive."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    async def __aiter__(self) -> AsyncIterator[Frame]:
        for i in range(0, len(self._samples) - FRAME, FRAME):
            yield Frame(self._samples[i : i + FRAME], i / MODEL_RATE_HZ)


@dataclass
class Found:
    late_s: float
    """The decision, after the onset."""
    error_s: float
    """The onset as told, after the true one."""
    kept_s: float
    """Of sound from before the true onset in the utterance; negative where its beginning is missing."""


def through_opus(samples: Samples) -> Samples:
    """As a call at 24 kbit/s; 48 kHz in and out."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.format, encoder.layout, encoder.sample_rate = 24_000, "s16", "mono", CALL_RATE_HZ
    encoder.options = {"application": "voip"}
    decoder = av.CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", CALL_RATE_HZ
    out: list[Samples] = []
    packets = []
    for i in range(0, len(samples) // 960 * 960, 960):
        frame = av.AudioFrame.from_ndarray(samples[None, i : i + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = CALL_RATE_HZ, i
        packets += encoder.encode(frame)
    for packet in [*packets, *encoder.encode(None)]:
        for decoded in decoder.decode(packet):
            out.append(decoded.to_ndarray().reshape(-1, decoded.layout.nb_channels)[:, 0].astype(np.int16))
    return np.concatenate(out)[: len(samples)]


def noisy(clean: Samples, snr_db: float | None, r: np.random.Generator) -> Samples:
    """With hiss that fills the whole recording; its power is told against the speech."""
    x = np.pad(clean.astype(np.float32), (int(BEFORE_S * CALL_RATE_HZ), int(AFTER_S * CALL_RATE_HZ)))
    speech = np.sqrt((clean.astype(np.float32) ** 2).mean())
    level = speech * 10 ** (-(60.0 if snr_db is None else snr_db) / 20)
    return np.asarray(np.clip(x + r.normal(size=len(x)) * level, -32768, 32767), np.int16)


async def find(clean: Samples, snr_db: float | None, opus: bool, model: VoiceActivityModel, seed: int) -> Found | None:
    sound = noisy(clean, snr_db, np.random.default_rng(seed))
    if opus:
        sound = through_opus(sound)
    onset_s = (
        BEFORE_S + float(np.nonzero(np.abs(clean.astype(int)) > AUDIBLE * np.abs(clean).max())[0][0]) / CALL_RATE_HZ
    )
    listener = Listener(
        Recording(resample(sound, CALL_RATE_HZ, MODEL_RATE_HZ)),  # type: ignore[arg-type]
        VoiceActivity(model),
        TurnMachine(TurnSettings()),
    )
    started: tuple[float, float] | None = None
    async for heard in listener:
        decision = heard.decision
        if isinstance(decision, SpeechStarted) and started is None:
            decided_s = heard.start_s + len(heard.utterance) / MODEL_RATE_HZ
            started = decided_s - onset_s, decision.at_s - onset_s
        if isinstance(decision, SpeechPaused) and started:
            return Found(*started, onset_s - heard.start_s)
    return None


async def run(args: argparse.Namespace) -> None:
    model = VoiceActivityModel()
    files = sorted(SENTENCES.glob("*.wav"))
    clips = [read_wav(f, CALL_RATE_HZ) for f in files]
    onset_ms, chunk_ms = TurnSettings().onset_ms, CHUNK_S * 1000
    print(f"{len(clips)} sentences; speech counts from {onset_ms} ms on, in chunks of {chunk_ms:.0f} ms\n")
    heads = ["noise", "Opus", "missed", "decided after", "worst", "onset error", "worst", "beginning cut"]
    print("".join(f"{head:>15}" for head in heads))
    for snr in (None, 20.0, 10.0, 5.0):
        for opus in (False, True):
            found = [await find(clip, snr, opus, model, i) for i, clip in enumerate(clips)]
            got = [f for f in found if f]
            late, error = [f.late_s * 1000 for f in got], [abs(f.error_s) * 1000 for f in got]
            times = [statistics.median(late), max(late), statistics.median(error), max(error)]
            row = [
                "none" if snr is None else f"{snr:.0f} dB",
                "yes" if opus else "no",
                str(len(found) - len(got)),
                *(f"{t:.0f} ms" for t in times),
                str(sum(f.kept_s < 0 for f in got)),
            ]
            print("".join(f"{cell:>15}" for cell in row))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
