"""Writing what happens in calls: at once where it matters, again after trouble, and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from media_server.events import CallEnded, Envelope
from media_server.store.database import reason_of
from media_server.store.ending import EndOfCall
from media_server.store.spool import Spool
from media_server.tasks import to_its_end

__all__ = ["Writer"]

log = logging.getLogger(__name__)

FLUSH_S = 0.2
"""Longest wait before an event is written."""
MIN_S = 0.05
"""Shortest wait between two writes, however much happens."""
TROUBLE_S = 1.0
"""Wait before the next try while the database cannot be written."""
LAST_TRIES = 5
"""Tries at the server's stop; a database that is busy is free again by then."""
MAX_WAITING = 20_000
"""Maximum events kept in memory while the database cannot be written; ends of calls are kept in any case."""


class Writer:
    """`take` events and `end` calls at any time; `flush` writes them.

    Args:
        store: writes events and ends of calls in one transaction.
        on_written: is awaited after each write.
        spool: keeps what waits, should the process die.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Envelope], Sequence[EndOfCall]], Awaitable[None]],
        on_written: Callable[[], Awaitable[None]],
        spool: Spool,
    ) -> None:
        self._store = store
        self._on_written = on_written
        self._spool = spool
        self._events: list[Envelope] = []
        self._ended: list[EndOfCall] = []
        self._writing = asyncio.Lock()
        self._urgent = asyncio.Event()
        self._in_trouble = False
        """The last write failed."""
        self._kept = False
        """Something of what the last write was to write is kept for the next one."""
        self._lost = 0

    @property
    def waiting(self) -> bool:
        """Whether there is something to write, or a write under way."""
        return bool(self._events or self._ended) or self._writing.locked()

    def take(self, envelope: Envelope) -> None:
        """Write this event soon."""
        if envelope.event.urgent:
            self._urgent.set()
        if len(self._events) >= MAX_WAITING and not isinstance(envelope.event, CallEnded):
            self._lost += 1
            return
        self._events.append(envelope)
        self._spool.add(envelope.wire)

    def end(self, end: EndOfCall) -> None:
        """Close the record of this call soon."""
        self._ended.append(end)

    async def due(self) -> None:
        """Wait until something should be written, or a moment."""
        await asyncio.sleep(TROUBLE_S if self._in_trouble else MIN_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S - MIN_S):
                await self._urgent.wait()

    async def flush(self) -> list[str]:
        """Write what waits; the calls whose ends were written. A write that has begun is not cancelled with this."""
        return await to_its_end(self._flush())

    async def flush_last(self) -> None:
        """Write what is left when the server stops, also when this is cancelled."""
        await to_its_end(self._flush_last())

    async def _flush_last(self) -> None:
        for _ in range(LAST_TRIES):
            await self._flush()
            if not self._events and not self._ended:
                return
            await asyncio.sleep(TROUBLE_S)
        log.error("%d events and the ends of %d calls cannot be written: they wait for the next start", *self._counts())

    async def _flush(self) -> list[str]:
        async with self._writing:  # one after the other: events keep their order
            self._urgent.clear()
            events, self._events = self._events, []
            ended, self._ended = self._ended, []
            if not events and not ended:
                return []
            self._spool.turn()
            self._kept = False
            try:
                await self._store(events, ended)
            except Exception as failed:  # noqa: BLE001 - what one event causes must not end the records of all calls
                if _is_trouble(failed):
                    # a full disk must not end calls: once more with the next ones
                    self._keep(events, ended, failed)
                    return []
                ended = await self._store_apart(events, ended)
            except BaseException:
                self._events, self._ended = events + self._events, ended + self._ended
                raise
            if not self._kept:
                self._spool.drop()
            self._tell_of_trouble()
            await self._on_written()
            return [end.call_id for end in ended]

    async def _store_apart(self, events: list[Envelope], ended: list[EndOfCall]) -> list[EndOfCall]:
        """Write each by itself: one that no database takes is left out and holds up no other. The ends written."""
        parts: list[tuple[list[Envelope], list[EndOfCall]]] = [([event], []) for event in events]
        parts += [([], [end]) for end in ended]
        written: list[EndOfCall] = []
        for i, part in enumerate(parts):
            try:
                await self._store(*part)
            except Exception as failed:  # noqa: BLE001
                if _is_trouble(failed):
                    left = parts[i:]
                    self._keep([e for some, _ in left for e in some], [e for _, some in left for e in some], failed)
                    break
                for envelope in part[0]:
                    log.error("%s of call %s cannot be stored and is left out", envelope.event.type, envelope.call_id)
                for end in part[1]:
                    log.error("the end of call %s cannot be stored and is left out", end.call_id)
            else:
                written += part[1]
        return written

    def _keep(self, events: list[Envelope], ended: list[EndOfCall], failed: Exception) -> None:
        """Keep them for the next try."""
        self._kept = True
        self._events, self._ended = events + self._events, ended + self._ended
        if not self._in_trouble:
            self._in_trouble = True
            why = reason_of(failed)
            log.error(
                "%d events and the ends of %d calls wait: the database cannot be written: %s", *self._counts(), why
            )

    def _tell_of_trouble(self) -> None:
        if self._in_trouble and not self._kept:
            self._in_trouble = False
            log.warning("call records are written again")
        if self._lost:
            log.error("%d events were lost while call records could not be written", self._lost)
            self._lost = 0

    def _counts(self) -> tuple[int, int]:
        return len(self._events), len(self._ended)


def _is_trouble(failed: Exception) -> bool:
    """Whether it is the database that cannot be written, rather than what was to be written that is wrong."""
    if isinstance(failed, StatementError) and not isinstance(failed, DBAPIError):
        return False  # it did not even get there
    return isinstance(failed, SQLAlchemyError | OSError) and not isinstance(failed, IntegrityError | DataError)
