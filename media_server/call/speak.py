"""The agent's side: clauses to speech, speech to the speaker, and what of it was heard."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from media_server.audio import CALL_RATE_HZ
from media_server.call.joining import joined, unspaced
from media_server.engines.engines import Engines, Voice
from media_server.events import AgentSegmentStarted, AgentSegmentStopped, AgentSpeechStarted, AgentWord, Event
from media_server.rtc import Playback, Speaker, Speech, SpokenWord
from media_server.spoken import Unsaid, clauses_of, speakable

__all__ = ["Clause", "SpeechListener", "Utterance", "Written"]

_QUESTION = re.compile(r"[?？؟](?:\([^()]{0,80}\)|[^\w(])*\Z")
"""The end of a question, with what may stand behind it: quotes, emoji, `(yes or no)`."""
AHEAD = 3
"""Pieces of sound made before they are played; more would be wasted on an interruption."""


@dataclass(slots=True, eq=False)
class Passage:
    """The rest of a piece of code or of a table, which was announced: nothing of it is said."""

    text: str
    reached: bool = False
    """All that stands before it was heard."""


@dataclass(slots=True, eq=False)
class Clause:
    """A text to speak, and what became of it: a clause of the model's, or an announcement of any length."""

    text: str
    done: asyncio.Future[bool] | None = None
    """Told when it was played to the end."""
    pieces: list[Playback | Passage] = field(default_factory=list)
    """Its sound, and what of it has none."""
    read: bool = False
    """Whether it was sent, in a chat."""
    remembered: bool = True
    """Whether it goes into the history."""
    withdrawn: bool = False
    """No more of it is said."""
    interruptible: bool = True
    """Whether a caller who speaks over it stops it."""
    patient: bool = False
    """It waits for the end of the caller's turn."""

    @property
    def heard(self) -> str:
        """The words that were played."""
        return self.text if self.read else joined(*map(_known_of, self.pieces))

    @property
    def playbacks(self) -> list[Playback]:
        """Its sound."""
        return [piece for piece in self.pieces if isinstance(piece, Playback)]

    @property
    def being_heard(self) -> bool:
        """Whether its sound has begun and somebody waits for its end."""
        return self.done is not None and not self.done.done() and any(p.started.is_set() for p in self.playbacks)

    @property
    def kept(self) -> str:
        """What of it goes into the history."""
        return self.heard if self.remembered else ""

    def settle(self, heard: bool) -> None:
        """Tell whoever waits for it whether it was heard; only the first time counts."""
        if self.done and not self.done.done():
            self.done.set_result(heard)


def heard_of(playback: Playback) -> str:
    """The words of which more than half was played; of one that is a whole sentence, the letters that were."""
    position_s = (playback.played - playback.unheard()) / CALL_RATE_HZ
    whole = len(playback.heard_words)
    heard = []
    for i, word in enumerate(playback.speech.words):
        if unspaced(word.text):
            share = (position_s - word.start_s) / max(word.end_s - word.start_s, 1e-3)
            heard.append(word.text[: round(min(max(share, 0.0), 1.0) * len(word.text))])
        elif i < whole:
            heard.append(word.text)
    return joined(*heard)


def _known_of(piece: Playback | Passage) -> str:
    """What the caller knows of a piece: what was heard of it, and a passage when it is reached."""
    if isinstance(piece, Playback):
        return heard_of(piece)
    return piece.text if piece.reached else ""


_Item = Playback | Passage | Clause | None
"""What is followed while it is heard, up to the end."""


class SpeechListener(Protocol):
    """Who is told how an utterance comes along."""

    ready: asyncio.Event | None
    """Set when it may be heard; None where it may be at once."""

    def emit(self, event: Event) -> None:
        """Takes the events of the speech."""
        ...

    def clock(self) -> float:
        """Seconds since the call began."""
        ...

    def on_synthesised(self) -> None:
        """The first sound is made."""
        ...

    def on_started(self) -> None:
        """The first sound is played."""
        ...

    def on_word(self, word: str) -> None:
        """A word is played."""
        ...


class Utterance:
    """One turn's speech. `speak` returns when all was played; after a cancellation, `heard` tells how far it came."""

    def __init__(
        self, turn_id: str, engines: Engines, voice: Voice, speaker: Speaker, listener: SpeechListener
    ) -> None:
        self.started = False
        self.whole = False
        """All of its sound is made."""
        self._turn_id = turn_id
        self._engines = engines
        self._voice = voice
        self._language = engines.language(voice[0])
        self._speaker = speaker
        self._listener = listener
        self._emit = listener.emit
        self._clock = listener.clock
        self._ready = listener.ready
        self._clauses: list[Clause] = []

    @property
    def heard(self) -> str:
        """The words that were played."""
        return joined(*(c.heard for c in self._clauses))

    @property
    def protected(self) -> bool:
        """Whether a clause is being heard that the caller cannot stop."""
        return any(not c.interruptible and c.being_heard for c in self._clauses)

    @property
    def asks(self) -> bool:
        """Whether it ends with a question, as far as it is known."""
        return bool(self._clauses) and _QUESTION.search(self._clauses[-1].text) is not None

    async def speak(self, clauses: AsyncIterator[Clause]) -> None:
        """Speak the clauses as they come; until `ready` only the first piece of sound is made, and kept.

        Raises:
            EngineError: the voice failed; what it gave before is played.
        """
        queue: asyncio.Queue[_Item] = asyncio.Queue(AHEAD)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(queue), name=f"{self._turn_id}-follow")
            async for clause in clauses:
                first = not self._clauses
                self._clauses.append(clause)
                for i, text in enumerate(self._cut(clause.text, first)):
                    if clause.withdrawn:
                        break
                    if isinstance(text, Unsaid):
                        passage = Passage(text)
                        clause.pieces.append(passage)
                        await queue.put(passage)
                        continue
                    async with contextlib.aclosing(self._played(text, first and i == 0)) as playbacks:
                        async for playback in playbacks:
                            clause.pieces.append(playback)
                            await queue.put(playback)
                if clause.done:
                    await queue.put(clause)
            self.whole = True
            await queue.put(None)

    def _cut(self, text: str, first: bool) -> list[str]:
        return [text] if isinstance(text, Unsaid) else clauses_of(text, self._language, first)

    async def _played(self, text: str, first: bool) -> AsyncGenerator[Playback, None]:
        """Synthesise a clause; each piece of it is queued in the speaker."""
        words = speakable(text, self._language)
        async with self._engines.synthesize(words, self._voice, ahead_s=self._speaker.ahead_s) as chunks:
            async for chunk in chunks:
                spoken = tuple(SpokenWord(w.text, w.start_s, w.end_s) for w in chunk.words)
                if first:
                    self._listener.on_synthesised()
                    first = False
                if self._ready:
                    await self._ready.wait()
                yield self._speaker.play(Speech(np.frombuffer(chunk.samples, np.int16), spoken))

    async def _follow(self, queue: asyncio.Queue[_Item]) -> None:
        """Report what is being heard."""
        began_s: float | None = None
        segment = 0
        while (playback := await queue.get()) is not None:
            if isinstance(playback, Clause):
                # behind the last of its sound
                for each in playback.playbacks:
                    await each.finished.wait()
                playback.settle(heard=True)
                continue
            if isinstance(playback, Passage):
                playback.reached = True
                continue
            await playback.started.wait()
            if not self.started:
                self.started = True
                self._emit(AgentSpeechStarted(self._turn_id))
                self._listener.on_started()
            if began_s is None:
                began_s = playback.started_at_s
            offset_s = playback.started_at_s - began_s
            start_s = self._clock()
            text = joined(*(w.text for w in playback.speech.words))
            self._emit(AgentSegmentStarted(self._turn_id, segment, text, start_s))
            completed = False
            try:
                async for word in playback.words():
                    self._listener.on_word(word.text)
                    self._emit(AgentWord(self._turn_id, word.text, offset_s + word.start_s, offset_s + word.end_s))
                completed = playback.played == len(playback.speech.samples)
            finally:
                heard = text if completed else heard_of(playback)
                reason: Literal["completed", "interrupted"] = "completed" if completed else "interrupted"
                end_s = self._clock()
                self._emit(AgentSegmentStopped(self._turn_id, segment, reason, heard, start_s, end_s))
            segment += 1


class Written:
    """One turn's text in a chat; like `Utterance` to who uses it."""

    def __init__(self, on_started: Callable[[], None]) -> None:
        self.started = False
        self._on_started = on_started
        self._clauses: list[Clause] = []

    @property
    def heard(self) -> str:
        return joined(*(c.text for c in self._clauses))

    async def speak(self, clauses: AsyncIterator[Clause]) -> None:
        """Take the clauses as they come: their text was sent as it was made."""
        async for clause in clauses:
            if not self.started:
                self.started = True
                self._on_started()
            clause.read = True
            self._clauses.append(clause)
            clause.settle(heard=True)
