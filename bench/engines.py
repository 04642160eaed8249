"""The engines alone, on models of random weights in the shapes of published ones: speed and memory on this machine.

    python -m bench.engines --device cuda
    python -m bench.engines --device cuda --llm qwen3-4b --batch 512 2048 --kv-type f16 q8_0 --stt large-v3-turbo

What the models say is noise; what they cost is what trained ones of these shapes cost. Prompts have 500 tokens, replies
100, at the temperature that packs have. Files are written to --folder (up to 20 GB for qwen3-30b-a3b) and deleted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper.tokenizer import Tokenizer

from bench import random_model, random_whisper
from media_server.engines import messages as m
from media_server.engines.llama import LlamaEngine
from media_server.engines.whisper import RATE_HZ, WhisperEngine

PROMPT_TOKENS, REPLY_TOKENS = 500, 100
WORDS = ("what time", "does the train", "to the city", "leave today", "can you", "turn on", "the light", "my kitchen")
HEARD = ((3.0, 12), (10.0, 40))
"""Seconds of an utterance, and the tokens of its text."""
RUNS = 5


def gpu_mb() -> float:
    """Megabytes in use on the GPU; 0 without one."""
    if not shutil.which("nvidia-smi"):
        return 0.0
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def prompt(engine: LlamaEngine, seed: int) -> tuple[m.ChatMessage, ...]:
    """A conversation that begins like no other and has about so many tokens."""
    r = random.Random(seed)
    text = f"{seed} "
    while len(engine._vocabulary.tokenize(text)) < PROMPT_TOKENS - 30:
        text += " ".join(r.choices(WORDS, k=4)) + ". "
    return m.ChatMessage("system", text), m.ChatMessage("user", "What can you do for me?")


def answer(engine: LlamaEngine, seeds: Sequence[int], tokens: int) -> tuple[list[float], float]:
    """Answer new conversations at once: when each one's first token came, and tokens per second from the last of these.

    Tokens are counted in the engine: of a random model's there is little text.
    """
    asked = [m.Generate(seed, f"call {seed}", prompt(engine, seed), tokens) for seed in seeds]
    prompt_tokens = {each.id: len(engine._prompts.make(each).tokens) for each in asked}
    for each in asked:
        engine.submit(each)
    began = time.perf_counter()
    first: dict[int, float] = {}
    steps: list[tuple[float, int]] = []

    def answering() -> list[int]:
        replies = [s.reply for s in engine._slots if s.reply]
        return [r.request.id for r in replies if len(r.tokens) > prompt_tokens[r.request.id]]

    while engine.busy:
        under_way = len(answering())
        ended = []
        for result in engine.step():
            if isinstance(result, m.Failed):
                raise SystemExit(f"{result.code}: {result.message}")
            if isinstance(result, m.Finished):
                ended.append(result.id)
        for request_id in (*ended, *answering()):
            first.setdefault(request_id, time.perf_counter() - began)
        if len(first) == len(seeds):
            steps.append((time.perf_counter(), under_way))
    took = steps[-1][0] - steps[0][0]
    return sorted(first.values()), sum(n for _, n in steps[1:]) / took if took else 0.0


def alone(measure: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """Measure in a process of its own, as engines run, whose memory is free again afterwards."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *given).result()


def language_model(path: Path, args: argparse.Namespace, tuning: dict[str, Any]) -> dict[str, Any]:
    before = gpu_mb()
    began = time.perf_counter()
    slots = max(args.conversations)
    engine = LlamaEngine.load(
        path, context=args.context, slots=slots, device=args.device, threads=args.threads, **tuning
    )
    row: dict[str, Any] = {"load_s": round(time.perf_counter() - began, 1), "memory_mb": round(gpu_mb() - before)}
    seeds = itertools.count(1)
    answer(engine, [next(seeds)], 8)
    by_itself = [answer(engine, [next(seeds)], 2)[0][0] for _ in range(RUNS)]
    row["first_token_ms"] = round(1000 * statistics.median(by_itself), 1)
    for n in args.conversations:
        firsts, speed = answer(engine, [next(seeds) for _ in range(n)], REPLY_TOKENS)
        row[f"tokens_per_s_{n}"] = round(speed)
        row[f"worst_first_ms_{n}"] = round(1000 * firsts[-1])
    return row


def recogniser(path: Path, args: argparse.Namespace, compute_type: str | None) -> dict[str, Any]:
    before = gpu_mb()
    began = time.perf_counter()
    engine = WhisperEngine.load(
        path, device=args.device, threads=args.threads, compute_type=compute_type, language="en"
    )
    row: dict[str, Any] = {"load_s": round(time.perf_counter() - began, 1), "info": engine.info, "batch": engine._batch}
    end = engine._model.hf_tokenizer.token_to_id("<|endoftext|>")
    tokenizer = Tokenizer(engine._model.hf_tokenizer, engine._model.model.is_multilingual, "transcribe", "en")
    asked = engine._model.get_prompt(tokenizer, [], without_timestamps=False)
    noise = np.random.default_rng(0).normal(0, 0.1, 30 * RATE_HZ).astype(np.float32)

    def hear(seconds: float, tokens: int, count: int, full: bool) -> float:
        window = engine._window.full() if full else engine._window
        audio = [noise[: int(seconds * RATE_HZ)]] * count
        began = time.perf_counter()
        encoded = engine._model.model.encode(engine._features(audio, window))
        length = len(asked) + tokens
        engine._model.model.generate(encoded, [asked] * count, beam_size=1, max_length=length, suppress_tokens=[end])
        return time.perf_counter() - began

    for (seconds, tokens), full in itertools.product(HEARD, (False, True)):
        name = f"{seconds:g}_s{'_full_window' if full else ''}_ms"
        hear(seconds, tokens, 1, full)
        row[name] = round(1000 * statistics.median(hear(seconds, tokens, 1, full) for _ in range(RUNS)), 1)
    hear(3.0, 12, 8, False)
    row["8_of_3_s_ms"] = round(1000 * statistics.median(hear(3.0, 12, 8, False) for _ in range(RUNS)), 1)
    row["1_token_ms"] = round(1000 * (hear(3.0, 100, 1, True) - hear(3.0, 1, 1, True)) / 99, 2)
    row["memory_mb"] = round(gpu_mb() - before)
    return row


def report(title: str, row: dict[str, Any]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    ap.add_argument("--llm", nargs="*", choices=random_model.SHAPES, default=["qwen3-4b"])
    ap.add_argument("--stt", nargs="*", choices=random_whisper.SHAPES, default=["large-v3-turbo"])
    ap.add_argument("--conversations", nargs="+", type=int, default=[1, 4, 16])
    ap.add_argument("--context", type=int, default=4096)
    ap.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    ap.add_argument("--batch", nargs="+", type=int, default=[512])
    ap.add_argument("--kv-type", nargs="+", default=["f16"])
    ap.add_argument("--flash-attention", nargs="+", default=["auto"])
    ap.add_argument("--compute-type", nargs="+", help="of the recogniser; what the engine chooses without")
    ap.add_argument("--folder", type=Path, help="where the models are written; kept if they are there, and after")
    ap.add_argument("--json", type=Path)
    args = ap.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        for shape in args.stt:
            path = folder / shape
            if not path.exists():
                random_whisper.write_random_whisper(path, random_whisper.SHAPES[shape])
            for compute_type in args.compute_type or [None]:
                title = f"{shape} {compute_type or 'chosen'}"
                rows[title] = alone(recogniser, path, args, compute_type)
                report(title, rows[title])
        for shape in args.llm:
            path = folder / f"{shape}.gguf"
            if not path.exists():
                random_model.write_random_model(path, random_model.SHAPES[shape])
            for batch, kv, flash in itertools.product(args.batch, args.kv_type, args.flash_attention):
                title = f"{shape} batch {batch}, KV {kv}, flash attention {flash}"
                tuning = {"batch": batch, "kv_type": kv, "flash_attention": flash}
                rows[title] = alone(language_model, path, args, tuning)
                report(title, rows[title])
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
