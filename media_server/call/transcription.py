"""The words of a turn: what is settled of them, and the piece of sound whose words are still to be found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from media_server.agents import Call
from media_server.audio import MODEL_RATE_HZ
from media_server.call.agreement import Agreement
from media_server.call.language import SpokenLanguage
from media_server.call.listen import Heard, Listener
from media_server.call.pace import Pace
from media_server.call.retry import with_retry
from media_server.engines.engines import Engines
from media_server.engines.messages import Transcript
from media_server.errors import EngineError
from media_server.events import Event, TranscriptWord

__all__ = ["TurnText", "TurnTranscription", "await_transcript"]

LEFT_S = 1.0
"""Minimum seconds of sound after such a cut."""
WITHIN_WORDS_S = 0.2
"""Silence as long as this may be a stop within a word: what is said on both sides of it is heard as one."""


@dataclass(frozen=True, slots=True)
class TurnText:
    """What is said so far in a turn; `stable` is the beginning of the text that will hardly change."""

    text: str = ""
    confidence: float = 1.0
    language: str = ""
    words: tuple[TranscriptWord, ...] = ()
    stable: str = ""
    complete: float | None = None
    """The probability that the turn is complete, by its sound; None where nothing tells."""

    def extended_with(self, transcript: Transcript, start_s: float, stable_words: int = 0) -> TurnText:
        """The words so far and those in the sound that began at `start_s`."""
        before, after = len(self.text.split()), len(transcript.text.split())
        words = (TranscriptWord(w.text, start_s + w.start_s, start_s + w.end_s, w.confidence) for w in transcript.words)
        return TurnText(
            f"{self.text} {transcript.text}".strip(),
            (self.confidence * before + transcript.confidence * after) / (before + after or 1),
            transcript.language,
            (*self.words, *words),
            " ".join([self.text, *transcript.text.split()[:stable_words]]).strip(),
            transcript.complete,
        )


class TurnTranscription:
    """Call its methods as the turn goes: `begin`, then `so_far` while it lasts, `pause` and `resume`."""

    def __init__(
        self,
        engines: Engines,
        listener: Listener,
        call: Call,
        start: Callable[[Coroutine[Any, Any, TurnText | EngineError], str], asyncio.Task[TurnText | EngineError]],
        emit: Callable[[Event], object],
    ) -> None:
        self.finished: asyncio.Task[TurnText | EngineError] | None = None
        """What was said up to the last pause. A failure is returned, not raised: the result may never be awaited."""
        self._engines = engines
        self._listener = listener
        self._call = call
        self._start = start
        self._emit = emit
        self._settled = TurnText()
        self._agreement = Agreement()
        self._language = SpokenLanguage()
        self._pace = Pace()

    @property
    def can_transcribe_early(self) -> bool:
        """Whether what may be for nothing delays nobody."""
        return self._engines.can_transcribe_early and self._pace.quick

    @property
    def room_for_partial(self) -> bool:
        """Whether the recogniser has had enough time for others since the last partial transcript."""
        return self._pace.has_room_for_partial(time.monotonic())

    @property
    def text(self) -> str:
        """What was said up to the last pause, as far as it is known."""
        return (self._known or self._settled).text

    @property
    def _known(self) -> TurnText | None:
        """What was said up to the last pause, if that is known by now."""
        done = self.finished
        said = done.result() if done and done.done() and not done.cancelled() else None
        return said if isinstance(said, TurnText) else None

    def begin(self) -> None:
        """A new turn."""
        self._settled, self._agreement = TurnText(), Agreement()
        self.finished = None  # what was said in the turn before is wanted, whatever becomes of this one

    def pause(self, heard: Heard) -> asyncio.Task[TurnText | EngineError]:
        """The caller is silent: find out at once all that was said."""
        self.finished = self._start(self._finish(heard, self._settled), "transcribe")
        return self.finished

    def resume(self, at_s: float, silent_since_s: float) -> None:
        """The caller goes on. What is transcribed stays so; only what comes now is still to do."""
        if (said := self._known) and at_s - silent_since_s > WITHIN_WORDS_S:
            self._settled, self._agreement = said, Agreement()
            self._listener.begin_segment(at_s, silent_since_s)
        else:
            self.abandon()

    def abandon(self) -> None:
        """Nobody wants to know any more."""
        if self.finished:
            self.finished.cancel()

    async def so_far(self, heard: Heard) -> TurnText:
        """The words while the caller speaks.

        Raises:
            EngineError: the recogniser failed.
        """
        long = len(heard.utterance) > self._engines.settle_after_s * MODEL_RATE_HZ
        transcript = await self._transcribe(heard, final=False, words=long)
        words = transcript.text.split()
        agreed = self._agreement.push(words)
        said = self._settled.extended_with(transcript, heard.start_s, agreed)
        if long and agreed and len(transcript.words) == len(words):
            self._settle(transcript, agreed, heard)
        return said

    def _settle(self, transcript: Transcript, stable: int, heard: Heard) -> None:
        """Cut the sound behind the last of the `stable` words that leaves enough of it to go on with."""
        length_s = len(heard.utterance) / MODEL_RATE_HZ
        count = sum(w.end_s <= length_s - LEFT_S for w in transcript.words[:stable])
        if count == 0:
            return
        end_s = transcript.words[count - 1].end_s
        words = transcript.text.split()
        kept = Transcript(
            transcript.id, " ".join(words[:count]), transcript.confidence, transcript.language, transcript.words[:count]
        )
        self._settled = self._settled.extended_with(kept, heard.start_s)
        self._agreement = Agreement(words[count:])
        cut_s = heard.start_s + end_s
        self._listener.begin_segment(cut_s, cut_s)

    async def _finish(self, heard: Heard, settled: TurnText) -> TurnText | EngineError:
        try:
            done = await with_retry(self._engines, self._emit, lambda: self._transcribe(heard, final=True, words=True))
            return settled.extended_with(done, heard.start_s)
        except EngineError as failed:
            return failed

    async def _transcribe(self, heard: Heard, *, final: bool, words: bool) -> Transcript:
        length_s = len(heard.utterance) / MODEL_RATE_HZ
        language = self._call.agent.language or self._language.hint(length_s)
        began_s = time.monotonic()
        transcript = await self._engines.transcribe(
            heard.utterance,
            final=final,
            words=words,
            language=language,
            hotwords=" ".join(self._call.agent.hotwords),
            turn=heard.turn if final else None,
        )
        self._pace.note(began_s, time.monotonic(), final=final)
        if final:
            self._language.heard(transcript, length_s, language)
        return transcript


async def await_transcript(hearing: asyncio.Task[TurnText | EngineError]) -> TurnText | EngineError:
    """What became of it. Several wait for the same task: the end of one of them must not cancel it for the others."""
    await asyncio.wait([hearing])
    return hearing.result()
