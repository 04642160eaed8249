"""Speech synthesis: a Piper voice, one sentence per step, clauses that come first in a reply before later ones."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from piper import PiperConfig, PiperVoice, SynthesisConfig

from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.engines import messages as m
from media_server.engines.onnx import load_onnx

__all__ = ["PiperEngine", "as_it_stands"]


@dataclass(frozen=True, slots=True)
class _Voice:
    """A voice file, and how it is to speak. Several may share one."""

    piper: PiperVoice
    length_scale: float
    speaker: int | None

    def config(self, speed: float) -> SynthesisConfig:
        scale = self.length_scale * self.piper.config.length_scale / speed
        return SynthesisConfig(speaker_id=self.speaker, length_scale=scale, normalize_audio=False)


class PiperEngine:
    """Synthesises what is pending, sooner the earlier its place in its reply.

    Args:
        voices: by name; the usual one has none.
    """

    def __init__(self, voices: Mapping[str, _Voice], info: str) -> None:
        self.info = info
        self._voices = voices
        self._pending: list[tuple[int, int, m.Synthesize]] = []

    @classmethod
    def load(
        cls,
        path: str | Path,
        length_scale: float = 1.0,
        speaker: int | None = None,
        device: str = "cpu",
        threads: int = 1,
        voices: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> PiperEngine:
        """Load a Piper ONNX file; its JSON is beside it.

        Args:
            speaker: of a file that has several.
            voices: further ones by name, each with `path`, `length_scale` and `speaker`.
        """
        files: dict[str, PiperVoice] = {}
        loaded: dict[str, _Voice] = {}
        for name, each in {"": {"path": path, "length_scale": length_scale, "speaker": speaker}, **voices}.items():
            file = str(each["path"])
            if file not in files:
                session = load_onnx(file, threads, device)
                config = PiperConfig.from_dict(json.loads(Path(f"{file}.json").read_text("utf-8")))
                files[file] = PiperVoice(session=session, config=config)
            loaded[name] = _Voice(files[file], each["length_scale"], each["speaker"])
        more = f", {len(voices)} more voices" if voices else ""
        rate = loaded[""].piper.config.sample_rate
        cuda = "CUDAExecutionProvider" in loaded[""].piper.session.get_providers()
        engine = cls(loaded, f"{Path(path).name}, {'cuda' if cuda else 'cpu'}, {rate} Hz{more}")
        for name in loaded:
            list(engine.synthesize(as_it_stands("Hello."), name))
        return engine

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def submit(self, request: m.Synthesize) -> None:
        heapq.heappush(self._pending, (request.place, request.id, request))

    def cancel(self, request_id: int) -> None:
        self._pending = [p for p in self._pending if p[1] != request_id]
        heapq.heapify(self._pending)

    def step(self) -> Iterable[m.Result]:
        _, _, request = heapq.heappop(self._pending)
        if request.voice not in self._voices:
            yield m.Failed(request.id, "unknown_voice", f"The pack has no voice {request.voice!r}.")
            return
        for samples, words in self.synthesize(request.words, request.voice, request.speed):
            yield m.AudioChunk(request.id, samples.tobytes(), words)
        yield m.Finished(request.id)

    def synthesize(
        self, words: Sequence[tuple[str, str]], voice: str = "", speed: float = 1.0
    ) -> Iterable[tuple[Samples, tuple[m.Word, ...]]]:
        """Samples at 48 kHz, shape [n], and the words in them, for each sentence.

        Args:
            words: as written, and what is said for it.
        """
        with_voice = self._voices[voice]
        piper, config = with_voice.piper, with_voice.config(speed)
        written = [(text, len(said.split())) for text, said in words]
        said = [w for _, said in words for w in said.split()]
        chunks = list(piper.synthesize(" ".join(said), config, include_alignments=True)) if said else []
        rate = piper.config.sample_rate
        for i, chunk in enumerate(chunks):
            # Piper says where a sentence begins in sound, not in text: the last one takes the words that are left
            spoken = "".join(chunk.phonemes).split(" ")
            count = len(said) if i == len(chunks) - 1 else min(len(said), len([w for w in spoken if w]))
            mine, said = said[:count], said[count:]
            samples = resample(chunk.audio_int16_array, rate, CALL_RATE_HZ)
            times = _word_times(mine, _spans(chunk), len(chunk.audio_int16_array) / rate, rate)
            yield samples, _as_written(written, times, last=i == len(chunks) - 1)


def as_it_stands(text: str) -> list[tuple[str, str]]:
    """Words that are said as they are written."""
    return [(word, word) for word in text.split()]


def _as_written(written: list[tuple[str, int]], times: tuple[m.Word, ...], last: bool) -> tuple[m.Word, ...]:
    """Take the written words (with how many are said for each) that end in this sentence off the front of the list."""
    out: list[m.Word] = []
    left = list(times)
    while written and (left or last or written[0][1] == 0):
        text, count = written[0]
        mine, left = left[:count], left[count:]
        if len(mine) < count and not last:
            written[0] = (text, count - len(mine))
            break
        del written[0]
        at = out[-1].end_s if out else 0.0
        out.append(m.Word(text, mine[0].start_s if mine else at, mine[-1].end_s if mine else at))
    return tuple(out)


def _spans(chunk: object) -> list[tuple[int, int]]:
    """First and last sample of each run of phonemes between spaces; empty where the voice does not tell."""
    alignments = getattr(chunk, "phoneme_alignments", None)
    spans: list[tuple[int, int]] = []
    at = 0
    start: int | None = None
    for a in alignments or []:
        if a.phoneme in ("^", "$", " ", ",", ".", "?", "!", ";", ":"):
            if start is not None:
                spans.append((start, at))
                start = None
        elif start is None:
            start = at
        at += int(a.num_samples)
    if start is not None:
        spans.append((start, at))
    return spans


def _word_times(words: list[str], spans: list[tuple[int, int]], length_s: float, rate: int) -> tuple[m.Word, ...]:
    """By alignment where it has one span for each word, else in proportion to the letters."""
    if len(spans) == len(words):
        return tuple(m.Word(w, a / rate, b / rate) for w, (a, b) in zip(words, spans, strict=True))
    ends = np.cumsum([0] + [len(w) + 1 for w in words]) / max(1, sum(len(w) + 1 for w in words)) * length_s
    return tuple(m.Word(w, float(a), float(b)) for w, a, b in zip(words, ends[:-1], ends[1:], strict=True))
