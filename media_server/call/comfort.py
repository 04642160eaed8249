"""What a caller hears while an answer takes long and nothing is said: a soft sound, or music from a file."""

from __future__ import annotations

import asyncio
import logging
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, Samples, read_wav
from media_server.rtc import Speaker

__all__ = ["check_sound", "fill_silence"]

log = logging.getLogger(__name__)

MAX_S = 600.0
"""Longest music; it is repeated."""
KEPT = 8
"""Pieces of music that are kept decoded: at most 58 MB each."""
EDGE = CALL_RATE_HZ // 50
"""Samples in which music swells and fades, so that there is no click where it begins again."""
NOTES_HZ = (392.0, 523.25)
NOTE_S, EVERY_S = 0.35, 2.5
SOFT_LEVEL = 900
"""Peak of the soft sound, of 32,767."""


async def fill_silence(agent: Agent, speaker: Speaker | None, over: asyncio.Event) -> None:
    """Play the agent's sound whenever nothing was heard for `comfort_s`, until cancelled; speech cuts it.

    Args:
        over: is set when the caller's turn is surely over.
    """
    if agent.comfort_sound is None or speaker is None:
        return
    await over.wait()
    try:
        samples = await asyncio.to_thread(_samples, agent.comfort_sound)
    except (OSError, ValueError) as unreadable:
        log.warning("the comfort sound of agent %s cannot be played: %s", agent.name, unreadable)
        return
    try:
        while True:
            await speaker.drained.wait()
            said_s = speaker.said_s
            await asyncio.sleep(agent.comfort_s)
            if speaker.drained.is_set() and speaker.said_s == said_s:
                speaker.play_behind(samples)
    finally:
        speaker.play_behind(None)


def check_sound(file: Path) -> None:
    """Decode a file with music, ready for the first call. Blocks.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no sound, or more than ten minutes.
    """
    _samples(file)


def _samples(sound: Path | str) -> Samples:
    """A comfort sound at 48 kHz, shape [n]."""
    return _music(sound, sound.stat().st_mtime_ns) if isinstance(sound, Path) else _soft()


@lru_cache(maxsize=KEPT)
def _music(file: Path, changed_ns: int) -> Samples:
    """A file as it was when it was changed last."""
    samples = read_wav(file, CALL_RATE_HZ, MAX_S)
    if not samples.any():
        raise ValueError(f"{file} is silent")
    n = min(EDGE, len(samples) // 2)
    edge = np.linspace(0, 1, n)
    samples[:n] = samples[:n] * edge
    samples[len(samples) - n :] = samples[len(samples) - n :] * edge[::-1]
    return samples


@cache
def _soft() -> Samples:
    """Two quiet notes, and a pause."""
    out = np.zeros(int(EVERY_S * CALL_RATE_HZ))
    n = int(NOTE_S * CALL_RATE_HZ)
    for i, pitch_hz in enumerate(NOTES_HZ):
        note = np.sin(2 * np.pi * pitch_hz * np.arange(n) / CALL_RATE_HZ) * np.hanning(n) * SOFT_LEVEL
        start = i * n * 2 // 3
        out[start : start + n] += note
    return out.astype(np.int16)
