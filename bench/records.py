"""How soon the operator's console finds calls among many, over HTTP.

    python -m bench.records [--calls 10000] [--rounds 9]

A database is filled with calls of three agents, each with a few hundred words of talk, and a server is started on it.
Each filter is asked for as the console asks, a page of 25 at a time, in turn with the others.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import aiohttp

from media_server.config import Settings
from media_server.server import running_server
from media_server.store import Database
from media_server.store.tables import CallRow

AGENTS = ("desk", "shop", "kiosk")
TALK = (
    "where is my order the parcel was sent on monday and will arrive tomorrow please hold the line a moment thank you "
    "could you tell me the price of a ticket to hamburg it costs forty euros return the train leaves at nine o'clock"
)
WORDS = TALK.split()
TURNS = 12
RARE = "xylophone"
FILTERS: dict[str, dict[str, str]] = {
    "the newest": {},
    "one agent's": {"agent": "shop"},
    "calls under way": {"status": "active"},
    "of one caller": {"contact": "caller-77"},
    "since a date": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z"},
    "common words": {"words": "order"},
    f"a word of one call ({RARE})": {"words": RARE},
    "a word of none": {"words": "zeppelin"},
    "a word of one agent's calls": {"agent": "shop", "words": RARE},
}
BEGAN_S = 1767225600.0
"""2026-01-01 in seconds since the epoch."""


def _call(i: int, count: int) -> CallRow:
    said = " ".join(random.choices(WORDS, k=20 * TURNS)) + (f" {RARE}" if i == count // 2 else "")
    began_s = BEGAN_S + 60 * i
    return CallRow(
        id=f"call-{i:06}",
        server="bench",
        agent=AGENTS[i % len(AGENTS)],
        status="ended",
        started_at=began_s,
        ended_at=began_s + 90,
        end_reason="client_hangup",
        contact=f"caller-{i % 1000}",
        meta={"page": "shop"},
        first_words=said[:60],
        words=said,
        turns=TURNS,
        response_ms=900.0,
    )


async def run(args: argparse.Namespace) -> None:
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/calls.sqlite"
        async with Database.open(url) as database, database.begin() as session:
            session.add_all(_call(i, args.calls) for i in range(args.calls))
        took_ms: dict[str, list[float]] = {name: [] for name in FILTERS}
        # no records are ever too old here
        settings = Settings(port=0, database=url, records_days=0, models_dir=Path("models"))
        async with running_server(settings) as server, aiohttp.ClientSession() as http:
            await server.ready(120)
            for _ in range(args.rounds):
                for name, query in FILTERS.items():
                    began_s = time.perf_counter()
                    async with http.get(f"{server.url}/v1/calls?{urlencode({'limit': '25', **query})}") as answer:
                        answer.raise_for_status()
                        await answer.read()
                    took_ms[name].append((time.perf_counter() - began_s) * 1000)
        print(f"{args.calls} calls, {args.rounds} rounds\n{'':<34}{'median':>11}{'worst':>11}")
        for name, values in took_ms.items():
            print(f"{name:<34}{statistics.median(values):>8.0f} ms{max(values):>8.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    asyncio.run(run(parser.parse_args()))
