"""The `events` data channel: events out as JSON, the client's messages in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from aiortc import RTCDataChannel

__all__ = ["TOO_MUCH", "EventsChannel", "drain"]

log = logging.getLogger(__name__)

LABEL = "events"
BACKLOG = 1000
"""Events kept for a client that has not opened its channel yet; the oldest go first."""
FLUSH_S = 0.5
TOO_MUCH = 4 * 1024 * 1024
"""Unsent bytes after which the client is taken for gone."""


class EventsChannel:
    """Opened by the client in its offer. `on_message` gets each message's raw text."""

    def __init__(self, on_message: Callable[[str | bytes], None], on_stuck: Callable[[], None]) -> None:
        self.max_message_size = 0
        """Bytes that the client takes in one message; 0 where any number."""
        self._on_message = on_message
        self._on_stuck = on_stuck
        self._channels: list[RTCDataChannel] = []
        """Channels of our label, the newest last."""
        self._backlog: deque[str] = deque(maxlen=BACKLOG)

    def attach(self, channel: RTCDataChannel) -> None:
        """A channel that the client opened. Events go over the newest one of our label that is open."""
        if channel.label != LABEL:
            return
        self._channels = [*(each for each in self._channels if each.readyState == "open"), channel]
        channel.on("message", self._on_message)
        while self._backlog and channel.readyState == "open":
            channel.send(self._backlog.popleft())

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails: what cannot be sent is lost with the connection."""
        text, limit = _text(message), self.max_message_size
        if (size := _size(text)) > limit > 0:
            log.warning("%s has %d bytes and its client takes %d: left out", _name(message), size, limit)
            text = _text(_left_out(message, size, limit))
            if _size(text) > limit:
                return
        channel = self._newest()
        if channel is None:
            self._backlog.append(text)
            return
        channel.send(text)
        if channel.bufferedAmount > TOO_MUCH:
            self._on_stuck()

    async def flush(self) -> None:
        """Wait a moment for what was sent to leave."""
        await drain(self._newest())

    def _newest(self) -> RTCDataChannel | None:
        channels = self._channels
        while channels and channels[-1].readyState != "open":
            channels.pop()
        return channels[-1] if channels else None


async def drain(channel: RTCDataChannel | None) -> None:
    """Wait a moment, half a second at most, for what was sent over a channel to leave."""
    if channel is None or channel.readyState != "open" or channel.bufferedAmount == 0:
        return
    left = asyncio.Event()
    channel.bufferedAmountLowThreshold = 0
    channel.on("bufferedamountlow", left.set)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_S):
            await left.wait()


def _text(message: Mapping[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _name(message: Mapping[str, Any]) -> str:
    match message:
        case {"type": name} | {"event": name} if name:
            return str(name)[:100]
    return "a message"


def _left_out(message: Mapping[str, Any], size: int, limit: int) -> Mapping[str, Any]:
    """What a client is told in place of an event that it could not take, under the event's own number."""
    sentence = f"The event {_name(message)} has {size} bytes; this client takes {limit} in one message."
    numbered = {key: message[key] for key in ("call_id", "seq", "time") if key in message}
    return {"type": "error", **numbered, "code": "event_too_large", "message": sentence}
