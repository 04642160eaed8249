"""Whether heavy work of some callers is felt by the others: first sounds with it and without, side by side.

    python -m bench.fairness [--pack real] [--callers 5] [--turns 6]

Callers ask in turn, each in a call of its own. In every second round one more caller has 4,000 characters read out, and
two clients have recordings of four minutes transcribed, all three without end. The figures are the server's own
`turn.metrics` of the callers that ask: each caller's median without that work and beside it, and their ratio; then the
same for the parts of a turn, over all callers. Answers are cut at 40 tokens, so that rounds take alike long with every
model.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np

from bench.server import SENTENCES, measured_server
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, resample, write_wav
from media_server.caller import Caller

AGENT = """
[[agents]]
name = "asked"
prompt = "You are a helpful voice assistant. Answer in one short sentence."
max_reply_tokens = 40
answer_timeout_s = 120
"""
TEXTS = ["what is seven plus five", "what time is it", "what can you do", "where is my order four two seven"]
ANNOUNCEMENT = ("Our opening hours are as follows. On Monday we open at nine in the morning and close at six. " * 50)[
    :4000
]
FILE_S = 240
BETWEEN_S = 0.4
WHOLE = "response_ms"


def question(i: int) -> Samples:
    return read_wav(SENTENCES / f"{TEXTS[i % len(TEXTS)].replace(' ', '-')}.wav", CALL_RATE_HZ)


def long_recording() -> bytes:
    """A WAV file of several minutes of speech with pauses."""
    gap = np.zeros(MODEL_RATE_HZ // 2, np.int16)
    piece = np.concatenate(
        [np.concatenate([resample(question(i), CALL_RATE_HZ, MODEL_RATE_HZ), gap]) for i in range(4)]
    )
    samples = np.tile(piece, -(-FILE_S * MODEL_RATE_HZ // len(piece)))[: FILE_S * MODEL_RATE_HZ]
    file = io.BytesIO()
    write_wav(file, samples, MODEL_RATE_HZ)
    return file.getvalue()


@contextlib.asynccontextmanager
async def heavy_work(url: str, recording: bytes) -> AsyncIterator[None]:
    """One call that has a long text read out, and two clients that transcribe, again and again."""

    async def read_out() -> None:
        async with Caller(url, "asked", timeout_s=30) as caller:
            while True:
                since = len(caller.events)
                caller.send(type="agent.say", text=ANNOUNCEMENT)
                await caller.wait_for("agent.speech_stopped", since=since, timeout_s=600)

    async def transcribe() -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                form = aiohttp.FormData()
                form.add_field("file", recording, filename="long.wav")
                async with http.post(f"{url}/v1/audio/transcriptions", data=form) as response:
                    if response.status != 200:
                        sys.exit(f"The transcription was refused: {await response.text()}")

    work = [asyncio.create_task(each) for each in (read_out(), transcribe(), transcribe())]
    try:
        await asyncio.sleep(3)
        yield
        for each in work:
            if each.done():
                each.result()
    finally:
        for each in work:
            each.cancel()
        await asyncio.wait(work)


async def ask(callers: list[Caller], round_: int) -> list[dict[str, float]]:
    """Every caller asks once, one a little after the other; the parts of each turn in ms, `response_ms` being all."""

    async def one(i: int, caller: Caller) -> dict[str, float]:
        await asyncio.sleep(i * BETWEEN_S)
        since = len(caller.events)
        caller.speak(question(round_ + i))
        metrics = await caller.wait_for("turn.metrics", since=since, timeout_s=120)
        await caller.wait_for("agent.speech_stopped", since=since, timeout_s=120)
        return {name: float(ms) for name, ms in metrics.items() if name.endswith("_ms")}

    return list(await asyncio.gather(*(one(i, c) for i, c in enumerate(callers))))


async def run(args: argparse.Namespace) -> None:
    recording = long_recording()
    rows: dict[bool, list[list[dict[str, float]]]] = {False: [], True: []}
    async with contextlib.AsyncExitStack() as stack:
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "agents.toml"
        config.write_text(AGENT)
        options = ["--pack", args.pack, "--max-calls", "16", "--config", str(config)]
        server = await stack.enter_async_context(measured_server(*options))
        callers = [
            await stack.enter_async_context(Caller(server.url, "asked", timeout_s=60)) for _ in range(args.callers)
        ]
        await ask(callers, 0)  # the first of each prefills its prompt
        for turn in range(args.turns):
            for heavy in (False, True):
                async with heavy_work(server.url, recording) if heavy else contextlib.nullcontext():
                    rows[heavy].append(await ask(callers, turn))
                print(f"\r{turn + 1} of {args.turns} rounds", end="", flush=True)
    print(f"\n{args.callers} callers, {args.turns} rounds, pack {args.pack}\n")
    print(f"{'':<20}{'alone':>10}{'beside heavy work':>20}{'ratio':>8}")
    ratios = []
    for i in range(args.callers):
        alone, beside = (statistics.median(row[i][WHOLE] for row in rows[heavy]) for heavy in (False, True))
        ratios.append(beside / alone)
        print(f"caller {i + 1:<13}{alone:>7.0f} ms{beside:>17.0f} ms{ratios[-1]:>8.2f}")
    for part in rows[False][0][0]:
        alone, beside = (statistics.median(v[part] for row in rows[heavy] for v in row) for heavy in (False, True))
        ratio = f"{beside / alone:>8.2f}   worst caller {max(ratios):.2f}" if part == WHOLE else ""
        print(f"{part.removesuffix('_ms'):<20}{alone:>7.0f} ms{beside:>17.0f} ms{ratio}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pack", default="starter")
    ap.add_argument("--callers", type=int, default=5)
    ap.add_argument("--turns", type=int, default=6, help="rounds of questions, each without and with the heavy work")
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
