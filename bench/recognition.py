"""How well recorded people are understood: word error rate of a running server beside faster-whisper's own.

    python -m bench.recognition --pack real [--languages en,fr,es,it] [--prompts 100] [--call] [--noise]

The recordings are those that `make real-models` fetches. Each goes through `POST /v1/audio/transcriptions`, with
`--call` through a real call in Opus, and through `WhisperModel.transcribe` (beam 1, windows of 30 s, the same model,
threads and language, no voice activity). `--noise` sends sounds in which nobody speaks instead: every word is one too
many. CPU seconds are those of the server's recogniser and of this process around `transcribe`.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
from faster_whisper import WhisperModel

from bench.server import Measured, measured_server
from bench.sounds import not_speech
from bench.wer import WordErrors
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, read_wav, write_wav
from media_server.caller import Caller
from media_server.config import Settings
from media_server.engines.packs import Pack, load_pack
from tests.real_models import Prompt, prompts

AGENT = """
[[agents]]
name = "listener-{language}"
prompt = "Say nothing but: yes."
language = "{language}"
max_reply_tokens = 4
speculation = false
completeness = false
min_pause_ms = 1200
max_pause_ms = 1200
"""
SILENCE_S = 2.0
"""Between two recordings in a call: the turn is over after 1.2 s."""


@dataclass
class Side:
    errors: WordErrors
    cpu_s: float = 0.0
    worst: list[tuple[int, str, str]] = field(default_factory=list)
    """Wrong words, the recording's name, what was heard."""

    def add(self, prompt: Prompt, heard: str) -> None:
        self.worst.append((self.errors.add(prompt.text, heard), prompt.path.name, heard))


def chosen(language: str, count: int) -> list[Prompt]:
    """Prompts from all over the collection, the same ones every time."""
    there = prompts(language)
    return [there[int(i)] for i in np.linspace(0, len(there) - 1, min(count, len(there)))]


async def ask(http: aiohttp.ClientSession, url: str, samples: Samples, language: str | None) -> str:
    """What the server's HTTP interface hears in samples at 16 kHz."""
    file = io.BytesIO()
    write_wav(file, samples, MODEL_RATE_HZ)
    form = aiohttp.FormData({"language": language} if language else {})
    form.add_field("file", file.getvalue(), filename="speech.wav", content_type="audio/wav")
    async with http.post(f"{url}/v1/audio/transcriptions", data=form) as response:
        response.raise_for_status()
        return str((await response.json())["text"])


async def by_http(server: Measured, asked: list[Prompt], language: str) -> Side:
    ours = Side(WordErrors(language))
    before = server.cpu_s()["stt"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as http:
        for prompt in asked:
            samples = await asyncio.to_thread(read_wav, prompt.path, MODEL_RATE_HZ)
            ours.add(prompt, await ask(http, server.url, samples, language))
    ours.cpu_s = server.cpu_s()["stt"] - before
    return ours


async def by_call(server: Measured, asked: list[Prompt], language: str) -> Side:
    """All that is heard while a recording plays, and until its turn is over, is what was heard in it."""
    ours = Side(WordErrors(language))
    before = server.cpu_s()["stt"]
    async with Caller(server.url, f"listener-{language}", timeout_s=60) as caller:
        for prompt in asked:
            since = len(caller.events)
            samples = await asyncio.to_thread(read_wav, prompt.path, CALL_RATE_HZ)
            silence = np.zeros(int(SILENCE_S * CALL_RATE_HZ), np.int16)
            caller.speak(np.concatenate([samples, silence]))
            await asyncio.sleep(len(samples) / CALL_RATE_HZ + SILENCE_S)
            await settled(caller, since)
            finals = [e for e in caller.events[since:] if e["type"] == "user.transcript" and e["final"]]
            ours.add(prompt, " ".join(e["text"] for e in finals))
    ours.cpu_s = server.cpu_s()["stt"] - before
    return ours


async def settled(caller: Caller, since: int, timeout_s: float = 30) -> None:
    """Wait until every turn that began is transcribed, and the agent listens again."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        events = caller.events[since:]
        begun = {e["turn_id"] for e in events if e["type"] == "user.speech_started"}
        known = {e["turn_id"] for e in events if e["type"] == "user.transcript" and e["final"]}
        states = [e["state"] for e in events if e["type"] == "state.changed"]
        if begun and begun <= known and states and states[-1] == "listening":
            return
        await asyncio.sleep(0.1)


def by_library(model: WhisperModel, asked: list[Prompt], language: str) -> Side:
    theirs = Side(WordErrors(language))
    before = time.process_time()
    for prompt in asked:
        samples = read_wav(prompt.path, MODEL_RATE_HZ).astype(np.float32) / 32768
        segments, _ = model.transcribe(samples, language=language, beam_size=1, vad_filter=False)
        theirs.add(prompt, " ".join(s.text.strip() for s in segments))
    theirs.cpu_s = time.process_time() - before
    return theirs


def row(name: str, ours: Side, theirs: Side | None) -> str:
    cells = [name, f"{ours.errors.rate:.1%}"]
    if theirs:
        ratio = ours.cpu_s / theirs.cpu_s
        cells += [f"{theirs.errors.rate:.1%}", f"{100 * (ours.errors.rate - theirs.errors.rate):+.1f}"]
        cells += [f"{ours.errors.too_long}", f"{theirs.errors.too_long}"]
        cells += [f"{ours.cpu_s:.0f}", f"{theirs.cpu_s:.0f}", f"{ratio:.2f}"]
    else:
        cells += ["", "", f"{ours.errors.too_long}", "", f"{ours.cpu_s:.0f}", "", ""]
    return f"| {' | '.join(cells)} |"


HEAD = """| language | WER, server | WER, faster-whisper | points more | too long, server | too long, faster-whisper \
| CPU s, server | CPU s, faster-whisper | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


async def speech(server: Measured, pack: Pack, args: argparse.Namespace) -> None:
    print(
        f"{args.prompts} recordings of each language, {'a call in Opus' if args.call else 'HTTP'}\n\n{HEAD}", flush=True
    )
    threads = pack.manifest.stt.threads or os.cpu_count() or 1
    model = None
    if not args.alone:
        options = {"device": "cpu", "compute_type": "int8", "cpu_threads": threads, "local_files_only": True}
        model = WhisperModel(str(pack.recogniser), **options)
    details = []
    for language in args.languages.split(","):
        asked = chosen(language, args.prompts)
        ours = await (by_call if args.call else by_http)(server, asked, language)
        theirs = await asyncio.to_thread(by_library, model, asked, language) if model else None
        print(row(language, ours, theirs), flush=True)
        for i, (wrong, name, heard) in enumerate(ours.worst):
            if theirs is None or wrong > theirs.worst[i][0]:
                details.append(f"{language} {name}: {wrong} wrong\n  text:   {asked[i].text}\n  server: {heard}")
                details[-1] += f"\n  faster-whisper: {theirs.worst[i][2]}" if theirs else ""
    if args.details:
        print("\n" + "\n".join(details))


async def noise(server: Measured, args: argparse.Namespace) -> None:
    said: dict[str, list[str]] = {}
    sounds = not_speech(args.prompts)
    before = server.cpu_s()["stt"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as http:
        for kind, samples in sounds:
            said.setdefault(kind, []).append(await ask(http, server.url, samples, None))
    words = sum(len(text.split()) for texts in said.values() for text in texts)
    print(f"{len(sounds)} sounds in which nobody speaks: {words} words, {server.cpu_s()['stt'] - before:.0f} CPU s")
    for kind, texts in said.items():
        print(f"  {kind}: {len(texts)}, of which with text: {[t for t in texts if t] or 0}")


async def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pack", default="real")
    ap.add_argument("--languages", default="en,fr,es,it")
    ap.add_argument("--prompts", type=int, default=100, help="of each language, or sounds with --noise")
    ap.add_argument("--call", action="store_true", help="through a call instead of HTTP")
    ap.add_argument("--noise", action="store_true", help="sounds in which nobody speaks")
    ap.add_argument("--alone", action="store_true", help="without faster-whisper's own beside it")
    ap.add_argument("--details", action="store_true", help="print what the server hears worse")
    args = ap.parse_args()
    settings = Settings()
    pack = load_pack(args.pack, settings.models_dir)
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"recognition-{os.getpid()}.toml"
    folder.write_text("".join(AGENT.format(language=language) for language in args.languages.split(",")))
    try:
        async with measured_server("--pack", args.pack, "--config", str(folder)) as server:
            await (noise(server, args) if args.noise else speech(server, pack, args))
    finally:
        folder.unlink()


if __name__ == "__main__":
    asyncio.run(main())
