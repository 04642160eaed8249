"""One request to the voice, taken apart: words to sentences of phonemes, and those to pieces that are made at once."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.engines.alignment import SpokenToken, ends_of, is_sound
from media_server.engines.messages import Word
from media_server.engines.voices import Sound, VoiceFile
from media_server.plain import plain
from media_server.spoken.phrases import Place, cut, place_before

__all__ = ["Order", "Piece"]

MAX_WORD = 60
"""Letters that are said in one go."""
BLOCK, MAX_BLOCK = 100, 300
"""Characters that are looked up at once: to the end of a sentence, where one ends."""
JOINT_S = 0.02
"""Silence that stays where a sentence was cut."""
FADE_S = 0.002
_STOPS = re.compile(r"[.!?…。！？؟।][\"')\]»”’]*$")


@dataclass(frozen=True, slots=True)
class _Token:
    said: str
    written: str | None
    """The word that ends with it; None where the word goes on."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A written word, and its first and last phoneme."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Phonemes that are made at once."""

    phonemes: tuple[str, ...]
    words: tuple[_Placed, ...] = ()
    places: tuple[Place, ...] = ()
    joined: bool = False
    """Whether a sentence goes on with it …"""
    open: bool = False
    """… and after it."""

    def head(self, limit: int) -> Piece:
        """The next piece: as much of it as may be made at once."""
        at = cut(len(self.phonemes), self.places, limit)
        if at >= len(self.phonemes):
            return self
        words = tuple(w for w in self.words if w.end <= at)
        return replace(self, phonemes=self.phonemes[:at], words=words, places=(), open=True)

    def rest(self, head: Piece) -> Piece | None:
        """What is left behind `head`."""
        at = len(head.phonemes)
        if at >= len(self.phonemes):
            return None
        begin = at + (self.phonemes[at] == " ")
        return Piece(
            self.phonemes[begin:],
            tuple(_Placed(w.text, max(0, w.start - begin), max(0, w.end - begin)) for w in self.words if w.end > at),
            tuple(Place(p.at - begin, p.ease) for p in self.places if p.at > at),
            joined=True,
            open=self.open,
        )

    def as_heard(self, sound: Sound, rate_hz: int) -> tuple[Samples, tuple[Word, ...]]:
        """Its samples at 48 kHz, shape [n], and the words in them."""
        samples, ends = sound.samples, sound.ends
        keep = int(JOINT_S * rate_hz)
        first = max(0, int(ends[0]) - keep) if self.joined else 0
        last = min(len(samples), int(ends[-2]) + keep) if self.open else len(samples)
        samples = samples[first:last].copy()
        fade = min(int(FADE_S * rate_hz), len(samples) // 2)
        if fade:
            samples[:fade] = samples[:fade] * np.linspace(0, 1, fade)
            samples[-fade:] = samples[-fade:] * np.linspace(1, 0, fade)
        length_s = len(samples) / rate_hz
        words = []
        for w in self.words:
            end = w.end
            while end > w.start + 1 and not is_sound(self.phonemes[end - 1]):
                end -= 1
            times = [min(length_s, max(0.0, (int(ends[i]) - first) / rate_hz)) for i in (w.start, end)]
            words.append(Word(w.text, times[0], max(times)))
        return resample(samples, rate_hz, CALL_RATE_HZ), tuple(words)


class Order:
    """What is still to be said of a request.

    Args:
        words: as written, and what is said for it.
    """

    def __init__(self, words: Iterable[tuple[str, str]], voice: VoiceFile) -> None:
        self._voice = voice
        self._tokens = deque(_tokens(words))
        self._silent: list[_Token] = []
        """Words without a sound, which are reported with the next that has one."""
        self._sentences: deque[Piece] = deque()

    def next(self, limit: int) -> Piece | None:
        """What is to be made next, of about `limit` phonemes at most; None when all was."""
        # the last sentence waits for the next one, lest words without a sound at the end are lost
        while self._tokens and len(self._sentences) < 2:
            self._look_up()
        return self._sentences[0].head(limit) if self._sentences else None

    def made(self, piece: Piece) -> None:
        """`piece`, which `next` gave, needs not be made again."""
        rest = self._sentences.popleft().rest(piece)
        if rest:
            self._sentences.appendleft(rest)

    @property
    def done(self) -> bool:
        return not (self._tokens or self._sentences)

    def _look_up(self) -> None:
        block = self._silent + self._block()
        self._silent = []
        sentences = self._voice.phonemes(" ".join(t.said for t in block if t.said))
        if sentences:
            self._sentences += self._placed(block, sentences)
        elif self._sentences:
            last = self._sentences.pop()
            at = len(last.phonemes)
            more = tuple(_Placed(t.written, at, at) for t in block if t.written is not None)
            self._sentences.append(replace(last, words=last.words + more))
        else:
            self._silent = block

    def _block(self) -> list[_Token]:
        block: list[_Token] = []
        length = 0
        while self._tokens and length < MAX_BLOCK:
            block.append(self._tokens.popleft())
            length += len(block[-1].said) + 1
            if length >= BLOCK and _STOPS.search(block[-1].said):
                break
        while self._tokens and not self._tokens[0].said:
            block.append(self._tokens.popleft())
        return block

    def _placed(self, block: Sequence[_Token], sentences: Sequence[Sequence[str]]) -> list[Piece]:
        lengths = [self._voice.length_of(t.said) if t.said else (0, 0) for t in block]
        spoken = [SpokenToken(*n, _STOPS.search(t.said) is not None) for t, n in zip(block, lengths, strict=True)]
        words: list[list[_Placed]] = [[] for _ in sentences]
        places: list[list[Place]] = [[] for _ in sentences]
        ends = ends_of(spoken, sentences)
        sentence = start = at = 0
        for i, (token, end) in enumerate(zip(block, ends, strict=True)):
            if end.sentence != sentence:
                sentence, start = end.sentence, 0
            phonemes = sentences[sentence]
            start = min(start, end.at)
            if token.written is not None:
                words[sentence].append(_Placed(token.written, start, end.at))
                at = end.at
                start = at + (at < len(phonemes) and phonemes[at] == " ")
            if end.free and token.said and 0 < end.at < len(phonemes):
                following = next((t.said for t in block[i + 1 :] if t.said), "")
                places[sentence].append(place_before(end.at, token.said, following))
        whole = not self._tokens or _STOPS.search(next((t.said for t in reversed(block) if t.said), ".")) is not None
        return [
            Piece(tuple(p), tuple(w), tuple(c), open=i == len(sentences) - 1 and not whole)
            for i, (p, w, c) in enumerate(zip(sentences, words, places, strict=True))
        ]


def _tokens(words: Iterable[tuple[str, str]]) -> Iterable[_Token]:
    for written, said in words:
        parts = [part[i : i + MAX_WORD] for part in plain(said).split() for i in range(0, len(part), MAX_WORD)] or [""]
        for part in parts[:-1]:
            yield _Token(part, None)
        yield _Token(parts[-1], written)
