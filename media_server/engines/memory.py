"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path

__all__ = ["available_bytes"]

SYSTEM = Path("/")
NO_LIMIT = 1 << 60


def available_bytes(system: Path = SYSTEM) -> int:
    """Memory that can be had without swapping, within what the container may use; very much where nobody tells."""
    return min(_of_the_machine(system), _of_the_container(system))


def _of_the_machine(system: Path) -> int:
    try:
        lines = (system / "proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return NO_LIMIT


def _of_the_container(system: Path) -> int:
    """What its cgroup (version 2) leaves; files that the kernel keeps in memory would make room."""
    group = system / "sys/fs/cgroup"
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(kept.get("inactive_file", 0)))
    except (OSError, ValueError):  # "max" is no number
        return NO_LIMIT
