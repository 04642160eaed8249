"""The end of a call's record: its status, its summary, and what the call cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media_server.events import CallEnded
from media_server.store.credit import settle
from media_server.store.summary import summary_of
from media_server.store.tables import CallRow, EventRow

__all__ = ["CallStatus", "EndOfCall", "close", "end_of", "told_as"]

CallStatus = Literal["queued", "active", "completed", "failed"]
FAILURES = frozenset({"connect_timeout", "internal_error", "not_connected", "server_lost"})


class EndOfCall(NamedTuple):
    """The end of a call; its times are the call's own, which no step of the wall clock changes."""

    call_id: str
    reason: str
    lasted_s: float
    away_s: float


def end_of(call_id: str, ended: CallEnded, lasted_s: float | None = None) -> EndOfCall:
    """The end that this event tells of; a call that was never conducted lasted as long as it is said here."""
    return EndOfCall(call_id, ended.reason, ended.duration_s if lasted_s is None else lasted_s, ended.away_s or 0.0)


def told_as(kind: str, reason: str | None) -> Sequence[str]:
    """The names under which webhooks are told of an event: that a call failed, beside that it ended."""
    return (kind, "call.failed") if kind == CallEnded.type and reason in FAILURES else (kind,)


async def close(session: AsyncSession, row: CallRow, end: EndOfCall) -> None:
    """Close a record: what the call cost, by the second begun, is taken from the credit of the key that pays."""
    row.status = "failed" if end.reason in FAILURES else "completed"
    row.end_reason, row.ended_at = end.reason, row.started_at + max(0.0, end.lasted_s)
    of_call = select(EventRow.event).where(EventRow.call_id == row.id).order_by(EventRow.id)
    known = summary_of(await session.scalars(of_call))
    row.first_words, row.words = known.first_words, known.words
    row.turns, row.response_ms = known.turns, known.response_ms
    await settle(session, row, end.lasted_s - end.away_s)
