"""Is the caller done, by the sound alone: a classifier in the form of Smart Turn v3 (BSD-2-Clause, by Daily), as ONNX.

In: Whisper's log-mel features of the turn's last 8 s, [1, 80, 800], silence in front of what is shorter.
Out: the probability that the turn is complete.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from media_server.audio import Samples
from media_server.engines.features import LogMel
from media_server.engines.onnx import load_onnx

__all__ = ["SmartTurn"]

SECONDS = 8


class SmartTurn:
    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._features = LogMel(80)

    @classmethod
    def load(cls, path: str | Path, threads: int = 1) -> SmartTurn:
        """Load an ONNX file.

        Raises:
            ValueError: it takes something else.
        """
        session = load_onnx(path, threads)
        shape = session.get_inputs()[0].shape
        if list(shape[-2:]) != [80, 100 * SECONDS]:
            raise ValueError(f"{Path(path).name} takes {shape}, not the features [1, 80, 800] of Smart Turn v3")
        return cls(session)

    def probability(self, samples: Samples) -> float:
        """The probability that a turn which sounds so, shape [n] at 16 kHz, is complete."""
        features = self._features(samples, 100 * SECONDS)
        (out,) = self._session.run(None, {self._input: features})[:1]
        return float(np.asarray(out).reshape(-1)[0])
