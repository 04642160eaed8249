"""Builds the wheel of llama-cpp-python, which the registry has as source only, and shows how far it is.

    python scripts/compile_llama.py WHEELHOUSE

A wheel that is in the folder already is kept, unless CUDA is asked for and it has none. CMAKE_ARGS are llama.cpp's
options, such as -DGGML_CUDA=on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import zipfile
from collections import deque
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
STEP = re.compile(r"\[(\d+)/(\d+)\]|\[\s*(\d+)%\]")
CUDA_WANTED = re.compile(r"-DGGML_CUDA=(on|1|true|yes)\b", re.IGNORECASE)
TAIL = 40
"""Lines of output that are shown where it fails."""


def percent_of(line: str) -> int | None:
    """How much is compiled, by a line of ninja or make."""
    found = STEP.search(line)
    if not found:
        return None
    return int(found[3]) if found[3] else 100 * int(found[1]) // int(found[2])


def has_cuda(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as z:
        return any("ggml-cuda" in name for name in z.namelist())


def main(wheelhouse: Path) -> int:
    (wanted,) = (line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("llama_cpp_python=="))
    version = wanted.partition("==")[2]
    options = os.environ.get("CMAKE_ARGS", "")
    for wheel in wheelhouse.glob(f"llama_cpp_python-{version}-*.whl"):
        if has_cuda(wheel) or not CUDA_WANTED.search(options):
            return 0
        wheel.unlink()
    print("Compiling llama.cpp. This takes 5 to 15 minutes, once.", flush=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-v", "--no-deps"]
    if options:
        command.append("--no-cache-dir")  # pip keeps what it built, with whatever options that was
    building = subprocess.Popen(
        [*command, "--wheel-dir", str(wheelhouse), wanted], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert building.stdout is not None
    tail: deque[str] = deque(maxlen=TAIL)
    started, shown = time.monotonic(), -1
    terminal = sys.stdout.isatty()
    for line in building.stdout:
        tail.append(line)
        percent = percent_of(line)
        if percent is not None and percent > shown + (0 if terminal else 9):
            minutes = (time.monotonic() - started) / 60
            text = f"  {percent:3d} % after {minutes:.1f} minutes"
            print(f"\r{text}" if terminal else text, end="" if terminal else "\n", flush=True)
            shown = percent
    if terminal and shown >= 0:
        print()
    if building.wait():
        print("".join(tail), file=sys.stderr)
        print("llama.cpp was not compiled. It needs a C++ compiler: Debian: apt-get install g++", file=sys.stderr)
    return building.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
