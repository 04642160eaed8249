"""Keys of a telephone that follow each other, as one text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Keypad"]

PAUSE_S = 2.0
"""Seconds without another key after which what was pressed is whole."""
END = "#"
"""The key that says so at once; it is no part of the text unless it stands alone."""
MOST = 64


class Keypad:
    """`press` each key; `entered` takes all of them when the caller has pressed the last.

    Args:
        entered: takes the keys as one text, such as `427`.
    """

    def __init__(self, entered: Callable[[str], None]) -> None:
        self._entered = entered
        self._keys = ""
        self._pause: asyncio.TimerHandle | None = None

    def press(self, digit: str) -> None:
        """Take a key."""
        self._stop_waiting()
        if digit == END or len(self._keys) >= MOST:
            keys, self._keys = self._keys or digit, ""
            self._entered(keys)
            return
        self._keys += digit
        self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._take)

    def clear(self) -> None:
        """Forget what was pressed."""
        self._stop_waiting()
        self._keys = ""

    def _take(self) -> None:
        keys, self._keys, self._pause = self._keys, "", None
        self._entered(keys)

    def _stop_waiting(self) -> None:
        if self._pause:
            self._pause.cancel()
            self._pause = None
