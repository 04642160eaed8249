"""The media benchmark measures what it says, on both kinds of server; briefly, and without looking at the times."""

from __future__ import annotations

import pytest

from bench.media_measures import Plan, cpu, network
from bench.media_network import Network

pytestmark = pytest.mark.skipif("not __import__('sys').platform.startswith('linux')", reason="the kernel's timestamps")


@pytest.mark.parametrize("kind", ["ours", "aiortc"])
async def test_a_caller_who_loses_packets_is_measured(kind: str) -> None:
    plan = Plan(seconds=0.75, settled_s=0.5)
    found = await network(plan, [Network("lossy", loss=0.2)], kind)
    assert found["lossy: delay, ms: median"] >= 0
    assert 0 < found["lossy: sound gone, %"] <= 100


async def test_what_a_call_costs_is_measured() -> None:
    found = await cpu(Plan(seconds=1.0, settled_s=0.3), True, 1, "ours")
    assert found["speaking, 1 call: CPU, ms per call-second"] > 0
    assert found["speaking, 1 call: share of the packets sent"] > 0.2
    assert found["speaking, 1 call: share of the sound heard"] > 0.2
