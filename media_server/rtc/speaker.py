"""The agent's voice: a queue of speech, handed out 20 ms at a time, and what of it was heard."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from media_server.audio import CALL_RATE_HZ, Samples

__all__ = ["Playback", "Speaker", "Speech", "SpokenWord"]

FRAME = CALL_RATE_HZ // 50
FRAME_S = 0.02
FADE = CALL_RATE_HZ // 200
SWELL = CALL_RATE_HZ // 4
"""Samples in which a sound behind the agent's pauses comes up."""
BEFORE_FADE = 4 * FRAME
"""Samples before a cut from which an encoder finds into what was said."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and its place in its speech, in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """Samples at 48 kHz mono, shape [n], and the words in them."""

    samples: Samples
    words: tuple[SpokenWord, ...] = ()


@dataclass(slots=True, eq=False)
class Playback:
    """What became of a piece of speech that was given to the speaker."""

    speech: Speech
    started: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Played to the end, or cut."""
    started_at_s: float = 0.0
    """When it began on the speaker's own clock: seconds of audio handed out before."""
    played: int = 0
    """Samples handed out."""
    unheard: Callable[[], int] = lambda: 0
    """How many of those may still wait in front of the listener."""
    _due: asyncio.Queue[SpokenWord | None] = field(default_factory=asyncio.Queue)
    _next_word: int = 0
    first: int = 0
    """Samples of speech that the speaker had handed out before."""

    @property
    def heard_words(self) -> tuple[SpokenWord, ...]:
        """Those of which more than half was played."""
        position_s = (self.played - self.unheard()) / CALL_RATE_HZ
        return tuple(w for w in self.speech.words if (w.start_s + w.end_s) / 2 < position_s)

    async def words(self) -> AsyncIterator[SpokenWord]:
        """Each word when its sound goes out; ends with the playback."""
        while (word := await self._due.get()) is not None:
            yield word

    def _take(self, n: int) -> Samples:
        samples = self.speech.samples[self.played : self.played + n]
        self.played += len(samples)
        words = self.speech.words
        while self._next_word < len(words) and words[self._next_word].start_s * CALL_RATE_HZ < self.played:
            self._due.put_nowait(words[self._next_word])
            self._next_word += 1
        return samples

    def _finish(self) -> None:
        self._due.put_nowait(None)
        self.finished.set()


class _Behind:
    """A sound that is repeated while nothing is said."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self._at = 0

    @property
    def sounds(self) -> bool:
        """Whether some of it was handed out."""
        return self._at > 0

    def take(self) -> Samples:
        """The next 960 samples; the first ones swell."""
        out = self.samples.take(np.arange(self._at, self._at + FRAME), mode="wrap")
        if self._at < SWELL:
            out = (out * (np.arange(self._at, self._at + FRAME) / SWELL).clip(0, 1)).astype(np.int16)
        self._at += FRAME
        return out

    def before(self) -> Samples:
        """What was handed out last."""
        return self.samples.take(np.arange(max(0, self._at - BEFORE_FADE), self._at), mode="wrap")

    def end(self) -> Samples:
        """What comes next, as it fades."""
        rest = self.samples.take(np.arange(self._at, self._at + FADE), mode="wrap")
        level = min(1.0, self._at / SWELL)
        self._at = 0
        return (rest * np.linspace(level, 0, FADE)).astype(np.int16)


class Speaker:
    """Speech in the order in which it is given, silence otherwise; a line takes it, 20 ms at a time."""

    def __init__(self) -> None:
        self.drained = asyncio.Event()
        self.drained.set()
        self.late_frames = 0
        """Frames handed out more than one frame after their time."""
        self.taps: list[Callable[[Samples], None]] = []
        """Are given what goes out, 960 samples at a time."""
        self.packet_taps: list[Callable[[bytes], None]] = []
        """Are given the packet of Opus as which those samples went out, after them, where they went out as one."""
        self.on_start: Callable[[Playback], None]
        """Is told of each piece of speech when its first sample goes out."""
        self.buffered: Callable[[], float]
        """Seconds of speech that were handed out and are still to be played."""
        self.forget_listener()
        self.epoch = 0
        """Changes where what is handed out next does not go on from what was handed out before."""
        self.before_fade: Samples = np.zeros(0, np.int16)
        """What was handed out before the fade that is due, up to 80 ms of it."""
        self._handed_out = 0
        """Samples of speech, since the beginning."""
        self._queue: deque[Playback] = deque()
        self._heard = 0
        self._frames = 0
        self._tail: Samples = np.zeros(0, np.int16)
        self._held = False
        self._fade_in = False
        self._behind: _Behind | None = None

    @property
    def said_s(self) -> float:
        """Seconds of speech that were handed out, since the beginning."""
        return self._handed_out / CALL_RATE_HZ

    @property
    def ahead_s(self) -> float:
        """Seconds of speech that are still to be handed out."""
        return sum(len(p.speech.samples) - p.played for p in self._queue) / CALL_RATE_HZ

    def forget_listener(self) -> None:
        """Whoever set `on_start` and `buffered` is gone: what is handed out counts as played at once."""
        self.on_start = lambda playback: None
        self.buffered = lambda: 0.0

    def play(self, speech: Speech) -> Playback:
        """Queue speech behind what is there."""
        playback = Playback(speech)
        playback.unheard = lambda: self._unheard(playback)
        if self.drained.is_set():
            self._heard = 0
            self.drained.clear()
        self._queue.append(playback)
        return playback

    def interrupt(self) -> float:
        """Drop all speech at once; seconds of it that went out since the speaker was last silent."""
        self._fade_out()
        self._held, self._behind = False, None
        while self._queue:
            self._queue.popleft()._finish()
        self.drained.set()
        return self._heard / CALL_RATE_HZ

    def play_behind(self, samples: Samples | None) -> None:
        """Repeat a sound, shape [n], while nothing is said, until speech cuts it or there is to be none.

        The one that is played already goes on.
        """
        if samples is not None and self._behind and self._behind.samples is samples:
            return
        if samples is None and self._behind and not self._held and not self._queue:
            self._fade_out()
        self._behind = _Behind(samples) if samples is not None and len(samples) else None

    def hold(self) -> None:
        """Be silent at once and keep the place, until `resume` or `interrupt`."""
        if not self._held:
            self._fade_out()
            self._held = True

    def resume(self) -> None:
        """Go on where `hold` stopped."""
        if self._held:
            self._held, self._fade_in = False, True
            self.epoch += 1

    @property
    def is_silent(self) -> bool:
        """Whether the next 20 ms are silence."""
        return not len(self._tail) and (self._held or not (self._queue or self._behind))

    @property
    def fades(self) -> bool:
        """Whether speech was cut, and the next 20 ms are its end."""
        return len(self._tail) > 0

    def ahead(self, start: int, n: int) -> Samples:
        """Up to n samples that will be handed out next if nothing cuts them, from the `start`-th on."""
        parts: list[Samples] = []
        for playback in self._queue:
            samples = playback.speech.samples[playback.played :]
            if start < len(samples) and n > 0:
                parts.append(samples[start : start + n])
                n -= len(parts[-1])
            start = max(0, start - len(samples))
            if n <= 0:
                break
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _fade_out(self) -> None:
        self.epoch += 1
        if self._queue and self._queue[0].started.is_set() and not self._held:
            samples, played = self._queue[0].speech.samples, self._queue[0].played
            rest = samples[played : played + FADE]
            self._tail = (rest * np.linspace(1, 0, len(rest))).astype(np.int16)
            self.before_fade = samples[max(0, played - BEFORE_FADE) : played]
        elif self._behind and self._behind.sounds and not self._queue and not self._held:
            self.before_fade = self._behind.before()
            self._tail = self._behind.end()

    def _next(self) -> Samples:
        """The next 960 samples."""
        out = np.zeros(FRAME, np.int16)
        if len(self._tail):
            # a frame of its own: what comes after it may be encoded already
            out[: len(self._tail)] = self._tail
            self._tail = self._tail[:0]
            return out
        behind = self._behind
        if not self._queue or self._held:
            return behind.take() if behind and not self._held else out
        self._speak(out)
        if behind:
            # speech cuts what is behind it
            self._behind = None
            if behind.sounds:
                tail = behind.end()
                out[: len(tail)] = np.clip(out[: len(tail)].astype(np.int32) + tail, -32768, 32767)
        return out

    def _speak(self, out: Samples | None) -> None:
        """Hand out up to 960 samples of speech, into `out` where they are needed."""
        at = 0
        while at < FRAME and self._queue:
            playback = self._queue[0]
            if not playback.started.is_set():
                playback.started_at_s = (self._frames * FRAME + at) / CALL_RATE_HZ
                playback.first = self._handed_out
                self.on_start(playback)
                playback.started.set()
            samples = playback._take(FRAME - at)
            n = len(samples)
            if out is not None:
                out[at : at + n] = samples
                if self._fade_in:
                    self._fade_in = False
                    out[at : at + FADE] = (out[at : at + FADE] * np.linspace(0, 1, FADE)).astype(np.int16)
            at += n
            self._heard += n
            self._handed_out += n
            if playback.played == len(playback.speech.samples):
                self._queue.popleft()._finish()
        if not self._queue:
            self.drained.set()

    def skip(self) -> None:
        """The same as `take`, where the samples are not needed."""
        if self.taps or self.fades or self._behind or self._fade_in:
            self.take()
            return
        if self._queue and not self._held:
            self._speak(None)
        self._frames += 1

    def take(self) -> Samples:
        """The next 960 samples; silence where nothing is said."""
        samples = self._next()
        for tap in self.taps:
            tap(samples)
        self._frames += 1
        return samples

    def _unheard(self, playback: Playback) -> int:
        behind = int(self.buffered() * CALL_RATE_HZ) - (self._handed_out - playback.first - playback.played)
        return max(0, min(playback.played, behind))
