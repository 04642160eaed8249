"""The agent's side: clauses to speech, speech to the speaker, and what of it was heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np

from media_server.call.speakable import speakable
from media_server.engines.client import Engines
from media_server.events import AgentSpeechStarted, AgentWord, Event
from media_server.rtc import Playback, Speaker, Speech, SpokenWord

__all__ = ["Utterance"]

AHEAD = 3
"""Clauses synthesised before they are played; more would be wasted on an interruption."""


class Utterance:
    """One turn's speech. `speak` returns when all was played; after a cancellation, `heard` tells how far it came."""

    def __init__(
        self,
        turn_id: str,
        engines: Engines,
        speaker: Speaker,
        emit: Callable[[Event], None],
        *,
        on_synthesised: Callable[[], None],
        on_started: Callable[[], None],
        ready: asyncio.Event | None = None,
    ) -> None:
        self.started = False
        self._turn_id = turn_id
        self._engines = engines
        self._speaker = speaker
        self._emit = emit
        self._on_synthesised = on_synthesised
        self._on_started = on_started
        self._ready = ready
        self._playbacks: list[Playback] = []

    @property
    def heard(self) -> str:
        """The words that were played."""
        return " ".join(w.text for p in self._playbacks for w in p.heard_words)

    async def speak(self, clauses: AsyncIterator[str]) -> None:
        """Speak the clauses as they come; until `ready` only the first piece of sound is made, and kept.

        Raises:
            EngineError: the voice failed; what it gave before is played.
        """
        queue: asyncio.Queue[Playback | None] = asyncio.Queue(AHEAD)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(queue), name=f"{self._turn_id}-follow")
            place = 0
            async for clause in clauses:
                words = speakable(clause, self._engines.english)
                async with self._engines.synthesize(words, place) as chunks:
                    async for chunk in chunks:
                        spoken = tuple(SpokenWord(w.text, w.start_s, w.end_s) for w in chunk.words)
                        if place == 0:
                            self._on_synthesised()
                        place += 1
                        if self._ready:
                            await self._ready.wait()
                        playback = self._speaker.play(Speech(np.frombuffer(chunk.samples, np.int16), spoken))
                        self._playbacks.append(playback)
                        await queue.put(playback)
            await queue.put(None)

    async def _follow(self, queue: asyncio.Queue[Playback | None]) -> None:
        """Report what is being heard."""
        while (playback := await queue.get()) is not None:
            await playback.started.wait()
            if not self.started:
                self.started = True
                self._emit(AgentSpeechStarted(self._turn_id))
                self._on_started()
            offset_s = playback.started_at_s - self._playbacks[0].started_at_s
            async for word in playback.words():
                self._emit(AgentWord(self._turn_id, word.text, offset_s + word.start_s, offset_s + word.end_s))
