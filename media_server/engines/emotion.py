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
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.engines import messages as m

__all__ = ["EmotionEngine"]

HOP = 160
"""Samples per frame of features."""
MELS = (80, 128)
SHORTEST_S = 0.5
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
        self._pending: list[m.Feel] = []

    @classmethod
    def load(cls, path: str | Path, labels: Sequence[str], device: str = "cpu", threads: int = 1) -> EmotionEngine:
        """Load an ONNX file.

        Args:
            device: cpu, cuda, or auto for whichever there is.

        Raises:
            ValueError: it takes something else, or gives another number of labels.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        there = set(onnxruntime.get_available_providers())
        wanted = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(str(path), options, providers=[p for p in wanted if p in there])
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

    def submit(self, request: m.Feel) -> None:
        self._pending.append(request)

    def cancel(self, request_id: int) -> None:
        self._pending = [r for r in self._pending if r.id != request_id]

    def step(self) -> Iterable[m.Result]:
        request = self._pending.pop(0)
        shares = self.scores(np.frombuffer(request.samples, np.int16))
        yield m.Chosen(request.id, tuple(float(x) for x in shares))
        yield m.Finished(request.id)

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """How well each label fits what sounds so, shape [n] at 16 kHz; together 1."""
        x: NDArray[np.float32] = samples.astype(np.float32) / np.float32(32768)
        x = np.pad(x, (max(0, int(SHORTEST_S * MODEL_RATE_HZ) - len(x)), 0))
        fed = self._waveform(x) if len(self._input.shape) == 2 else self._features(x)
        out: NDArray[np.float32] = np.asarray(self._session.run(None, {self._input.name: fed})[0], np.float32)
        out = out.reshape(-1)
        if out.min() >= 0 and abs(float(out.sum()) - 1) < 1e-3:
            return out
        shares: NDArray[np.float32] = np.exp(out - out.max())
        shares /= shares.sum()
        return shares

    def _waveform(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return _normal(_fitted(x, self._input.shape[1]))[None, :]

    def _features(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        _, mels, frames = self._input.shape
        x = _normal(_fitted(x, frames * HOP if isinstance(frames, int) else None))
        made = FeatureExtractor(feature_size=mels)(x, padding=0)[:, : len(x) // HOP]
        return np.ascontiguousarray(made[None, ...], np.float32)


def _fitted(x: NDArray[np.float32], length: int | str | None) -> NDArray[np.float32]:
    """The last samples, silence in front of them, where a length is fixed."""
    if not isinstance(length, int):
        return x
    padded: NDArray[np.float32] = np.pad(x[-length:], (max(0, length - len(x)), 0))
    return padded


def _normal(x: NDArray[np.float32]) -> NDArray[np.float32]:
    normal: NDArray[np.float32] = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
    return normal
