"""What a call costs: N calls at once, each asking a question now and then; CPU of the server, lost and late frames.

    python -m bench.load --calls 1 5 10 --seconds 20

CPU is that of the server's processes only (the callers run here), in ms per second of one call. The callers take
their share of the machine too: on few cores late frames say as much about them as about the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from bench.server import SENTENCES, Measured, measured_server
from media_server.audio import CALL_RATE_HZ, read_wav
from media_server.caller import Caller

EVERY_S = 6.0


async def one_call(url: str, seconds: float, speaking: bool, offset_s: float) -> dict[str, float]:
    question = read_wav(SENTENCES / "what-is-seven-plus-five.wav", CALL_RATE_HZ)
    async with Caller(url, timeout_s=30) as caller:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        await asyncio.sleep(offset_s)
        while speaking and (left := end - loop.time()) > 2:
            caller.speak(question)
            await asyncio.sleep(min(EVERY_S, left))
        await asyncio.sleep(max(0, end - loop.time()))
        stats = [s for s in (await caller.pc.getStats()).values() if s.type == "inbound-rtp"]
        responses = [e["response_ms"] for e in caller.of("turn.metrics")]
        return {
            "packets": sum(s.packetsReceived for s in stats),
            "lost": sum(s.packetsLost for s in stats),
            "answers": len(responses),
            "slowest_ms": max(responses, default=0.0),
        }


async def measure(server: Measured, calls: int, seconds: float, speaking: bool) -> dict[str, float]:
    late_before = sum(e["late_frames"] for e in server.events("call.media"))
    before = server.cpu_s()
    results = await asyncio.gather(
        *(one_call(server.url, seconds, speaking, EVERY_S * i / calls) for i in range(calls))
    )
    used = {name: s - before[name] for name, s in server.cpu_s().items()}
    await asyncio.sleep(1.5)
    late = sum(e["late_frames"] for e in server.events("call.media")) - late_before
    call_seconds = calls * seconds
    total: dict[str, float] = {k: sum(r[k] for r in results) for k in ("packets", "lost", "answers")}
    return {
        "calls": calls,
        "cpu_ms_per_call_s": round(1000 * sum(used.values()) / call_seconds, 1),
        **{f"{name}_ms": round(1000 * s / call_seconds, 1) for name, s in used.items()},
        **total,
        "late": late,
        "slowest_ms": round(max(r["slowest_ms"] for r in results), 0),
    }


async def run(args: argparse.Namespace) -> None:
    rows: list[dict[str, float]] = []
    async with measured_server("--max-calls", str(max(args.calls))) as server:
        for speaking in (False, True):
            for calls in args.calls:
                row = {"speaking": speaking, **await measure(server, calls, args.seconds, speaking)}
                if not rows:
                    print("".join(f"{k:>18}" for k in row))
                print("".join(f"{v!s:>18}" for v in row.values()), flush=True)
                rows.append(row)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--calls", type=int, nargs="+", default=[1, 5, 10])
    ap.add_argument("--seconds", type=float, default=20)
    ap.add_argument("--json", type=Path, help="write the figures there")
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
