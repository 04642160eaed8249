"""What keeps a recogniser sound on any audio: where it is cut, what a loop is, which text no speech bears out. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from media_server.audio import Samples

__all__ = ["Evidence", "bears_out", "is_echo", "is_loop", "loop_start", "too_much_text", "windows"]

RATE_HZ = 16_000
HOP = 320
"""Samples over which loudness is measured when a place to cut is looked for."""
PAUSE_HOPS = 13
"""A quarter of a second: a pause between words, longer than the stop within one."""
COMPRESSION_RATIO = 2.4
"""Text that zlib makes so much smaller repeats itself (Whisper's own rule, Radford et al. 2022, section 4.5)."""
MAX_UNIT = 8
"""Tokens of what a short loop repeats."""
REPEATS = 5
"""Repetitions in a row that make a loop: a number that is read out has four equal digits now and then."""
MAX_SENTENCE = 60
"""Tokens of what a long loop repeats …"""
SENTENCE_REPEATS = 4
"""… and how often it does: nobody says a sentence four times without a pause."""
NO_SPEECH = 0.6
"""Above this probability of no speech, with little confidence in the words, there is no text (Whisper's own rule)."""
UNSURE = 0.37
FASTEST = 40.0
"""Letters for each second of speech; people who are in a hurry manage 25."""
VOICED_AT_LEAST_S = 0.1
"""Less speech than in any word."""


def windows(samples: Samples, longest_s: float) -> list[tuple[int, Samples]]:
    """Pieces of at most `longest_s`, each with its first sample's index; cut in the last third's quietest pause."""
    longest = int(longest_s * RATE_HZ)
    out: list[tuple[int, Samples]] = []
    start = 0
    while len(samples) - start > longest:
        first = start + 2 * longest // 3
        hops = samples[first : start + longest][: (longest // 3) // HOP * HOP].reshape(-1, HOP).astype(np.float32)
        end = first + _quietest((hops**2).mean(1)) * HOP + HOP // 2
        out.append((start, samples[start:end]))
        start = end
    return [*out, (start, samples[start:])]


def _quietest(power: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """The quietest hop of the quietest pause. A stop within a word may be quieter than a pause, but is shorter."""
    width = min(PAUSE_HOPS, len(power))
    pauses = np.convolve(power, np.ones(width, np.float32), "valid")
    at = int(pauses.argmin())
    return at + int(power[at : at + width].argmin())


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where something begins that is repeated at once, again and again: the index after its first time."""
    for start in range(len(tokens)):
        for repeats, sizes in (
            (REPEATS, range(1, MAX_UNIT + 1)),
            (SENTENCE_REPEATS, range(MAX_UNIT + 1, MAX_SENTENCE + 1)),
        ):
            for size in sizes:
                if start + size * repeats > len(tokens):
                    break
                unit = tokens[start : start + size]
                if all(tokens[start + k * size : start + (k + 1) * size] == unit for k in range(1, repeats)):
                    return start + size
    return None


def is_loop(tokens: Sequence[int], text: str) -> bool:
    """Whether a recogniser has lost the sound and repeats itself."""
    raw = text.encode()
    return loop_start(tokens) is not None or len(raw) > COMPRESSION_RATIO * len(zlib.compress(raw))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a text: `confidence`, the mean probability of its tokens; `no_speech`, the model's probability
    that nobody speaks; `voiced_s`, seconds of speech that voice activity found, None where it was not asked.
    """

    confidence: float
    no_speech: float
    voiced_s: float | None = None

    @property
    def voiced(self) -> bool:
        """Whether somebody speaks, as far as that was asked."""
        return self.voiced_s is None or self.voiced_s >= VOICED_AT_LEAST_S


def too_much_text(text: str, evidence: Evidence) -> bool:
    """Whether nobody could say so much in the time in which somebody speaks."""
    return evidence.voiced_s is not None and len(text) > FASTEST * (evidence.voiced_s + 0.5)


def is_echo(text: str, hotwords: str) -> bool:
    """Whether a text is made of the words alone that the recogniser was told to expect."""
    likely = _bare(hotwords)
    return bool(likely) and set(_bare(text)) <= set(likely)


def _bare(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def bears_out(text: str, evidence: Evidence, invented: bool) -> bool:
    """Whether the sound bears a text out.

    Args:
        invented: whether it is of the kind that recognisers write where nobody speaks; such a text needs more.
    """
    if not re.search(r"\w", text):
        return False
    confidence, no_speech, voiced_s = evidence.confidence, evidence.no_speech, evidence.voiced_s
    if no_speech > NO_SPEECH and confidence < UNSURE:
        return False
    if voiced_s is None:
        return True
    if not evidence.voiced and (confidence < 0.6 or no_speech > 0.2):
        return False
    if invented:
        if voiced_s < max(2 * VOICED_AT_LEAST_S, len(text) / FASTEST):
            return False
        # the words of a "Merci." are unlikely by themselves, but the model does not doubt that somebody speaks
        return (no_speech < 0.2 and confidence > 0.2) or (no_speech < NO_SPEECH and confidence > 0.5)
    return True
