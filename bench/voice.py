"""How soon the voice is heard: announcements of any length, and callers beside one to whom a long text is read out.

    python -m bench.voice [--pack real] [--rounds 5] [--engine]

It is measured by callers: from the moment at which `agent.say` is sent to `agent.speech_started`, which comes when the
first packet of the sound goes out. Gaps are between the end of a piece of sound and the beginning of the next. With
`--engine` it is the engine alone, on one thread, in seconds of CPU: they hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import Sequence
from unittest.mock import patch

from bench.server import measured_server
from media_server.audio import CALL_RATE_HZ
from media_server.caller import Caller
from media_server.config import Settings
from media_server.engines import messages as m
from media_server.engines.packs import load_pack
from media_server.engines.piper import PiperEngine, as_it_stands

SENTENCE = "The office in the town hall is open from nine in the morning to six in the evening."
SHORT = "Yes, the light in the kitchen is on."
UNBROKEN = "Sorry did you mean the swimming class that is held on Monday evening or the one which we have on Thursday"
STEPS = 15
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


def steps(engine: PiperEngine, text: str, most: int) -> tuple[list[float], float]:
    """Milliseconds of CPU of the first steps that a text takes, and seconds of their sound."""
    engine.submit(m.Synthesize(1, tuple(as_it_stands(text))))
    took_ms, sound_s = list[float](), 0.0
    while engine.busy and len(took_ms) < most:
        began_s = time.process_time()
        sound_s += sum(len(r.samples) / 2 / CALL_RATE_HZ for r in engine.step() if isinstance(r, m.AudioChunk))
        took_ms.append((time.process_time() - began_s) * 1000)
    engine.cancel(1)
    return took_ms, sound_s


def ended(engine: PiperEngine) -> float:
    """Milliseconds until a piece that is being made is given up for a caller's sake."""
    engine.submit(m.Synthesize(2, tuple(as_it_stands(LONG)), live=False))
    until = [0.0]

    def notice() -> None:
        until[0] = time.perf_counter()
        engine.notice(m.Cancel(2))

    timer = threading.Timer(0.03, notice)
    timer.start()
    list(engine.step())
    over = time.perf_counter()
    timer.join()
    engine.cancel(2)
    return (over - until[0]) * 1000


def by_itself(pack: str, rounds: int) -> None:
    engine = PiperEngine.load(load_pack(pack, Settings().models_dir).voice, threads=1)
    for voice in engine._voices.values():
        voice.pace.__init__()  # type: ignore[misc]
    # what the engine takes for time is this thread's, as on a machine that does nothing else
    with patch("media_server.engines.piper.time.monotonic", time.process_time):
        steps(engine, SENTENCE, 1)
        print(f"pack {pack}, {engine.info}, one thread\n{'':<64}{'median':>11}{'worst':>11}")
        for sentences in (1, 6, 30):
            text = " ".join([SENTENCE] * sentences)
            row(f"first piece of {sentences} sentences", [steps(engine, text, 1)[0][0] for _ in range(rounds)])
        row("first piece of a clause of 100 letters", [steps(engine, UNBROKEN, 1)[0][0] for _ in range(rounds)])
        took_ms, sound_s = steps(engine, LONG, STEPS)
        row("a step of 4,000 letters", took_ms)
        print(f"  {sum(took_ms) / 1000 / sound_s:.3f} s of CPU for a second of sound")
        row("a step of a word of 3,000 letters", steps(engine, "a" * 3000, STEPS)[0])
        row("until a piece is given up (by the clock)", [ended(engine) for _ in range(3 * rounds)])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pack", default="starter")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--engine", action="store_true", help="the engine alone, without calls")
    args = ap.parse_args()
    if args.engine:
        by_itself(args.pack, args.rounds)
    else:
        asyncio.run(run(args))


if __name__ == "__main__":
    main()
