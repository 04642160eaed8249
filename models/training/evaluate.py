"""Score the shipped starter models, all of them, in under five minutes; prints the figures of the model card.

    python evaluate.py

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
    "stt": ["evaluate_stt.py"],
    "chat": ["evaluate_chat.py"],
    "voice": ["evaluate_voice.py"],
    "together": ["evaluate_together.py"],
}


def evaluate(parts: list[str], out: Path | None) -> int:
    """The number of parts that failed to run; figures go to `out` as JSON."""
    figures: dict[str, dict[str, float]] = {}
    failed = 0
    began = time.monotonic()
    paths = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            print(f"\n== {part} ==", flush=True)
            result = Path(folder) / f"{part}.json"
            command = [sys.executable, str(HERE / PARTS[part][0]), "--json", str(result)]
            failed += bool(subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False).returncode)
            if result.exists():
                figures[part] = json.loads(result.read_text())
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if out:
        out.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return failed


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("parts", nargs="*", choices=[*PARTS, []], help="stt, chat, voice, together; all without any")
    ap.add_argument("--json", type=Path, help="write the figures here")
    args = ap.parse_args()
    sys.exit(evaluate(args.parts or list(PARTS), args.json))


if __name__ == "__main__":
    main()
