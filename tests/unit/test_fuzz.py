"""Every target of `make fuzz` for a moment: it can be run, and finds nothing in its first inputs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from fuzz.targets import TARGETS

SECONDS = 3.0
"""For each target."""


async def test_nothing_fails_hangs_or_holds_up_the_loop() -> None:
    # in a process of its own: what other tests left behind in this one, Hypothesis would stumble over
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fuzz", "--minutes", str(SECONDS * len(TARGETS) / 60),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    said = (await process.stdout.read()).decode()
    assert await process.wait() == 0, said
    for target in TARGETS:
        tried = next(line for line in said.splitlines() if line.startswith(f"{target} "))
        assert int(tried[len(target) :].split()[0]) > 3
