"""Call records: written while calls go on, so that a server that dies loses nothing that it told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, delete, false, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media_server.errors import ClientError
from media_server.events import CallEnded, Envelope, UserTranscript
from media_server.jsonable import jsonable
from media_server.store.credit import set_aside
from media_server.store.database import Database, storable
from media_server.store.ending import CallStatus, EndOfCall, close, end_of, told_as
from media_server.store.facts import Facts
from media_server.store.outbox import Outbox
from media_server.store.recovery import close_lost, write_left
from media_server.store.spool import Spool
from media_server.store.tables import CallRow, EventRow
from media_server.store.writer import Writer
from media_server.tasks import to_its_end

__all__ = ["ALL_CALLS", "CallFilter", "CallRecord", "CallStatus", "RecordedEvent", "Records"]

log = logging.getLogger(__name__)

JUMP_S = 3600.0
"""Step of the wall clock after which no record is deleted for its age until the next look."""
CLEAN_S = 3600.0
AT_ONCE = 50
"""Events that are handed to the database in one step of the event loop."""
FOLLOWED = 50
"""Maximum events of a piece that a follower is given: each holds its piece until it has been taken."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call but for its events; times in seconds since the epoch."""

    id: str
    tenant: str
    agent: str
    status: CallStatus
    started_at: float
    ended_at: float | None
    end_reason: str | None
    cost: float | None
    metadata: Mapping[str, Any]
    contact: str | None
    first_words: str | None
    turns: int | None
    response_ms: float | None
    """The median wait for a spoken answer."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are wanted; None for any.

    Args:
        since, until: bounds of their beginnings, in seconds since the epoch; `until` is excluded.
        words: a part of what was said, in any case. Calls under way are found by what they have said when they end.
    """

    agents: Sequence[str] | None = None
    status: CallStatus | None = None
    tenant: str | None = None
    since: float | None = None
    until: float | None = None
    contact: str | None = None
    words: str | None = None

    def where(self) -> Iterator[ColumnElement[bool]]:
        """The conditions, as SQL."""
        if self.tenant is not None:
            yield CallRow.tenant == self.tenant
        if self.agents is not None:
            yield CallRow.agent.in_([a for a in self.agents if storable(a)])
        if self.status is not None:
            yield CallRow.status == self.status
        if self.since is not None:
            yield CallRow.started_at >= self.since
        if self.until is not None:
            yield CallRow.started_at < self.until
        if self.contact is not None:
            yield CallRow.contact == self.contact if storable(self.contact) else false()
        if self.words is not None:
            folded = self.words.casefold()
            yield CallRow.words.contains(folded, autoescape=True) if storable(folded) else false()


ALL_CALLS = CallFilter()


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was recorded, in its native form; `id` grows from event to event, over all calls."""

    id: int
    event: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def call_id(self) -> str:
        return str(self.event["call_id"])


class Records:
    """`run` owns the writing; without it nothing is kept but the beginnings of calls.

    Args:
        server: its name; calls of others on the same database are left alone.
        days: after which calls are forgotten; 0 for never.
        recordings: folder with the sound of calls.
        outbox: takes what webhooks are told, in the same transactions.
        on_written: is called after each.
    """

    def __init__(
        self,
        database: Database,
        server: str,
        days: int,
        recordings: Path,
        outbox: Outbox | None = None,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._server = server
        self._days = days
        self.facts = Facts(database)
        self._recordings = recordings
        self._outbox = outbox
        self._on_written = on_written
        self._under_way: dict[str, tuple[str, str]] = {}
        """Agent and tenant, by call."""
        self._queued: dict[str, tuple[float, float]] = {}
        """Calls that a token was minted for: when, and when it expires, in seconds of the monotonic clock."""
        self._written = asyncio.Condition()
        beside = database.file or recordings / "events"
        self._spool = Spool(Path(f"{beside}-waiting-{quote(server, safe='')}"))
        self._writer = Writer(self._store, self._note_written, self._spool)
        self._offset_s = time.time() - time.monotonic()
        """The wall clock's offset when records were last looked through for old ones."""

    async def start(
        self,
        call_id: str,
        agent: str,
        metadata: Mapping[str, Any],
        tenant: str = "",
        key_id: str | None = None,
        per_minute: float = 0.0,
        contact: str | None = None,
        ahead_s: float = 0.0,
    ) -> float:
        """A call begins; it is in the records when this returns.

        Args:
            key_id: of the key whose credit pays.
            per_minute: the price.
            contact: who calls.
            ahead_s: seconds that are to be paid for now.

        Returns:
            How many seconds are paid for; infinity where no credit limits the call.

        Raises:
            ClientError: 402 `no_credit`: it does not pay for a second.
        """
        opening = self._open("active", call_id, agent, metadata, tenant, key_id, per_minute, contact, ahead_s)
        try:
            paid_s = await to_its_end(opening)
        except asyncio.CancelledError:
            # it is in the database by now, and nobody will conduct it
            if call_id in self._under_way:
                self._queued.pop(call_id, None)
                self.note(Envelope.afterwards(call_id, CallEnded("not_connected", 0.0)))
            raise
        self._queued.pop(call_id, None)
        return paid_s

    async def buy(self, call_id: str, seconds: float) -> float:
        """Have the credit pay for more of a call under way; for how many seconds it does.

        A database that is away for a while ends no call: the time is paid for at the end.
        """
        try:
            return await to_its_end(self._buy(call_id, seconds))
        except SQLAlchemyError:
            log.exception("call %s: its credit could not be asked for; it goes on", call_id)
            return seconds

    async def _buy(self, call_id: str, seconds: float) -> float:
        mine = (CallRow.id == call_id) & (CallRow.status == "active")
        async with self._database.begin() as session:
            # to write first waits for other writers, and for the one that closes the record
            locked = update(CallRow).where(mine).values(server=CallRow.server)
            found = await session.execute(locked.returning(CallRow.key_id, CallRow.per_minute, CallRow.reserved))
            call = found.one_or_none()
            if call is None:
                return seconds
            key_id, per_minute, reserved = call
            paid_s, amount = await set_aside(session, key_id, per_minute, seconds)
            if amount is not None:
                more = round((reserved or 0.0) + amount, 6)
                await session.execute(update(CallRow).where(mine).values(reserved=more))
            return paid_s

    async def queue(
        self,
        call_id: str,
        agent: str,
        metadata: Mapping[str, Any],
        tenant: str,
        key_id: str | None,
        expires_in_s: float,
        contact: str | None = None,
    ) -> None:
        """Somebody may call: it is in the records, and fails there if it has not begun when that time is over."""
        now = time.monotonic()
        try:
            await to_its_end(self._open("queued", call_id, agent, metadata, tenant, key_id, 0.0, contact))
        finally:
            if call_id in self._under_way:
                self._queued[call_id] = now, now + expires_in_s

    async def _open(
        self,
        status: CallStatus,
        call_id: str,
        agent: str,
        metadata: Mapping[str, Any],
        tenant: str,
        key_id: str | None,
        per_minute: float,
        contact: str | None,
        ahead_s: float = 0.0,
    ) -> float:
        values: dict[str, Any] = {
            "server": self._server,
            "tenant": tenant,
            "agent": agent,
            "status": status,
            "started_at": time.time(),
            "ended_at": None,
            "end_reason": None,
            "meta": jsonable(metadata),
            "key_id": key_id,
            "per_minute": per_minute,
            "contact": contact,
        }
        paid_s = math.inf
        async with self._database.begin() as session:
            if ahead_s:
                paid_s, values["reserved"] = await set_aside(session, key_id, per_minute, ahead_s)
                if paid_s < 1:
                    raise ClientError("no_credit", "The credit of this API key is used up.", status=402)
            # a call that was queued is there already; to write first waits for other writers, instead of failing
            known = await session.execute(update(CallRow).where(CallRow.id == call_id).values(**values))
            if not known.rowcount:  # type: ignore[attr-defined]
                session.add(CallRow(id=call_id, **values))
        self._under_way[call_id] = (agent, tenant)
        return paid_s

    def _fail_queued(self) -> None:
        """End those whose token was not used in time."""
        now = time.monotonic()
        for call_id, (began, expires) in list(self._queued.items()):
            if expires < now:
                del self._queued[call_id]
                self._note(Envelope.afterwards(call_id, CallEnded("not_connected", 0.0)), lasted_s=now - began)

    def note(self, envelope: Envelope) -> None:
        """Take an event of a call; `CallEnded` closes the call's record."""
        self._note(envelope)

    def _note(self, envelope: Envelope, lasted_s: float | None = None) -> None:
        event = envelope.event
        if event.passing or (isinstance(event, UserTranscript) and not event.final):
            return
        self._writer.take(envelope)
        if isinstance(event, CallEnded):
            self._writer.end(end_of(envelope.call_id, event, lasted_s))

    async def run(self) -> None:
        """Write and clean, for ever."""
        async with self._spool.writing():
            try:
                await self._write()
            finally:
                await self._writer.flush_last()

    async def _write(self) -> None:
        cleaned = 0.0
        while True:
            if time.monotonic() - cleaned > CLEAN_S or not cleaned:
                cleaned = time.monotonic()
                with contextlib.suppress(SQLAlchemyError):  # there is a next hour
                    await self._forget_old()
            await self._writer.due()
            self._fail_queued()
            await self.flush()

    async def newest(self) -> int:
        """The id of the newest event; 0 without any."""
        async with self._database.begin() as session:
            return await session.scalar(select(EventRow.id).order_by(EventRow.id.desc()).limit(1)) or 0

    async def get(self, call_id: str) -> CallRecord | None:
        if not storable(call_id):
            return None
        async with self._database.begin() as session:
            row = await session.get(CallRow, call_id)
        return _record(row) if row else None

    async def events(
        self,
        after: int = 0,
        call_id: str | None = None,
        agents: Sequence[str] | None = None,
        tenant: str | None = None,
        most: int = 1000,
        types: Sequence[str] | None = None,
    ) -> list[RecordedEvent]:
        """Events with a larger id than `after`, the oldest first; of all types where none are named."""
        wanted = select(EventRow).where(EventRow.id > after).order_by(EventRow.id).limit(most)
        if call_id is not None:
            if not storable(call_id):
                return []
            wanted = wanted.where(EventRow.call_id == call_id)
        if types is not None:
            wanted = wanted.where(EventRow.event[("type",)].as_string().in_(types))
        if agents is not None or tenant is not None:
            wanted = wanted.join(CallRow, CallRow.id == EventRow.call_id)
        if agents is not None:
            wanted = wanted.where(CallRow.agent.in_([a for a in agents if storable(a)]))
        if tenant is not None:
            wanted = wanted.where(CallRow.tenant == tenant)
        async with self._database.begin() as session:
            return [RecordedEvent(row.id, row.event) for row in await session.scalars(wanted)]

    async def follow(
        self,
        after: int,
        call_id: str | None,
        agents: Sequence[str] | None,
        tenant: str | None,
        silence_s: float,
        types: Sequence[str] | None = None,
    ) -> AsyncIterator[list[RecordedEvent]]:
        """The events after this one, and then those to come, in pieces; an empty piece after silence."""
        while True:
            # first the condition: what is written between reading and waiting must not be missed
            async with self._written:
                found = await self.events(after, call_id, agents, tenant, FOLLOWED, types)
                if not found:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(silence_s):
                            await self._written.wait()
                            continue
            yield found
            after = found[-1].id if found else after

    async def page(self, most: int, before: str | None = None, which: CallFilter = ALL_CALLS) -> list[CallRecord]:
        """The newest calls of those that are wanted, or those of them that began before the call `before`."""
        wanted = select(CallRow).where(*which.where()).limit(most)
        wanted = wanted.order_by(CallRow.started_at.desc(), CallRow.id.desc())
        async with self._database.begin() as session:
            if before is not None:
                last = await session.get(CallRow, before) if storable(before) else None
                if (
                    last is None
                    or which.tenant not in (None, last.tenant)
                    or last.agent not in (which.agents or [last.agent])
                ):
                    return []  # another tenant's call is as if there were none
                same = (CallRow.started_at == last.started_at) & (CallRow.id < last.id)
                wanted = wanted.where((CallRow.started_at < last.started_at) | same)
            return [_record(row) for row in await session.scalars(wanted)]

    async def of_contact(self, contact: str, agent: str, tenant: str, most: int) -> list[CallRecord]:
        """The last calls of somebody with an agent, the oldest first, with all that was said in them."""
        await self.flush()  # of one that ended a moment ago
        mine = (CallRow.contact == contact) & (CallRow.agent == agent) & (CallRow.tenant == tenant)
        wanted = select(CallRow).where(mine, CallRow.status != "queued").order_by(CallRow.started_at.desc()).limit(most)
        async with self._database.begin() as session:
            return [_record(row) for row in await session.scalars(wanted)][::-1]

    async def delete(self, call_id: str) -> None:
        """Forget a call that is over, with all that was said and learned in it."""
        await self.facts.forget_call(call_id)
        await self._drop(call_id)

    async def _drop(self, call_id: str) -> None:
        await self.flush()  # what is written later would belong to nothing
        async with self._database.begin() as session:
            await session.execute(delete(EventRow).where(EventRow.call_id == call_id))
            await session.execute(delete(CallRow).where(CallRow.id == call_id))
        await asyncio.to_thread(self._recording(call_id).unlink, missing_ok=True)

    async def recording(self, call_id: str) -> Path | None:
        """The file with the sound of a call, if it was recorded."""
        path = self._recording(call_id)
        return path if await asyncio.to_thread(path.is_file) else None

    def _recording(self, call_id: str) -> Path:
        return self._recordings / f"{call_id}.ogg"

    async def flush(self) -> None:
        """Write at once what waits to be written; a write that has begun ends also when this is cancelled."""
        if self._writer.waiting:
            ended = await self._writer.flush()
            for call_id in ended:
                self._under_way.pop(call_id, None)

    async def _store(self, events: Sequence[Envelope], ended: Sequence[EndOfCall]) -> None:
        async with self._database.begin() as session:
            for first in range(0, len(events), AT_ONCE):
                some = events[first : first + AT_ONCE]
                rows = [{"call_id": each.call_id, "event": dict(each.wire)} for each in some]
                await session.execute(insert(EventRow), rows)
            for each in events:
                self._tell(session, each.call_id, each.wire)
            for end in ended:
                if row := await session.get(CallRow, end.call_id, with_for_update=True):
                    await close(session, row, end)

    async def _note_written(self) -> None:
        self._on_written()
        async with self._written:
            self._written.notify_all()

    def _tell(
        self, session: AsyncSession, call_id: str, wire: Mapping[str, Any], whose: tuple[str, str] | None = None
    ) -> None:
        """Webhooks, of an event in its native form."""
        if self._outbox is not None and (of := whose or self._under_way.get(call_id)):  # else nobody's
            agent, tenant = of
            for kind in told_as(wire["type"], wire.get("reason")):
                self._outbox.put(session, kind, wire, agent, tenant)

    async def close_orphaned_calls(self) -> None:
        """Write and close what an earlier run of this server left open; before the first call of this one."""
        left = await self._spool.take()
        async with self._database.begin() as session:
            written = await write_left(session, left, self._tell)
            lost = await close_lost(session, self._server, self._tell)
        self._spool.turn()
        self._spool.drop()
        for call_id in lost:
            await asyncio.to_thread(_drop_empty, self._recording(call_id))
        if written:
            log.info("%d events that the server had not written when it died are in the records now", written)
        if lost:
            log.warning("%d calls were under way when the server died; they are recorded as lost", len(lost))

    async def _forget_old(self) -> None:
        offset_s = time.time() - time.monotonic()
        jumped_s, self._offset_s = offset_s - self._offset_s, offset_s
        if not self._days:
            return
        if abs(jumped_s) > JUMP_S:
            log.warning("the clock jumped by %.0f s; old call records are looked for again in an hour", jumped_s)
            return
        before_s = time.time() - self._days * 86400
        await self.facts.forget_old(before_s)
        old = (CallRow.started_at < before_s) & (CallRow.status != "active")
        async with self._database.begin() as session:
            forgotten = list(await session.scalars(select(CallRow.id).where(old)))
        for call_id in forgotten:
            await self._drop(call_id)


def _drop_empty(recording: Path) -> None:
    """Remove the file of a call that was lost before a second of its sound was written."""
    with contextlib.suppress(OSError):
        if recording.stat().st_size == 0:
            recording.unlink()


def _record(row: CallRow) -> CallRecord:
    return CallRecord(
        row.id, row.tenant, row.agent, row.status, row.started_at, row.ended_at, row.end_reason, row.cost, row.meta,  # type: ignore[arg-type]
        row.contact, row.first_words, row.turns, row.response_ms,
    )  # fmt: skip
