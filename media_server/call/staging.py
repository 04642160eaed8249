"""What surrounds one reply while it is made: how long it may take, the gate that it waits for, and its times."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from media_server import events as e
from media_server.call.conversation import Conversation
from media_server.call.gate import Gate
from media_server.call.interruption import TimedWord, timed
from media_server.call.metrics import Stopwatch
from media_server.rtc import Speaker

__all__ = ["Patience", "TimedListener", "TimedStage"]

DRY_S = 0.5
"""Less than this to be heard, and what there is of a clause is spoken if its end is long in coming."""


class Patience:
    """How long an answer may take. The time in which tools work does not count."""

    def __init__(self, seconds: float, deadline: asyncio.Timeout) -> None:
        self._seconds = seconds
        self._deadline = deadline
        self._begun = self._satisfied = False

    def begin(self) -> None:
        self._begun = True
        self.working(False)

    def satisfied(self) -> None:
        """Something is heard."""
        self._satisfied = True
        if not self._deadline.expired():
            self._deadline.reschedule(None)

    def progress(self) -> None:
        """The model writes, however slowly."""
        self.working(False)

    def working(self, tools: bool) -> None:
        if self._begun and not self._satisfied and not self._deadline.expired():
            self._deadline.reschedule(None if tools else asyncio.get_running_loop().time() + self._seconds)


class TimedStage:
    """Where a reply to the caller is given: what it emits waits for the gate, and its progress is timed."""

    def __init__(
        self, call: Conversation, speaker: Speaker | None, gate: Gate, watch: Stopwatch, patience: Patience
    ) -> None:
        self.written = speaker is None
        self.over = gate.opened
        self._call = call
        self._speaker = speaker
        self._gate = gate
        self._watch = watch
        self._patience = patience

    def emit(self, event: e.Event) -> None:
        self._gate.do(lambda: self._call.emit(event))

    def on_token(self) -> None:
        self._watch.mark("first_token", self._call.clock())
        self._patience.progress()

    def on_tools(self, working: bool) -> None:
        self._patience.working(working)

    def dry(self) -> bool:
        return self._speaker is not None and self._speaker.ahead_s < DRY_S


class TimedListener:
    """Follows an utterance: its times go to the watch of its turn, its words to those that may come back as echo."""

    def __init__(
        self,
        call: Conversation,
        watch: Stopwatch | None,
        ready: asyncio.Event | None,
        on_started: Callable[[], None],
        played: deque[TimedWord],
    ) -> None:
        self.ready = ready
        self.emit, self.clock = call.emit, call.clock
        self.on_started = on_started
        self._watch = watch
        self._played = played

    def on_synthesised(self) -> None:
        if self._watch:
            self._watch.mark("first_audio", self.clock())

    def on_word(self, word: str) -> None:
        self._played.extend(timed(word, self.clock()))
