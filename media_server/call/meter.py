"""How long a call is paid for: the next minute is bought ahead of time, and where there is none the call ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from media_server.call.call import Call

__all__ = ["FIRST_S", "Meter"]

FIRST_S = 120.0
"""Bought before the call begins."""
PIECE_S = 60.0
AHEAD_S = 60.0
"""With so much left the next piece is bought; it is the longest notice of the end too."""
AGAIN_S = 1.0
"""Seconds between two tries to buy."""
ROUGHLY_S = 0.3
ENDING_S = 0.2
"""The call ends so long before what is paid for is used up: the next second begun would cost."""


class Meter:
    """`run` it beside the call.

    Args:
        paid_s: what is paid for already.
        buy: takes seconds, gives those that are paid for now: fewer, or none, where the credit is used up.
    """

    def __init__(self, paid_s: float, buy: Callable[[float], Awaitable[float]]) -> None:
        self._paid_s = paid_s
        self._buy = buy
        self._notice_s = min(AHEAD_S, paid_s / 2)
        self._warned = False
        self._asked_at = -AGAIN_S

    async def run(self, call: Call, used_s: Callable[[], float], end: Callable[[], None]) -> None:
        """Returns after `end`, once what is paid for is used up.

        Args:
            used_s: for how many seconds the call has been paid for until now.
        """
        while True:
            left_s = self._paid_s - ENDING_S - used_s()
            if left_s > AHEAD_S:
                await asyncio.sleep(left_s - AHEAD_S)
            elif self._may_buy(left_s) and (bought_s := await self._buy(PIECE_S)):
                self._paid_s += bought_s
                self._warned = False
            elif left_s <= 0:
                end()
                return
            elif left_s > self._notice_s:
                await asyncio.sleep(left_s - self._notice_s)
            else:
                if not self._warned:
                    # not by a few milliseconds less than what was meant
                    notice_s = self._notice_s if left_s > self._notice_s - ROUGHLY_S else round(left_s, 1)
                    call.warn_of_end(notice_s, "The credit for this call is nearly used up", "credits_exhausted")
                    self._warned = True
                # while the caller is away nothing is used
                await asyncio.sleep(max(left_s, ENDING_S))

    def _may_buy(self, left_s: float) -> bool:
        """Whether to try: not all the time, but always before the end."""
        now = asyncio.get_running_loop().time()
        if left_s > 0 and now < self._asked_at + AGAIN_S:
            return False
        self._asked_at = now
        return True
