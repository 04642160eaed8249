"""Score the shipped starter models, all of them, in under five minutes on two cores.

    python evaluate.py
    python evaluate.py --full      # more cases of everything, as for the figures in the model card

Needs Debian's flite, espeak-ng, festival with festvox-kdlpc16k and wamerican, and PyPI's pocketsphinx. With
asterisk-core-sounds-en-wav a person's recorded words are tried as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PARTS = {
    "stt": ("evaluate_stt.py", "--sentences", 20, 40),
    "chat": ("evaluate_chat.py", "--each", 10, 40),
    "voice": ("evaluate_voice.py", "--replies", 60, 600),
    "together": ("evaluate_together.py", "--dialogues", 17, 50),
}
"""Script, its option for how many cases, and how many: briefly, and in full."""


def evaluate(parts: list[str], full: bool, out: Path | None) -> int:
    """The number of parts that failed to run; figures go to `out` as JSON."""
    figures: dict[str, dict[str, float]] = {}
    failed = 0
    began = time.monotonic()
    paths = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            print(f"\n== {part} ==", flush=True)
            result = Path(folder) / f"{part}.json"
            script, option, brief, whole = PARTS[part]
            command = [sys.executable, str(HERE / script), option, str(whole if full else brief), "--json", str(result)]
            failed += bool(subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False).returncode)
            if result.exists():
                figures[part] = json.loads(result.read_text())
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if out:
        out.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return failed


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all without any")
    ap.add_argument("--full", action="store_true", help="many more cases of everything")
    ap.add_argument("--json", type=Path, help="write the figures here")
    args = ap.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        ap.error(f"there is no part {unknown.pop()!r}; there are {', '.join(PARTS)}")
    sys.exit(evaluate(args.parts or list(PARTS), args.full, args.json))


if __name__ == "__main__":
    main()
