"""What tells that a caller is done, on real models and people's recordings: the words, the sound of it, or both.

    python -m bench.turns --pack real [--languages en] [--prompts 100]

Each recording is one sentence. Where its speaker pauses within it, the turn is not over; where it ends, it is. At both
the engines are asked what a call asks them: the recogniser for the words so far, the language model how likely the turn
ends with them, Smart Turn what the sound says.

`cut off` is the share of pauses within sentences after which the agent would have answered, had the caller been silent
for 300 ms, with the pauses of the preset `balanced`. `delay` is what a caller waits at the end of a turn, in the
mean, when the threshold is set so that 5 % of those pauses pass for ends: the shortest pause where the turn is held for
over, else the longest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from media_server.agents import DEFAULT_AGENT
from media_server.agents.agent import PRESETS
from media_server.audio import MODEL_RATE_HZ, Samples, read_wav
from media_server.call.completeness import completeness, pause_ms
from media_server.config import Settings
from media_server.engines.engines import Engines
from media_server.engines.messages import ChatMessage
from media_server.engines.packs import load_pack
from tests.real_models import SPEAKERS, Prompt, prompts

HOP = MODEL_RATE_HZ // 100
QUIET = 0.02
"""Of the loudest 10 ms: what is softer is a pause."""
MIN_PAUSE_MS = 120
MIN_SPEECH_S = 0.6
"""Before a pause within a sentence and behind it."""
HEARD_OF_SILENCE_S = 0.1
TOLD_MS = 300
CUT_OFF = 0.05


@dataclass(frozen=True, slots=True)
class Moment:
    """A silence in a caller's speech, and what is known there."""

    over: bool
    """Whether it is the end of the turn."""
    text: str
    by_words: float
    """The language model's probability that the turn ends here."""
    by_sound: float


def pauses(samples: Samples) -> list[int]:
    """Where the speaker pauses within the recording: the samples at which the pauses begin. Then where speech ends."""
    hops = samples[: len(samples) // HOP * HOP].reshape(-1, HOP).astype(np.float32)
    level = np.sqrt((hops**2).mean(1))
    loud = np.nonzero(level > QUIET * level.max())[0]
    gaps = np.diff(loud)
    within = [
        int(loud[i] + 1)
        for i in np.nonzero(gaps > MIN_PAUSE_MS // 10)[0]
        if (loud[i] - loud[0]) * 0.01 > MIN_SPEECH_S and (loud[-1] - loud[i + 1]) * 0.01 > MIN_SPEECH_S
    ]
    return [HOP * at for at in (*within, int(loud[-1] + 1))]


async def moments(engines: Engines, prompt: Prompt) -> list[Moment]:
    samples = read_wav(prompt.path, MODEL_RATE_HZ)
    ends = pauses(samples)
    out: list[Moment] = []
    for end in ends:
        silence = int(HEARD_OF_SILENCE_S * MODEL_RATE_HZ)
        so_far = samples[:end]
        hiss = np.random.default_rng(len(out)).normal(0, 4, silence).astype(np.int16)
        heard = np.concatenate([so_far, hiss])
        said = await engines.transcribe(heard, final=True, language=prompt.language, turn=heard)
        if not said.text:
            continue
        messages = (ChatMessage("system", DEFAULT_AGENT.prompt), ChatMessage("user", said.text))
        by_words = await engines.judge(f"turns-{prompt.path.name}", messages)
        if said.complete is None:
            sys.exit("The pack has no classifier of complete turns ([turn]).")
        out.append(Moment(end == ends[-1], said.text, by_words, said.complete))
    return out


def area(found: list[tuple[float, bool]]) -> float:
    """Probability that an end gets more than a pause (the area under the ROC curve)."""
    ends = np.array([p for p, over in found if over])
    others = np.array([p for p, over in found if not over])
    return float((ends[:, None] > others).mean() + 0.5 * (ends[:, None] == others).mean())


def delay(found: list[tuple[float, bool]]) -> tuple[float, float]:
    """Mean delay in ms at the end of a turn when 5 % of the pauses within are cut off, and the share held for over."""
    taking = PRESETS["balanced"]
    others = np.sort([p for p, over in found if not over])
    threshold = others[min(len(others) - 1, int(np.ceil((1 - CUT_OFF) * len(others))))]
    over = float(np.mean([p > threshold for p, done in found if done]))
    return over * taking.min_pause_ms + (1 - over) * taking.max_pause_ms, over


async def run(args: argparse.Namespace) -> None:
    pack = load_pack(args.pack, args.models_dir)
    engines = Engines(pack, Settings(pack=args.pack, models_dir=args.models_dir))
    found: list[Moment] = []
    async with asyncio.TaskGroup() as group:
        running = group.create_task(engines.run())
        for engine in engines.all:
            await engine.ready.wait()
        for language in args.languages:
            single = [p for p in prompts(language, least_words=5) if not re.search(r"[.!?…].*\w", p.text)]
            for i, prompt in enumerate(single[: args.prompts]):
                found += await moments(engines, prompt)
                print(f"\r{language}: {i + 1} of {min(len(single), args.prompts)} sentences", end="", flush=True)
            print()
        running.cancel()
    if args.json:
        args.json.write_text(json.dumps([asdict(m) for m in found], ensure_ascii=False, indent=1) + "\n")
    report(found, engines.complete_at)


def report(found: list[Moment], complete_at: float) -> None:
    taking = PRESETS["balanced"]
    ends = sum(m.over for m in found)
    print(f"\n{ends} ends of turns, {len(found) - ends} pauses within sentences\n")
    opinions: dict[str, Callable[[Moment], float]] = {
        "the words (language model)": lambda m: completeness(m.text, m.by_words, complete_at),
        "the sound (Smart Turn)": lambda m: m.by_sound,
        "both, as calls join them": lambda m: completeness(m.text, m.by_words, complete_at, m.by_sound),
    }
    print(f"{'told by':<28}{'area':>8}{'cut off at 300 ms':>20}{'mean pause at ends':>20}{'delay at 5 %':>15}")
    for name, opinion in opinions.items():
        pairs = [(opinion(m), m.over) for m in found]
        cut = np.mean([pause_ms(taking, p) <= TOLD_MS for p, over in pairs if not over])
        mean = np.mean([pause_ms(taking, p) for p, over in pairs if over])
        late, _ = delay(pairs)
        print(f"{name:<28}{area(pairs):>8.3f}{100 * cut:>18.1f} %{mean:>17.0f} ms{late:>12.0f} ms")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pack", default="real")
    ap.add_argument("--models-dir", type=Path, default=Path("models"))
    ap.add_argument("--languages", nargs="+", default=["en"], choices=SPEAKERS)
    ap.add_argument("--prompts", type=int, default=100, help="sentences of each language")
    ap.add_argument("--json", type=Path, help="write every moment there")
    asyncio.run(run(ap.parse_args()))


if __name__ == "__main__":
    main()
