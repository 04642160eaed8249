"""What an earlier run of this server left behind: events that it had not written, and calls that it had not ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media_server.events import CallEnded, Envelope
from media_server.store.ending import close, end_of
from media_server.store.tables import CallRow, EventRow

__all__ = ["Tell", "close_lost", "write_left"]

Tell = Callable[[AsyncSession, str, Mapping[str, Any], tuple[str, str]], None]
"""Tells webhooks of a call's event: its native form, and whose the call is (agent, tenant)."""


async def write_left(session: AsyncSession, lines: Sequence[Mapping[str, Any]], tell: Tell) -> int:
    """Write the events that were not, in their native form; how many these are.

    Those that were written in the process's last moment are left out, and those of calls that are not known any more.
    """
    written = 0
    for call_id, left in groupby(lines, key=lambda line: str(line["call_id"])):
        row = await session.get(CallRow, call_id)
        if row is None:
            continue
        of_call = select(EventRow.event).where(EventRow.call_id == call_id)
        known = {_place(event) for event in await session.scalars(of_call)}
        ended = None
        for line in left:
            if _place(line) in known:
                continue
            known.add(_place(line))
            session.add(EventRow(call_id=call_id, event=dict(line)))
            tell(session, call_id, line, (row.agent, row.tenant))
            written += 1
            ended = _ended(line) or ended
        if ended and row.status in ("active", "queued"):
            await session.flush()
            await close(session, row, end_of(call_id, ended))
    return written


async def close_lost(session: AsyncSession, server: str, tell: Tell) -> list[str]:
    """Close the calls of this server that have no end; their ids. None of them goes on: it has just been started."""
    mine = (CallRow.server == server) & CallRow.status.in_(["active", "queued"])
    # to write first waits for other writers, instead of failing after what they have written meanwhile
    await session.execute(update(CallRow).where(mine).values(server=CallRow.server))
    lost = list(await session.scalars(select(CallRow).where(mine)))
    for row in lost:
        # nobody knows when exactly it ended; what is known of last is not before that
        last = await session.scalar(
            select(EventRow.event).where(EventRow.call_id == row.id).order_by(EventRow.id.desc()).limit(1)
        )
        duration = round(float(last.get("time", 0.0)) if last else 0.0, 3)
        ended = CallEnded("server_lost" if row.status == "active" else "not_connected", duration)
        await close(session, row, end_of(row.id, ended))
        told = Envelope.afterwards(row.id, ended)
        session.add(EventRow(call_id=row.id, event=dict(told.wire)))
        tell(session, row.id, told.wire, (row.agent, row.tenant))
    return [row.id for row in lost]


def _place(event: Mapping[str, Any]) -> object:
    """What tells an event from the others of its call: its number, or that it is the end which has none."""
    match event:
        case {"seq": number}:
            return number
        case {"type": kind}:
            return kind
    return None


def _ended(line: Mapping[str, Any]) -> CallEnded | None:
    match line:
        case {"type": CallEnded.type}:
            return CallEnded(**{f.name: line[f.name] for f in dataclasses.fields(CallEnded) if f.name in line})
        case _:
            return None
