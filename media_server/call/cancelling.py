"""Cancelling a task once: a second time would disturb its cleaning up."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

__all__ = ["cancel", "is_cancelled"]

_CANCELLED: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
"""By us. What a task itself says (`cancelling`) counts its own timeouts too, and a task that is just giving up waiting
for something would never be told."""


def cancel(task: asyncio.Task[Any] | None) -> None:
    if task is not None and task not in _CANCELLED:
        _CANCELLED.add(task)
        task.cancel()


def is_cancelled(task: asyncio.Task[Any]) -> bool:
    """Whether it was told to end."""
    return task in _CANCELLED
