"""Running the code of agents: plain functions each in a thread of its own, and none of it ends the server."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from media_server.jsonable import sound

__all__ = ["in_thread", "said_of", "staying"]


MAX_SAID = 2000
"""Characters of what an exception says."""


@contextlib.contextmanager
def staying() -> Iterator[None]:
    """Raises `RuntimeError` where the code inside wants to end the program, or raises what is no `Exception`.

    It has to stand in the task that runs the code: a task that ends with `SystemExit` or `KeyboardInterrupt` takes the
    event loop with it.
    """
    try:
        yield
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as stop:
        raise RuntimeError(f"it wanted to end the program: {said_of(stop)}") from stop


def said_of(failed: BaseException) -> str:
    """What an exception of a developer's code says, as every wire can carry it; the name of its class if nothing."""
    try:
        said = sound(str(failed)).strip()
    except Exception:  # noqa: BLE001 - an exception whose text is code that fails as well
        said = ""
    return said[:MAX_SAID] or type(failed).__name__


async def in_thread(function: Callable[..., Any], **arguments: Any) -> Any:
    """What the function returns or raises. When cancelled, it is left behind: a thread cannot be stopped.

    The event loop's pool has few threads, and the process waits for them at its end: functions that hang would take
    the threads from recordings and documents, and keep the server from stopping.
    """
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
