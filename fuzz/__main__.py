"""`python -m fuzz`: try inputs until the time is over, and report crashes, hangs, tracebacks and the slowest input."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from fuzz.targets import FILES, TARGETS
from fuzz.watching import Watch

SLOW_S = 0.1
"""CPU of the event loop that no input may take …"""
SLOW_FILE_S = 1.0
"""… and of a thread that no small file may take."""
ROUND = 200
"""Inputs of a target before the next has its turn."""


def run(names: Iterable[str], seconds: float) -> tuple[Watch, dict[str, str]]:
    """Try inputs of these targets in turn; the watch over them, and the first failure of each target."""
    watch, failures = Watch(), dict[str, str]()
    logging.getLogger().addHandler(watch)
    gc.collect()
    gc.freeze()  # as the server does when it is ready: collections are not the inputs' doing
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: watch.tracebacks.append(str(context)[:2000]))
    until, left = time.monotonic() + seconds, list(names)
    try:
        while left and time.monotonic() < until:
            for name in list(left):
                share = (until - time.monotonic()) / len(left) if seconds < 120 else until - time.monotonic()
                failure = _round(loop, watch, name, time.monotonic() + share)
                if failure:
                    failures[name] = failure
                    left.remove(name)
    finally:
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()
        gc.unfreeze()
        logging.getLogger().removeHandler(watch)
    return watch, failures


def _round(loop: asyncio.AbstractEventLoop, watch: Watch, name: str, until: float) -> str:
    """Some inputs of one target; what failed, with the smallest input that makes it fail."""
    inputs, attempt = TARGETS[name]

    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def each(what: Any) -> None:
        if time.monotonic() < until:
            with watch.input(name, what):
                loop.run_until_complete(attempt(what))

    try:
        each()
    except Exception:  # noqa: BLE001 - it is what is looked for
        return traceback.format_exc()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all without")
    args = parser.parse_args()
    wrong = [name for name in args.targets if name not in TARGETS]
    if wrong:
        parser.error(f"there is no target {wrong[0]!r}")
    logging.basicConfig(level=logging.CRITICAL)
    watch, failures = run(args.targets or TARGETS, args.minutes * 60)
    print(f"{'target':<24}{'inputs':>9}{'slowest ms':>12}")
    for name, count in watch.tried.items():
        print(f"{name:<24}{count:>9}{watch.slowest[name][0] * 1000:>12.1f}")
    for name, failure in failures.items():
        print(f"\nFAILED: {name}\n{failure}")
    for each in watch.tracebacks[:10]:
        print(f"\nTRACEBACK in the log:\n{each}")
    in_loop = {name: x for name, x in watch.slowest.items() if name not in FILES}
    slow = {name: x for name, x in watch.slowest.items() if x[0] > (SLOW_FILE_S if name in FILES else SLOW_S)}
    for name, (seconds, what) in slow.items():
        print(f"\nSLOW: {name}: {seconds:.3f} s for {what}")
    print(
        f"\n{watch.tried.total()} inputs, {len(failures)} crashes, 0 hangs, {len(watch.tracebacks)} tracebacks, "
        f"longest gap {max((x[0] for x in in_loop.values()), default=0.0) * 1000:.0f} ms"
    )
    return 1 if failures or watch.tracebacks or slow else 0


if __name__ == "__main__":
    sys.exit(main())
