"""What calls take from the credit of the key that pays: set aside while they go on, settled when they end.

What is set aside is out of the credit already, so that calls at once cannot spend it twice, in however many servers.
It stands in the call's record: a server that dies leaves nothing behind that its next start does not settle.
"""

from __future__ import annotations

import math

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from media_server.store.tables import CallRow, KeyRow

__all__ = ["set_aside", "settle"]

DIGITS = 6
"""Decimals of amounts that are kept."""
LAST_SECONDS = 2
"""Seconds beyond what was set aside that a call may take to end, for which nobody pays."""


async def set_aside(
    session: AsyncSession, key_id: str | None, per_minute: float, wanted_s: float
) -> tuple[float, float | None]:
    """Take the price of some seconds out of a key's credit, or of as many whole seconds as there is credit for.

    Returns:
        How many seconds are paid for, and what they cost; without a limit infinity and None.
    """
    if key_id is None or per_minute <= 0:
        return math.inf, None
    credit = await _locked(session, key_id)
    if credit is None:
        return math.inf, None
    # a hair more, for sums of amounts that are no binary fractions
    paid_s = max(0, min(int(wanted_s), math.floor(credit * 60 / per_minute + 1e-6)))
    amount = round(per_minute * paid_s / 60, DIGITS)
    await _set(session, key_id, credit - amount)
    return paid_s, amount


async def settle(session: AsyncSession, row: CallRow, lasted_s: float) -> None:
    """A call is over: it costs by the second begun; what was set aside for it and not used is given back."""
    row.cost = round(row.per_minute * math.ceil(max(0.0, lasted_s)) / 60, DIGITS)
    reserved, row.reserved = row.reserved or 0.0, None
    if reserved and row.cost <= reserved + row.per_minute * LAST_SECONDS / 60:
        row.cost = min(row.cost, reserved)
    if row.key_id and row.cost != reserved:
        credit = await _locked(session, row.key_id)
        if credit is not None:
            await _set(session, row.key_id, credit + reserved - row.cost)


async def _locked(session: AsyncSession, key_id: str) -> float | None:
    """The credit. To write first waits for other writers, so that nobody changes it before this transaction ends."""
    mine = update(KeyRow).where(KeyRow.id == key_id).values(credit=KeyRow.credit).returning(KeyRow.credit)
    credit: float | None = (await session.execute(mine)).scalar_one_or_none()
    return credit


async def _set(session: AsyncSession, key_id: str, credit: float) -> None:
    await session.execute(update(KeyRow).where(KeyRow.id == key_id).values(credit=round(credit, DIGITS)))
