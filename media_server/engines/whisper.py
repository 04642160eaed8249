"""Speech recognition: faster-whisper's model, fed with windows as long as the utterance instead of 30 s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from media_server.audio import Samples
from media_server.engines import messages as m
from media_server.engines.guards import is_loop, loop_start, windows
from media_server.engines.smart_turn import SmartTurn

__all__ = ["Heard", "WhisperEngine"]

RATE_HZ = 16_000
FRAME = 160
"""Samples per feature frame."""
MARGIN_S = 0.2
WINDOW_S = 30.0
"""Whisper's longest; longer sound is heard in several windows."""
BATCH = 8
NO_SPEECH = 0.6
"""Above this probability of no speech, with little confidence in the words, there is no text (Whisper's own rule)."""
UNSURE = 0.37
TOKENS_PER_S = 25
"""More than anybody says, also in the short tokens of a small vocabulary."""
AUDIBLE = 0.05
"""Of the loudest sample: where the first word begins and the last one ends, which alignment gives to the window."""
MEDIAN_FRAMES = 3
"""Of alignment's smoothing; Whisper's 7 blur the words of a model whose heads were taught to look."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`confidence`: mean probability of the tokens; `no_speech`: probability that nobody spoke."""

    text: str
    confidence: float
    no_speech: float
    language: str
    words: tuple[m.HeardWord, ...] = ()


class WhisperEngine:
    """Transcribes the pending utterances in one batch per step, final ones first."""

    def __init__(
        self, model: WhisperModel, language: str | None, window_s: float, turn: SmartTurn | None, info: str
    ) -> None:
        self.info = info
        self._turn = turn
        self._window_s = min(window_s, WINDOW_S)
        self._model = model
        self._language = language
        self._pending: list[m.Transcribe] = []

    @classmethod
    def load(
        cls,
        path: str | Path,
        language: str | None = "en",
        window_s: float = WINDOW_S,
        turn: str | Path | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> WhisperEngine:
        """Load a CTranslate2 Whisper folder; nothing is downloaded.

        Args:
            window_s: the longest sound that the model was trained on.
            turn: a classifier of complete turns, as ONNX.
            device: cpu, cuda, or auto for whichever there is.
        """
        if not (Path(path) / "model.bin").is_file():
            raise FileNotFoundError(f"there is no CTranslate2 Whisper model in {path}")
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        compute = "int8_float16" if device == "cuda" else "int8"
        model = WhisperModel(str(path), device=device, compute_type=compute, cpu_threads=threads, local_files_only=True)
        classifier = SmartTurn.load(turn, threads) if turn else None
        engine = cls(model, language, window_s, classifier, f"{Path(path).name}, {device} {compute}")
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
        first = self._pending[0]
        alike = [r for r in self._pending if (r.language, r.hotwords) == (first.language, first.hotwords)]
        batch = alike[:BATCH]
        taken = {r.id for r in batch}
        self._pending = [r for r in self._pending if r.id not in taken]
        samples = [np.frombuffer(r.samples, np.int16) for r in batch]
        heard = self.transcribe(samples, first.language, first.hotwords, any(r.words for r in batch))
        for request, h in zip(batch, heard, strict=True):
            words = h.words if request.words else ()
            complete = None
            if self._turn and request.turn:
                complete = self._turn.probability(np.frombuffer(request.turn, np.int16))
            yield m.Transcript(request.id, h.text, h.confidence, h.language, words, complete)
            yield m.Finished(request.id)

    def transcribe(
        self, utterances: Sequence[Samples], language: str | None = None, hotwords: str = "", words: bool = False
    ) -> list[Heard]:
        """Each utterance's text: shapes [n] at 16 kHz, of any lengths.

        Args:
            language: for a model that knows several; without, the engine's, or the one detected for each utterance.
            hotwords: what is likely to be said.
            words: find the words' times too.
        """
        pieces = [(i, at, piece) for i, u in enumerate(utterances) for at, piece in windows(u, self._window_s)]
        # a client may name one that there is not: then it is as if none was named
        given = (language if language in self._model.supported_languages else None) or self._language
        heard = self._windows([piece for _, _, piece in pieces], given, hotwords, words)
        out: list[list[Heard]] = [[] for _ in utterances]
        for (i, at, _), h in zip(pieces, heard, strict=True):
            s = at / RATE_HZ
            moved = tuple(m.HeardWord(w.text, w.start_s + s, w.end_s + s, w.confidence) for w in h.words)
            out[i].append(replace(h, words=moved))
        return [_joined(parts) for parts in out]

    def _windows(self, utterances: list[Samples], language: str | None, hotwords: str, words: bool) -> list[Heard]:
        """Each window's text: in one batch, or one by one where several languages are spoken."""
        audio = [(u / np.float32(32768)).astype(np.float32) for u in utterances]
        encoded = self._model.model.encode(self._features(audio))
        multilingual = self._model.model.is_multilingual
        if language is None and multilingual:
            languages = [found[0][0].strip("<|>") for found in self._model.model.detect_language(encoded)]
            if len(set(languages)) > 1:
                return [
                    self._windows([u], spoken, hotwords, words)[0]
                    for u, spoken in zip(utterances, languages, strict=True)
                ]
            language = languages[0]
        tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language or "en")
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=hotwords or None)
        results = self._generate(encoded, [prompt] * len(audio), max(len(a) for a in audio))
        heard: list[tuple[list[int], Heard]] = []
        for samples, result in zip(audio, results, strict=True):
            tokens = [t for t in result.sequences_ids[0] if t < tokenizer.eot]
            if is_loop(tokens, tokenizer.decode(tokens)):
                alone = self._model.model.encode(self._features([samples]))
                (result,) = self._generate(alone, [prompt], len(samples), no_repeat_ngram_size=3)
                tokens = [t for t in result.sequences_ids[0] if t < tokenizer.eot]
                tokens = tokens[: loop_start(tokens)]
            confidence = exp(min(0.0, result.scores[0]))
            text = tokenizer.decode(tokens).strip()
            if result.no_speech_prob > NO_SPEECH and confidence < UNSURE:
                text = ""
            heard.append(
                (tokens if text else [], Heard(text, confidence, result.no_speech_prob, tokenizer.language_code))
            )
        if not words:
            return [h for _, h in heard]
        placed = self._align(audio, encoded, [tokens for tokens, _ in heard], tokenizer)
        return [replace(h, words=w) for (_, h), w in zip(heard, placed, strict=True)]

    def _features(self, audio: list[NDArray[np.float32]]) -> ctranslate2.StorageView:
        """Log-mel features [batch, mels, frames]; the window is the longest utterance and a margin."""
        size = max(len(a) for a in audio) + int(MARGIN_S * RATE_HZ)
        frames = min(3000, (size // FRAME + 1) // 2 * 2)
        if frames // 2 == self._model.model.n_mels:
            frames += 2  # CTranslate2 would take what the encoder makes of it, [batch, 80, width], for features
        padded = [np.pad(a, (0, (frames + 1) * FRAME - len(a))) for a in audio]
        mels = np.stack([self._model.feature_extractor(a, padding=0)[:, :frames] for a in padded])
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(mels, np.float32))

    def _generate(
        self, encoded: ctranslate2.StorageView, prompts: list[list[int]], longest: int, **options: int
    ) -> list[ctranslate2.models.WhisperGenerationResult]:
        found: list[ctranslate2.models.WhisperGenerationResult] = self._model.model.generate(
            encoded,
            prompts,
            beam_size=1,
            max_length=min(448, len(prompts[0]) + 8 + int(longest / RATE_HZ * TOKENS_PER_S)),
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        return found

    def _align(
        self,
        audio: list[NDArray[np.float32]],
        encoded: ctranslate2.StorageView,
        tokens: list[list[int]],
        tokenizer: Tokenizer,
    ) -> list[tuple[m.HeardWord, ...]]:
        """The words' times, by the decoder's attention over the frames."""
        frames = [max(2, len(a) // FRAME) for a in audio]
        # the library's wants some token for every utterance
        filled = [t or [tokenizer.eot - 1] for t in tokens]
        found = self._model.find_alignment(tokenizer, filled, encoded, frames, median_filter_width=MEDIAN_FRAMES)
        out: list[tuple[m.HeardWord, ...]] = []
        for samples, wanted, words in zip(audio, tokens, found, strict=True):
            said = [w for w in words if w["word"].strip()] if wanted else []
            loud = np.nonzero(np.abs(samples) > AUDIBLE * np.abs(samples).max())[0] / RATE_HZ
            first, last = (float(loud[0]), float(loud[-1])) if len(loud) else (0.0, len(samples) / RATE_HZ)
            starts, ends = [float(w["start"]) for w in said], [float(w["end"]) for w in said]
            if said:
                starts[0], ends[-1] = max(starts[0], first), last
            out.append(
                tuple(
                    # a model that is lost puts words anywhere; none ends before it begins
                    m.HeardWord(w["word"].strip(), start, max(start, end), float(w["probability"]))
                    for w, start, end in zip(said, starts, ends, strict=True)
                )
            )
        return out


def _joined(parts: list[Heard]) -> Heard:
    """What was heard in consecutive windows."""
    spoken = [p for p in parts if p.text] or parts[:1]
    return Heard(
        " ".join(p.text for p in spoken),
        sum(p.confidence for p in spoken) / len(spoken),
        min(p.no_speech for p in spoken),
        spoken[0].language,
        tuple(w for p in spoken for w in p.words),
    )
