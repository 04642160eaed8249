"""How long callers wait for an answer: speaks turns through a real call and prints where the time goes.

    python -m bench.latency --turns 30 [--url http://127.0.0.1:8080] [--json out.json]

The figures are the server's own `turn.metrics`; `over_pause_ms` is the response without the pause
that ended the turn (`endpoint_ms`).
The browser's capture, the network and both jitter buffers come on top of it, for any server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
from pathlib import Path

from bench.server import SENTENCES, measured_server
from media_server.agents import DEFAULT_AGENT
from media_server.audio import CALL_RATE_HZ, read_wav
from media_server.caller import Caller

PARTS = [
    "endpoint_ms",
    "stt_ms",
    "llm_first_token_ms",
    "llm_first_clause_ms",
    "tts_first_audio_ms",
    "playout_ms",
    "response_ms",
    "over_pause_ms",
]
TEXTS = [
    "what is seven plus five",
    "turn on the light in the kitchen",
    "what is my name",
    "i would like a small pizza with cheese",
    "hello",
    "what time is it",
]


def p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


async def measure(url: str, turns: int) -> list[dict[str, float]]:
    rows = []
    async with Caller(url) as caller:
        await caller.wait_for("call.started")
        for i in range(turns):
            since = len(caller.events)
            caller.speak(read_wav(SENTENCES / f"{TEXTS[i % len(TEXTS)].replace(' ', '-')}.wav", CALL_RATE_HZ))
            metrics = await caller.wait_for("turn.metrics", since=since)
            await caller.wait_for("agent.speech_stopped", since=since)
            row = {k: float(metrics[k]) for k in PARTS if k in metrics}
            rows.append(row | {"over_pause_ms": row["response_ms"] - row["endpoint_ms"]})
            print(f"\r{i + 1} of {turns} turns", end="", flush=True)
    print()
    return rows


async def run(args: argparse.Namespace) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = args.url or (await stack.enter_async_context(measured_server())).url
        rows = await measure(url, args.turns)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {args.turns} turns, preset {DEFAULT_AGENT.turns}\n")
    print(f"{'stage':<22}{'median':>9}{'p95':>9}")
    result = {}
    for part in PARTS:
        values = [row[part] for row in rows]
        result[part] = {"median": round(statistics.median(values), 1), "p95": round(p95(values), 1)}
        print(f"{part:<22}{result[part]['median']:>9}{result[part]['p95']:>9}")
    if args.json:
        args.json.write_text(
            json.dumps({"turns": args.turns, "preset": DEFAULT_AGENT.turns, "stages": result}, indent=1) + "\n"
        )
    else:
        print("\n" + json.dumps(result))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--turns", type=int, default=30)
    ap.add_argument("--url", help="a server that runs already; otherwise one is started")
    ap.add_argument("--json", type=Path, help="write the figures there")
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
