"""What a caller feels, by the sound: any ONNX classifier of speech, as the usual tools export them.

In: the turn's last seconds at 16 kHz, mean 0 and variance 1, float32 [1, samples] (wav2vec 2.0 and its kin), or
Whisper's log-mel features of them, [1, 80 or 128, frames], silence in front where the length is fixed.
Out: a number for each label, [1, labels]: probabilities, or logits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.engines import messages as m
from media_server.engines.features import LogMel, waveform
from media_server.engines.onnx import load_onnx

__all__ = ["EmotionEngine"]

MELS = (80, 128)
MIN_S = 0.5
"""Less is padded: convolutions of real models fail on a few milliseconds."""


class EmotionEngine:
    """Answers one request per step, the oldest first.

    Args:
        labels: what the model's outputs stand for, in order.
    """

    def __init__(self, session: onnxruntime.InferenceSession, labels: Sequence[str], info: str) -> None:
        self.info = info
        self._session = session
        self._labels = tuple(labels)
        self._input = session.get_inputs()[0]
        self._log_mel = LogMel(self._input.shape[1]) if len(self._input.shape) == 3 else None
        self._pending: list[m.ClassifyEmotion] = []

    @classmethod
    def load(cls, path: str | Path, labels: Sequence[str], device: str = "cpu", threads: int = 1) -> EmotionEngine:
        """Load an ONNX file.

        Args:
            device: cpu, cuda, or auto for whichever there is.

        Raises:
            ValueError: it takes something else, or gives another number of labels.
        """
        session = load_onnx(path, threads, device)
        shapes = [x.shape for x in session.get_inputs()]
        if len(shapes) != 1 or not (len(shapes[0]) == 2 or (len(shapes[0]) == 3 and shapes[0][1] in MELS)):
            taken = f"{Path(path).name} takes {' and '.join(map(str, shapes))}"
            raise ValueError(f"{taken}, neither sound, [1, samples], nor features, [1, 80 or 128, frames]")
        engine = cls(session, labels, f"{Path(path).name}, {', '.join(labels)}")
        found = engine.scores(np.zeros(MODEL_RATE_HZ, np.int16))
        if len(found) != len(labels):
            raise ValueError(f"{Path(path).name} tells {len(found)} labels apart, the pack names {len(labels)}")
        return engine

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def submit(self, request: m.ClassifyEmotion) -> None:
        self._pending.append(request)

    def cancel(self, request_id: int) -> None:
        self._pending = [r for r in self._pending if r.id != request_id]

    def step(self) -> Iterable[m.Result]:
        request = self._pending.pop(0)
        shares = self.scores(np.frombuffer(request.samples, np.int16))
        yield m.Scores(request.id, tuple(float(x) for x in shares))
        yield m.Finished(request.id)

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """How well each label fits what sounds so, shape [n] at 16 kHz; together 1."""
        samples = np.pad(samples, (max(0, int(MIN_S * MODEL_RATE_HZ) - len(samples)), 0))
        last = self._input.shape[-1]
        length = last if isinstance(last, int) else None
        fed = self._log_mel(samples, length) if self._log_mel else waveform(samples, length)
        out: NDArray[np.float32] = np.asarray(self._session.run(None, {self._input.name: fed})[0], np.float32)
        out = out.reshape(-1)
        if out.min() >= 0 and abs(float(out.sum()) - 1) < 1e-3:
            return out
        shares: NDArray[np.float32] = np.exp(out - out.max())
        shares /= shares.sum()
        return shares
