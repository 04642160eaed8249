"""What a reply does before the turn is over is held back here: nobody hears, sees or remembers it until then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Gate"]


class Gate:
    """Closed while the caller may still go on. A gate that is dropped closed leaves no trace."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._held: list[Callable[[], object]] = []

    def do(self, action: Callable[[], object]) -> None:
        """Do it now, or when the gate opens; in order."""
        if self.opened.is_set():
            action()
        else:
            self._held.append(action)

    def open(self) -> None:
        self.opened.set()
        held, self._held = self._held, []
        for action in held:
            action()
