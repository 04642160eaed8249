"""Free speech programs that speak the training sentences: flite and espeak-ng in this process, festival beside it.

Debian packages: flite, espeak-ng, festival with festvox-kallpc16k, festvox-kdlpc16k and festvox-us-slt-hts.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from lexicon import LETTER_NAMES
from piper import PiperVoice, SynthesisConfig
from starter_pack import VOICE

from media_server import audio

RATE = 16000
HELD_OUT_VOICE = "festival:ked_diphone"
"""Never trained on."""
STARTER = "starter"
"""The starter pack's own voice, so that the starter models understand each other."""
Words = list[tuple[float, float]]
"""Start and end of each word, in seconds."""
ESPEAK_ACCENTS = ["en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029"]
ESPEAK_VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Andy Annie Gene Jacky Lee Mario Michael Mike adam anika antonio belinda "
    "benjamin david ed edward iven john linda max michel pablo paul robert steph travis victor"
).split()
FLITE_PITCH_HZ = {"awb": 120, "rms": 105, "kal16": 110, "slt": 175}


def spoken(text: str) -> list[str]:
    """The words of a transcript as a program must read them: letters by their names."""
    words = text.split()
    out = []
    for i, word in enumerate(words):
        beside = [w for w in words[max(0, i - 1) : i] + words[i + 1 : i + 2] if len(w) == 1]
        is_letter = len(word) == 1 and (
            word not in "ai" or bool([w for w in beside if w not in "ai"]) or len(beside) == 2
        )
        out.append(LETTER_NAMES[word] if is_letter and word in LETTER_NAMES else word)
    return out


def resampled(x: np.ndarray, rate: int) -> np.ndarray:
    samples = (np.clip(x, -1, 1) * 32767).astype(np.int16)
    return audio.resample(samples, rate, RATE).astype(np.float32) / 32768


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p), ("sample_rate", ctypes.c_int), ("num_samples", ctypes.c_int), ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )  # fmt: skip


class _Voice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


def _library(name: str, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=mode)
    except OSError as missing:
        sys.exit(f"{missing}. The speech programs are missing; README.md beside this file says how to install them.")


@functools.cache
def _flite() -> Any:
    lib = _library("libflite.so.1", ctypes.RTLD_GLOBAL)
    for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    lib.flite_init()
    for name in ("flite_synth_text", "utt_relation", "relation_head", "item_next", "utt_wave"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.ffeature_float.restype = ctypes.c_float
    return lib


@functools.cache
def _flite_voice(name: str) -> Any:
    _flite()
    lib = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1")
    register = getattr(lib, f"register_cmu_us_{name}")
    register.restype = ctypes.POINTER(_Voice)
    return register(None)


def flite(text: str, voice: str, pitch_hz: float, stretch: float) -> tuple[np.ndarray, Words]:
    """Samples at 16 kHz, and the words' times where they could be told; no times otherwise."""
    lib, v = _flite(), _flite_voice(voice)
    features = ctypes.c_void_p(v.contents.features)
    lib.feat_set_float(features, b"int_f0_target_mean", ctypes.c_float(pitch_hz))
    lib.feat_set_float(features, b"duration_stretch", ctypes.c_float(stretch))
    utterance = ctypes.c_void_p(lib.flite_synth_text(text.encode(), v))
    try:
        sound = ctypes.cast(lib.utt_wave(utterance), ctypes.POINTER(_Wave)).contents
        x = np.ctypeslib.as_array(sound.samples, shape=(sound.num_samples,)).astype(np.float32) / 32768
        times: Words = []
        item = lib.relation_head(ctypes.c_void_p(lib.utt_relation(utterance, b"Word")))
        while item:
            at = ctypes.c_void_p(item)
            start = lib.ffeature_float(at, b"R:SylStructure.daughter1.daughter1.R:Segment.p.end")
            times.append((start, lib.ffeature_float(at, b"R:SylStructure.daughtern.daughtern.R:Segment.end")))
            item = lib.item_next(at)
        return resampled(x, sound.sample_rate), times
    finally:
        lib.delete_utterance(utterance)


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", _EventId),
    )  # fmt: skip


_RATE_PARAMETER, _PITCH_PARAMETER, _GAP_PARAMETER = 1, 3, 7
_WORD_EVENT = 1
_SYNCHRONOUS = 2


class _Espeak:
    def __init__(self) -> None:
        self.lib = _library("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)
        self.pieces: list[np.ndarray] = []
        self.starts: list[int] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self.callback = kind(self.receive)
        self.lib.espeak_SetSynthCallback(self.callback)

    def receive(self, samples: Any, n: int, events: Any) -> int:
        if samples and n:
            self.pieces.append(np.ctypeslib.as_array(samples, shape=(n,)).copy())
        i = 0
        while events[i].type:
            if events[i].type == _WORD_EVENT:
                self.starts.append(events[i].sample)
            i += 1
        return 0


_espeak = functools.cache(_Espeak)


def espeak(text: str, voice: str, rate: int, pitch: int, gap: int) -> tuple[np.ndarray, Words]:
    """Samples at 16 kHz and the words' times; a word ends where the next one starts."""
    e = _espeak()
    e.pieces, e.starts = [], []
    e.lib.espeak_SetVoiceByName(voice.encode())
    for parameter, value in ((_RATE_PARAMETER, rate), (_PITCH_PARAMETER, pitch), (_GAP_PARAMETER, gap)):
        e.lib.espeak_SetParameter(parameter, value, 0)
    raw = text.encode()
    e.lib.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, 1, None, None)
    e.lib.espeak_Synchronize()
    x = np.concatenate(e.pieces).astype(np.float32) / 32768
    loud = np.nonzero(np.abs(x) > 0.01)[0]
    last = (loud[-1] if len(loud) else len(x)) / e.rate
    edges = [s / e.rate for s in e.starts] + [last]
    return resampled(x, e.rate), [(a, b) for a, b in zip(edges, edges[1:], strict=False)]


def festival(text: str, voice: str) -> np.ndarray:
    """Samples at 16 kHz by `text2wave`; a voice as festival calls it, `ked_diphone` for one."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as f:
        subprocess.run(
            ["text2wave", "-eval", f"(voice_{voice})", "-o", f.name],
            input=text.encode(),
            check=True,
            capture_output=True,
        )
        return read_wav(f.name)


@functools.cache
def _starter_voice() -> tuple[PiperVoice, int]:
    voice = PiperVoice.load(VOICE)
    return voice, voice.config.sample_rate


def by_starter_voice(text: str, r: random.Random) -> np.ndarray:
    voice, rate = _starter_voice()
    pieces = voice.synthesize(text, SynthesisConfig(length_scale=r.uniform(0.85, 1.2)))
    return resampled(np.concatenate([p.audio_float_array for p in pieces]), rate)


def to_int16(x: np.ndarray, peak: float = 0.6) -> audio.Samples:
    return np.asarray(x / (np.abs(x).max() + 1e-6) * peak * 32767, np.int16)


def read_wav(path: str) -> np.ndarray:
    return audio.read_wav(Path(path), RATE).astype(np.float32) / 32768


def speak(text: str, voice: str, r: random.Random) -> tuple[np.ndarray, Words]:
    """A transcript in a voice: one of flite's, `espeak` for any of its variants, `festival:NAME` or `starter`, at some pitch and speed."""
    words = spoken(text)
    said = " ".join(words)
    if voice == "espeak":
        variant = f"{r.choice(ESPEAK_ACCENTS)}+{r.choice(ESPEAK_VARIANTS)}"
        x, times = espeak(said, variant, r.randint(120, 200), r.randint(25, 75), r.choice([0, 0, 1, 3]))
    elif voice == STARTER:
        return by_starter_voice(text, r), []
    elif voice.startswith("festival:"):
        return festival(said, voice.removeprefix("festival:")), []
    else:
        x, times = flite(said, voice, FLITE_PITCH_HZ[voice] * r.uniform(0.8, 1.25), r.uniform(0.8, 1.3))
    return x, times if len(times) == len(words) else []
