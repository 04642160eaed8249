"""A Piper voice: its file checked and loaded, text to phonemes, phonemes to sound with the length of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from piper import PiperVoice
from piper.config import PhonemeType

from media_server.audio import Samples
from media_server.engines.alignment import is_sound
from media_server.engines.durations import with_durations
from media_server.engines.onnx import load_onnx
from media_server.engines.voice_config import BOS, EOS, read_config

__all__ = ["Sound", "Style", "VoiceFile"]

PAD = "_"
LOUDEST = 0.95
"""Share of full scale. A voice whose output goes beyond it is made quieter, not clipped."""
_SENTENCE_ENDS = re.compile(r"(?<=[.!?…。！？؟।])\s+")
_BRACKETS = re.compile(r"\[(?=\[)")


@dataclass(frozen=True, slots=True)
class Style:
    """How a file is to speak. What is None is as the file has it."""

    length_scale: float = 1.0
    """Times the file's own; larger is slower."""
    speaker: int | None = None
    noise_scale: float | None = None
    noise_w: float | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples at the voice's rate, shape [n], and where each phoneme ends in them."""

    samples: Samples
    ends: NDArray[np.int64]
    """Shape [phonemes + 2]: in samples, those of the marks of beginning and end too."""


class VoiceFile:
    """An ONNX file with its JSON beside it, loaded.

    Raises:
        ValueError: it cannot be used; the message names the file and says why.
    """

    def __init__(self, path: str, threads: int, device: str) -> None:
        self.name = Path(path).name
        config = read_config(path)
        self.rate_hz = config.sample_rate
        session = self._session(path, threads, device)
        self.piper = PiperVoice(session=session, config=config)
        self.cuda = "CUDAExecutionProvider" in session.get_providers()
        self._knows_speakers = "sid" in {i.name for i in session.get_inputs()}
        self._ids = {phoneme: tuple(ids) for phoneme, ids in config.phoneme_id_map.items()}
        if config.num_speakers > 1 and not self._knows_speakers:
            raise ValueError(f"{self.name}.json has {config.num_speakers} speakers, but the model takes none")
        self.length_of = lru_cache(maxsize=20_000)(self._length_of)

    def _session(self, path: str, threads: int, device: str) -> onnxruntime.InferenceSession:
        try:
            model = with_durations(Path(path).read_bytes())
        except OSError as missing:
            raise ValueError(
                f"{self.name}, which {self.name}.json describes, cannot be read: {missing.strerror}"
            ) from missing
        try:
            return load_onnx(path if model is None else model, threads, device)
        except Exception as wrong:  # the library has a type for each way in which a file is broken
            raise ValueError(f"{self.name} cannot be loaded as ONNX: {wrong}") from wrong

    def speaker(self, wanted: int | str | None) -> int | None:
        """The number of a speaker, given by number or name.

        Raises:
            ValueError: the file has no such speaker.
        """
        names, count = self.piper.config.speaker_id_map, max(1, self.piper.config.num_speakers)
        if wanted is None:
            return None
        number = names.get(wanted) if isinstance(wanted, str) else wanted
        if number is None and isinstance(wanted, str) and wanted.isascii() and wanted.isdigit():
            number = int(wanted)
        if number is None or not 0 <= number < count:
            there = "1 speaker, number 0" if count == 1 else f"{count} speakers, numbered 0 to {count - 1}"
            known = f" (names: {', '.join(list(names)[:20])}{', …' if len(names) > 20 else ''})" if names else ""
            raise ValueError(f"{self.name} has no speaker {wanted!r}: it has {there}{known}")
        return number

    def phonemes(self, text: str) -> list[list[str]]:
        """What is said for `text`, sentence by sentence, without phonemes that the model does not know."""
        # double brackets would be taken for phonemes; letters are not parted into sentences by the library
        texts = _SENTENCE_ENDS.split(text) if self.piper.config.phoneme_type is PhonemeType.TEXT else [text]
        sentences = [s for t in texts if t.strip() for s in self.piper.phonemize(_BRACKETS.sub("[ ", t))]
        known = [[p for p in sentence if p in self._ids] for sentence in sentences]
        return [sentence for sentence in known if any(map(is_sound, sentence))]

    def _length_of(self, word: str) -> tuple[int, int]:
        """How many phonemes and how many groups of them a word has by itself."""
        said = [p for sentence in self.phonemes(word) for p in [*sentence, " "]]
        groups = "".join(p if is_sound(p) or p == " " else "" for p in said).split()
        return sum(map(is_sound, said)), len(groups)

    def speak(
        self, phonemes: Sequence[str], style: Style, speed: float, run: onnxruntime.RunOptions | None = None
    ) -> Sound:
        """The sound of phonemes, which are all known ones; with `run` it can be ended from another thread."""
        config = self.piper.config
        pad = self._ids.get(PAD, ())
        each = [self._ids[BOS] + pad, *(self._ids[p] + pad for p in phonemes), self._ids[EOS]]
        ids = np.array([[i for ids in each for i in ids]], np.int64)
        noise = config.noise_scale if style.noise_scale is None else style.noise_scale
        noise_w = config.noise_w_scale if style.noise_w is None else style.noise_w
        scales = np.array([noise, config.length_scale * style.length_scale / speed, noise_w], np.float32)
        inputs: dict[str, Any] = {"input": ids, "input_lengths": np.array([ids.shape[1]], np.int64), "scales": scales}
        if self._knows_speakers:
            speaker = config.default_speaker_id if style.speaker is None else style.speaker
            inputs["sid"] = np.array([speaker], np.int64)
        audio, *rest = self.piper.session.run(None, inputs, run)
        audio = np.nan_to_num(audio.reshape(-1), posinf=0.0, neginf=0.0)
        peak = float(np.abs(audio).max(initial=0.0))
        samples = (audio * (32767 * min(1.0, LOUDEST / max(peak, 1e-9)))).astype(np.int16)
        durations = rest[0].reshape(-1) if rest else np.zeros(0)
        if len(durations) == ids.shape[1] and durations.sum() > 0:
            ends = np.cumsum(durations)[np.cumsum([len(i) for i in each]) - 1] / durations.sum() * len(samples)
        else:
            ends = _even_ends(samples, phonemes)
        return Sound(samples, ends.astype(np.int64))


def _even_ends(samples: Samples, phonemes: Sequence[str]) -> NDArray[np.float64]:
    """Where phonemes end if the model keeps that to itself: sounds are as long as each other, marks half as long."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 0.02 * np.abs(samples.astype(np.int32)).max(initial=1))
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(samples))
    shares = np.cumsum([1.0 if is_sound(p) else 0.5 for p in phonemes])
    within = first + shares / max(1.0, shares[-1] if len(shares) else 1.0) * (last - first)
    return np.concatenate([[float(first)], within, [float(len(samples))]])
