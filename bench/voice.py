"""How soon the voice is heard: announcements of any length, and callers beside one to whom a long text is read out.

    python -m bench.voice [--pack real] [--rounds 5]

All of it is measured by callers: from the moment at which `agent.say` is sent to `agent.speech_started`, which comes
when the first packet of the sound goes out. Gaps are between the end of a piece of sound and the beginning of the next.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import Sequence

from bench.server import measured_server
from media_server.caller import Caller

SENTENCE = "The office in the town hall is open from nine in the morning to six in the evening."
SHORT = "Yes, the light in the kitchen is on."
UNBROKEN = "Sorry did you mean the swimming class that is held on Monday evening or the one which we have on Thursday"
LONG = " ".join([SENTENCE] * 60)[:3999]


async def first_sound(caller: Caller, text: str, stop: bool = True) -> float:
    """Milliseconds to the first sound of a text."""
    since, began_s = len(caller.events), time.monotonic()
    caller.send(type="agent.say", text=text)
    await caller.wait_for("agent.speech_started", since=since, timeout_s=120)
    took_ms = (time.monotonic() - began_s) * 1000
    if stop:
        caller.send(type="agent.interrupt")
        await caller.wait_for("agent.speech_stopped", since=since, timeout_s=120)
    return took_ms


async def gaps(caller: Caller, text: str, seconds: float) -> list[float]:
    """Milliseconds of silence between the pieces of a text."""
    since = len(caller.events)
    await first_sound(caller, text, stop=False)
    await asyncio.sleep(seconds)
    caller.send(type="agent.interrupt")
    await caller.wait_for("agent.speech_stopped", since=since, timeout_s=120)
    events = [e for e in caller.events[since:] if e["type"].startswith("agent.segment_")]
    return [
        1000 * (b["start_s"] - a["end_s"])
        for a, b in zip(events[1::2], events[2::2], strict=False)
        if (a["type"], b["type"]) == ("agent.segment_stopped", "agent.segment_started")
    ]


def row(name: str, values: Sequence[float]) -> None:
    print(f"{name:<64}{statistics.median(values):>8.0f} ms{max(values):>8.0f} ms", flush=True)


async def run(args: argparse.Namespace) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(measured_server("--pack", args.pack, "--max-calls", "4"))
        a = await stack.enter_async_context(Caller(server.url, timeout_s=60))
        b = await stack.enter_async_context(Caller(server.url, timeout_s=60))
        await first_sound(a, SHORT)
        print(f"pack {args.pack}, {args.rounds} rounds\n{'':<64}{'median':>11}{'worst':>11}")
        for sentences in (1, 6, 30):
            text = " ".join([SENTENCE] * sentences)
            row(f"an announcement of {sentences} sentences", [await first_sound(a, text) for _ in range(args.rounds)])
        row("a clause of 100 letters without a comma", [await first_sound(a, UNBROKEN) for _ in range(args.rounds)])
        alone, at_once, later, freed = list[float](), list[float](), list[float](), list[float]()
        for _ in range(args.rounds):
            # side by side, since a shared machine is never the same for long
            for _ in range(3):
                await asyncio.sleep(0.7)
                alone.append(await first_sound(b, SHORT))
            a.send(type="agent.say", text=LONG)
            at_once.append(await first_sound(b, SHORT))
            for _ in range(3):
                await asyncio.sleep(0.7)
                later.append(await first_sound(b, SHORT))
            a.send(type="agent.interrupt")
            await asyncio.sleep(1)
            a.send(type="agent.say", text=LONG)
            await asyncio.sleep(0.1)
            a.send(type="agent.interrupt")
            freed.append(await first_sound(b, SHORT))
            await asyncio.sleep(1)
        row("a short sentence, alone", alone)
        row("the same, asked for in the moment another's 4,000 letters begin", at_once)
        row("the same, while those are read out", later)
        row("the same, right after those were begun and interrupted", freed)
        row("gaps between the pieces of a long text", await gaps(a, LONG, 30))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pack", default="starter")
    ap.add_argument("--rounds", type=int, default=5)
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
