"""How callers are treated: simulated ones who hesitate, say "okay", cough, echo, answer early, and interrupt.

    python -m bench.conversation [--seeds 3] [--only echo early] [--noise-db 40] [--babble-db 10] [--pack starter]
        [--at-once 1] [--json FILE] [--svg FILE]

Every caller is a real call, in real time, with a seed for what it says and when. Printed for each kind: callers, those
who were treated wrongly and how, and delays: from the caller's word to the last packet of the agent's voice where it
interrupts, else from its last sound to the agent's first. `--babble-db` has six people talk behind the caller, by so
many decibels quieter, for the whole of the call.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.conversation_callers import KINDS, Conditions, Outcome, Simulated, spoken_sounds
from bench.conversation_picture import results
from bench.server import measured_server
from media_server.audio import Samples
from media_server.caller import Caller

RATES = ("false cut-off", "missed end", "false interruption", "missed interruption", "early answer lost", "words lost")


async def one(url: str, kind: str, seed: int, conditions: Conditions, sounds: dict[str, Samples]) -> Outcome:
    act, echo_s = KINDS[kind]
    async with Caller(url) as caller:
        await caller.wait_for("state.changed", lambda e: e["state"] == "listening", timeout_s=30)
        it = Simulated(caller, np.random.default_rng(seed), dataclasses.replace(conditions, echo_s=echo_s), sounds)
        speaking = asyncio.create_task(it.run())
        try:
            return await act(it)
        except TimeoutError:
            return Outcome("nothing came")
        finally:
            speaking.cancel()


async def measured(url: str, kinds: Sequence[str], args: Any) -> dict[str, list[Outcome]]:
    conditions = Conditions(args.noise_db, args.babble_db)
    sounds = await spoken_sounds(url) if {"backchannel", "stop"} & set(kinds) else {}
    places = asyncio.Semaphore(args.at_once)
    outcomes: dict[str, list[Outcome]] = {}

    async def place(kind: str, seed: int) -> Outcome:
        async with places:
            return await one(url, kind, seed, conditions, sounds)

    for kind in kinds:
        outcomes[kind] = await asyncio.gather(*(place(kind, seed) for seed in range(args.seeds)))
        print(row(kind, outcomes[kind]), flush=True)
    return outcomes


def row(kind: str, outcomes: Sequence[Outcome]) -> str:
    wrong = [o.wrong for o in outcomes if o.wrong]
    middle, most = delays(outcomes)
    return f"| {kind} | {len(outcomes)} | {len(wrong)} | {middle} | {most} | {'; '.join(wrong)} |"


def delays(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """The median and the 95th percentile, in ms."""
    found = sorted(o.delay_ms for o in outcomes if o.delay_ms is not None)
    if not found:
        return "", ""
    return f"{statistics.median(found):.0f}", f"{found[min(len(found) - 1, int(0.95 * len(found)))]:.0f}"


def rates(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """How often each wrong thing was done, of the calls in which it could be."""
    every = [o for found in outcomes.values() for o in found]
    return "; ".join(f"{name}: {sum(name in o.wrong for o in every)} of {len(every)}" for name in RATES)


async def main(args: Any) -> None:
    kinds = [kind for kind in KINDS if not args.only or kind.split()[0] in args.only]
    async with measured_server("--pack", args.pack) as server:
        print("| caller | calls | wrong | delay, ms | 95 % | how |\n| --- | --- | --- | --- | --- | --- |")
        outcomes = await measured(server.url, kinds, args)
    print(f"\n{rates(outcomes)}")
    if args.json:
        plain = {kind: [dataclasses.asdict(o) for o in found] for kind, found in outcomes.items()}
        args.json.write_text(json.dumps(plain, indent=1) + "\n")
    if args.svg:
        args.svg.write_text(results(outcomes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="callers of each kind")
    parser.add_argument("--only", nargs="*", default=[], help="kinds, by their first word")
    parser.add_argument("--noise-db", type=float, default=40, help="how much louder words are than white noise")
    parser.add_argument("--babble-db", type=float, help="how much louder words are than people behind the caller")
    parser.add_argument("--pack", default="starter")
    parser.add_argument("--at-once", type=int, default=1, help="callers at a time")
    parser.add_argument("--json", type=Path, help="where every outcome is written")
    parser.add_argument("--svg", type=Path, help="where the results are drawn")
    asyncio.run(main(parser.parse_args()))
