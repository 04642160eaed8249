"""The share of the processor that the server gets beside other programs."""

from __future__ import annotations

import contextlib
import os

__all__ = ["MEDIA", "prefer"]

MEDIA = -15
"""Niceness of what carries sound: late packets are heard as gaps, and late answers as lost calls."""


def prefer(niceness: int) -> None:
    """Have this process go before other programs, where the system lets it; it does with the right to (`CAP_SYS_NICE`).

    A program with hundreds of busy threads on the same machine, such as many clients, would get hundreds of shares
    of the processor for each of the server's. The engines' processes give it up (`engines.host.stand_back`).
    """
    with contextlib.suppress(OSError, AttributeError):
        if os.getpriority(os.PRIO_PROCESS, 0) > niceness:
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
