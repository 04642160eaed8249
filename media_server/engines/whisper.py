"""Speech recognition: faster-whisper's model, fed with windows as long as the utterance instead of 30 s."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from media_server.audio import Samples
from media_server.engines import messages as m

__all__ = ["Heard", "WhisperEngine"]

RATE_HZ = 16_000
FRAME = 160
"""Samples per feature frame."""
MARGIN_S = 0.2
LONGEST_S = 30.0
BATCH = 8
NO_SPEECH = 0.6
"""Above this probability of no speech, with little confidence in the words, there is no text (Whisper's own rule)."""
UNSURE = 0.37
TOKENS_PER_S = 25
"""More than anybody says, also in the short tokens of a small vocabulary: what exceeds it is a repetition loop."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`confidence`: mean probability of the tokens; `no_speech`: probability that nobody spoke."""

    text: str
    confidence: float
    no_speech: float
    language: str


class WhisperEngine:
    """Transcribes the pending utterances in one batch per step, final ones first."""

    def __init__(self, model: WhisperModel, language: str | None, info: str) -> None:
        self.info = info
        self._model = model
        self._language = language
        self._pending: list[m.Transcribe] = []

    @classmethod
    def load(
        cls, path: str | Path, language: str | None = "en", device: str = "cpu", threads: int = 1
    ) -> WhisperEngine:
        """Load a CTranslate2 Whisper folder; nothing is downloaded.

        Args:
            device: cpu, cuda, or auto for whichever there is.
        """
        if not (Path(path) / "model.bin").is_file():
            raise FileNotFoundError(f"there is no CTranslate2 Whisper model in {path}")
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        compute = "int8_float16" if device == "cuda" else "int8"
        model = WhisperModel(str(path), device=device, compute_type=compute, cpu_threads=threads, local_files_only=True)
        engine = cls(model, language, f"{Path(path).name}, {device} {compute}")
        engine.transcribe([np.zeros(RATE_HZ, np.int16)])  # the first run pays for what is lazy
        return engine

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def submit(self, request: m.Transcribe) -> None:
        self._pending.append(request)
        self._pending.sort(key=lambda r: not r.final)

    def cancel(self, request_id: int) -> None:
        self._pending = [r for r in self._pending if r.id != request_id]

    def step(self) -> Iterable[m.Result]:
        batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
        heard = self.transcribe([np.frombuffer(r.samples, np.int16) for r in batch])
        for request, h in zip(batch, heard, strict=True):
            yield m.Transcript(request.id, h.text, h.confidence, h.language)
            yield m.Finished(request.id)

    def transcribe(self, utterances: list[Samples]) -> list[Heard]:
        """Each utterance's text: shapes [n] at 16 kHz, of any lengths; what exceeds 30 s at the front is left out."""
        audio = [(u[-int(LONGEST_S * RATE_HZ) :] / np.float32(32768)).astype(np.float32) for u in utterances]
        features = self._features(audio)
        tokenizer = self._tokenizer(features)
        longest_s = max(len(a) for a in audio) / RATE_HZ
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True)
        results = self._model.model.generate(
            features,
            [prompt] * len(audio),
            beam_size=1,
            max_length=min(448, len(prompt) + 8 + int(longest_s * TOKENS_PER_S)),
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [self._heard(r, tokenizer) for r in results]

    def _features(self, audio: list[NDArray[np.float32]]) -> ctranslate2.StorageView:
        """Log-mel features [batch, mels, frames]; the window is the longest utterance and a margin."""
        size = max(len(a) for a in audio) + int(MARGIN_S * RATE_HZ)
        frames = min(3000, (size // FRAME + 1) // 2 * 2)
        padded = [np.pad(a, (0, (frames + 1) * FRAME - len(a))) for a in audio]
        mels = np.stack([self._model.feature_extractor(a, padding=0)[:, :frames] for a in padded])
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(mels, np.float32))

    def _tokenizer(self, features: ctranslate2.StorageView) -> Tokenizer:
        multilingual = self._model.model.is_multilingual
        language = self._language
        if language is None and multilingual:
            ((token, _), *_) = self._model.model.detect_language(features)[0]
            language = token.strip("<|>")
        return Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language or "en")

    def _heard(self, result: ctranslate2.models.WhisperGenerationResult, tokenizer: Tokenizer) -> Heard:
        tokens = [t for t in result.sequences_ids[0] if t < tokenizer.eot]
        confidence = exp(min(0.0, result.scores[0]))
        text = tokenizer.decode(tokens).strip()
        if result.no_speech_prob > NO_SPEECH and confidence < UNSURE:
            text = ""
        return Heard(text, confidence, result.no_speech_prob, tokenizer.language_code)
