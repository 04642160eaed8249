"""The server's side of one engine: starts its host, brings requests and results together, restarts what died."""

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
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

from media_server.engines import messages as m
from media_server.engines.offline import OFFLINE, environment
from media_server.errors import ConfigurationError, EngineLost, RequestFailed

__all__ = ["EngineClient"]

log = logging.getLogger(__name__)

NAMES = {
    "stt": "speech recognition",
    "llm": "language model",
    "tts": "voice",
    "embedding": "embedding",
    "emotion": "emotion",
}
NO_GPU = "NoGpuError: "
"""How a host's reason begins where it was told to use CUDA and cannot."""
STABLE_S = 30.0
"""A host that lived this long is restarted at once; younger ones after a growing wait."""
MAX_WAIT_S = 5.0
HANG_TIMEOUT_S = 120.0
"""Seconds without a word to anybody, although somebody waits: a GPU that hangs, a library in a loop."""


class EngineClient:
    """One engine host, kept alive. `run()` is its owner: cancelling it ends the process."""

    def __init__(self, kind: str, options: dict[str, Any], *, offline: bool = True, background: bool = False) -> None:
        self.kind = kind
        self.background = background
        """Its host runs only where nothing else wants to."""
        self.name = NAMES[kind]
        self.ready = asyncio.Event()
        self.info = ""
        self.on_cpu = False
        """Whether it computes on the cores that other engines want too; known when it is ready."""
        self.restarts = 0
        self.pid: int | None = None
        self._options = options
        self._offline = offline
        self._ids = itertools.count(1)
        self._inboxes: dict[int, asyncio.Queue[m.Result | None]] = {}
        """Results of requests that somebody still listens to."""
        self._unfinished: set[int] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._heard_at = 0.0

    @property
    def pending_requests(self) -> int:
        """Requests that the host still works on."""
        return len(self._unfinished)

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
            wait_s = 0.0 if time.monotonic() - started > STABLE_S else min(MAX_WAIT_S, wait_s * 2 + 0.1)
            log.warning("the %s engine ended, restarting", self.name)
            await asyncio.sleep(wait_s)

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = ["-m", "media_server.engines.host", self.kind, str(theirs.fileno()), json.dumps(self._options)]
            command += ["background"] if self.background else []
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
            self._unfinished.clear()
            for inbox in self._inboxes.values():
                inbox.put_nowait(None)
            await _end(process)
            self.pid = None

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                (length,) = m.HEADER.unpack(await reader.readexactly(m.HEADER.size))
                message = m.decode_from_host(await reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return  # a request that met one that had just died makes it a BrokenPipeError
            self._heard_at = time.monotonic()
            if isinstance(message, m.Ready):
                self.info, self.on_cpu = message.info, message.on_cpu
                log.info("the %s engine is ready: %s", self.name, message.info)
                self.ready.set()
            elif isinstance(message, m.Fatal):
                raise self._not_loaded(message.message)
            else:
                if isinstance(message, m.Finished | m.Failed):
                    self._unfinished.discard(message.id)
                if inbox := self._inboxes.get(message.id):
                    inbox.put_nowait(message)

    def _not_loaded(self, reason: str) -> ConfigurationError:
        if reason.startswith(NO_GPU):
            return ConfigurationError(
                f"The {self.name} cannot run on a GPU: {reason.removeprefix(NO_GPU).rstrip('.')}. `media-server doctor "
                "--device cuda` says what is missing; with --device auto it runs on the CPU."
            )
        what = self.name if self.name.endswith("model") else f"{self.name} model"
        return ConfigurationError(
            f"The {what} in {Path(self._options.get('path', '')).resolve()} cannot be loaded: {reason.rstrip('.')}. "
            "`media-server models verify` tells whether its files are damaged."
        )

    def _end_if_stuck(self) -> None:
        # what runs only where nothing else wants to may have to wait for as long as that takes
        if time.monotonic() - self._heard_at > HANG_TIMEOUT_S and self.pid is not None and not self.background:
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
            raise EngineLost(self.name, self.kind)
        request_id = next(self._ids)
        inbox: asyncio.Queue[m.Result | None] = asyncio.Queue()
        self._inboxes[request_id] = inbox
        self._unfinished.add(request_id)
        finished = False

        async def results() -> AsyncGenerator[m.Result, None]:
            nonlocal finished
            while True:
                try:
                    async with asyncio.timeout(HANG_TIMEOUT_S):
                        message = await inbox.get()
                except TimeoutError:
                    self._end_if_stuck()
                    continue
                if message is None:
                    finished = True
                    raise EngineLost(self.name, self.kind)
                if isinstance(message, m.Failed):
                    finished = True
                    raise RequestFailed(message.code, message.message, self.kind)
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
                why = f"The {self.name} cannot be asked this: {unsound}."
                raise RequestFailed("bad_request", why, self.kind) from unsound
            async with contextlib.aclosing(results()) as stream:
                yield stream
        finally:
            del self._inboxes[request_id]
            self._unfinished.discard(request_id)
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
