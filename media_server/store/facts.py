"""Facts that agents have learned about contacts, kept from call to call."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media_server.store.database import Database, storable
from media_server.store.tables import ContactRow, FactRow

__all__ = ["MAX_FACTS", "Fact", "Facts", "Known", "Whose"]

MAX_FACTS = 100
"""Maximum facts that hold of one contact; the oldest ones make room."""
MAX_ENDED = 100
"""Maximum facts of one contact that are kept though they hold no more."""


class Whose(NamedTuple):
    """The facts that an agent of a tenant has about a contact."""

    tenant: str
    agent: str
    contact: str


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was learned in a turn of a call."""

    id: str
    call_id: str
    turn: int
    transport: str
    kind: str
    text: str
    evidence: str
    """The caller's words."""
    supersedes: str | None
    """The fact whose place it took."""
    learned_at: float
    """Seconds since the epoch."""
    ended_at: float | None = None
    """When it was found to hold no more."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a contact: the facts that hold, and those that have held, the oldest first."""

    revision: int = 0
    """How often it has changed."""
    facts: Sequence[Fact] = ()

    @property
    def holding(self) -> list[Fact]:
        """The facts that hold."""
        return [fact for fact in self.facts if fact.ended_at is None]


class Facts:
    """All facts about all contacts; what a tenant's agent has learned is for no other agent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, whose: Whose, *, calling: bool = False) -> Known:
        """What is known.

        Args:
            calling: the contact calls now, from when on what is known is kept as long as calls are.
        """
        if not storable(whose.contact):
            return Known()
        async with self._database.begin() as session:
            row = await _row(session, whose)
            if row is None:
                return Known()
            if calling:
                row.seen_at = time.time()
            return await _known(session, row)

    async def change(self, whose: Whose, added: Sequence[Fact], ended: Collection[str]) -> Known:
        """Add facts, and end those with these ids: what is known afterwards."""
        now_s = time.time()
        async with self._database.begin() as session:
            row = await _row(session, whose, locked=True)
            if row is None:
                row = ContactRow(tenant=whose.tenant, agent=whose.agent, contact=whose.contact, revision=0)
                session.add(row)
            row.revision += 1
            row.seen_at = now_s
            await session.flush()
            for fact in added:
                session.add(FactRow(contact_id=row.id, **{name: getattr(fact, name) for name in Fact.__slots__}))
            await session.flush()
            mine = FactRow.contact_id == row.id
            still = FactRow.ended_at.is_(None)
            await session.execute(
                update(FactRow).where(mine, still, FactRow.id.in_(list(ended))).values(ended_at=now_s)
            )
            newest = select(FactRow.id).where(mine, still).order_by(FactRow.learned_at.desc())
            too_many = list(await session.scalars(newest.offset(MAX_FACTS)))
            past = select(FactRow.id).where(mine, ~still).order_by(FactRow.ended_at.desc())
            too_many += await session.scalars(past.offset(MAX_ENDED))
            await session.execute(delete(FactRow).where(FactRow.id.in_(too_many)))
            return await _known(session, row)

    async def of_agent(self, tenant: str, agent: str, most: int) -> list[tuple[str, Fact]]:
        """Facts that hold, each with its contact, the newest first."""
        wanted = (
            select(ContactRow.contact, FactRow)
            .join(FactRow, FactRow.contact_id == ContactRow.id)
            .where(ContactRow.tenant == tenant, ContactRow.agent == agent, FactRow.ended_at.is_(None))
            .order_by(FactRow.learned_at.desc(), FactRow.id)
            .limit(most)
        )
        async with self._database.begin() as session:
            return [(contact, _fact(row)) for contact, row in await session.execute(wanted)]

    async def forget(self, whose: Whose) -> bool:
        """Forget a contact; whether something was known."""
        if not storable(whose.contact):
            return False
        async with self._database.begin() as session:
            row = await _row(session, whose, locked=True)
            if row is None:
                return False
            await session.execute(delete(FactRow).where(FactRow.contact_id == row.id))
            await session.delete(row)
            return True

    async def forget_call(self, call_id: str) -> None:
        """Forget what was learned in a call."""
        async with self._database.begin() as session:
            await session.execute(delete(FactRow).where(FactRow.call_id == call_id))

    async def forget_old(self, before_s: float) -> None:
        """Forget the contacts whose last call was before this."""
        old = select(ContactRow.id).where(ContactRow.seen_at < before_s)
        async with self._database.begin() as session:
            await session.execute(delete(FactRow).where(FactRow.contact_id.in_(old)))
            await session.execute(delete(ContactRow).where(ContactRow.seen_at < before_s))


async def _row(session: AsyncSession, whose: Whose, locked: bool = False) -> ContactRow | None:
    wanted = select(ContactRow).where(
        ContactRow.tenant == whose.tenant, ContactRow.agent == whose.agent, ContactRow.contact == whose.contact
    )
    found: ContactRow | None = await session.scalar(wanted.with_for_update() if locked else wanted)
    return found


async def _known(session: AsyncSession, row: ContactRow) -> Known:
    wanted = select(FactRow).where(FactRow.contact_id == row.id).order_by(FactRow.learned_at, FactRow.id)
    found = await session.scalars(wanted.execution_options(populate_existing=True))
    return Known(row.revision, tuple(_fact(each) for each in found))


def _fact(row: FactRow) -> Fact:
    return Fact(**{name: getattr(row, name) for name in Fact.__slots__})
