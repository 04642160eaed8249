"""A call's events in order: numbered and timed, then to the client, the record, the log and the agent's code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from media_server import events as e
from media_server import logs

__all__ = ["EventLog"]

log = logging.getLogger("media_server.call")

LOGGED = frozenset(
    {
        *("call.started", "call.ending", "call.ended", "call.forwarded", "call.paused", "call.resumed"),
        *("call.reconnecting", "call.reconnected", "idle.warning", "turn.metrics", "tool.called", "tool.returned"),
        *("warning", "error"),
    }
)
"""Events that an operator reads in the log. It has the others at the level `debug` only."""
SAID = frozenset({"arguments", "result", "text", "metadata"})
"""Fields with what people said: the log has them at the level `debug` only, since nothing deletes them from there."""


class EventLog:
    """`emit` events; `clock` is the call's.

    Args:
        send: takes what the client is sent.
        record: takes what is kept: what is ephemeral is left out.
    """

    def __init__(self, call_id: str, send: Callable[[e.Envelope], None], record: Callable[[e.Envelope], None]) -> None:
        self.dispatch: Callable[[e.Envelope], None] = lambda envelope: None
        """Hands an event to the agent's code."""
        self.call_id = call_id
        logs.in_call(call_id)
        self._send = send
        self._record = record
        self._loop_time = asyncio.get_running_loop().time
        self._started_s = self._loop_time()
        self._seq = 0

    def clock(self) -> float:
        """Seconds since the call began."""
        return self._loop_time() - self._started_s

    def emit(self, event: e.Event) -> e.Envelope:
        """Number and time the event, and hand it on. Returns it as it was sent."""
        envelope = e.Envelope(self.call_id, self._seq, round(self.clock(), 3), e.settled(event))
        self._seq += 1
        self._record(envelope.kept)  # first: what a client was told is never missing in the records
        self._send(envelope)
        fields = {k: v for k, v in envelope.kept.wire.items() if k not in ("type", "call_id", "time")}
        if log.isEnabledFor(logging.DEBUG):
            logs.detail(log, event.type, call=self.call_id, at_s=envelope.time, **fields)
        elif event.type in LOGGED:
            fields = {k: v for k, v in fields.items() if k not in SAID}
            logs.event(log, event.type, call=self.call_id, at_s=envelope.time, **fields)
        self.dispatch(envelope)
        return envelope
