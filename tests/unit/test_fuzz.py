"""Every target of `make fuzz` for a moment: it can be run, and finds nothing in its first inputs."""

from __future__ import annotations

import asyncio

import pytest

from fuzz.__main__ import SLOW_S, run
from fuzz.targets import FILES, TARGETS

SECONDS = 3.0


@pytest.mark.parametrize("target", TARGETS)
async def test_nothing_fails_hangs_or_holds_up_the_loop(target: str) -> None:
    watch, failures = await asyncio.to_thread(run, [target], SECONDS)
    assert not failures
    assert not watch.tracebacks
    assert watch.tried[target] > 3
    seconds, what = watch.slowest[target]
    assert target in FILES or seconds < SLOW_S, what
