"""The life of a call, whatever it goes over: its parts run until somebody says why it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from media_server import events as e
from media_server.call.call import Call
from media_server.call.event_log import EventLog

__all__ = ["Lifecycle"]

log = logging.getLogger("media_server.call")


class Lifecycle:
    """`end` says why it is over; the first who does decides."""

    def __init__(self) -> None:
        self.reason = ""
        """Why it ended; once everybody was told."""
        self.ended = asyncio.Event()
        """Set with the first reason."""
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def over(self) -> bool:
        """Hung up; what is left is to give things back."""
        return self._over.done()

    def end(self, reason: str) -> None:
        """`run` returns soon after."""
        if not self._over.done():
            self._over.set_result(reason)
            self.ended.set()

    async def run(
        self,
        call: Call,
        event_log: EventLog,
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
                tasks = [group.create_task(work(), name=f"{call.id}-{name}") for name, work in parts.items()]
                reason = await self._over
                for task in tasks:
                    task.cancel()
        except asyncio.CancelledError:
            reason = "server_shutdown"
            raise
        except Exception:  # one call's defect must not end the others
            log.exception("call %s failed", call.id)
        finally:
            event_log.emit(e.StateChanged("ended"))
            self.reason = reason
            ended = event_log.emit(last(reason))
            await give_back()
            await call.dispatch_last(ended)
