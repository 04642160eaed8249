"""How much of a caller's sound and keys is worth a server's time: so much at once, and so much a second. Pure."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """`take` what comes; what is beyond the allowance is to be dropped.

    Args:
        most: that may come at once, as behind a network that stood still.
        per_s: that may come each second for ever.
    """

    def __init__(self, most: float, per_s: float) -> None:
        self._most, self._per_s = most, per_s
        self._left = most
        self._at_s: float | None = None

    def take(self, amount: float, now_s: float) -> bool:
        """Whether this much may come now."""
        if self._at_s is not None and now_s > self._at_s:
            self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if amount > self._left:
            return False
        self._left -= amount
        return True
