"""When each word was said, by the decoder's attention over the sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from media_server.engines import messages as m

__all__ = ["word_times"]

RATE_HZ = 16_000
FRAME = 160
WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
AUDIBLE = 0.05
"""Share of the loudest sample that counts as speech: it shows where the first word begins and the last one ends."""


def word_times(
    model: WhisperModel,
    tokenizer: Tokenizer,
    audio: Sequence[NDArray[np.float32]],
    encoded: ctranslate2.StorageView,
    tokens: Sequence[list[int]],
    median_frames: int,
) -> list[tuple[m.HeardWord, ...]]:
    """The words of each utterance.

    Args:
        audio: the utterances at 16 kHz, of which `encoded` was made.
        tokens: what was heard in each: tokens of text alone, without timestamps.
        median_frames: of the smoothing over time.
    """
    frames = [max(2, len(a) // FRAME) for a in audio]
    # the library's wants some token for every utterance
    filled = [t or [tokenizer.eot - 1] for t in tokens]
    found = model.find_alignment(tokenizer, filled, encoded, frames, median_filter_width=median_frames)
    out: list[tuple[m.HeardWord, ...]] = []
    for samples, wanted, words in zip(audio, tokens, found, strict=True):
        spaced = tokenizer.language_code not in WITHOUT_SPACES
        said = _whole(words) if spaced else [w for w in words if w["word"].strip()]
        said = said if wanted else []
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


def _whole(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Words as they stand between spaces: "log-in" is one, where the library tells of three."""
    out: list[dict[str, Any]] = []
    for part in parts:
        if not part["word"].strip():
            continue
        if out and not part["word"][0].isspace():
            before = out[-1]
            joined = before["word"] + part["word"]
            probability = (before["probability"] + part["probability"]) / 2
            out[-1] = {**before, "word": joined, "end": part["end"], "probability": probability}
        else:
            out.append(part)
    return out
