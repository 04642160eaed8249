"""A whole spoken call in no time: a caller whose sound carries its words, scripted engines, a clock that jumps.

The samples of a word all have one value but for their sign, by which the recogniser knows the word; noise has a value
without one. The signs differ each time, as two voices do.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media_server import events as e
from media_server.agents import Agent
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.call.call import Call
from media_server.call.event_log import EventLog
from media_server.call.floor import Audio
from media_server.call.services import Services
from media_server.engines import messages as m
from media_server.engines.engines import Voice
from media_server.rtc import Microphone, Speaker
from media_server.terms import Terms
from tests.unit.call.stages import written

__all__ = ["Heard", "Piece", "Script", "SpokenLine", "calling", "words"]

TICK_S = 0.02
WORD_S = 0.3
"""How long a word takes, the agent's as well as the caller's."""
VOICE_HZ = 8000
LOUD = 1000
"""The value of a sound without words; those of words come behind it."""
FAR = 20
"""How many times quieter is what is said to somebody else."""
Piece = m.TextChunk | m.CalledTool | m.Thinking | float
"""What the model writes; a number is a pause in seconds."""
Script = Callable[[Sequence[m.ChatMessage]], Sequence[Piece]]
Heard = str


def sound(level: int, seconds: float, rate_hz: int, r: np.random.Generator) -> Samples:
    """Noise of one value, which stays the same when it is resampled to half of 16 kHz."""
    signs = r.choice([-level, level], int(seconds * VOICE_HZ))
    return np.repeat(signs, rate_hz // VOICE_HZ).astype(np.int16)


def words(text: str) -> list[Piece]:
    """A text as the model writes it: word by word."""
    return [m.TextChunk(1, f"{word} ") for word in text.split(" ")]


class ScriptedActivity:
    """A network of voice activity to which everything that sounds is speech."""

    def __init__(self) -> None:
        self.session = self

    def run(self, _: None, feeds: Mapping[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], Any, Any]:
        sounds = np.mean(np.abs(feeds["input"][:, 64:]) > 0.0003, axis=1) > 0.5
        return sounds.astype(np.float32)[:, None], feeds["h"], feeds["c"]


class ScriptedEngines:
    """A pack whose model follows a script, and whose recogniser and voice take no time."""

    voices: Mapping[str, Any] = {"": None, "calm": None}
    can_transcribe_early = False
    can_speculate = False
    settle_after_s = 60.0
    complete_at = 0.5
    heard_emotions = ()
    all = ()

    def __init__(self, script: Script, language: str = "en-us") -> None:
        self.script = script
        self.asked: list[tuple[m.ChatMessage, ...]] = []
        self.vocabulary: list[str] = [""]
        """Words by the value of their samples."""
        self.synthesis_s, self.transcription_s = 0.05, 0.0
        self.random = np.random.default_rng(0)
        self._language = language

    def value(self, word: str) -> int:
        """The value of the samples in which a word is said."""
        if word not in self.vocabulary:
            self.vocabulary.append(word)
        return LOUD + self.vocabulary.index(word)

    def language(self, voice: str) -> str:
        return self._language

    @contextlib.asynccontextmanager
    async def generate(
        self, _call_id: str, messages: tuple[m.ChatMessage, ...], *_: Any, **__: Any
    ) -> AsyncIterator[AsyncIterator[Any]]:
        self.asked.append(messages)
        yield written([*self.script(messages), m.Finished(1, "stop")])

    async def judge(self, *_: Any) -> float:
        return 0.9

    async def transcribe(self, samples: Samples, **_: Any) -> m.Transcript:
        await asyncio.sleep(self.transcription_s)
        found: list[m.HeardWord] = []
        near = np.abs(samples.astype(np.int32))
        values = np.where(near >= LOUD, near, near * FAR)
        edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
        for start, end in itertools.pairwise(edges):
            value = int(values[start]) - LOUD if end > start else 0
            text = self.vocabulary[value] if 0 < value < len(self.vocabulary) else ""
            if text and end - start > 0.4 * WORD_S * MODEL_RATE_HZ:
                found.append(m.HeardWord(text, start / MODEL_RATE_HZ, end / MODEL_RATE_HZ, 0.9))
        text = " ".join(w.text for w in found)
        return m.Transcript(1, text, 0.9, "en", tuple(found))

    @contextlib.asynccontextmanager
    async def synthesize(
        self, spoken: tuple[tuple[str, str], ...], voice: Voice, **_: Any
    ) -> AsyncIterator[AsyncIterator[m.AudioChunk]]:
        async def chunks() -> AsyncIterator[m.AudioChunk]:
            await asyncio.sleep(self.synthesis_s)
            said = [w for w, _ in spoken]
            timed = tuple(m.Word(w, i * WORD_S, (i + 1) * WORD_S) for i, w in enumerate(said))
            samples = np.concatenate([sound(self.value(w), WORD_S, CALL_RATE_HZ, self.random) for w in said])
            yield m.AudioChunk(1, samples.tobytes(), timed)

        yield chunks()

    async def prepare(self, *_: Any) -> None:
        pass


@dataclass(slots=True)
class _Sound:
    """What the caller's microphone brings from a time on."""

    start_s: float
    samples: Samples


class SpokenLine:
    """The client of a spoken call. Times are seconds since the call began."""

    def __init__(self, script: Script, others: Mapping[str, Agent], language: str = "en-us", **agent: Any) -> None:
        self.events: list[tuple[float, e.Event]] = []
        self.engines = ScriptedEngines(script, language)
        engines: Any = self.engines
        activity: Any = ScriptedActivity()
        absent: Any = None
        self.agent = Agent("clerk", **{"idle_s": 0, **agent})
        event_log = EventLog("c", self._note, lambda envelope: None)
        self.clock = event_log.clock
        self.speaker = Speaker()
        self.microphone = Microphone(self.clock)
        audio = Audio(self.microphone, self.speaker, "webrtc")
        services = Services(others.get, engines, absent, activity)
        self.call = Call(self.agent, Terms(), services, event_log, audio)
        event_log.dispatch = self.call.dispatch
        self._sounds: list[_Sound] = []
        self.echo_s: float | None = None
        """How long after it went out the agent's sound comes back through the caller's microphone, if it does."""
        self.sounding: list[float] = []
        """When the agent's sound went out, in pieces of 20 ms."""

    def _note(self, envelope: e.Envelope) -> None:
        self.events.append((self.clock(), envelope.event))

    async def run(self) -> None:
        """Carry sound both ways, 20 ms at a time."""
        tick = 0
        outgoing: list[Samples] = [np.zeros(int(TICK_S * MODEL_RATE_HZ), np.int16)]
        while True:
            tick += 1
            await asyncio.sleep(max(0.0, tick * TICK_S - self.clock()))
            start_s, n = (tick - 1) * TICK_S, int(TICK_S * MODEL_RATE_HZ)
            frame = np.zeros(n, np.int16)
            for sound in self._sounds:
                at = round((start_s - sound.start_s) * MODEL_RATE_HZ)
                piece = sound.samples[max(0, at) : max(0, at + n)]
                offset = max(0, -at)
                frame[offset : offset + len(piece)] = piece[: n - offset]
            self._sounds = [s for s in self._sounds if start_s - s.start_s < len(s.samples) / MODEL_RATE_HZ]
            if self.echo_s is not None:
                late = outgoing[max(0, tick - 1 - round(self.echo_s / TICK_S))] if len(outgoing) else frame
                frame = np.where(frame == 0, late, frame)
            self.microphone.push(frame, start_s)
            taken = self.speaker.take()
            outgoing.append(taken[::3])
            if taken.any():
                self.sounding.append(self.clock())

    def speak(self, text: str, after_s: float = 0.0, far: bool = False, word_s: float = WORD_S) -> float:
        """Have the caller say something, word by word; `...` is a pause of a word's length. Returns when it is over."""
        parts = []
        for word in text.split():
            if word == "...":
                parts.append(np.zeros(int(WORD_S * MODEL_RATE_HZ), np.int16))
                continue
            parts.append(self._sound(self.engines.value(word), word_s, far))
        return self._make(np.concatenate(parts), after_s)

    def noise(self, seconds: float, after_s: float = 0.0) -> float:
        """A sound that is taken for speech and has no words: a cough, a door."""
        return self._make(self._sound(LOUD, seconds, False), after_s)

    def _sound(self, level: int, seconds: float, far: bool) -> Samples:
        return sound(level // FAR if far else level, seconds, MODEL_RATE_HZ, self.engines.random)

    def _make(self, samples: Samples, after_s: float) -> float:
        start_s = self.clock() + after_s
        self._sounds.append(_Sound(start_s, samples))
        return start_s + len(samples) / MODEL_RATE_HZ

    def send(self, **message: Any) -> None:
        """A message as it comes from the wire."""
        self.call.receive(e.parse_client_message(json.dumps(message)))

    def of(self, kind: type[e.Event]) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def when(self, kind: type[e.Event], number: int = 0) -> float:
        return [at_s for at_s, event in self.events if isinstance(event, kind)][number]

    @property
    def turns(self) -> list[str]:
        """What the caller said, turn by turn."""
        return [event.text for event in self.of(e.TurnEnded)]

    @property
    def heard(self) -> list[tuple[str, str]]:
        """What was heard of each thing that the agent said, and whether it was all of it."""
        return [(event.heard, event.reason) for event in self.of(e.AgentSpeechStopped)]

    @property
    def shown(self) -> list[tuple[str, str]]:
        """What the model was shown last."""
        return [(x.role, x.content) for x in self.engines.asked[-1][1:]]

    @property
    def errors(self) -> list[str]:
        return [event.code for event in self.of(e.Error)]


@contextlib.asynccontextmanager
async def calling(
    script: Script | str = "", others: Mapping[str, Agent] | None = None, language: str = "en-us", **agent: Any
) -> AsyncIterator[SpokenLine]:
    """A spoken call under way, which is hung up in the end.

    Args:
        script: what the model writes to what it is shown; a text is its only answer.
    """
    told = script
    line = SpokenLine(told if callable(told) else lambda _: words(told), others or {}, language, **agent)
    carrying = asyncio.ensure_future(line.run())
    running = asyncio.ensure_future(line.call.run())
    await asyncio.sleep(0.1)
    try:
        yield line
    finally:
        line.send(type="call.end")
        await running
        carrying.cancel()
