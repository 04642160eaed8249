"""Speech synthesis: Piper voices, one piece per step, made in the order in which listeners will need them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnxruntime

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.counted import counted
from media_server.engines import messages as m
from media_server.engines.orders import Order
from media_server.engines.pace import MOST, Pace
from media_server.engines.voices import Style, VoiceFile

__all__ = ["PiperEngine", "as_it_stands"]

log = logging.getLogger(__name__)

TRIED = "Hello, this is the voice that you will hear."
SPARE_S = 1.0
"""How much longer than a new one a listener must be able to wait for their piece to be begun again."""
BEGUN_AGAIN = 2
"""Times that a piece may be put off for another once it was begun."""


@dataclass(frozen=True, slots=True)
class _Voice:
    """A voice file, and how it is to speak. Several may share one."""

    file: VoiceFile
    style: Style
    pace: Pace


@dataclass(slots=True, eq=False)
class _Work:
    """A request that is under way."""

    request: m.Synthesize
    voice: _Voice
    order: Order
    due_s: float
    """When its listener has heard what there is."""
    begun_again: int = 0


@dataclass(frozen=True, slots=True)
class _Run:
    """The piece that is being made."""

    work: _Work
    options: onnxruntime.RunOptions


class PiperEngine:
    """Makes pieces of what is pending: first for the listener who will be without sound first; files come last.

    Args:
        voices: by name; the usual one has none.
    """

    def __init__(self, voices: Mapping[str, _Voice], info: str) -> None:
        self.info = info
        self._voices = voices
        self._pending: dict[int, _Work] = {}
        self._refused: list[m.Failed] = []
        self._run: _Run | None = None

    @classmethod
    def load(
        cls,
        path: str | Path,
        length_scale: float = 1.0,
        speaker: int | str | None = None,
        device: str = "cpu",
        threads: int = 1,
        voices: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        noise_scale: float | None = None,
        noise_w: float | None = None,
    ) -> PiperEngine:
        """Load a Piper ONNX file; its JSON is beside it.

        Args:
            speaker: number or name, of a file that has several.
            voices: further ones by name, each with `path` and what else is given here.
            noise_scale, noise_w: how much the sound and the lengths of phonemes vary; the file's own without.

        Raises:
            ValueError: a voice cannot be used; the message names its file and says why.
        """
        usual = {
            "path": path,
            "length_scale": length_scale,
            "speaker": speaker,
            "noise_scale": noise_scale,
            "noise_w": noise_w,
        }
        files: dict[str, tuple[VoiceFile, Pace]] = {}
        loaded: dict[str, _Voice] = {}
        for name, each in {"": usual, **voices}.items():
            key = str(each["path"])
            if key not in files:
                file = VoiceFile(key, threads, device)
                files[key] = file, _tried(file)
            file, pace = files[key]
            style = Style(
                each.get("length_scale", 1.0),
                file.speaker(each.get("speaker")),
                each.get("noise_scale"),
                each.get("noise_w"),
            )
            loaded[name] = _Voice(file, style, pace)
        more = f", and {counted(len(voices), 'more voice')}" if voices else ""
        main = loaded[""]
        where = "cuda" if main.file.cuda else "cpu"
        speed = f", {main.pace.times_real_time:.0f} x real time" if main.pace.measured else ""
        return cls(loaded, f"{main.file.name}, {where}, {main.file.rate_hz} Hz{speed}{more}")

    @property
    def busy(self) -> bool:
        return bool(self._pending or self._refused)

    def submit(self, request: m.Synthesize) -> None:
        voice = self._voices.get(request.voice)
        if voice is None:
            message = f"The pack has no voice {request.voice!r}."
            self._refused.append(m.Failed(request.id, "unknown_voice", message))
            return
        due_s = time.monotonic() + request.ahead_s
        self._pending[request.id] = _Work(request, voice, Order(request.words, voice.file), due_s)

    def cancel(self, request_id: int) -> None:
        self._pending.pop(request_id, None)
        self._refused = [r for r in self._refused if r.id != request_id]

    def notice(self, message: m.ToHost | m.Failed) -> None:
        """Stop making a piece that nobody wants any more, or that can wait for the piece that is wanted now.

        Called from another thread, when a message arrives that `submit` or `cancel` will be given after this step.
        """
        run = self._run
        if run is None:
            return
        if isinstance(message, m.Cancel):
            if message.id == run.work.request.id:
                run.options.terminate = True
        elif isinstance(message, m.Synthesize) and message.live and run.work.begun_again < BEGUN_AGAIN:
            spare_s = run.work.due_s - time.monotonic() - message.ahead_s
            if not run.work.request.live or spare_s > SPARE_S:
                run.options.terminate = True

    def step(self) -> Iterable[m.Result]:
        if self._refused:
            yield self._refused.pop()
            return
        work = min(self._pending.values(), key=lambda w: (not w.request.live, w.due_s, w.request.id))
        try:
            chunk = self._make(work)
        except Exception:  # whatever a text does to the libraries is this text's failure only
            log.exception("failed to synthesize a clause")
            self._pending.pop(work.request.id, None)
            yield m.Failed(work.request.id, "voice_failed", "The voice could not say this text.")
            return
        if chunk:
            yield chunk
        if work.order.done:
            self._pending.pop(work.request.id, None)
            yield m.Finished(work.request.id)

    def _make(self, work: _Work) -> m.AudioChunk | None:
        """Make one piece; None if there was none, or if it has to be begun again."""
        pace, voice = work.voice.pace, work.voice
        began_s = time.monotonic()
        options = onnxruntime.RunOptions()
        self._run = _Run(work, options)
        try:
            piece = work.order.next(pace.limit(work.due_s - began_s, work.request.live))
            if piece is None:
                return None
            sound = voice.file.speak(piece.phonemes, voice.style, work.request.speed, options)
        except Exception:
            if not options.terminate:
                raise
            work.begun_again += 1
            return None
        finally:
            self._run = None
        work.begun_again = 0
        work.order.made(piece)
        samples, words = piece.as_heard(sound, voice.file.rate_hz)
        now_s, length_s = time.monotonic(), len(samples) / CALL_RATE_HZ
        pace.measure(len(piece.phonemes), now_s - began_s, length_s)
        work.due_s = max(work.due_s, now_s) + length_s
        return m.AudioChunk(work.request.id, samples.tobytes(), words)

    def synthesize(
        self, words: Sequence[tuple[str, str]], voice: str = "", speed: float = 1.0
    ) -> Iterable[tuple[Samples, tuple[m.Word, ...]]]:
        """Samples at 48 kHz, shape [n], and the words in them, for each sentence.

        Args:
            words: as written, and what is said for it.
        """
        with_voice = self._voices[voice]
        order = Order(words, with_voice.file)
        while piece := order.next(MOST):
            sound = with_voice.file.speak(piece.phonemes, with_voice.style, speed)
            order.made(piece)
            yield piece.as_heard(sound, with_voice.file.rate_hz)


def as_it_stands(text: str) -> list[tuple[str, str]]:
    """Words that are said as they are written."""
    return [(word, word) for word in text.split()]


def _tried(file: VoiceFile) -> Pace:
    """How fast a voice is, which has said something by then: the first time takes longer.

    Raises:
        ValueError: it cannot speak.
    """
    pace = Pace()
    try:
        for sentence in file.phonemes(TRIED):
            for first in (True, False):
                began_s = time.monotonic()
                sound = file.speak(sentence, Style(), 1.0)
                if not first:
                    took_s = time.monotonic() - began_s
                    pace.measure(len(sentence), took_s, len(sound.samples) / file.rate_hz)
    except Exception as failed:
        raise ValueError(f"{file.name} cannot speak: {failed}") from failed
    return pace
