"""Make the starter pack from nothing: speech, three trainings, the pack, and its figures.

    python rebuild.py --work /tmp/starter

A night on two CPU cores; `--share 0.5` half of it, with models not as good. `--quick` runs every stage with a handful of steps, to see that all is installed; its models are of no use.
The recogniser needs the voice, and the chat model needs neither: so both lines run side by side, each with half of the cores, which
is sooner than one after the other with all of them. What a stage has finished is kept in the work folder and not made again, and the
trainings go on from where they were stopped: run the same command again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from starter_pack import PACK

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Stage:
    name: str
    script: list[str]
    made: Path
    """What is there when the stage is done."""


STEPS = {"voice": 8000, "stt": 24000, "polish": 1500, "chat": 24000}
QUICK = {"voice": 30, "stt": 20, "polish": 5, "chat": 20}


def lines(work: Path, quick: bool, share: float) -> tuple[list[Stage], list[Stage]]:
    """Voice and recogniser; chat."""
    clips, frames = work / "clips.pkl", work / "voice.pkl"
    steps = QUICK if quick else {name: max(1, round(share * count)) for name, count in STEPS.items()}
    stt = ["train_stt.py", "--data", str(clips)]
    heard = [
        Stage("voice: speak and analyse", ["train_voice.py", "prepare", "--out", str(frames), *(["--size", "0.03"] if quick else [])], frames),
        Stage("voice: train", ["train_voice.py", "train", "--data", str(frames), "--steps", str(steps["voice"]), "--keep", str(work / "voice.keep")], work / "voice.done"),
        Stage("recogniser: speak", ["synth.py", "--out", str(clips), *(["--size", "0.01"] if quick else [])], clips),
        Stage("recogniser: train", [*stt, "--steps", str(steps["stt"]), "--keep", str(work / "stt.pt"), "--out", str(work / "stt")], work / "stt.done"),
        *(
            Stage(f"recogniser: polish {n}", [*stt, "--init", str(work / "stt"), "--rate", "0.45", "--seed", str(n), "--steps", str(steps["polish"]), "--keep", str(work / f"stt-{n}.pt"), "--out", str(work / f"stt-{n}")], work / f"stt-{n}.done")
            for n in (1, 2)
        ),
        Stage("recogniser: average", ["average_stt.py", str(work / "stt-1"), str(work / "stt-2")], work / "average.done"),
    ]  # fmt: skip
    chat = ["train_chat.py", "--steps", str(steps["chat"]), "--keep", str(work / "chat.pt")]
    return heard, [Stage("chat: train", chat, work / "chat.done")]


class Failed(Exception):
    """A stage, by its name."""


def run(line: list[Stage], environment: dict[str, str]) -> None:
    """One stage after the other; each line they print has the stage's name before it. Raises `Failed`."""
    for stage in line:
        if stage.made.exists():
            print(f"== {stage.name}: done already", flush=True)
            continue
        began = time.monotonic()
        print(f"== {stage.name}", flush=True)
        command = [sys.executable, *stage.script]
        with subprocess.Popen(
            command, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            assert running.stdout
            for text in running.stdout:
                print(f"{stage.name}: {text}", end="", flush=True)
        if running.returncode:
            raise Failed(stage.name)
        if stage.made.suffix == ".done":
            stage.made.touch()
        print(f"== {stage.name}: {(time.monotonic() - began) / 60:.0f} min", flush=True)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("/tmp/starter-models"), help="recordings, and what is done")
    ap.add_argument("--out", type=Path, default=PACK, help="the pack")
    ap.add_argument("--share", type=float, default=1.0, help="of the trainings' steps: sooner, and not as good")
    ap.add_argument("--quick", action="store_true", help="a few steps of everything, into WORK/pack")
    args = ap.parse_args()
    work = args.work.resolve()
    out = work / "pack" if args.quick else args.out.resolve()
    environment = os.environ | {"STARTER_PACK": str(out)}
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    halves = environment | {"OMP_NUM_THREADS": threads, "TQDM_DISABLE": "1"}
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(run, line, halves) for line in lines(work, args.quick, args.share)]
        failed = [str(e) for each in running if (e := each.exception())]
    if failed:
        sys.exit(f"{' and '.join(failed)} failed; mend the cause and run this again: it goes on from here.")
    subprocess.run([sys.executable, "make_pack.py", str(out)], cwd=HERE, env=environment, check=True)
    print(f"== made in {(time.monotonic() - began) / 60:.0f} min: {out}", flush=True)
    if not args.quick:
        scored = subprocess.run([sys.executable, "evaluate.py", "--full"], cwd=HERE, env=environment, check=False)
        sys.exit(scored.returncode)


if __name__ == "__main__":
    main()
