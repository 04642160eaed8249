"""Score the starter voice: an independent recogniser, the starter's own, and measurements of the sound.

    python evaluate_voice.py

Needs flite (the source voice) and PyPI's pocketsphinx, which brings its own acoustic model.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path

import numpy as np
from dialogues import replies
from pocketsphinx import Config, Decoder
from scores import word_errors
from speech_programs import FLITE_PITCH_HZ, RATE, flite
from starter_pack import STT, VOICE
from transcripts import plain

from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.engines.piper import PiperEngine, as_it_stands
from media_server.engines.whisper import WhisperEngine

GRAMMAR = 240
"""Sentences that PocketSphinx chooses from, at least: also such as are not spoken, so that there is something to confuse."""
SIX_WORDS = [
    "Okay, the light in the kitchen", "Nice to meet you, dear Olivia!", "Of course, I am connecting you", "The timer is set for twenty",
    "You ordered a small pizza with", "Your name is Olivia, I think.", "It is twelve in the morning.",
]  # fmt: skip


class Listener:
    """PocketSphinx with a grammar of sentences."""

    def __init__(self, sentences: list[str]) -> None:
        grammar = f"#JSGF V1.0;\ngrammar test;\npublic <said> = {' | '.join(sentences)};\n"
        config = Config(loglevel="FATAL")
        config["lm"] = None
        self.decoder = Decoder(config)
        self.decoder.add_jsgf_string("test", grammar)
        self.decoder.activate_search("test")

    def hear(self, samples: Samples) -> str:
        self.decoder.start_utt()
        self.decoder.process_raw(np.pad(samples, (4000, 6000)).tobytes(), full_utt=True)
        self.decoder.end_utt()
        found = self.decoder.hyp()
        return found.hypstr if found else ""


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=VOICE)
    ap.add_argument("--recogniser", type=Path, default=STT)
    ap.add_argument("--replies", type=int, default=200)
    ap.add_argument("--json", type=Path)
    args = ap.parse_args()
    figures: dict[str, float] = {}

    def figure(name: str, value: float, unit: str, note: str = "") -> None:
        figures[name] = round(value, 5)
        shown = f"{value:.1%}" if unit == "%" else f"{value:.3f} {unit}"
        print(f"{name:<60}{shown:>12}  {note}", flush=True)

    engine = PiperEngine.load(args.model)
    everything = [r for r in replies(args.replies * 4, 60_000_000) if len(plain(r).split()) < 16]
    wanted = everything[: args.replies]
    said = [plain(r) for r in wanted]
    ours: list[Samples] = []
    cpu = 0.0
    for text in wanted:
        began = time.process_time()
        pieces = [samples for samples, _ in engine.synthesize(as_it_stands(text))]
        cpu += time.process_time() - began
        ours.append(np.concatenate(pieces))
    seconds = sum(map(len, ours)) / CALL_RATE_HZ
    at_16k = [resample(x, CALL_RATE_HZ, RATE) for x in ours]
    source = [(flite(text, "slt", FLITE_PITCH_HZ["slt"], 1.0)[0] * 32767).astype(np.int16) for text in wanted]

    listener = Listener(sorted({plain(t) for t in everything[: max(args.replies, GRAMMAR)]}))
    errors = {}
    for voice, clips in (("source", source), ("starter", at_16k)):
        wrong = [word_errors(t, listener.hear(c)) for t, c in zip(said, clips, strict=True)]
        errors[voice] = sum(e for e, _ in wrong)
        words = sum(n for _, n in wrong)
        figure(f"PocketSphinx, {voice} voice", errors[voice] / words, "%", f"{errors[voice]} of {words} words")
    figure("  times as many errors as the source (asked: 1.3)", errors["starter"] / max(1, errors["source"]), "x")
    recogniser = WhisperEngine.load(args.recogniser)
    for voice, clips in (("source", source), ("starter", at_16k)):
        wrong = [
            word_errors(t, recogniser.transcribe([np.pad(c, (1600, 3200))])[0].text)
            for t, c in zip(said, clips, strict=True)
        ]
        figure(
            f"the starter recogniser, {voice} voice",
            sum(e for e, _ in wrong) / sum(n for _, n in wrong),
            "%",
            "asked: 5 %" if voice == "starter" else "",
        )

    x = np.concatenate(ours).astype(np.float64) / 32768
    figure("peak", float(np.abs(x).max()), "of 1")
    figure("offset (DC)", float(np.abs(x.mean())), "of 1")
    figure(
        "largest step between samples at 48 kHz", float(np.abs(np.diff(x)).max()), "of 1", "a click would be above 0.5"
    )
    edges = max(max(abs(int(c[0])), abs(int(c[-1]))) for c in ours) / 32768
    figure("loudest first or last sample", edges, "of 1", "clauses are joined there")
    for voice, clips in (("source", source), ("starter", at_16k)):
        pitches = np.concatenate([pitch(c) for c in clips[:60]])
        figure(f"pitch, {voice} voice: median", float(np.median(pitches)), "Hz")
        figure("  its spread", float(np.std(12 * np.log2(pitches / np.median(pitches)))), "semitones")

    figure("CPU for a second of sound, one core (asked: 0.05)", cpu / seconds, "s")
    first = []
    for _ in range(5):
        for clause in SIX_WORDS:
            began = time.process_time()
            next(iter(engine.synthesize(as_it_stands(clause))))
            first.append(time.process_time() - began)
    figure("CPU to the audio of a six-word clause (asked: 40)", 1000 * statistics.median(first), "ms")
    lengths = {}
    for scale in (0.8, 1.0, 1.25):
        scaled = PiperEngine.load(args.model, length_scale=scale)
        lengths[scale] = sum(len(s) for t in wanted[:20] for s, _ in scaled.synthesize(as_it_stands(t)))
    figure("length at length_scale 0.8", lengths[0.8] / lengths[1.0], "of 1")
    figure("length at length_scale 1.25", lengths[1.25] / lengths[1.0], "of 1")
    r = random.Random(0)
    exact = 0
    chosen = r.sample(wanted, 20)
    for text in chosen:
        for chunk in engine._voices[""].file.piper.synthesize(text, include_alignments=True):
            told = sum(a.num_samples for a in chunk.phoneme_alignments or [])
            exact += told == len(chunk.audio_int16_array) and told > 0
    figure(
        "sentences whose phonemes' samples add up",
        exact / sum(1 for t in chosen for _ in engine._voices[""].file.piper.synthesize(t)),
        "%",
    )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def pitch(samples: Samples) -> np.ndarray:
    """F0 of the clearly voiced frames, by autocorrelation between 90 and 350 Hz."""
    x = samples.astype(np.float64)
    out = []
    for at in range(0, len(x) - 1024, 512):
        frame = x[at : at + 1024] * np.hanning(1024)
        if np.abs(frame).max() < 1500:
            continue
        spectrum = np.fft.rfft(frame, 2048)
        r = np.fft.irfft(np.abs(spectrum) ** 2)[:1024]
        low, high = RATE // 350, RATE // 90
        lag = low + int(np.argmax(r[low:high]))
        if r[lag] > 0.6 * r[0]:
            out.append(RATE / lag)
    return np.array(out)


if __name__ == "__main__":
    main()
