"""Listening in on a call: both sides as one stream of sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import numpy as np

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Resampler, Samples, frame_of
from media_server.rtc.handset import Handset
from media_server.rtc.microphone import Frame

__all__ = ["LISTENING_RATE_HZ", "listen_in"]

LISTENING_RATE_HZ = MODEL_RATE_HZ
PIECE_S = 0.05
LATEST_S = 1.0
"""Maximum seconds kept of a side that arrives faster than it is listened to; the rest is dropped."""
SIGN_OF_LIFE_S = 5.0


class _Side:
    """Sound that waits to be mixed. Silence is not kept, so what a stalled network delayed is caught up in pauses."""

    def __init__(self) -> None:
        self._waiting: Samples = np.zeros(0, np.int16)
        self._patient = True
        """Whether sound that begins waits for one piece more: frames do not come evenly."""

    def add(self, samples: Samples) -> None:
        if samples.any():
            self._waiting = np.concatenate([self._waiting, samples])[-int(LATEST_S * LISTENING_RATE_HZ) :]

    def take(self, n: int) -> Samples:
        if not len(self._waiting):
            self._patient = True
        elif self._patient:
            self._patient = False
            return np.zeros(n, np.int16)
        taken, self._waiting = self._waiting[:n], self._waiting[n:]
        return np.pad(taken, (0, n - len(taken)))


async def listen_in(handset: Handset, hears_agent: Callable[[], bool] = lambda: True) -> AsyncGenerator[bytes, None]:
    """Both sides mixed, int16 mono at `LISTENING_RATE_HZ`, every 50 ms; two zero bytes after each 5 s of silence.

    Args:
        hears_agent: false while what the caller hears is who listens: nobody wants to hear themselves.
    """
    caller, agent, resampler = _Side(), _Side(), Resampler(LISTENING_RATE_HZ)

    def heard(frame: Frame) -> None:
        caller.add(frame.samples)

    def spoken(samples: Samples) -> None:
        if hears_agent():
            agent.add(resampler.push(frame_of(samples, CALL_RATE_HZ)))

    handset.microphone.taps.append(heard)
    handset.speaker.taps.append(spoken)
    size, silent_s, due_s = int(PIECE_S * LISTENING_RATE_HZ), 0.0, handset.clock()
    try:
        while True:
            due_s = max(due_s + PIECE_S, handset.clock() - LATEST_S)
            await asyncio.sleep(max(0.0, due_s - handset.clock()))
            both = caller.take(size).astype(np.int32) + agent.take(size)
            silent_s = 0.0 if both.any() else silent_s + PIECE_S
            if both.any():
                yield np.clip(both, -32768, 32767).astype(np.int16).tobytes()
            elif silent_s >= SIGN_OF_LIFE_S:
                silent_s = 0.0
                yield bytes(2)
    finally:
        handset.microphone.taps.remove(heard)
        handset.speaker.taps.remove(spoken)
