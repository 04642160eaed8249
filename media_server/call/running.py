"""A call under way, spoken or written: its parts run until somebody says why it is over."""

from __future__ import annotations

import asyncio
import logging
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from media_server import events as e
from media_server.call.call import Call
from media_server.call.event_log import EventLog
from media_server.call.meter import Meter

__all__ = ["RunningCall"]

log = logging.getLogger("media_server.call")


class RunningCall(ABC):
    """`run` it to its end. `hang_up` says why it is over; the first who does decides."""

    call: Call

    def __init__(self, call_id: str, send: Callable[[e.Envelope], None], record: Callable[[e.Envelope], None]) -> None:
        self.id = secrets.token_urlsafe(16)
        """Who knows it may go on with the call."""
        self.call_id = call_id
        self.reason = ""
        """Why it ended; once everybody was told."""
        self.ended = asyncio.Event()
        """Set as soon as the call has been hung up."""
        self.meter: Meter | None = None
        """Where a credit pays for the call."""
        self._event_log = EventLog(call_id, send, record)
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @abstractmethod
    async def run(self) -> None:
        """Conduct the call and give everything back at its end, whatever ends it."""

    @property
    def over(self) -> bool:
        """Hung up; what is left is to give things back."""
        return self._over.done()

    @property
    def waiting(self) -> bool:
        """Whether it does nothing but wait for a client to come back."""
        return False

    @property
    def late_frames(self) -> int:
        """Number of frames of the agent's voice that were handed out too late."""
        return 0

    def hang_up(self, reason: str) -> None:
        """End the call; `run` returns soon after."""
        if not self._over.done():
            self._over.set_result(reason)
            self.ended.set()

    async def _run(
        self,
        parts: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
        give_back: Callable[[], Awaitable[None]],
        last: Callable[[str], e.CallEnded],
    ) -> None:
        """Run the parts to the end, whatever ends it; tell everybody, then `give_back`.

        Args:
            last: makes the last event of the reason.
        """
        reason = "internal_error"
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work(), name=f"{self.call_id}-{name}") for name, work in parts.items()]
                reason = await self._over
                for task in tasks:
                    task.cancel()
        except asyncio.CancelledError:
            reason = "server_shutdown"
            raise
        except Exception:  # one call's defect must not end the others
            log.exception("call %s failed", self.call_id)
        finally:
            self._event_log.emit(e.StateChanged("ended"))
            self.reason = reason
            ended = self._event_log.emit(last(reason))
            await give_back()
            await self.call.dispatch_last(ended)
