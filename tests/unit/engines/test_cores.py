"""How many threads engines get where nobody says: hyperthreads and containers' limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media_server.engines.cores import cores


@pytest.mark.parametrize(
    ("core_ids", "quota", "expected"),
    [
        ([0, 1, 2, 3], "max 100000", 4),
        ([0, 0, 1, 1], "max 100000", 2),
        ([0, 1, 2, 3], "150000 100000", 2),
        ([0, 1, 2, 3], "20000 100000", 1),
        ([0, 1, 2, 3], "nonsense", 4),
        ([], None, 4),
    ],
    ids=["plain", "hyperthreads", "quota", "little", "unreadable", "unknown"],
)
def test_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core_ids: list[int], quota: str | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for cpu, core in enumerate(core_ids):
        folder = tmp_path / f"devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text("0\n")
        (folder / "core_id").write_text(f"{core}\n")
    if quota:
        (tmp_path / "fs/cgroup").mkdir(parents=True)
        (tmp_path / "fs/cgroup/cpu.max").write_text(f"{quota}\n")
    assert cores(tmp_path) == expected
