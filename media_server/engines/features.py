"""Sound as classifiers take it: of mean 0 and variance 1, as it is or as Whisper's log-mel features."""

from __future__ import annotations

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from media_server.audio import Samples

__all__ = ["LogMel", "waveform"]

HOP = 160
"""Samples per frame of features."""


def waveform(samples: Samples, length: int | None = None) -> NDArray[np.float32]:
    """float32 [1, n] of shape [n] at 16 kHz; of a fixed length the last samples, silence in front of fewer."""
    return _normal(samples, length)[None, :]


class LogMel:
    """Call it for float32 [1, mels, frames]: of the last samples, shape [n] at 16 kHz, where the frames are fixed."""

    def __init__(self, mels: int) -> None:
        self._extractor = FeatureExtractor(feature_size=mels)

    def __call__(self, samples: Samples, frames: int | None = None) -> NDArray[np.float32]:
        x = _normal(samples, None if frames is None else frames * HOP)
        return np.ascontiguousarray(self._extractor(x, padding=0)[None, :, : len(x) // HOP], np.float32)


def _normal(samples: Samples, length: int | None) -> NDArray[np.float32]:
    x = samples.astype(np.float32) / np.float32(32768)
    if length is not None:
        x = np.pad(x[-length:], (max(0, length - len(x)), 0))
    normal: NDArray[np.float32] = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
    return normal
