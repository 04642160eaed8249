"""Signalling of one client: its messages wait here for the WebSocket, which may be lost and come again."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from media_server.doors.livekit.messages import encode_response

__all__ = ["Outbox"]

MAX_WAITING = 500
"""Maximum messages for a client that does not read them; then its socket is given up."""


class Outbox:
    """What is to be sent over one WebSocket: `put`, until `close`; `next` is for its writer."""

    def __init__(self) -> None:
        self.is_closed = False
        self.has_left = False
        """One side has said that it leaves."""
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()

    def put(self, **response: Any) -> None:
        """Send this message; it is lost where the socket is."""
        if self.is_closed:
            return
        self._waiting.append(encode_response(**response))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.clear()
            self.close()
        self._changed.set()

    async def next(self) -> bytes | None:
        """The next message; None when there will be none."""
        while not self._waiting:
            if self.is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        """What waits is still sent; then the socket is closed."""
        self.is_closed = True
        self._changed.set()
