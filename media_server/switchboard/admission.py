"""Whether one more call can be taken: lines in use, of all calls, of an agent and of a key."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from media_server import events as e
from media_server.agents import Agent
from media_server.call import RunningCall
from media_server.engines.engines import Engines
from media_server.errors import ClientError
from media_server.store import Key
from media_server.switchboard.start import CallGrant

__all__ = ["Admission"]

log = logging.getLogger(__name__)

BUSY = {"Retry-After": "10"}
MAX_WAITING = 8
"""Chats without a client for each line that take none; more of them do."""
NEARLY = 0.8
"""Share of `max_calls` in use at which the operator is warned."""


class Admission:
    """Counts the lines that are taken: by calls under way, and by those that are about to begin."""

    def __init__(self, engines: Engines, max_calls: int) -> None:
        self.draining = False
        """No new calls: the server is about to stop."""
        self._engines = engines
        self._max_calls = max_calls
        self._taken: dict[str, tuple[RunningCall, str | None]] = {}
        """Calls under way, and the key that pays for each, by session."""
        self._opening: list[tuple[str, str | None]] = []
        """Agents and payers of calls that are about to begin."""
        self._nearly_full = False

    def check_room(self) -> None:
        """Raises `ClientError` (503) as long as no call can be taken."""
        if self.draining:
            raise ClientError("draining", "The server is about to stop.", status=503, headers={"Retry-After": "30"})
        if not self._engines.ready:
            raise ClientError(
                "not_ready", "The models are still being loaded.", status=503, headers={"Retry-After": "2"}
            )
        busy = len(self._busy())
        waiting = len(self._taken) - busy - MAX_WAITING * self._max_calls
        if busy + max(0, waiting) + len(self._opening) >= self._max_calls:
            raise _refusal()

    def check(self, agent: Agent, key: Key | None) -> None:
        """Raises `ClientError` (503, 429) where the server, the agent or the key has as many calls as it may."""
        self.check_room()
        opening = [name for name, _ in self._opening]
        taken = [each.call.agent.name for each, _ in self._busy()] + opening
        if agent.max_calls is not None and taken.count(agent.name) >= agent.max_calls:
            raise _refusal()
        if key and key.max_calls is not None:
            paid = self._paid_by(key) + [payer for _, payer in self._opening].count(key.id)
            if paid >= key.max_calls:
                message = "This API key has as many calls under way as it may have."
                raise ClientError("too_many_calls_of_key", message, status=429, headers=BUSY)

    def limits(self, agent: Agent, key: Key | None) -> e.Limits:
        """The limits of a new call, as its client is told them."""
        if key and key.max_calls is not None:
            return e.Limits(agent.max_duration_s, self._paid_by(key) + 1, key.max_calls)
        return e.Limits(agent.max_duration_s, len(self._busy()) + 1, self._max_calls)

    def _paid_by(self, key: Key) -> int:
        return [payer for _, payer in self._busy()].count(key.id)

    def _busy(self) -> list[tuple[RunningCall, str | None]]:
        """Those that take a line: all but chats that only wait for their client to come back."""
        return [entry for entry in self._taken.values() if not entry[0].waiting]

    @contextlib.contextmanager
    def taking(self, agent: Agent, start: CallGrant) -> Iterator[None]:
        """A line is taken while a call is about to begin."""
        entry = (agent.name, start.key_id)
        self._opening.append(entry)
        try:
            yield
        finally:
            self._opening.remove(entry)

    def began(self, session: RunningCall, start: CallGrant) -> None:
        """The call has a line until it `ended`."""
        self._taken[session.id] = session, start.key_id
        nearly_full = len(self._busy()) >= NEARLY * self._max_calls
        if nearly_full and not self._nearly_full:
            log.warning("%d of %d call slots in use (max_calls)", len(self._busy()), self._max_calls)
        self._nearly_full = nearly_full

    def ended(self, session: RunningCall) -> None:
        """The call's line is free."""
        del self._taken[session.id]


def _refusal() -> ClientError:
    return ClientError("too_many_calls", "All lines are busy; try again later.", status=503, headers=BUSY)
