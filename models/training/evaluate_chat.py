"""Score the chat model on held-out dialogues, with the server's own engine: share of last replies that are right.

python evaluate_chat.py --dialogues 400
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

from dialogues import NOT_UNDERSTOOD, render

from media_server.engines import messages as m
from media_server.engines.llama import LlamaEngine

FIRST_SEED = 50_000_000


def kind(reply: str) -> str:
    """The skill that a reply shows, for the table."""
    if reply == NOT_UNDERSTOOD:
        return "not understood"
    words = reply.split()
    if " is " in reply and any(op in words for op in ("plus", "minus", "times")):
        return "sums"
    if reply.startswith(("Your name is", "Your favourite")):
        return "memory"
    return "other"


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=Path("../starter/chat/starter-chat.gguf"))
    ap.add_argument("--dialogues", type=int, default=400)
    ap.add_argument("--show", type=int, default=12)
    args = ap.parse_args()
    engine = LlamaEngine.load(args.model, context=1024, slots=1, temperature=0)
    right: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    first_ms, wrong, tokens, busy_s = [], [], 0, 0.0
    for seed in range(FIRST_SEED, FIRST_SEED + args.dialogues):
        *before, last = render(seed)
        messages = tuple(m.ChatMessage(x["role"], x["content"]) for x in before)
        began = time.perf_counter()
        engine.submit(m.Generate(seed, str(seed), messages, 80))
        reply, first = "", None
        while engine.busy:
            for r in engine.step():
                if isinstance(r, m.TextChunk):
                    reply += r.text
                    tokens += 1
                    first = first or time.perf_counter() - began
        busy_s += time.perf_counter() - began
        first_ms.append(1000 * (first or 0))
        k = kind(last["content"])
        total[k] += 1
        if reply == last["content"]:
            right[k] += 1
        else:
            wrong.append(f"{before[-1]['content']} -> {reply}   (right: {last['content']})")
    for k, n in sorted(total.items()):
        print(f"{k:<16}{right[k]:>4} of {n:<4} {right[k] / n:.1%}")
    n = sum(total.values())
    print(f"{'all':<16}{sum(right.values()):>4} of {n:<4} {sum(right.values()) / n:.1%}")
    print(f"first token: median {sorted(first_ms)[n // 2]:.1f} ms; {tokens / busy_s:.0f} tokens/s, prefill included")
    for line in wrong[: args.show]:
        print("   ", line)


if __name__ == "__main__":
    main()
