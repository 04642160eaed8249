"""Calls that speak at once: continuous batching against one reply after the other, on the same model in the same run.

    python -m bench.batching [--calls 8] [--model model.gguf]

The calls share an agent's prompt and differ in what they ask; the replies are of one length. Runs alternate, and the
figures are medians over them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.random_model import write_random_model
from media_server.engines import messages as m
from media_server.engines.llama import LlamaEngine

PROMPT = "You are the assistant number {run}. Answer in one or two short sentences. " + "Be polite. " * 20
QUESTION = "my name is caller {i} and i would like to know what you can do for me today please"


@dataclass
class Run:
    tokens_per_s: float
    first_token_s: list[float]
    """Of the calls, in the order in which they were answered."""
    cpu_s: float


def requests(calls: int, tokens: int, run: int) -> list[m.Generate]:
    """Another prompt in every run, so that it is not cached."""
    out = []
    for i in range(calls):
        number = 1000 * run + i
        messages = (
            m.ChatMessage("system", PROMPT.format(run=run)),
            m.ChatMessage("user", QUESTION.format(i=number)),
        )
        out.append(m.Generate(number, f"call {number}", messages, tokens))
    return out


def measure(engine: LlamaEngine, asked: list[m.Generate], at_once: int) -> Run:
    """Answer all; at most `at_once` of them are in the engine at a time."""
    waiting, inside = list(asked), 0
    first: dict[int, float] = {}
    tokens = 0
    began, cpu = time.perf_counter(), time.process_time()
    while waiting or inside:
        while waiting and inside < at_once:
            engine.submit(waiting.pop(0))
            inside += 1
        for result in engine.step():
            now = time.perf_counter() - began
            if isinstance(result, m.TextChunk):
                first.setdefault(result.id, now)
                tokens += 1
            elif isinstance(result, m.Finished | m.Failed):
                inside -= 1
    took = time.perf_counter() - began
    return Run(tokens / took, sorted(first.values()), time.process_time() - cpu)


def median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(r.tokens_per_s for r in runs),
        [statistics.median(times) for times in zip(*(r.first_token_s for r in runs), strict=False)],
        statistics.median(r.cpu_s for r in runs),
    )


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--calls", type=int, default=8)
    ap.add_argument("--tokens", type=int, default=60, help="of each reply")
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    ap.add_argument("--model", type=Path, help="a GGUF file; otherwise one of random weights is made")
    ap.add_argument("--json", type=Path)
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.model or Path(folder) / "random.gguf"
        if not args.model:
            print(f"a model of {write_random_model(path) / 1e6:.0f} M random parameters is made", flush=True)
        engine = LlamaEngine.load(path, context=1024, slots=args.calls, temperature=0, threads=args.threads)
        batched, single = [], []
        for i in range(args.runs):
            batched.append(measure(engine, requests(args.calls, args.tokens, 2 * i + 1), args.calls))
            single.append(measure(engine, requests(args.calls, args.tokens, 2 * i + 2), 1))
            print(f"\rrun {i + 1} of {args.runs}", end="", flush=True)
    together, alone = median(batched), median(single)
    print(
        f"\n{args.calls} calls at once, {args.tokens} tokens each, {args.threads} threads, median of {args.runs} runs\n"
    )
    print(f"{'':<26}{'batched':>10}{'one by one':>12}{'ratio':>8}")

    def line(name: str, a: float, b: float) -> None:
        print(f"{name:<26}{a:>10.2f}{b:>12.2f}{a / b:>8.2f}")

    line("tokens per second", together.tokens_per_s, alone.tokens_per_s)
    line("CPU seconds", together.cpu_s, alone.cpu_s)
    for k, (a, b) in enumerate(zip(together.first_token_s, alone.first_token_s, strict=False)):
        line(f"first token of call {k + 1}, s", a, b)
    if args.json:
        figures = {"batched": vars(together), "one by one": vars(alone)}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
