"""The outbox: messages for webhooks, written together with what they tell, kept until they have arrived."""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media_server.rfc3339 import stamp
from media_server.store.database import Database
from media_server.store.tables import DeliveryRow
from media_server.tasks import to_its_end

__all__ = ["Delivery", "DeliveryState", "Outbox", "Subscription"]

DeliveryState = Literal["pending", "delivered", "dead"]
WAITS_S = (5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600)
"""Seconds before each further attempt; then it is dead."""
JITTER = 0.2
"""Share by which a wait is longer or shorter, so that what failed together does not come together again."""
KEPT_S = 7 * 86400.0
"""Seconds after which what has arrived, or is dead, is forgotten."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whom to tell what. `agents`: None for all."""

    url: str
    types: frozenset[str]
    agents: frozenset[str] | None
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way. `body` is the JSON that is signed and sent, the same at every attempt."""

    id: int
    message_id: str
    url: str
    call_id: str
    type: str
    body: str
    state: DeliveryState
    attempts: int
    error: str | None


class Outbox:
    """Messages of one server; several may share a database."""

    def __init__(self, database: Database, server: str, subscriptions: Sequence[Subscription]) -> None:
        self._database = database
        self._server = server
        self._subscriptions = subscriptions

    def put(self, session: AsyncSession, kind: str, event: Mapping[str, Any], agent: str, tenant: str) -> None:
        """Add messages for an event, in its native form, to a transaction; `kind` is the name that it is told under."""
        now = time.time()
        for s in self._subscriptions:
            if tenant != s.tenant or kind not in s.types or (s.agents is not None and agent not in s.agents):
                continue
            data = {"agent": agent} | {k: v for k, v in event.items() if k != "type"}
            body = json.dumps({"type": kind, "timestamp": stamp(now), "data": data}, ensure_ascii=False)
            session.add(
                DeliveryRow(
                    message_id=f"msg_{secrets.token_hex(12)}",
                    server=self._server,
                    url=s.url,
                    call_id=event["call_id"],
                    type=kind,
                    body=body,
                    state="pending",
                    attempts=0,
                    next_at=now,
                    created_at=now,
                    error=None,
                )
            )

    async def due(self, most: int, url: str) -> list[Delivery]:
        """What is to be sent to this address now: of a call only what comes first, so that all arrives in order."""
        firsts = select(func.min(DeliveryRow.id)).where(self._waiting_for(url)).group_by(DeliveryRow.call_id)
        wanted = select(DeliveryRow).where(DeliveryRow.id.in_(firsts), DeliveryRow.next_at <= time.time())
        async with self._database.begin() as session:
            rows = await session.scalars(wanted.order_by(DeliveryRow.id).limit(most))
            return [_delivery(row) for row in rows]

    async def due_elsewhere(self, known: Sequence[str]) -> list[Delivery]:
        """What waits for other addresses than these."""
        wanted = select(DeliveryRow).where(self._mine, DeliveryRow.url.not_in(known))
        async with self._database.begin() as session:
            return [_delivery(row) for row in await session.scalars(wanted)]

    async def next_at(self, url: str) -> float | None:
        """When the next attempt at this address is due; None if nothing waits."""
        async with self._database.begin() as session:
            wanted = select(func.min(DeliveryRow.next_at)).where(self._waiting_for(url))
            at: float | None = await session.scalar(wanted)
            return at

    @property
    def _mine(self) -> ColumnElement[bool]:
        return (DeliveryRow.server == self._server) & (DeliveryRow.state == "pending")

    def _waiting_for(self, url: str) -> ColumnElement[bool]:
        return self._mine & (DeliveryRow.url == url)

    async def arrived(self, delivery: Delivery) -> None:
        """It is not sent again; this is written also when it is cancelled."""
        await self._set(delivery.id, state="delivered", attempts=delivery.attempts + 1, error=None)

    async def failed(self, delivery: Delivery, error: str, final: bool) -> None:
        """It is tried again later, unless it was tried often enough or `final`."""
        attempts = delivery.attempts + 1
        if final or attempts > len(WAITS_S):
            await self._set(delivery.id, state="dead", attempts=attempts, error=error[:500])
            return
        wait_s = WAITS_S[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)
        await self._set(delivery.id, attempts=attempts, error=error[:500], next_at=time.time() + wait_s)

    async def all(self, state: DeliveryState | None = None, most: int = 200) -> list[Delivery]:
        """The newest first, of all servers."""
        wanted = select(DeliveryRow).order_by(DeliveryRow.id.desc()).limit(most)
        if state is not None:
            wanted = wanted.where(DeliveryRow.state == state)
        async with self._database.begin() as session:
            return [_delivery(row) for row in await session.scalars(wanted)]

    async def retry(self, message_id: str | None) -> int:
        """Try a dead message again, or all; how many these are."""
        dead = DeliveryRow.state == "dead"
        if message_id is not None:
            dead &= DeliveryRow.message_id == message_id
        async with self._database.begin() as session:
            revived = await session.execute(
                update(DeliveryRow).where(dead).values(state="pending", attempts=0, next_at=time.time())
            )
        return int(revived.rowcount)  # type: ignore[attr-defined]

    async def shift(self, seconds: float) -> None:
        """Move what waits by a step of the wall clock, so that waits are as long as they were meant to be."""
        async with self._database.begin() as session:
            await session.execute(update(DeliveryRow).where(self._mine).values(next_at=DeliveryRow.next_at + seconds))

    async def forget_old(self) -> None:
        old = (DeliveryRow.state != "pending") & (DeliveryRow.created_at < time.time() - KEPT_S)
        async with self._database.begin() as session:
            await session.execute(delete(DeliveryRow).where(old))

    async def _set(self, delivery_id: int, **values: Any) -> None:
        await to_its_end(self._write(delivery_id, values))

    async def _write(self, delivery_id: int, values: Mapping[str, Any]) -> None:
        async with self._database.begin() as session:
            await session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery_id).values(**values))


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        row.id, row.message_id, row.url, row.call_id, row.type, row.body, row.state, row.attempts, row.error  # type: ignore[arg-type]
    )  # fmt: skip
