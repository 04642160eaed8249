"""Speech recognition: faster-whisper's model, fed with windows about as long as the utterance instead of 30 s."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from media_server.audio import Samples
from media_server.engines import messages as m
from media_server.engines.cuda import NO_CUBLAS, NoGpuError, recogniser_lacks
from media_server.engines.guards import Evidence, bears_out, is_echo, is_loop, loop_start, too_much_text, windows
from media_server.engines.invented import is_invented
from media_server.engines.pieces import Pieces
from media_server.engines.silero import CHUNK, CHUNK_S, VoiceActivityModel
from media_server.engines.smart_turn import SmartTurn
from media_server.engines.window import FULL_S, Window, window_for
from media_server.engines.word_times import word_times

__all__ = ["Heard", "WhisperEngine"]

log = logging.getLogger(__name__)

RATE_HZ = 16_000
FRAME = 160
"""Samples per feature frame."""
BATCH = 8
ON_GPU = ("float16", "int8_float32", "float32")
"""Kinds of numbers for a GPU, the fastest first; old ones cannot multiply all of them."""
STEP_S = 0.3
"""What a batch may take: whoever comes meanwhile waits for its end."""
CHEAP_S = 0.05
"""A machine that encodes 30 s in this time gives every utterance the whole window."""
UNSURE, UNSURE_LIVE = 0.52, 0.45
"""Confidence below which a recording, or what a caller said, is heard a second time with a full window …"""
SECOND_LOOK_S = 1.0
"""… if that takes a caller's machine no longer."""
TOKENS_PER_S = 25
"""More than anybody says, also in the short tokens of a small vocabulary."""
MAX_TOKENS = 448
STAMP_S = 0.02
MEDIAN_FRAMES, SHARP_MEDIAN_FRAMES = 7, 3
"""Width of the alignment's median filter: Whisper's own, and one for models with trained heads, whose words 7 blurs."""
FAINT = 0.3
"""A piece of sound in which voice activity is never likelier than this is not worth decoding."""
VOICE = 0.5
UNHEARD_S = 0.8
"""Speech behind the last phrase, from which on the model has left something out."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`confidence`: mean probability of the tokens; `no_speech`: probability that nobody spoke."""

    text: str
    confidence: float
    no_speech: float
    language: str
    words: tuple[m.HeardWord, ...] = ()
    language_probability: float = 1.0
    """1 where the language was given."""
    rest: int = 0
    """The sample from which on there is more speech than the model wrote down; 0 where it wrote all."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is wanted of several pieces of sound, beside their text. `patient`: quality goes before speed; `live`: a
    caller is there.
    """

    language: str | None
    hotwords: str
    words: bool
    patient: bool
    live: bool = True


@dataclass(frozen=True, slots=True)
class _Take:
    """What the decoder wrote: the tokens of its text, where its last phrase ended, and how sure it is."""

    tokens: list[int]
    text: str
    end_s: float | None
    evidence: Evidence

    @property
    def lost(self) -> bool:
        return is_loop(self.tokens, self.text) or too_much_text(self.text, self.evidence)


@dataclass(frozen=True, slots=True)
class _Sound:
    """One window's samples at 16 kHz, where somebody speaks in them, and how the decoder is asked for their text."""

    samples: NDArray[np.float32]
    voice: NDArray[np.float32] | None
    prompt: list[int]
    tokenizer: Tokenizer

    @property
    def length_s(self) -> float:
        return len(self.samples) / RATE_HZ

    def take(self, result: ctranslate2.models.WhisperGenerationResult) -> _Take:
        """What of a result is text: not the timestamps, and no further phrase that lies behind the sound's end."""
        tokens: list[int] = []
        end_s: float | None = None
        began_s, before = -1.0, 0
        for token in result.sequences_ids[0]:
            if token < self.tokenizer.eot:
                tokens.append(token)
            elif token >= self.tokenizer.timestamp_begin:
                at_s = (token - self.tokenizer.timestamp_begin) * STAMP_S
                if began_s < 0:
                    began_s, before = at_s, len(tokens)
                    if before and began_s > self.length_s - 5 * STAMP_S:
                        break
                elif before and (began_s + at_s) / 2 > self.length_s:
                    del tokens[before:]
                    break
                else:
                    end_s, began_s = at_s, -1.0
        voiced_s = None if self.voice is None else float((self.voice > VOICE).sum()) * CHUNK_S
        evidence = Evidence(exp(min(0.0, result.scores[0])), result.no_speech_prob, voiced_s)
        return _Take(tokens, self.tokenizer.decode(tokens).strip(), end_s, evidence)


class WhisperEngine:
    """Transcribes the pending pieces of sound in one batch per step, the most urgent first."""

    def __init__(
        self, model: WhisperModel, language: str | None, window: Window, turn: SmartTurn | None, info: str
    ) -> None:
        self.info = info
        self.on_cpu = model.model.device == "cpu"
        self.at_work: set[int] = set()
        """Requests that the step under way is about."""
        self._turn = turn
        self._window = window
        self._model = model
        self._language = language
        self._batch = BATCH
        self._full_s = 0.0
        """What a full window takes, about."""
        self._activity = VoiceActivityModel() if window.published else None
        self._pieces: Pieces[Heard] = Pieces(self._cut, lambda samples: self._window.frames(len(samples) / RATE_HZ))

    @classmethod
    def load(
        cls,
        path: str | Path,
        language: str | None = "en",
        window_s: float = FULL_S,
        turn: str | Path | None = None,
        device: str = "cpu",
        threads: int = 1,
        floor_s: float | None = None,
        margin_s: float | None = None,
        timestamps: bool | None = None,
        compute_type: str | None = None,
    ) -> WhisperEngine:
        """Load a CTranslate2 Whisper folder; nothing is downloaded.

        Args:
            window_s: the longest sound that the model was trained on.
            turn: a classifier of complete turns, as ONNX.
            device: cpu, cuda, or auto for whichever can be used.
            compute_type: CTranslate2's name for the kind of numbers that are multiplied; chosen for the device without.
            floor_s, margin_s, timestamps: as in `window_for`.

        Raises:
            FileNotFoundError: there is no model.
            NoGpuError: CUDA is wanted and cannot be had.
        """
        if not (Path(path) / "model.bin").is_file():
            raise FileNotFoundError(f"there is no CTranslate2 Whisper model in {path}")
        device = _device(device)
        compute = compute_type or _compute_type(device)
        model = WhisperModel(str(path), device=device, compute_type=compute, cpu_threads=threads, local_files_only=True)
        classifier = SmartTurn.load(turn, threads) if turn else None
        window = window_for(model.hf_tokenizer.get_vocab_size(), window_s, floor_s, margin_s, timestamps)
        engine = cls(model, language, window, classifier, "")
        engine._adapt(may_widen=floor_s is None)
        shortest = engine._window.frames(0) / 100
        engine.info = f"{Path(path).name}, {device} {compute}, windows from {shortest:g} s"
        return engine

    def _adapt(self, *, may_widen: bool) -> None:
        """Find out what this machine manages: how long a window may be, and how many pieces a batch."""
        self._time(self._window)  # the first run pays for what is lazy
        if not self._window.published:
            return
        took_s = self._time(self._window)
        self._full_s = took_s * self._window.full().frames(0) / self._window.frames(0)
        if may_widen and took_s < CHEAP_S and self._time(self._window.full()) < CHEAP_S:
            self._window = self._window.full()
        self._batch = max(1, min(BATCH, int(STEP_S / took_s)))

    def _time(self, window: Window) -> float:
        """How long a second of silence takes."""
        began = time.perf_counter()
        encoded = self._model.model.encode(self._features([np.zeros(RATE_HZ, np.float32)], window))
        tokenizer = Tokenizer(self._model.hf_tokenizer, False, task="transcribe", language="en")
        self._generate(encoded, [self._model.get_prompt(tokenizer, [], without_timestamps=True)], RATE_HZ)
        return time.perf_counter() - began

    def _cut(self, samples: Samples) -> list[tuple[int, Samples]]:
        return windows(samples, self._window.piece_s)

    @property
    def busy(self) -> bool:
        return bool(self._pieces)

    def submit(self, request: m.Transcribe) -> None:
        self._pieces.add(request)

    def cancel(self, request_id: int) -> None:
        self._pieces.remove(request_id)

    def step(self) -> Iterable[m.Result]:
        batch = self._pieces.next(self._batch)
        self.at_work = {job.request.id for job in batch}
        first = batch[0].request
        wanted = _Wanted(
            batch[0].language,
            first.hotwords,
            words=any(job.request.words for job in batch),
            patient=first.final or not first.live,
            live=first.live,
        )
        for job, heard in zip(batch, self._hear([job.waiting[0][1] for job in batch], wanted), strict=True):
            at, piece = job.waiting.popleft()
            if heard.rest:
                job.waiting.appendleft((at + heard.rest, piece[heard.rest :]))
            job.heard.append(_moved(heard, at))
            if heard.text:
                job.language = job.language or heard.language
            if not job.waiting:
                self._pieces.remove(job.request.id)
                yield from self._results(job.request, _joined(job.heard))

    def _results(self, request: m.Transcribe, heard: Heard) -> Iterable[m.Result]:
        words = heard.words if request.words else ()
        complete = None
        if self._turn and request.turn:
            complete = self._turn.probability(np.frombuffer(request.turn, np.int16))
        yield m.Transcript(
            request.id, heard.text, heard.confidence, heard.language, words, complete, heard.language_probability
        )
        yield m.Finished(request.id)

    def transcribe(
        self, utterances: Sequence[Samples], language: str | None = None, hotwords: str = "", words: bool = False
    ) -> list[Heard]:
        """Each utterance's text: shapes [n] at 16 kHz, of any lengths.

        Args:
            language: for a model that knows several; without, the engine's, or the one detected for each utterance.
            hotwords: what is likely to be said.
            words: find the words' times too.
        """
        wanted = _Wanted(language, hotwords, words, patient=True)
        waiting = [(i, at, piece) for i, u in enumerate(utterances) for at, piece in self._cut(u)]
        found: list[list[tuple[int, Heard]]] = [[] for _ in utterances]
        while waiting:
            heard = self._hear([piece for _, _, piece in waiting], wanted)
            for (i, at, _), h in zip(waiting, heard, strict=True):
                found[i].append((at, _moved(h, at)))
            left = [(w, h.rest) for w, h in zip(waiting, heard, strict=True) if h.rest]
            waiting = [(i, at + rest, piece[rest:]) for (i, at, piece), rest in left]
        return [_joined([h for _, h in sorted(parts, key=lambda part: part[0])]) for parts in found]

    def _hear(self, pieces: list[Samples], wanted: _Wanted) -> list[Heard]:
        """Each piece's text; what nobody speaks in is not decoded."""
        # a client may name a language that there is not: then it is as if none was named
        known = wanted.language if wanted.language in self._model.supported_languages else None
        wanted = replace(wanted, language=known or self._language)
        voices = [self._activity.probabilities(p) if self._activity else None for p in pieces]
        spoken = [i for i, voice in enumerate(voices) if voice is None or voice.max(initial=0) >= FAINT]
        nothing = Heard("", 1.0, 1.0, wanted.language or "en", language_probability=float(wanted.language is not None))
        out = [nothing] * len(pieces)
        if spoken:
            audio = [(pieces[i] / np.float32(32768)).astype(np.float32) for i in spoken]
            for i, heard in zip(spoken, self._windows(audio, [voices[i] for i in spoken], wanted), strict=True):
                out[i] = heard
        return out

    def _windows(
        self, audio: list[NDArray[np.float32]], voices: list[NDArray[np.float32] | None], wanted: _Wanted
    ) -> list[Heard]:
        """Each window's text: in one batch, or one by one where several languages are spoken."""
        encoded = self._model.model.encode(self._features(audio, self._window))
        multilingual = self._model.model.is_multilingual
        probabilities = [1.0] * len(audio)
        language = wanted.language
        if language is None and multilingual:
            found = [likely[0] for likely in self._model.model.detect_language(encoded)]
            languages, probabilities = [token.strip("<|>") for token, _ in found], [p for _, p in found]
            if len(set(languages)) > 1:
                alone = zip(audio, voices, languages, probabilities, strict=True)
                return [
                    replace(
                        self._windows([a], [voice], replace(wanted, language=spoken))[0],
                        language_probability=probability,
                    )
                    for a, voice, spoken, probability in alone
                ]
            language = languages[0]
        tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language or "en")
        stamps = self._window.timestamps
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=not stamps, hotwords=wanted.hotwords or None)
        results = self._generate(encoded, [prompt] * len(audio), max(len(a) for a in audio))
        takes: list[_Take] = []
        for samples, voice, result in zip(audio, voices, results, strict=True):
            sound = _Sound(samples, voice, prompt, tokenizer)
            takes.append(self._reconsidered(sound, sound.take(result), wanted))
        placed: Sequence[tuple[m.HeardWord, ...]] = [()] * len(takes)
        if wanted.words:
            median = MEDIAN_FRAMES if self._window.published else SHARP_MEDIAN_FRAMES
            placed = word_times(self._model, tokenizer, audio, encoded, [t.tokens for t in takes], median)
        return [
            Heard(
                take.text,
                take.evidence.confidence,
                take.evidence.no_speech,
                tokenizer.language_code,
                words,
                probability,
                _unheard(take, voice, len(samples)) if wanted.patient else 0,
            )
            for take, words, probability, voice, samples in zip(
                takes, placed, probabilities, voices, audio, strict=True
            )
        ]

    def _reconsidered(self, sound: _Sound, take: _Take, wanted: _Wanted) -> _Take:
        """A transcript after a second look, where that is called for; without text where nothing bears it out."""
        lost = take.lost
        if lost and take.evidence.voiced:
            take = self._unlooped(sound, wanted.patient)
        elif self._is_worth_another_look(sound, take, wanted):
            whole = self._look(sound, self._window.full())
            take = take if whole.lost else whole
        doubtful = is_invented(take.text) or is_echo(take.text, wanted.hotwords)
        if (lost and not take.evidence.voiced) or not bears_out(take.text, take.evidence, doubtful):
            return replace(take, tokens=[], text="", end_s=None)
        return take

    def _is_worth_another_look(self, sound: _Sound, take: _Take, wanted: _Wanted) -> bool:
        """Whether the full window may make an unsure transcript better, and there is time for it."""
        if not (self._window.published and wanted.patient and take.evidence.voiced):
            return False
        if self._window.full().frames(sound.length_s) < 1.5 * self._window.frames(sound.length_s):
            return False
        unsure = UNSURE_LIVE if wanted.live else UNSURE
        return take.evidence.confidence < unsure and (self._full_s < SECOND_LOOK_S or not wanted.live)

    def _unlooped(self, sound: _Sound, patient: bool) -> _Take:
        """Listen once more where the model repeats itself: with a full window, without repetition; at last cut it."""
        window = self._window.full() if patient and self._window.published else self._window
        if window.frames(sound.length_s) > self._window.frames(sound.length_s):
            take = self._look(sound, window)
            if not take.lost:
                return take
        take = self._look(sound, window, no_repeat_ngram_size=3)
        if not take.lost:
            return take
        tokens = take.tokens[: loop_start(take.tokens)]
        text = sound.tokenizer.decode(tokens).strip()
        if too_much_text(text, take.evidence):
            tokens, text = [], ""
        return replace(take, tokens=tokens, text=text)

    def _look(self, sound: _Sound, window: Window, **options: int) -> _Take:
        """What is heard in one sound by itself."""
        encoded = self._model.model.encode(self._features([sound.samples], window))
        (result,) = self._generate(encoded, [sound.prompt], len(sound.samples), **options)
        return sound.take(result)

    def _features(self, audio: list[NDArray[np.float32]], window: Window) -> ctranslate2.StorageView:
        """Log-mel features [batch, mels, frames]; the window is the longest utterance's."""
        frames = window.frames(max(len(a) for a in audio) / RATE_HZ)
        if frames // 2 == self._model.model.n_mels:
            frames += 2  # CTranslate2 would take what the encoder makes of it, [batch, 80, width], for features
        padded = [np.pad(a, (0, (frames + 1) * FRAME - len(a))) for a in audio]
        mels = np.stack([self._model.feature_extractor(a, padding=0)[:, :frames] for a in padded])
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(mels, np.float32))

    def _generate(
        self, encoded: ctranslate2.StorageView, prompts: list[list[int]], longest: int, **options: int
    ) -> list[ctranslate2.models.WhisperGenerationResult]:
        found: list[ctranslate2.models.WhisperGenerationResult] = self._model.model.generate(
            encoded,
            prompts,
            beam_size=1,
            max_length=min(MAX_TOKENS, len(prompts[0]) + 8 + int(longest / RATE_HZ * TOKENS_PER_S)),
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        return found


def _device(wanted: str) -> str:
    """Where to run.

    Raises:
        NoGpuError: CUDA is wanted and cannot be had.
    """
    if wanted == "cpu":
        return "cpu"
    lacking = recogniser_lacks()
    if lacking and wanted == "cuda":
        raise NoGpuError(lacking)
    if lacking == NO_CUBLAS:
        log.warning("speech recognition runs on the CPU: %s", lacking)
    return "cpu" if lacking else "cuda"


def _compute_type(device: str) -> str:
    """The fastest numbers that the device can multiply."""
    if device == "cpu":
        return "int8"
    there = ctranslate2.get_supported_compute_types(device)
    return next((each for each in ON_GPU if each in there), "default")


def _unheard(take: _Take, voice: NDArray[np.float32] | None, samples: int) -> int:
    """The sample from which on somebody speaks although the last phrase is over; 0 where nobody does."""
    if voice is None or take.end_s is None or not take.text or take.end_s < 1:
        return 0
    at = int(take.end_s * RATE_HZ)
    behind = voice[at // CHUNK + 1 :]
    return at if at < samples and float((behind > VOICE).sum()) * CHUNK_S > UNHEARD_S else 0


def _moved(heard: Heard, at: int) -> Heard:
    """What was heard, with its words' times in the sound whose piece at this sample it is."""
    s = at / RATE_HZ
    words = tuple(m.HeardWord(w.text, w.start_s + s, w.end_s + s, w.confidence) for w in heard.words)
    return replace(heard, words=words)


def _joined(parts: list[Heard]) -> Heard:
    """What was heard in consecutive windows."""
    spoken = [p for p in parts if p.text] or parts[:1]
    return Heard(
        " ".join(p.text for p in spoken),
        sum(p.confidence for p in spoken) / len(spoken),
        min(p.no_speech for p in spoken),
        spoken[0].language,
        tuple(w for p in spoken for w in p.words),
        spoken[0].language_probability,
    )
