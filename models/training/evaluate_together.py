"""Fifty scripted dialogues by voice through the running server: a dialogue is right when its last answer is.

    python evaluate_together.py

Free speech programs call the server with the starter pack over WebRTC, several calls at a time, in trained voices; the last
answer must be right to the word in its text, and the starter recogniser is asked what it hears of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dialogues import dialogue
from scores import word_errors
from speech_programs import RATE, speak, to_int16
from starter_pack import PACK, STT
from transcripts import known_words, plain

from bench.server import measured_server
from media_server.audio import CALL_RATE_HZ, Samples, resample
from media_server.caller import Caller
from media_server.engines.whisper import WhisperEngine
from media_server.errors import ClientError

PLANS = [
    ["tell_name", "sum", "ask_name"], ["pizza", "food", "ask_order"], ["tell_colour", "light", "ask_colour"], ["sum", "repeat"],
    ["greet", "tell_name", "light", "bye"], ["transfer", "repeat"], ["light", "light_colour", "light_level"], ["timer", "alarm", "sum"],
    ["tell_name", "tell_colour", "ask_colour", "ask_name"], ["time", "weather", "can_do"], ["door", "volume", "heat"],
    ["order_status", "human", "transfer"], ["hear", "robot", "thanks", "bye"], ["pizza", "ask_order", "done_order"], ["appointment", "hour_only"],
    ["number", "sum", "repeat"], ["sum", "sum", "sum"],
]  # fmt: skip
FIRST_SEED = 70_000_000
VOICES = ["slt", "rms", "awb", "kal16", "espeak"]


@dataclass
class Result:
    said: list[str]
    heard: list[str]
    wanted: str
    answer: str
    understood: str

    @property
    def right(self) -> bool:
        return plain(self.answer) == plain(self.wanted)


def scripts(n: int) -> Iterator[tuple[list[str], str, str]]:
    """What the caller says, the right last answer, the voice."""
    for i in range(n):
        plan = PLANS[i % len(PLANS)]
        messages = dialogue(FIRST_SEED + i, plan=plan, offered="none", persona=False, slips=0, scripted=True).messages
        said = [m["content"] for m in messages if m["role"] == "user"]
        yield said, messages[-1]["content"], VOICES[i % len(VOICES)]


async def converse(url: str, said: list[str], wanted: str, voice: str, seed: int, recogniser: WhisperEngine) -> Result:
    r = random.Random(seed)
    for attempt in range(20):
        try:
            async with Caller(url, timeout_s=30) as caller:
                await caller.wait_for("call.started")
                heard = []
                before = 0
                for text in said:
                    since, before = len(caller.events), len(caller.recording())
                    caller.speak(samples(text, voice, r))
                    final = await caller.wait_for("user.transcript", lambda e: bool(e.get("final")), since=since)
                    await caller.wait_for("agent.speech_stopped", since=since)
                    heard.append(final["text"])
                    await asyncio.sleep(0.3)
                answer = caller.of("agent.text")[-1]["text"]
                sound = trimmed(resample(caller.recording()[before:], CALL_RATE_HZ, RATE))
                (understood,) = await asyncio.to_thread(recogniser.transcribe, [sound])
                return Result(said, heard, wanted, answer, understood.text)
        except ClientError as e:
            if e.status != 503 or attempt == 19:
                raise
            await asyncio.sleep(1)
        except TimeoutError:
            return Result(said, [e.get("text", "") for e in caller.of("user.transcript")], wanted, "(no answer)", "")
    raise AssertionError


def samples(text: str, voice: str, r: random.Random) -> Samples:
    return resample(to_int16(speak(text, voice, r)[0]), RATE, CALL_RATE_HZ)


def trimmed(x: Samples) -> Samples:
    loud = np.nonzero(np.abs(x) > 300)[0]
    return x[max(0, loud[0] - 3200) : loud[-1] + 3200] if len(loud) else x


async def run(n: int, at_once: int, show: int) -> dict[str, float]:
    recogniser = WhisperEngine.load(STT)
    gate = asyncio.Semaphore(at_once)
    async with measured_server("--models-dir", str(PACK.parent), "--pack", PACK.name) as server:

        async def one(i: int, said: list[str], wanted: str, voice: str) -> Result:
            async with gate:
                return await converse(server.url, said, wanted, voice, i, recogniser)

        results = await asyncio.gather(*(one(i, *script) for i, script in enumerate(scripts(n))))
    right = sum(x.right for x in results)
    turns = [word_errors(s, h) for x in results for s, h in zip(x.said, x.heard, strict=False)]
    replies = [word_errors(plain(x.answer), x.understood) for x in results]
    figures = {
        "dialogues that end right": right / len(results),
        "word error rate of the callers": sum(e for e, _ in turns) / sum(k for _, k in turns),
        "word error rate of the last answers, heard": sum(e for e, _ in replies) / sum(k for _, k in replies),
    }
    for name, value in figures.items():
        print(f"{name:<58}{value:>8.1%}")
    print(f"      {right} of {len(results)} dialogues, {len(turns)} turns; asked: 90 %")
    for x in [x for x in results if not x.right][:show]:
        for said, heard in zip(x.said, x.heard, strict=False):
            print(f"      {said}" + (f" -> {heard}" if said != heard else ""))
        print(f"        {x.answer}   (right: {x.wanted})")
    return figures


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--dialogues", type=int, default=50)
    ap.add_argument("--at-once", type=int, default=6)
    ap.add_argument("--show", type=int, default=5, help="wrong dialogues printed")
    ap.add_argument("--json", type=Path)
    args = ap.parse_args()
    known_words()
    figures = asyncio.run(run(args.dialogues, args.at_once, args.show))
    if args.json:
        args.json.write_text(json.dumps({k: round(v, 4) for k, v in figures.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
