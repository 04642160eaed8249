"""Sounds in which nobody speaks, made by code from a seed: noise, hum, tones, music, keyboards, breaths, doors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from media_server.audio import Samples

__all__ = ["not_speech"]

RATE_HZ = 16_000
Sound = NDArray[np.float64]
_Random = np.random.Generator


def not_speech(count: int = 100, seed: int = 1) -> list[tuple[str, Samples]]:
    """Kind and samples (16 kHz) of `count` sounds of 1 to 10 s, of every kind equally many."""
    r = np.random.default_rng(seed)
    out = []
    for i in range(count):
        name, make = list(_KINDS.items())[i % len(_KINDS)]
        length = int(r.uniform(1, 10) * RATE_HZ)
        sound = make(length, r)
        sound = sound / (np.abs(sound).max() + 1e-9) * 10 ** r.uniform(-1.6, -0.15)
        floor = r.normal(size=length) * 10 ** r.uniform(-4.5, -3)
        out.append((name, np.asarray(np.clip((sound + floor) * 32767, -32768, 32767), np.int16)))
    return out


def _time(length: int) -> Sound:
    return np.arange(length) / RATE_HZ


def _white(length: int, r: _Random) -> Sound:
    return r.normal(size=length)


def _coloured(slope: float) -> Callable[[int, _Random], Sound]:
    """Noise whose power falls with frequency to this power: 1 for pink, 2 for brown."""

    def make(length: int, r: _Random) -> Sound:
        spectrum = np.fft.rfft(r.normal(size=length))
        hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
        return np.fft.irfft(spectrum / np.maximum(hz, 20) ** (slope / 2), length)

    return make


def _band(length: int, low_hz: float, high_hz: float, r: _Random) -> Sound:
    spectrum = np.fft.rfft(r.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    return np.fft.irfft(spectrum * ((hz > low_hz) & (hz < high_hz)), length)


def _hum(length: int, r: _Random) -> Sound:
    base, t = r.choice([50, 60, 100]), _time(length)
    return sum((np.sin(2 * np.pi * base * k * t + r.uniform(0, 6)) / k for k in range(1, 9)), np.zeros(length))


def _tone(length: int, r: _Random) -> Sound:
    return np.sin(2 * np.pi * r.uniform(300, 1500) * _time(length))


def _cadence(on_s: float, off_s: float, hz: tuple[float, ...]) -> Callable[[int, _Random], Sound]:
    def make(length: int, r: _Random) -> Sound:
        t = _time(length)
        on = (t + r.uniform(0, on_s)) % (on_s + off_s) < on_s
        return on * sum((np.sin(2 * np.pi * f * t) for f in hz), np.zeros(length))

    return make


def _dtmf(length: int, r: _Random) -> Sound:
    t, out, at = _time(length), np.zeros(length), 0.0
    while at < length / RATE_HZ:
        held = (t >= at) & (t < at + 0.12)
        low, high = r.choice([697, 770, 852, 941]), r.choice([1209, 1336, 1477])
        out += held * (np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t))
        at += r.uniform(0.2, 0.6)
    return out


def _struck(length: int, r: _Random, gap_s: tuple[float, float], one: Callable[[], Sound]) -> Sound:
    """Short sounds, one after the other."""
    out, at = np.zeros(length), int(r.uniform(0, gap_s[0]) * RATE_HZ)
    while at < length:
        sound = one()[: length - at]
        out[at : at + len(sound)] += sound
        at += int(r.uniform(*gap_s) * RATE_HZ)
    return out


def _music(length: int, r: _Random) -> Sound:
    """Chords that are struck and fade, with overtones, and a melody above them."""
    scale = 220 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)

    def note(hz: float, held_s: float) -> Sound:
        t = _time(int(held_s * RATE_HZ))
        waves = sum((np.sin(2 * np.pi * hz * k * t) / k**1.5 for k in range(1, 6)), np.zeros(len(t)))
        return waves * np.exp(-2 * t / held_s) * np.minimum(1, t / 0.01)

    def chord() -> Sound:
        root = int(r.integers(0, 4))
        return sum((note(scale[root + k] / 2, 1.2) for k in (0, 2, 4)), np.zeros(int(1.2 * RATE_HZ)))

    melody = _struck(length, r, (0.2, 0.5), lambda: note(float(r.choice(scale)) * 2, 0.4))
    return _struck(length, r, (0.5, 1.0), chord) + 0.7 * melody


def _keyboard(length: int, r: _Random) -> Sound:
    def click() -> Sound:
        n = int(r.uniform(0.008, 0.03) * RATE_HZ)
        return _band(n + 64, 1000, 7000, r)[:n] * np.exp(-np.arange(n) / (n / 4)) * r.uniform(0.3, 1)

    return _struck(length, r, (0.06, 0.4), click)


def _breath(length: int, r: _Random) -> Sound:
    t = _time(length)
    swell = np.maximum(0, np.sin(2 * np.pi * t / r.uniform(2.5, 4) + r.uniform(0, 6))) ** 2
    return swell * _band(length, 300, 4000, r)


def _thumps(length: int, r: _Random) -> Sound:
    def thump() -> Sound:
        t = _time(int(0.4 * RATE_HZ))
        body = np.sin(2 * np.pi * r.uniform(50, 140) * t) * np.exp(-t / 0.06)
        return body + 0.4 * _band(len(t), 200, 2500, r) * np.exp(-t / 0.02)

    return _struck(length, r, (0.4, 2.5), thump)


def _sweep(length: int, r: _Random) -> Sound:
    """A siren, or a modem's whistle."""
    t = _time(length)
    hz = r.uniform(500, 900) + r.uniform(100, 400) * np.sin(2 * np.pi * t / r.uniform(0.5, 3))
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)


_KINDS: dict[str, Callable[[int, _Random], Sound]] = {
    "white noise": _white,
    "pink noise": _coloured(1),
    "brown noise": _coloured(2),
    "hum": _hum,
    "tone": _tone,
    "hold tone": _cadence(0.3, 4.0, (440,)),
    "ringback": _cadence(2.0, 4.0, (440, 480)),
    "busy tone": _cadence(0.5, 0.5, (480, 620)),
    "dtmf": _dtmf,
    "music": _music,
    "keyboard": _keyboard,
    "breath": _breath,
    "thumps": _thumps,
    "siren": _sweep,
    "silence": lambda length, _: np.zeros(length),
}
