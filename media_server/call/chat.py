"""A conversation in writing: the same call without sound, over sockets that may come and go."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable

from media_server import events as e
from media_server.agents import Agent
from media_server.call.call import Call
from media_server.call.inbox import RateLimitedInbox
from media_server.call.running import RunningCall
from media_server.call.services import Services
from media_server.call.session import NATIVE, Dialect
from media_server.errors import ClientError
from media_server.terms import Terms

__all__ = ["Chat"]

KEPT = 1000
"""Messages for a client that comes back."""
LAST_S = 2.0
"""Seconds for the client to be sent the end."""


class Chat(RunningCall):
    """`run` it to its end; meanwhile `serve` a client, and another one when that is gone.

    Args:
        linger_s: how long it waits for a client to come back.
        record: takes the events for the call's record.
    """

    def __init__(
        self,
        agent: Agent,
        terms: Terms,
        services: Services,
        linger_s: float,
        record: Callable[[e.Envelope], None],
    ) -> None:
        super().__init__(f"chat-{secrets.token_hex(8)}", self._keep, record)
        self._linger_s = linger_s
        self._kept: deque[e.Envelope] = deque(maxlen=KEPT)
        self._news: set[asyncio.Event] = set()
        """One of each client."""
        self._attached, self._detached = asyncio.Event(), asyncio.Event()
        """Whether there is a client."""
        self._detached.set()
        self._detached_s = 0.0
        self.call = Call(agent, terms, services, self._event_log, None)
        self._event_log.dispatch = self.call.dispatch
        self._inbox = RateLimitedInbox(self._event_log.emit, self._event_log.clock, self.call.receive)

    def receive(self, text: str | bytes, dialect: Dialect | None = None) -> None:
        """Take a message of a client; what is none is answered with an error."""
        self._inbox.receive(text, (dialect or NATIVE).incoming)

    async def run(self) -> None:
        parts = {"call": self._conduct, "client": self._watch_client}
        if self.meter:
            parts["meter"] = self._pay
        await self._run(parts, self._tell_client, self._last_event)

    @property
    def waiting(self) -> bool:
        return self._detached.is_set() and self.call.state == "listening"

    def _last_event(self, reason: str) -> e.CallEnded:
        return e.CallEnded(reason, self._event_log.clock(), self._away_s() or None)

    def _away_s(self) -> float:
        """How long it has waited for a client to come back; that costs nothing if none does."""
        return self._event_log.clock() - self._detached_s if self._detached.is_set() else 0.0

    def _used_s(self) -> float:
        return self._event_log.clock() - self._away_s()

    async def _pay(self) -> None:
        assert self.meter
        await self.meter.run(self.call, self._used_s, lambda: self.call.end("credits_exhausted"))

    async def _tell_client(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await self._detached.wait()

    @property
    def newest(self) -> int:
        """The number of the newest event; -1 without any."""
        return self._kept[-1].seq if self._kept else -1

    def check(self, after: int) -> None:
        """Whether a client that has had the events up to this one can go on.

        Raises:
            ClientError: what came after it is not kept any more (410 `too_late`), or there was no such event yet (400).
        """
        if after > self.newest:
            raise ClientError("bad_request", f"after: the newest event of this conversation is {self.newest}.")
        if self._kept and self._kept[0].seq > after + 1:
            raise ClientError("too_late", "Too much has happened since; begin a new conversation.", status=410)

    async def serve(self, send: Callable[[e.Envelope], Awaitable[None]], after: int) -> None:
        """Send a client all events with a larger number than `after`, those to come too, until the end."""
        news = asyncio.Event()
        self._news.add(news)
        self._detached.clear()
        self._attached.set()
        try:
            while True:
                news.clear()
                for envelope in [each for each in self._kept if each.seq > after]:
                    await send(envelope)
                    after = envelope.seq
                    if isinstance(envelope.event, e.CallEnded):
                        return
                await news.wait()
        finally:
            self._news.discard(news)
            if not self._news:
                self._attached.clear()
                self._detached.set()
                self._detached_s = self._event_log.clock()

    def _keep(self, envelope: e.Envelope) -> None:
        self._kept.append(envelope)
        for news in self._news:
            news.set()

    async def _conduct(self) -> None:
        self.hang_up(await self.call.run())

    async def _watch_client(self) -> None:
        """A client that does not come back ends it."""
        while True:
            try:
                async with asyncio.timeout(self._linger_s):
                    await self._attached.wait()
            except TimeoutError:
                self.hang_up("connection_lost")
                return
            await self._detached.wait()
