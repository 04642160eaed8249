"""What keeps a recogniser sound on any audio: windows cut in silences, repetition loops found. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from media_server.audio import Samples

__all__ = ["is_loop", "loop_start", "windows"]

RATE_HZ = 16_000
HOP = 320
"""Samples over which loudness is measured when a place to cut is looked for."""
COMPRESSION_RATIO = 2.4
"""Text that zlib makes so much smaller repeats itself (Whisper's own rule, Radford et al. 2022, section 4.5)."""
LONGEST_UNIT = 8
"""Tokens of what a loop repeats."""
REPEATS = 5
"""In a row, from which on it is a loop: a number that is read out has four equal digits now and then."""


def windows(samples: Samples, longest_s: float) -> list[tuple[int, Samples]]:
    """Pieces of at most `longest_s`, each with its first sample's index; cut where the last third is quietest."""
    longest = int(longest_s * RATE_HZ)
    out: list[tuple[int, Samples]] = []
    start = 0
    while len(samples) - start > longest:
        first = start + 2 * longest // 3
        hops = samples[first : start + longest][: (longest // 3) // HOP * HOP].reshape(-1, HOP).astype(np.float32)
        end = first + int((hops**2).mean(1).argmin()) * HOP + HOP // 2
        out.append((start, samples[start:end]))
        start = end
    return [*out, (start, samples[start:])]


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where something begins that is repeated at once, again and again: the index after its first time."""
    for start in range(len(tokens)):
        for size in range(1, min(LONGEST_UNIT, (len(tokens) - start) // REPEATS) + 1):
            unit = tokens[start : start + size]
            if all(tokens[start + k * size : start + (k + 1) * size] == unit for k in range(1, REPEATS)):
                return start + size
    return None


def is_loop(tokens: Sequence[int], text: str) -> bool:
    """Whether a recogniser has lost the sound and repeats itself."""
    raw = text.encode()
    return loop_start(tokens) is not None or len(raw) > COMPRESSION_RATIO * len(zlib.compress(raw))
