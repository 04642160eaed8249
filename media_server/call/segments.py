"""Sound cut into stretches of speech, at pauses. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.engines.silero import CHUNK

__all__ = ["Segment", "Segmenter"]

SPEECH, SILENCE = 0.5, 0.35
"""Probabilities from which on a piece of sound counts as speech, and below which as silence."""
PREROLL_S, PAUSE_S, MAX_S = 0.3, 0.7, 20.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech: samples at 16 kHz, shape [n], and where it begins, in seconds."""

    samples: Samples
    start_s: float


class Segmenter:
    """Cuts sound into stretches of speech, at pauses."""

    def __init__(self) -> None:
        self._kept: list[Samples] = []
        self._heard = 0
        """Samples so far."""
        self._silent = 0
        self._speaking = False

    @property
    def length_s(self) -> float:
        """The length of all sound so far."""
        return self._heard / MODEL_RATE_HZ

    @property
    def under_way(self) -> Segment | None:
        """The stretch that has not ended."""
        return self._segment() if self._speaking else None

    def hear(self, chunk: Samples, probability: float) -> Segment | None:
        """Take the next CHUNK samples, with the probability that they are speech; a stretch that ends with them."""
        self._kept.append(chunk)
        self._heard += len(chunk)
        self._silent = self._silent + len(chunk) if probability < SILENCE else 0
        if not self._speaking:
            self._speaking = probability >= SPEECH
            if not self._speaking:
                self._kept = self._kept[-int(PREROLL_S * MODEL_RATE_HZ / CHUNK) :]
            return None
        if self._silent >= PAUSE_S * MODEL_RATE_HZ or len(self._kept) * CHUNK >= MAX_S * MODEL_RATE_HZ:
            return self.finish()
        return None

    def finish(self) -> Segment | None:
        """End the stretch under way."""
        segment = self.under_way
        self._speaking, self._silent = False, 0
        self._kept.clear()
        return segment

    def _segment(self) -> Segment:
        samples = np.concatenate(self._kept)
        return Segment(samples, (self._heard - len(samples)) / MODEL_RATE_HZ)
