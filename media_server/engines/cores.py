"""How many cores this process may compute on."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["cores"]

SYSTEM = Path("/sys")
NO_LIMIT = 1_000_000


def cores(system: Path = SYSTEM) -> int:
    """Physical cores that the process is allowed, within what its container may use.

    Two threads on one core wait for each other in the arithmetic of models, so hyperthreads do not count.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    physical = {_core(system, cpu) for cpu in allowed}
    return max(1, min(len(physical), _quota(system)))


def _core(system: Path, cpu: int) -> tuple[str, str]:
    """The package and the core that a logical processor belongs to."""
    folder = system / f"devices/system/cpu/cpu{cpu}/topology"
    try:
        return (folder / "physical_package_id").read_text().strip(), (folder / "core_id").read_text().strip()
    except OSError:
        return "", str(cpu)


def _quota(system: Path) -> int:
    """Cores' worth of time that the container may use (cgroup 2), rounded up; very many where it has no limit."""
    try:
        quota, period = (system / "fs/cgroup/cpu.max").read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number
        return NO_LIMIT
