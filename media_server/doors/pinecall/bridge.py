"""Calls of one agent to another of this server: each hears the other's voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from media_server.call import Session
from media_server.http.sockets import until_first
from media_server.rtc import Handset, PcmFormat, SocketLine, SocketWire
from media_server.switchboard import CallGrant, Switchboard

__all__ = ["Bridge", "open_bridge"]

SOUND = PcmFormat(48_000)


class Bridge:
    """Two sessions and their lines; `carry` lets them hear each other until either hangs up."""

    def __init__(self, caller: tuple[Session, SocketLine], callee: tuple[Session, SocketLine]) -> None:
        self.caller, self._caller_line = caller
        self.callee, self._callee_line = callee

    async def carry(self) -> None:
        lines = self._caller_line, self._callee_line
        for line in lines:
            line.connected.set()
        try:
            await until_first(_carry(*lines), _carry(*reversed(lines)))
        finally:
            for line in lines:
                line.closed_by_peer = True
                line.gone.set()


async def open_bridge(
    sessions: Switchboard,
    caller: str,
    callee: str,
    start: CallGrant,
    changes: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Bridge:
    """Begin a call between two agents.

    Args:
        start: on whose account both are.
        changes: of the agent that calls, for this call.

    Raises:
        ClientError: one of them cannot take a call now.
    """
    answered = await sessions.open_line(callee, _new_line, metadata, {}, start, lingers=False)
    try:
        terms = start.terms.model_copy(update={"changes": dict(changes)})
        changed = replace(start, terms=terms)
        calling = await sessions.open_line(caller, _new_line, metadata, {}, changed, lingers=False)
    except BaseException:
        answered[1].gone.set()
        answered[0].hang_up("client_hangup")
        raise
    return Bridge(calling, answered)


def _new_line(handset: Handset) -> SocketLine:
    # nothing is sent ahead: an agent that is interrupted is heard to stop at once
    return SocketLine(handset, SocketWire(SOUND, SOUND, lead_s=0.0))


async def _carry(source: SocketLine, sink: SocketLine) -> None:
    """The sound of one line into the other; its events are for observers."""
    while (item := await source.next()) is not None:
        if isinstance(item, bytes):
            await sink.hear(item)
