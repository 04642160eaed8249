"""How long callers wait for an answer: speaks turns through a real call and prints where the time goes.

    python -m bench.latency --turns 30 [--url http://127.0.0.1:8080] [--json out.json]
    python -m bench.latency --compare speculation [--random-model | --pack real]

The figures are the server's own `turn.metrics`; `over_pause_ms` is the response without the pause that ended the turn
(`endpoint_ms`). `--compare` asks two agents in turn, one with the named setting on and one with it off; their prompts
begin differently, or the second one would find in the model's cache what the first one had computed.
`--pack` takes another pack than the starter's; its answers are cut at 40 tokens, so that the turns take alike long.
`--random-model` takes a language model of 100 M parameters, whose thinking takes time as that of real ones does; as its
weights are random, nobody asks it whether a turn is complete (`completeness` is off, a pause is the preset's shortest).
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
import tempfile
from pathlib import Path

from bench.random_model import pack_with_random_model
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
SLOWEST_S = 180.0
"""Of an answer, with large models on few cores."""
PROMPTS = {
    on: f"You are {name}, a helpful voice assistant. Be concise and warm."
    for on, name in (("on", "Anna"), ("off", "Ben"))
}
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


async def measure(url: str, turns: int, agents: list[str]) -> dict[str, list[dict[str, float]]]:
    """The turns' metrics, by agent; every agent is asked the same, in turn."""
    rows: dict[str, list[dict[str, float]]] = {agent: [] for agent in agents}
    async with contextlib.AsyncExitStack() as stack:
        callers = {agent: await stack.enter_async_context(Caller(url, agent)) for agent in agents}
        for i in range(turns):
            sound = read_wav(SENTENCES / f"{TEXTS[i % len(TEXTS)].replace(' ', '-')}.wav", CALL_RATE_HZ)
            for agent, caller in callers.items():
                since = len(caller.events)
                caller.speak(sound)
                metrics = await caller.wait_for("turn.metrics", since=since, timeout_s=SLOWEST_S)
                await caller.wait_for("agent.speech_stopped", since=since, timeout_s=SLOWEST_S)
                row = {k: float(metrics[k]) for k in PARTS if k in metrics}
                rows[agent].append(row | {"over_pause_ms": row["response_ms"] - row["endpoint_ms"]})
            print(f"\r{i + 1} of {turns} turns", end="", flush=True)
    print()
    return rows


def figures(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    out = {}
    for part in PARTS:
        values = [row[part] for row in rows]
        out[part] = {"median": round(statistics.median(values), 1), "p95": round(p95(values), 1)}
    return out


async def run(args: argparse.Namespace) -> None:
    agents = ["on", "off"] if args.compare else ["assistant"]
    async with contextlib.AsyncExitStack() as stack:
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "agents.toml"
        more = "completeness = false\nmax_reply_tokens = 10\n" if args.random_model else ""
        if args.pack:
            more = "max_reply_tokens = 40\nanswer_timeout_s = 120\n"
        lines = [
            f'[[agents]]\nname = "{a}"\nprompt = "{PROMPTS[a]}"\n{args.compare} = {json.dumps(a == "on")}\n{more}'
            for a in agents
            if args.compare
        ]
        options = ["--config", str(config)]
        if args.pack:
            lines.insert(0, f'pack = "{args.pack}"\n')
        if args.random_model:
            lines.insert(0, f'pack = "random"\nmodels_dir = "{config.parent}/models"\n')
            pack_with_random_model(config.parent / "models")
        config.write_text("\n".join(lines))
        url = args.url or (await stack.enter_async_context(measured_server(*options))).url
        rows = await measure(url, args.turns, agents)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {args.turns} turns, preset {DEFAULT_AGENT.turns}\n")
    result = {agent: figures(rows[agent]) for agent in agents}
    heads = [f"{args.compare} {agent}" for agent in agents] if args.compare else [""]
    print(" " * 22 + "".join(f"{head:>20}" for head in heads))
    print(f"{'stage':<22}" + f"{'median':>10}{'p95':>10}" * len(agents))
    for part in PARTS:
        columns = [result[agent][part] for agent in agents]
        print(f"{part:<22}" + "".join(f"{c['median']:>10}{c['p95']:>10}" for c in columns))
    if args.compare:
        on, off = (result[agent]["response_ms"]["median"] for agent in agents)
        print(f"\nmedian response with {args.compare}: {100 * (1 - on / off):.0f} % lower than without")
    if args.json:
        stages = result if args.compare else result["assistant"]
        args.json.write_text(
            json.dumps({"turns": args.turns, "preset": DEFAULT_AGENT.turns, "stages": stages}, indent=1) + "\n"
        )


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--turns", type=int, default=30)
    ap.add_argument("--url", help="a server that runs already; otherwise one is started")
    ap.add_argument("--compare", choices=["speculation", "completeness"], help="with this setting on and off")
    ap.add_argument("--pack", help="in place of the starter pack; with --compare")
    ap.add_argument("--random-model", action="store_true", help="a language model that takes its time; with --compare")
    ap.add_argument("--json", type=Path, help="write the figures there")
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
