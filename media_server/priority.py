"""The share of the processor that the server and its engines get beside other programs, and for how long."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

__all__ = ["BEHIND", "MEDIA", "end_with_parent", "prefer", "stand_back", "step_behind", "wait_for_the_rest"]

MEDIA = -15
"""Niceness of what carries sound: late packets are heard as gaps, and late answers as lost calls."""

BEHIND = 5
"""How much nicer engines are than a server that may not go before others: that is a third of its share where both want
to run. Engines lose next to nothing by it, for the server needs little."""

_PR_SET_PDEATHSIG = 1


def prefer(niceness: int) -> None:
    """Have this process go before other programs, where the system lets it; it does with the right to (`CAP_SYS_NICE`).

    A program with hundreds of busy threads on the same machine, such as many clients, would get hundreds of shares
    of the processor for each of the server's. The engines' processes give it up (`step_behind`).
    """
    with contextlib.suppress(OSError, AttributeError):
        if os.getpriority(os.PRIO_PROCESS, 0) > niceness:
            os.setpriority(os.PRIO_PROCESS, 0, niceness)


def stand_back() -> None:
    """Give up what `prefer` took for the process that started this one: media have to be on time, engines work on."""
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def step_behind() -> None:
    """Have an engine's process let its server go first, also where the server has no priority that it could give up.

    A niceness counts among the processes of one service, container or terminal session, where the system shares the
    processor between those first (systemd, Docker, autogroups): other programs then take nothing from the engines.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        stand_back()
    else:
        os.nice(BEHIND)


def wait_for_the_rest() -> None:
    """Have this process, with the threads that it will start, run only where nothing else wants to (sched(7)).

    Where the system has no such class, the lowest priority comes near to it.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (OSError, AttributeError):
        with contextlib.suppress(OSError, AttributeError):
            os.nice(19)


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it ends (prctl(2)); it may be stopped by then."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
