"""The vocoder's parameters of a recording: WORLD's analysis, put right by what the vocoder makes of it.

WORLD's envelopes are blurred over several periods, so that a vowel runs on into the consonant after it ("off" is heard as
"on"). Analysis by synthesis: what the vocoder says is compared with the recording in bands, every 8 ms, and the envelopes are
changed by the difference, a few times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from vocoder import BAND_EDGES_HZ, CEPSTRUM, HOP, RATE, WINDOW, Vocoder

__all__ = ["Parameters", "analyse"]

ROUNDS = 5
DRAWS = 2
"""Of the vocoder's noise in each round."""
STEP = 0.7
MOST = 1.5
"""Change of a band in a round, in nepers of amplitude."""
FLOOR = 1e-9
_BINS = 512


def _triangles(bins: int, count: int = 24) -> np.ndarray:
    """Weights [count, bins] of bands that are evenly wide on the mel scale."""

    def mel(hz: np.ndarray | float) -> np.ndarray:
        return 2595 * np.log10(1 + np.asarray(hz) / 700)

    centres = np.linspace(0.0, float(mel(RATE / 2)), count)
    return np.maximum(0, 1 - np.abs(mel(np.linspace(0, RATE / 2, bins)) - centres[:, None]) / centres[1])


_HEARD = _triangles(WINDOW // 2 + 1).T
_SPREAD = _triangles(_BINS + 1)
_SPREAD /= _SPREAD.sum(0)


@dataclass(frozen=True)
class Parameters:
    """Per frame of HOP samples, as the vocoder takes them."""

    cepstrum: np.ndarray
    """[frames, CEPSTRUM]"""
    bands: np.ndarray
    """Aperiodicity, [frames, BANDS]."""
    f0: np.ndarray
    """Hz, also where there is no voice."""
    voiced: np.ndarray
    """0 or 1."""


def analyse(samples: np.ndarray) -> Parameters | None:
    """What the vocoder has to be told to say these samples (float64, at RATE); None where there is hardly any voice."""
    import pyworld

    # a frame of the vocoder is what is around its middle, one of WORLD around its beginning
    x, period_ms = samples[HOP // 2 :], HOP / RATE * 1000
    f0, t = pyworld.dio(x, RATE, f0_floor=90, f0_ceil=350, frame_period=period_ms)
    f0 = pyworld.stonemask(x, f0, t, RATE)
    voiced = f0 > 0
    if voiced.sum() < 5:
        return None
    spectrum = pyworld.cheaptrick(x, f0, t, RATE)
    aperiodicity = pyworld.d4c(x, f0, t, RATE)
    hz = np.linspace(0, RATE / 2, aperiodicity.shape[1])
    bands = np.stack(
        [
            aperiodicity[:, (hz >= a) & (hz <= b)].mean(1)
            for a, b in zip(BAND_EDGES_HZ, BAND_EDGES_HZ[1:], strict=False)
        ],
        1,
    )
    f0 = np.interp(np.arange(len(f0)), np.nonzero(voiced)[0], f0[voiced])
    cepstrum = np.fft.irfft(np.log(spectrum + 1e-12) / 2, axis=1)[:, :CEPSTRUM]
    return _refined(samples, Parameters(cepstrum, bands, f0, voiced.astype(np.float64)))


def _refined(samples: np.ndarray, p: Parameters) -> Parameters:
    vocoder = Vocoder()
    torch.manual_seed(0)
    cepstrum, wanted = p.cepstrum, _levels([samples], len(p.f0))
    bands, f0, voiced = (torch.tensor(x, dtype=torch.float32) for x in (p.bands, p.f0, p.voiced))
    for _ in range(ROUNDS):
        with torch.inference_mode():
            told = torch.tensor(cepstrum, dtype=torch.float32)
            said = [vocoder(told, bands, f0, voiced, torch.tensor(1.0)).numpy() for _ in range(DRAWS)]
        change = np.clip((wanted - _levels(said, len(p.f0))) / 2, -MOST, MOST)
        padded = np.pad(change, ((1, 1), (0, 0)), "edge")
        change = (padded[:-2] + 2 * change + padded[2:]) / 4
        cepstrum = cepstrum + STEP * np.fft.irfft(change @ _SPREAD, axis=1)[:, :CEPSTRUM]
    return Parameters(cepstrum, p.bands, p.f0, p.voiced)


def _levels(sounds: list[np.ndarray], frames: int) -> np.ndarray:
    """Log power around the middle of each frame, [frames, bands], the mean of several sounds."""
    power = np.zeros((frames, _HEARD.shape[1]))
    for sound in sounds:
        padded = np.pad(sound.astype(np.float64), ((WINDOW - HOP) // 2, WINDOW + HOP * frames))
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
        power += np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2 @ _HEARD / len(sounds)
    return np.log(power + FLOOR)
