"""A second recogniser for what no call waits for: at the lowest priority, and there only while it is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from media_server.engines import messages as m
from media_server.engines.client import EngineClient
from media_server.errors import ConfigurationError
from media_server.tasks import first_of

__all__ = ["LOOK_S", "BackgroundEngine"]

log = logging.getLogger(__name__)

IDLE_S = 600.0
"""How long the process stays when it has nothing to do; its model takes memory, and seconds to load."""
START_S = 300.0
"""Longest wait for the model to load, on a machine that is busy with calls."""
LOOK_S = 0.05
"""How often it is looked whether a caller waits: nothing tells of all engines together."""
STILL_S, RUN_S = 10.0, 1.0
"""How long it stands still at most while callers wait, and how long it runs then before it stands still again."""


class BackgroundEngine:
    """An engine host that starts with its first request and ends some time after its last one.

    A step of a recording takes the cores for a second, and nothing can interrupt it. In the host that hears callers
    they would wait for its end, and the language model for its cores; a process of the lowest priority gives way at
    once. It still takes from them where two processors are two threads of one core (a third of what one alone does), or
    share its memory. So it stands still while somebody waits for an answer, though not for ever.

    Args:
        waited_for: whether a caller waits for something now.
    """

    def __init__(self, client: EngineClient, waited_for: Callable[[], bool], idle_s: float = IDLE_S) -> None:
        self.client = client
        self._waited_for = waited_for
        self._idle_s = idle_s
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._users = 0

    async def run(self) -> None:
        """Start and end the host as it is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                await first_of(self.client.run(), self._until_idle(), self._give_way())
            except ConfigurationError as failed:
                log.error("recordings cannot be transcribed: %s", failed.message)
            self._wanted.clear()
            self._ended.set()

    async def _until_idle(self) -> None:
        while True:
            users = self._users
            await asyncio.sleep(self._idle_s)
            if not (users or self._users):
                return

    async def _give_way(self) -> None:
        """Stop the process while a caller waits, and let it go on after that."""
        try:
            while True:
                while not (self._users and self._waited_for()):  # noqa: ASYNC110 - of all engines together
                    await asyncio.sleep(LOOK_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STILL_S):
                        while self._waited_for():
                            self._signal(signal.SIGSTOP)  # again: it may just have been started
                            await asyncio.sleep(LOOK_S)
                self._signal(signal.SIGCONT)
                await asyncio.sleep(RUN_S if self._waited_for() else 0)
        finally:
            self._signal(signal.SIGCONT)  # or it could not leave

    def _signal(self, number: signal.Signals) -> None:
        if self.client.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.client.pid, number)

    @contextlib.asynccontextmanager
    async def ask(self, make: Callable[[int], m.Request]) -> AsyncIterator[AsyncGenerator[m.Result, None]]:
        """As `EngineClient.ask`; the first one waits until the model is loaded.

        Raises:
            EngineLost: the host cannot be started, or died before the request was finished.
            RequestFailed: the engine could not do it.
        """
        self._users += 1
        try:
            await self._ready()
            async with self.client.ask(make) as results:
                yield results
        finally:
            self._users -= 1

    async def _ready(self) -> None:
        if not self._wanted.is_set():
            self._wanted.set()
            self._ended.clear()
        if not self.client.ready.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_S):
                    await first_of(self.client.ready.wait(), self._ended.wait())
