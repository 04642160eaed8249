"""A call's events in order: numbered and timed, then to the client, the record, the log and the agent's code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from media_server import events as e
from media_server import logs

__all__ = ["Journal", "Message"]

log = logging.getLogger("media_server.call")

Message = dict[str, Any]
"""An event as it is on the wire."""


class Journal:
    """`emit` events; `clock` is the call's.

    Args:
        send: takes what the client is sent.
        record: takes what is kept: what is ephemeral is left out.
    """

    def __init__(
        self, call_id: str, send: Callable[[Message], None], record: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self.dispatch: Callable[[Message], None] = lambda message: None
        """Of the agent's code."""
        self._call_id = call_id
        logs.in_call(call_id)
        self._send = send
        self._record = record
        self._loop_time = asyncio.get_running_loop().time
        self._started_s = self._loop_time()
        self._seq = 0

    def clock(self) -> float:
        """Seconds since the call began."""
        return self._loop_time() - self._started_s

    def emit(self, event: e.Event) -> Message:
        """The event as it was sent."""
        message = e.wire(event, self._call_id, self._seq, self.clock())
        self._seq += 1
        self._send(message)
        kept_nowhere = ("arguments", "result") if getattr(event, "ephemeral", None) else ()
        kept = {k: v for k, v in message.items() if k not in kept_nowhere}
        self._record(kept)
        fields = {k: v for k, v in kept.items() if k not in ("type", "call_id", "time")}
        logs.event(log, event.type, call=self._call_id, at_s=message["time"], **fields)
        self.dispatch(message)
        return message
