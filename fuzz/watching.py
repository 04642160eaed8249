"""Watching a run: what failed, what hung, what was logged with a traceback, and how long one input took."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Watch"]

HANG_S = 60.0
"""After which an input is taken for one that hangs, on a busy machine too: where it is, is printed, and the process
ends."""


@dataclass
class Watch(logging.Handler):
    """Counts inputs by target, and keeps the slowest and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, tuple[float, str]] = field(default_factory=dict)
    """By target: seconds of this thread's CPU, and the input."""
    tracebacks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info or "Traceback" in message or "never retrieved" in message:
            self.tracebacks.append(message[:2000])

    @contextlib.contextmanager
    def input(self, target: str, what: object) -> Iterator[None]:
        """Try one input of a target."""
        self.tried[target] += 1
        faulthandler.dump_traceback_later(HANG_S, exit=True, file=sys.__stderr__ or 2)
        gc.disable()  # what makes the inputs leaves a lot of garbage behind, which is not their doing
        began = time.thread_time()
        try:
            yield
        finally:
            took = time.thread_time() - began
            gc.enable()
            faulthandler.cancel_dump_traceback_later()
            if took > self.slowest.get(target, (0.0, ""))[0]:
                self.slowest[target] = took, repr(what)[:300]
