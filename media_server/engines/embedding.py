"""Embeddings: texts to vectors that are near where meanings are, with a GGUF model in llama.cpp."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

from media_server.engines import messages as m

__all__ = ["EmbeddingEngine"]

AT_ONCE = 8
"""Texts in one step: so long a question waits while documents are read."""


class EmbeddingEngine:
    """Questions before documents.

    Args:
        query_prefix, passage_prefix: what the model was trained to see before each.
    """

    def __init__(self, model: llama_cpp.Llama, query_prefix: str, passage_prefix: str, info: str) -> None:
        self.info = info
        self._model = model
        self._prefixes = {True: query_prefix, False: passage_prefix}
        self._pending: list[m.Embed] = []
        self._done: dict[int, list[npt.NDArray[np.float32]]] = {}

    @classmethod
    def load(
        cls,
        path: str | Path,
        query_prefix: str = "",
        passage_prefix: str = "",
        context: int = 512,
        device: str = "cpu",
        threads: int = 1,
    ) -> EmbeddingEngine:
        """Load a GGUF file; texts longer than `context` tokens are cut."""
        layers = 0 if device == "cpu" else -1
        options: dict[str, Any] = {
            "embedding": True, "n_ctx": context, "n_batch": context, "n_ubatch": context, "n_threads": threads,
            "n_threads_batch": threads, "n_gpu_layers": layers, "verbose": False,
        }  # fmt: skip
        model = llama_cpp.Llama(str(path), **options)
        pooling: Any = model.pooling_type()
        if pooling == llama_cpp.LLAMA_POOLING_TYPE_NONE:
            # the file does not say how its tokens' vectors are joined
            model = llama_cpp.Llama(str(path), **options, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN)
        engine = cls(model, query_prefix, passage_prefix, f"{Path(path).name}, {model.n_embd()} numbers")
        engine.embed(["Hello."])
        return engine

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def submit(self, request: m.Embed) -> None:
        self._pending.append(request)
        self._pending.sort(key=lambda r: (not r.query, r.id))

    def cancel(self, request_id: int) -> None:
        self._pending = [r for r in self._pending if r.id != request_id]
        self._done.pop(request_id, None)

    def step(self) -> Iterable[m.Result]:
        request = self._pending[0]
        done = self._done.setdefault(request.id, [])
        texts = request.texts[len(done) : len(done) + AT_ONCE]
        prefix = self._prefixes[request.query]
        done += self.embed([prefix + text for text in texts])
        if len(done) == len(request.texts):
            self.cancel(request.id)
            yield m.Vectors(request.id, np.array(done, np.float32).tobytes())
            yield m.Finished(request.id)

    def embed(self, texts: list[str]) -> list[npt.NDArray[np.float32]]:
        """A vector of length 1 for each; of no text at all the model would fail."""
        vectors = []
        for raw in self._model.embed([text.strip() or "." for text in texts], normalize=False, truncate=True):
            vector = np.array(raw, np.float32)
            vectors.append(vector / max(float(np.linalg.norm(vector)), 1e-9))
        return vectors
