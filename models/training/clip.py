"""A labelled recording, as it is kept between making and training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from speech_programs import Words


@dataclass(frozen=True)
class Clip:
    """A label and int16 samples at 16 kHz; `words` have their times where the program told them."""

    text: str
    voice: str
    samples: np.ndarray
    words: Words
    span: tuple[float, float]
