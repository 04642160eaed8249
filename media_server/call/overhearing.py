"""What the caller says while a program keeps the agent from listening: written down, and answered by nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from media_server.audio import Samples
from media_server.call.segments import Segment, Segmenter
from media_server.engines.engines import Engines
from media_server.engines.silero import CHUNK, VoiceActivity
from media_server.errors import EngineError
from media_server.rtc import Frame

__all__ = ["Overhearing"]

MAX_STRETCHES = 50
"""Maximum stretches of speech that are kept; the oldest are forgotten."""
PATIENCE_S = 5.0
"""Seconds to wait at the end for what is still to be understood."""


class Overhearing:
    """Give it the microphone's sound (`take`); `text` ends it.

    Args:
        start: begins a task that the call owns.
        language: spoken by the caller, where that is known.
    """

    def __init__(
        self,
        engines: Engines,
        activity: VoiceActivity,
        start: Callable[[Coroutine[Any, Any, str], str], asyncio.Task[str]],
        language: str | None,
    ) -> None:
        self._engines = engines
        self._activity = activity
        self._start = start
        self._language = language
        self._segmenter = Segmenter()
        self._rest: Samples = np.zeros(0, np.int16)
        self._stretches: deque[asyncio.Task[str]] = deque(maxlen=MAX_STRETCHES)

    def take(self, frame: Frame) -> None:
        """Hear more sound, in the order of its arrival."""
        waiting = np.concatenate([self._rest, frame.samples])
        while len(waiting) >= CHUNK:
            chunk, waiting = waiting[:CHUNK], waiting[CHUNK:]
            (probability,) = self._activity.probabilities(chunk)
            self._add(self._segmenter.hear(chunk, probability))
        self._rest = waiting

    async def text(self) -> str:
        """All that was said, as far as it is understood soon; empty where nothing was."""
        self._add(self._segmenter.finish())
        if self._stretches:
            await asyncio.wait(self._stretches, timeout=PATIENCE_S)
        heard = (each.result() for each in self._stretches if each.done() and not each.cancelled())
        return " ".join(text for text in heard if text)

    def _add(self, stretch: Segment | None) -> None:
        if stretch is not None:
            self._stretches.append(self._start(self._understand(stretch), "overhear"))

    async def _understand(self, stretch: Segment) -> str:
        try:
            heard = await self._engines.transcribe(stretch.samples, final=True, words=False, language=self._language)
        except EngineError:
            return ""  # nobody waits for an answer to it
        return heard.text
