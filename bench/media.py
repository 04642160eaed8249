"""The media edge beside plain aiortc: what a call costs, what a bad network does to it, how evenly it speaks.

    python -m bench.media                                    all sections, an hour
    python -m bench.media cpu --at-once 10 --times 5         one section, a few minutes
    python -m bench.media series --calls 10000 --servers ours --times 1

| section | measures |
| --- | --- |
| cpu | CPU per call-second while the server listens, and while it also speaks |
| product | CPU of calls in which nobody speaks: ours with voice activity and all the rest |
| network | how late sound is handed on, and how much is gone: losses, jitter, a stall |
| sentences | what a recogniser understands behind the same losses |
| pace | how evenly packets leave, with engines at full load beside the server |
| beginning | from the offer to the connection and to the first sound |
| interruption | how soon the wire is silent |
| drift | the agent's clock against the time of day |
| many | 200 calls in one worker; descriptors, threads and memory per call |
| series | what stays of calls one after the other |

Servers run in processes of their own, those that are compared in turn; figures are medians. The callers run here: they
send recorded packets over one socket each and decode nothing, and their CPU is not counted. Both servers do the same
work: they answer, hand on every caller's sound as 16 kHz mono, and, where they speak, the same speech in every call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

from bench.media_measures import SECTIONS, Plan
from bench.media_servers import KINDS

__all__ = ["Results", "drawing", "measure", "table"]

Results = dict[str, dict[str, list[float]]]
"""By the figure's name and the kind of server: a value for each time."""

LEFT, BAR, WIDTH, TOP = 330, 300, 760, 66
COLOURS = {"aiortc": "#94a3b8", "ours": "#2563eb"}
DRAWN = (
    "listening, 10 calls: CPU, ms per call-second",
    "speaking, 10 calls: CPU, ms per call-second",
    "clean: delay, ms: median",
    "5 % lost: delay, ms: p95",
    "5 % lost: sound gone, %",
    "10 % lost: sound gone, %",
    "5 % lost: sentences right, of 12",
    "10 % lost: sentences right, of 12",
    "memory per call, MB",
)


async def measure(plan: Plan, sections: list[str], kinds: list[str], times: int) -> Results:
    """Run the sections, printing the table of each."""
    results: Results = {}
    for section in sections:
        found: Results = {}
        rounds = [SECTIONS[section](replace(plan, seed=plan.seed + n)) for n in range(times)]
        for i, cases in enumerate(zip(*rounds, strict=True)):
            for n, case in enumerate(cases):
                for kind in kinds:
                    print(
                        f"\r{section}: {i + 1} of {len(rounds[0])}, {n + 1} of {times}, {kind}   ", end="", flush=True
                    )
                    for name, value in (await case(kind)).items():
                        found.setdefault(name, {}).setdefault(kind, []).append(value)
        print("\r" + table(found, kinds), flush=True)
        results |= found
    return results


def table(results: Results, kinds: list[str]) -> str:
    """Medians of all figures, and the ratio of the first two kinds."""
    lines = ["| | " + " | ".join(kinds) + (" | ratio |" if len(kinds) > 1 else " |")]
    lines.append("| --- |" + " --- |" * (len(kinds) + (len(kinds) > 1)))
    for name, values in results.items():
        medians = [_median(values.get(kind, [])) for kind in kinds]
        cells = ["" if math.isnan(value) else f"{value:.3g}" for value in medians]
        if len(kinds) > 1:
            of, to = medians[1], medians[0]
            cells.append(f"{of / to:.2f}" if to > 0 and not math.isnan(of) else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def drawing(results: Results) -> str:
    """Bars of the figures that say most, as an SVG."""
    rows = [(name, results[name]) for name in DRAWN if name in results]
    height = TOP + 44 * len(rows) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="22" font-size="15" font-weight="bold" fill="#1e293b">The same calls over plain aiortc and '
        "over this server</text>",
    ]
    for i, (kind, colour) in enumerate(COLOURS.items()):
        x = LEFT + 130 * i
        out.append(f'<rect x="{x}" y="34" width="14" height="14" rx="3" fill="{colour}"/>')
        out.append(f'<text x="{x + 20}" y="46" fill="#475569">{"this server" if kind == "ours" else kind}</text>')
    for i, (name, values) in enumerate(rows):
        y = TOP + 44 * i
        most = max(_median(values.get(kind, [])) for kind in COLOURS) or 1.0
        out.append(f'<text x="{LEFT - 10}" y="{y + 22}" text-anchor="end" fill="#1e293b">{name}</text>')
        for n, (kind, colour) in enumerate(COLOURS.items()):
            value = _median(values.get(kind, []))
            width = max(2.0, BAR * value / most)
            out.append(
                f'<rect x="{LEFT}" y="{y + 4 + 16 * n}" width="{width:.1f}" height="13" rx="3" fill="{colour}"/>'
            )
            out.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 15 + 16 * n}" fill="#475569">{value:.3g}</text>')
    return "\n".join([*out, "</svg>", ""])


def _median(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def _arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("sections", nargs="*", help="names of sections; all without")
    ap.add_argument("--times", type=int, default=3, help="of each measurement, of which the median counts (3)")
    ap.add_argument("--seconds", type=float, default=8, help="a measurement lasts; some last a multiple (8)")
    ap.add_argument("--at-once", type=int, nargs="+", default=[1, 10, 50], help="calls, for cpu and product (1 10 50)")
    ap.add_argument("--many", type=int, default=200, help="calls, for many (200; aiortc is asked for 50)")
    ap.add_argument("--calls", type=int, default=500, help="one after the other, for series (500)")
    ap.add_argument("--servers", nargs="+", choices=KINDS, default=["aiortc", "ours"], help="which are measured")
    ap.add_argument("--seed", type=int, default=1, help="of losses and jitter (1)")
    ap.add_argument("--profile", default="", help="write the functions' times of the last server there, for pstats")
    ap.add_argument("--json", type=Path, help="keep all values there; what it has of other sections stays")
    ap.add_argument("--svg", type=Path, help="draw what the JSON file has")
    args = ap.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        ap.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return args


def main() -> None:
    args = _arguments()
    plan = Plan(
        seconds=args.seconds,
        at_once=tuple(args.at_once),
        many=args.many,
        calls=args.calls,
        seed=args.seed,
        profile=args.profile,
    )
    results: Results = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    if args.sections or not args.svg:
        results |= asyncio.run(measure(plan, args.sections or list(SECTIONS), args.servers, args.times))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    if args.svg:
        args.svg.write_text(drawing(results), "utf-8")


if __name__ == "__main__":
    main()
