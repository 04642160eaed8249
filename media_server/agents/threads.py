"""Plain functions of agents, each run in a thread of its own.

The event loop's pool has few threads, and the process waits for them at its end: functions that hang would take the
threads from recordings and documents, and keep the server from stopping.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["in_thread"]


async def in_thread(function: Callable[..., Any], **arguments: Any) -> Any:
    """What the function returns or raises. When cancelled, it is left behind: a thread cannot be stopped."""
    outcome: Future[Any] = Future()
    outcome.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.set_result(context.run(function, **arguments))
        except BaseException as failed:  # noqa: BLE001 - whatever a developer's code raises is for whoever waits
            outcome.set_exception(failed)

    threading.Thread(target=work, name="code of an agent", daemon=True).start()
    return await asyncio.wrap_future(outcome)
