"""The server's side of the engines: starts the hosts, brings requests and results together, restarts what died."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from media_server.audio import Samples
from media_server.config import Settings
from media_server.engines import messages as m
from media_server.engines.cores import cores
from media_server.engines.languages import spoken_in
from media_server.engines.offline import OFFLINE, environment
from media_server.engines.packs import ChatModel, EmbeddingModel, EmotionModel, Pack, RecogniserModel, VoiceModel
from media_server.errors import ConfigurationError, EngineLost, RequestFailed
from media_server.spoken import speakable

__all__ = ["EngineClient", "Engines", "Voice"]

log = logging.getLogger(__name__)

NAMES = {
    "stt": "speech recognition",
    "llm": "language model",
    "tts": "voice",
    "embedding": "embedding",
    "emotion": "emotion",
}
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
STABLE_S = 30.0
"""A host that lived this long is restarted at once; younger ones after a growing wait."""
LONGEST_WAIT_S = 5.0
STUCK_S = 120.0
"""Without a word to anybody, although somebody waits: a GPU that hangs, a library in a loop."""
PREPARED = 64
"""Clauses whose sound is kept."""
LONGEST_PIECE_S = 10.0
PATIENCE_S = 10.0
"""Longest wait of a piece of a recording for a moment in which no caller waits."""
LOOK_AGAIN_S = 0.05
NO_ESTIMATE = "The model gave no estimate."
_PIECES = (m.TextChunk, m.Thinking, m.CalledTool, m.Finished)
R = TypeVar("R", m.Transcript, m.EndOfTurn, m.Chosen, m.Vectors)
Voice = tuple[str, float]
"""Its name in the pack, empty for the usual one, and how fast it speaks: 1 as it is."""


class EngineClient:
    """One engine host, kept alive. `run()` is its owner: cancelling it ends the process."""

    def __init__(self, kind: str, options: dict[str, Any], *, offline: bool = True) -> None:
        self.kind = kind
        self.name = NAMES[kind]
        self.ready = asyncio.Event()
        self.info = ""
        self.restarts = 0
        self.pid: int | None = None
        self._options = options
        self._offline = offline
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Queue[m.Result | None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._heard_at = 0.0

    @property
    def under_way(self) -> int:
        """Requests that are not finished."""
        return len(self._pending)

    async def run(self) -> None:
        """Run the host and restart it when it dies, for ever.

        Raises:
            ConfigurationError: the model cannot be loaded, and never could.
        """
        wait_s = 0.0
        while True:
            started = time.monotonic()
            try:
                await self._run_once()
            except ConfigurationError as failed:
                if not self.info:
                    raise
                log.error("%s", failed.message)  # it did load before: memory may be short for a moment
            self.restarts += 1
            wait_s = 0.0 if time.monotonic() - started > STABLE_S else min(LONGEST_WAIT_S, wait_s * 2 + 0.1)
            log.warning("the %s engine ended, restarting", self.name)
            await asyncio.sleep(wait_s)

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = ["-m", "media_server.engines.host", self.kind, str(theirs.fileno()), json.dumps(self._options)]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=_environment(self._offline),
            )
        self.pid = process.pid
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
            await self._receive(reader)
        finally:
            self.ready.clear()
            if self._writer:
                self._writer.close()
                self._writer = None
            for inbox in self._pending.values():
                inbox.put_nowait(None)
            await _end(process)
            self.pid = None

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                (length,) = m.HEADER.unpack(await reader.readexactly(m.HEADER.size))
                message = m.decode_from_host(await reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return
            self._heard_at = time.monotonic()
            if isinstance(message, m.Ready):
                self.info = message.info
                log.info("the %s engine is ready: %s", self.name, message.info)
                self.ready.set()
            elif isinstance(message, m.Fatal):
                raise self._not_loaded(message.message)
            elif inbox := self._pending.get(message.id):
                inbox.put_nowait(message)

    def _not_loaded(self, reason: str) -> ConfigurationError:
        what = self.name if self.name.endswith("model") else f"{self.name} model"
        return ConfigurationError(
            f"The {what} in {Path(self._options.get('path', '')).resolve()} cannot be loaded: {reason.rstrip('.')}. "
            "`media-server models verify` tells whether its files are damaged."
        )

    def _end_if_stuck(self) -> None:
        if time.monotonic() - self._heard_at > STUCK_S and self.pid is not None:
            log.error("the %s engine does not answer any more and is ended", self.name)
            os.kill(self.pid, signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def ask(self, make: Callable[[int], m.Request]) -> AsyncIterator[AsyncGenerator[m.Result, None]]:
        """Send the request that `make` builds with its id; inside, iterate its results.

        Leaving the block withdraws what is not finished, so that it stops costing.

        Raises:
            EngineLost: the host is not running, or died before the request was finished.
            RequestFailed: the engine could not do it.
        """
        writer = self._writer
        if writer is None or not self.ready.is_set():
            raise EngineLost(self.name)
        request_id = next(self._ids)
        inbox: asyncio.Queue[m.Result | None] = asyncio.Queue()
        self._pending[request_id] = inbox
        finished = False

        async def results() -> AsyncGenerator[m.Result, None]:
            nonlocal finished
            while True:
                try:
                    async with asyncio.timeout(STUCK_S):
                        message = await inbox.get()
                except TimeoutError:
                    self._end_if_stuck()
                    continue
                if message is None:
                    finished = True
                    raise EngineLost(self.name)
                if isinstance(message, m.Failed):
                    finished = True
                    raise RequestFailed(message.code, message.message)
                if isinstance(message, m.Finished):
                    finished = True
                    if message.reason != "stop":
                        yield message
                    return
                yield message

        try:
            try:
                _write(writer, make(request_id))
            except (UnicodeEncodeError, OverflowError) as unsound:
                # half of a surrogate pair, a number beyond 64 bits
                finished = True
                raise RequestFailed("bad_request", f"The {self.name} cannot be asked this: {unsound}.") from unsound
            async with contextlib.aclosing(results()) as stream:
                yield stream
        finally:
            del self._pending[request_id]
            if not finished and self._writer is writer:
                _write(writer, m.Cancel(request_id))


def _write(writer: asyncio.StreamWriter, message: m.ToHost) -> None:
    body = m.encode(message)
    writer.write(m.HEADER.pack(len(body)) + body)


def _environment(offline: bool) -> dict[str, str]:
    # nothing in a host may report usage; NumPy's threads spin for matrices not worth sharing
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "OPENBLAS_NUM_THREADS": "1"}
    # llama.cpp's threads wait for each other many times a token; where other engines want the same cores, a thread that
    # spins meanwhile takes them from whom it waits for: two threads were seven times slower than one
    patient = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive")}
    return os.environ | quiet | patient | (environment() if offline else {OFFLINE: "0"})


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for a process whose socket is closed; kill it if it does not go."""
    try:
        async with asyncio.timeout(3):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError) as e:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(e, asyncio.CancelledError):
            raise


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
            )

        turn = {"turn": str(pack.turn)} if pack.turn and not stt.engine else {}
        hearing = ("language", "window_s", "floor_s", "margin_s", "timestamps")
        self.stt = engine("stt", stt, pack.recogniser, *hearing, **turn)
        self.hears_completeness = bool(turn)
        self.llm = engine("llm", llm, pack.chat, *CHAT_OPTIONS)
        manner = ("length_scale", "speaker", "noise_scale", "noise_w")
        others = {
            name: {"path": str(pack.folder / v.path), **{each: getattr(v, each) for each in manner}}
            for name, v in pack.manifest.voices.items()
        }
        self.tts = engine("tts", tts, pack.voice, *manner, voices=others)
        self.voices = frozenset(others)
        """That agents may have; the usual one has no name."""
        self.embedding: EngineClient | None = None
        """Of packs that have one."""
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
        """Of packs that have one; otherwise emotions are told by the words."""
        self.heard_emotions: tuple[str, ...] = ()
        """Those that it tells apart."""
        if pack.emotion and (emotion := pack.manifest.emotion):
            self.emotion = engine("emotion", emotion, pack.emotion, "labels")
            self.heard_emotions = emotion.labels
        paths = {"": pack.voice} | {name: pack.folder / v.path for name, v in pack.manifest.voices.items()}
        self._languages = {name: spoken_in(path) for name, path in paths.items()}
        for language in {*self._languages.values()}:
            speakable("1", language)  # its rules take 50 ms to compile, which no call is to wait for
        self.settle_after_s = min(LONGEST_PIECE_S, stt.window_s / 2)
        """Speech from this length on is cut behind its stable words, so that what is left to do stays short."""
        self.complete_at = llm.complete_at
        self._slots = llm.slots
        self._recordings = 0
        """Pieces of recordings that the recogniser has."""
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
    def room_to_speculate(self) -> bool:
        """Whether what may be for nothing takes nothing from calls that wait for an answer."""
        return self.llm.under_way < max(1, self._slots // 2)

    @property
    def room_to_hear_ahead(self) -> bool:
        """The same for the recogniser: one may have been asked for the words so far, but nobody waits in line."""
        return self.stt.under_way - self._recordings < 2

    async def run(self) -> None:
        """Run all hosts, until cancelled or until a model turns out not to load."""
        async with asyncio.TaskGroup() as group:
            for engine in self.all:
                group.create_task(engine.run(), name=f"engine-{engine.kind}")

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
            live: a part of a call; what is not waits for what is.
        """
        raw = np.ascontiguousarray(samples).tobytes()
        sound = b"" if turn is None or not self.hears_completeness else np.ascontiguousarray(turn).tobytes()
        if not live:
            await self._until_nobody_waits()
        ask = self.stt.ask(lambda i: m.Transcribe(i, raw, final, words, language, hotwords, sound, live))
        self._recordings += not live
        try:
            return await _answer(ask, m.Transcript, "The recogniser gave no result.")
        finally:
            self._recordings -= not live

    async def _until_nobody_waits(self) -> None:
        """Wait for a moment in which no caller waits for words or an answer, but not for ever.

        The recogniser's own order is not enough: a piece of a recording takes cores that the language model needs.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.llm.under_way or self.stt.under_way > self._recordings:  # noqa: ASYNC110 - of two engines
                    await asyncio.sleep(LOOK_AGAIN_S)

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
    ) -> AsyncIterator[AsyncIterator[m.TextChunk | m.Thinking | m.CalledTool | m.Finished]]:
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
        ask = self.llm.ask(lambda i: m.Judge(i, call_id, messages, tools))
        return (await _answer(ask, m.EndOfTurn, NO_ESTIMATE)).probability

    async def choose(
        self, call_id: str, messages: tuple[m.ChatMessage, ...], words: Sequence[str]
    ) -> tuple[float, ...]:
        """How likely each word is as the model's answer, compared with the others; together 1."""
        ask = self.llm.ask(lambda i: m.Choose(i, call_id, messages, tuple(words)))
        return (await _answer(ask, m.Chosen, NO_ESTIMATE)).shares

    async def feel(self, samples: Samples) -> tuple[float, ...]:
        """How likely each of `heard_emotions` is, by the sound (16 kHz mono int16); together 1.

        Raises:
            EngineError: the model failed, or there is none.
        """
        if self.emotion is None:
            raise RequestFailed("no_emotion", "The model pack has no classifier of emotions.")
        raw = np.ascontiguousarray(samples).tobytes()
        return (await _answer(self.emotion.ask(lambda i: m.Feel(i, raw)), m.Chosen, NO_ESTIMATE)).shares

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
