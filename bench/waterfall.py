"""Draw one turn as a waterfall, from the `turn.metrics` of real turns: the one whose response is the median.

python -m bench.waterfall --out docs/latency.svg [--turns 11] [--url http://127.0.0.1:8080]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import Any

from bench.server import SENTENCES, measured_server
from media_server.audio import CALL_RATE_HZ, read_wav
from media_server.caller import Caller

SENTENCE = "what is seven plus five"
PARTS = [
    ("pause", None, "turn_ended", "#94a3b8"),
    ("recognition", "paused", "transcript", "#2563eb"),
    ("model, first token", "transcript", "first_token", "#9333ea"),
    ("model, first clause", "first_token", "first_clause", "#c084fc"),
    ("voice, first sound", "first_clause", "first_audio", "#ea580c"),
    ("to the next packet", "turn_ended", "on_wire", "#0f766e"),
]
"""A row, the marks between which it lies, its colour."""
LEFT, RIGHT, ROW, TOP, WIDTH = 150, 80, 26, 44, 720


def rows(marks: dict[str, float]) -> list[tuple[str, float, float, str]]:
    """Name, start and end in ms, colour of every part that took place."""
    out = []
    for name, after, until, colour in PARTS:
        start, end = marks.get(after, 0.0) if after else 0.0, marks.get(until)
        if end is not None:
            out.append((name, start, max(start, end), colour))
    return out


def drawing(title: str, parts: list[tuple[str, float, float, str]], total_ms: float) -> str:
    height = TOP + ROW * len(parts) + 30
    scale = (WIDTH - LEFT - RIGHT) / total_ms
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold" fill="#1e293b">{title}</text>',
    ]
    step = next(s for s in (20, 50, 100, 200, 500, 1000) if total_ms / s <= 8)
    for ms in range(0, int(total_ms) + 1, step):
        x = LEFT + ms * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 24}" stroke="#e2e8f0"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 8}" fill="#64748b" text-anchor="middle">{ms} ms</text>')
    for i, (name, start, end, colour) in enumerate(parts):
        y = TOP + i * ROW
        x, width = LEFT + start * scale, max(2.0, (end - start) * scale)
        out.append(f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end" fill="#1e293b">{name}</text>')
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 10}" rx="3" fill="{colour}"/>')
        out.append(f'<text x="{x + width + 6:.1f}" y="{y + 13}" fill="#475569">{end - start:.0f} ms</text>')
    return "\n".join([*out, "</svg>", ""])


async def turns(url: str, count: int) -> list[dict[str, Any]]:
    sound = read_wav(SENTENCES / f"{SENTENCE.replace(' ', '-')}.wav", CALL_RATE_HZ)
    out = []
    async with Caller(url) as caller:
        await caller.wait_for("call.started")
        for _ in range(count):
            since = len(caller.events)
            caller.speak(sound)
            out.append(await caller.wait_for("turn.metrics", since=since))
            await caller.wait_for("agent.speech_stopped", since=since)
    return out


async def run(args: argparse.Namespace) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = args.url or (await stack.enter_async_context(measured_server())).url
        measured = sorted(await turns(url, args.turns), key=lambda m: m["response_ms"])
    median = measured[len(measured) // 2]
    total = float(median["response_ms"])
    parts = rows(median["marks"])
    for name, start, end, _ in parts:
        print(f"{name:<22}{start:>8.0f} ms to {end:>6.0f} ms")
    print(f"{'response':<22}{total:>8.0f} ms, median of {args.turns} turns")
    title = f"“{SENTENCE}”: {total:.0f} ms from the caller's last sound to the first of the answer"
    args.out.write_text(drawing(title, parts, total), "utf-8")
    print(f"drawn: {args.out}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True, help="the SVG file")
    ap.add_argument("--turns", type=int, default=11)
    ap.add_argument("--url", help="a server that runs already; otherwise one is started")
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
