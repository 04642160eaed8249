"""The `events` data channel: events out as JSON, the client's messages in."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCDataChannel

__all__ = ["EventsChannel"]

LABEL = "events"
BACKLOG = 1000
"""Events kept for a client that has not opened its channel yet; the oldest go first."""
FLUSH_S = 0.5
TOO_MUCH = 4 * 1024 * 1024
"""Unsent bytes after which the client is taken for gone."""


class EventsChannel:
    """Opened by the client in its offer. `on_message` gets each message's raw text."""

    def __init__(self, on_message: Callable[[str | bytes], None], on_stuck: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_stuck = on_stuck
        self._channel: RTCDataChannel | None = None
        self._backlog: deque[str] = deque(maxlen=BACKLOG)

    def attach(self, channel: RTCDataChannel) -> None:
        """A channel that the client opened; others than the first of our label are none of our business."""
        if channel.label != LABEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        while self._backlog:
            channel.send(self._backlog.popleft())

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails: what cannot be sent is lost with the connection."""
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        if self._channel is None:
            self._backlog.append(text)
        elif self._channel.readyState == "open":
            self._channel.send(text)
            if self._channel.bufferedAmount > TOO_MUCH:
                self._on_stuck()

    async def flush(self) -> None:
        """Wait a moment for what was sent to leave."""
        if (channel := self._channel) is None or channel.readyState != "open" or channel.bufferedAmount == 0:
            return
        left = asyncio.Event()
        channel.bufferedAmountLowThreshold = 0
        channel.on("bufferedamountlow", left.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await left.wait()
