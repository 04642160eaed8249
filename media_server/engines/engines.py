"""The engines of a model pack, as calls use them: what is said, what to answer, how it sounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from media_server.audio import Samples
from media_server.config import Settings
from media_server.engines import messages as m
from media_server.engines.background import LOOK_S, BackgroundEngine
from media_server.engines.client import EngineClient
from media_server.engines.cores import cores
from media_server.engines.languages import spoken_in
from media_server.engines.memory import available_bytes
from media_server.engines.packs import ChatModel, EmbeddingModel, EmotionModel, Pack, RecogniserModel, VoiceModel
from media_server.errors import RequestFailed
from media_server.spoken import speakable

__all__ = ["Engines", "Voice"]

CHAT_OPTIONS = (
    "context",
    "slots",
    "temperature",
    "top_p",
    "described_arguments",
    "thinking_tokens",
    "batch",
    "micro_batch",
    "batch_threads",
    "flash_attention",
    "kv_type",
)
"""Fields of `ChatModel` that the engine is loaded with."""
PREPARED = 64
"""Clauses whose sound is kept."""
MAX_PIECE_S = 10.0
KEPT_S = 4.0
"""Sound that a listener keeps while more of it waits for others: enough for the next piece on a busy machine."""
ROOM = 3
"""How many times the size of its files a second recogniser wants in memory, to leave some to the others."""
NO_ESTIMATE = "The model gave no estimate."
NO_TRANSCRIPT = "The recogniser gave no result."
_PIECES = (m.TextChunk, m.Thinking, m.Withdrawn, m.CalledTool, m.Finished)
R = TypeVar("R", m.Transcript, m.EndOfTurnProbability, m.Scores, m.Vectors)
Voice = tuple[str, float]
"""Its name in the pack, empty for the usual one, and how fast it speaks: 1 as it is."""


class Engines:
    """The engines that calls use: three, and more where the pack has a model of embeddings or one of emotions."""

    def __init__(self, pack: Pack, settings: Settings) -> None:
        self.notice = pack.manifest.notice
        """What callers should know of the pack's models; empty where there is nothing to say."""
        stt, llm, tts = pack.manifest.stt, pack.manifest.llm, pack.manifest.tts

        def engine(
            kind: str,
            model: RecogniserModel | ChatModel | VoiceModel | EmbeddingModel | EmotionModel,
            path: Path,
            *names: str,
            background: bool = False,
            **more: Any,
        ) -> EngineClient:
            threads = settings.threads or model.threads or cores()
            options = {name: getattr(model, name) for name in names}
            if model.engine:
                options = {"engine": model.engine, **model.options}
            return EngineClient(
                kind,
                {"path": str(path), "device": settings.device, "threads": threads, **options, **more},
                offline=settings.offline,
                background=background,
            )

        turn: dict[str, Any] = {"turn": str(pack.turn)} if pack.turn and not stt.engine else {}
        hearing = ("language", "window_s", "floor_s", "margin_s", "timestamps", "compute_type")
        self.stt = engine("stt", stt, pack.recogniser, *hearing, **turn)
        self.recordings = BackgroundEngine(
            engine("stt", stt, pack.recogniser, *hearing, background=True), self._is_waited_for
        )
        """The recogniser for what no call waits for, where it would take the cores from calls."""
        self._recordings_want = ROOM * sum(f.stat().st_size for f in pack.recogniser.rglob("*") if f.is_file())
        self.hears_completeness = bool(turn)
        self.llm = engine("llm", llm, pack.chat, *CHAT_OPTIONS)
        manner = ("length_scale", "speaker", "noise_scale", "noise_w")
        others = {
            name: {"path": str(pack.folder / v.path), **{each: getattr(v, each) for each in manner}}
            for name, v in pack.manifest.voices.items()
        }
        self.tts = engine("tts", tts, pack.voice, *manner, voices=others)
        self.voices = frozenset(others)
        """Voices that agents may have; the usual one has no name."""
        self.embedding: EngineClient | None = None
        """The engine of packs that have a model of embeddings."""
        self.embedding_name = ""
        self.related_at = 0.0
        """Cosine of vectors from which on they belong together."""
        if pack.embedding and (embedding := pack.manifest.embedding):
            names = ("query_prefix", "passage_prefix", "context")
            self.embedding = engine("embedding", embedding, pack.embedding, *names)
            self.related_at = embedding.related_at
            sums = {f.path: f.sha256 for f in pack.manifest.files}
            self.embedding_name = sums.get(embedding.path, embedding.path)
        self.emotion: EngineClient | None = None
        """The engine of packs that have a classifier; otherwise emotions are told by the words."""
        self.heard_emotions: tuple[str, ...] = ()
        """Those that it tells apart."""
        if pack.emotion and (emotion := pack.manifest.emotion):
            self.emotion = engine("emotion", emotion, pack.emotion, "labels")
            self.heard_emotions = emotion.labels
        paths = {"": pack.voice} | {name: pack.folder / v.path for name, v in pack.manifest.voices.items()}
        self._languages = {name: spoken_in(path) for name, path in paths.items()}
        for language in {*self._languages.values()}:
            speakable("1", language)  # its rules take 50 ms to compile, which no call is to wait for
        self.settle_after_s = min(MAX_PIECE_S, stt.window_s / 2)
        """Speech from this length on is cut behind its stable words, so that what is left to do stays short."""
        self.complete_at = llm.complete_at
        self._slots = llm.slots
        self._recordings = 0
        """Pieces of recordings that the calls' recogniser has."""
        self._prepared: dict[tuple[tuple[tuple[str, str], ...], Voice], tuple[m.AudioChunk, ...]] = {}

    def language(self, voice: str) -> str:
        """The language of a voice by espeak-ng's name for it, as its own file says; empty if it says nothing."""
        return self._languages.get(voice, self._languages[""])

    @property
    def all(self) -> tuple[EngineClient, ...]:
        return self.stt, self.llm, self.tts, *(e for e in (self.embedding, self.emotion) if e)

    @property
    def ready(self) -> bool:
        return all(e.ready.is_set() for e in self.all)

    @property
    def can_speculate(self) -> bool:
        """Whether what may be for nothing takes nothing from calls that wait for an answer."""
        return self.llm.pending_requests < max(1, self._slots // 2)

    @property
    def can_transcribe_early(self) -> bool:
        """The same for the recogniser: one may have been asked for the words so far, but nobody waits in line."""
        return self.stt.pending_requests - self._recordings < 2

    async def run(self) -> None:
        """Run all hosts, until cancelled or until a model turns out not to load."""
        async with asyncio.TaskGroup() as group:
            for engine in self.all:
                group.create_task(engine.run(), name=f"engine-{engine.kind}")
            group.create_task(self.recordings.run(), name="engine-recordings")

    async def transcribe(
        self,
        samples: Samples,
        *,
        final: bool,
        words: bool = False,
        language: str | None = None,
        hotwords: str = "",
        turn: Samples | None = None,
        live: bool = True,
    ) -> m.Transcript:
        """What is said in `samples` (16 kHz mono int16); empty text for no speech.

        Args:
            turn: the turn's last seconds, to be asked too whether it sounds complete.
            live: a part of a call; what is not is heard beside it, as calls leave time for it.
        """
        raw = np.ascontiguousarray(samples).tobytes()
        sound = b"" if turn is None or not self.hears_completeness else np.ascontiguousarray(turn).tobytes()

        def make(i: int) -> m.Transcribe:
            return m.Transcribe(i, raw, final, words, language, hotwords, sound, live)

        if not live and self._has_room_for_recordings():
            return await _answer(self.recordings.ask(make), m.Transcript, NO_TRANSCRIPT)
        self._recordings += not live
        try:
            return await _answer(self.stt.ask(make), m.Transcript, NO_TRANSCRIPT)
        finally:
            self._recordings -= not live

    def _is_waited_for(self) -> bool:
        """Whether a caller waits for words or an answer."""
        return bool(self.llm.pending_requests) or self.stt.pending_requests > self._recordings

    async def _let_others_go_first(self, spare_s: float) -> None:
        """Wait while a caller waits, for so long at most.

        The voice takes cores from the language model; a long announcement has seconds of sound ahead, and a caller who
        waits for a first word has none.
        """
        if spare_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(spare_s):
                    while self._is_waited_for():  # noqa: ASYNC110 - of two engines
                        await asyncio.sleep(LOOK_S)

    def _has_room_for_recordings(self) -> bool:
        """Whether recordings are heard in a process of their own.

        On a GPU a piece is done before anybody notices; where memory is short, it comes after what callers say.
        """
        return self.stt.on_cpu and (self.recordings.client.pid is not None or available_bytes() > self._recordings_want)

    @contextlib.asynccontextmanager
    async def generate(
        self,
        call_id: str,
        messages: tuple[m.ChatMessage, ...],
        max_tokens: int,
        *,
        tools: str = "",
        temperature: float | None = None,
        top_p: float | None = None,
        informed: bool = False,
    ) -> AsyncIterator[AsyncIterator[m.TextChunk | m.Thinking | m.Withdrawn | m.CalledTool | m.Finished]]:
        """The reply to `messages`, piece by piece; `Finished` is the last one where a limit cut it.

        Args:
            tools: that may be called: a JSON list of functions in OpenAI's form.
            temperature, top_p: the pack's where they are not given.
            informed: the model has the results of what it called for this turn.
        """

        def make(i: int) -> m.Generate:
            return m.Generate(i, call_id, messages, max_tokens, temperature, top_p, tools=tools, informed=informed)

        async with (
            self.llm.ask(make) as results,
            contextlib.aclosing(r async for r in results if isinstance(r, _PIECES)) as pieces,
        ):
            yield pieces

    async def judge(self, call_id: str, messages: tuple[m.ChatMessage, ...], tools: str = "") -> float:
        """The model's probability that the caller's turn, the last of `messages`, is complete."""
        ask = self.llm.ask(lambda i: m.PredictEndOfTurn(i, call_id, messages, tools))
        return (await _answer(ask, m.EndOfTurnProbability, NO_ESTIMATE)).probability

    async def choose(
        self, call_id: str, messages: tuple[m.ChatMessage, ...], words: Sequence[str]
    ) -> tuple[float, ...]:
        """How likely each word is as the model's answer, compared with the others; together 1."""
        ask = self.llm.ask(lambda i: m.ScoreWords(i, call_id, messages, tuple(words)))
        return (await _answer(ask, m.Scores, NO_ESTIMATE)).shares

    async def feel(self, samples: Samples) -> tuple[float, ...]:
        """How likely each of `heard_emotions` is, by the sound (16 kHz mono int16); together 1.

        Raises:
            EngineError: the model failed, or there is none.
        """
        if self.emotion is None:
            raise RequestFailed("no_emotion", "The model pack has no classifier of emotions.")
        raw = np.ascontiguousarray(samples).tobytes()
        return (await _answer(self.emotion.ask(lambda i: m.ClassifyEmotion(i, raw)), m.Scores, NO_ESTIMATE)).shares

    async def embed(self, texts: Sequence[str], *, query: bool) -> npt.NDArray[np.float32]:
        """Vectors of length 1, shape [texts, numbers].

        Raises:
            EngineError: the model failed, or there is none.
        """
        if self.embedding is None:
            raise RequestFailed("no_embedding", "The model pack has no model of embeddings.")
        ask = self.embedding.ask(lambda i: m.Embed(i, tuple(texts), query))
        found = await _answer(ask, m.Vectors, "The model of embeddings gave no result.")
        return np.frombuffer(found.vectors, np.float32).reshape(len(texts), -1)

    @contextlib.asynccontextmanager
    async def synthesize(
        self, words: tuple[tuple[str, str], ...], voice: Voice, *, ahead_s: float = 0.0, live: bool = True
    ) -> AsyncIterator[AsyncIterator[m.AudioChunk]]:
        """The sound of one clause, piece by piece, at 48 kHz.

        Args:
            words: each as written, and what is said for it.
            ahead_s: of sound that the listener has still to hear before this; it is made in the order of these.
            live: whether somebody listens; files are made when no listener waits.
        """
        if prepared := self._prepared.get((words, voice)):
            yield _each(prepared)
            return
        await self._let_others_go_first(ahead_s - KEPT_S)
        async with (
            self.tts.ask(lambda i: m.Synthesize(i, words, ahead_s, live, *voice)) as results,
            contextlib.aclosing(r async for r in results if isinstance(r, m.AudioChunk)) as chunks,
        ):
            yield chunks

    async def prepare(self, clauses: Sequence[tuple[tuple[str, str], ...]], voice: Voice) -> None:
        """Have the sound of clauses ready, also for when the voice does not answer; of all of them or of none.

        Raises:
            EngineError: the voice failed.
        """
        made: dict[tuple[tuple[tuple[str, str], ...], Voice], tuple[m.AudioChunk, ...]] = {}
        for words in clauses[:PREPARED]:
            if (words, voice) not in self._prepared:
                async with self.synthesize(words, voice, live=False) as chunks:
                    made[words, voice] = tuple([c async for c in chunks])
        while made and len(self._prepared) > PREPARED - len(made):
            del self._prepared[next(iter(self._prepared))]
        self._prepared |= made


async def _each(chunks: tuple[m.AudioChunk, ...]) -> AsyncIterator[m.AudioChunk]:
    for chunk in chunks:
        yield chunk


async def _answer(
    ask: contextlib.AbstractAsyncContextManager[AsyncIterator[m.Result]], kind: type[R], lacking: str
) -> R:
    """The one result of this kind that a request has; `lacking` says that there was none."""
    answer = None
    async with ask as results:
        async for result in results:
            if isinstance(result, kind):
                answer = result
    if answer is None:
        raise RequestFailed("no_result", lacking)
    return answer
