"""Run all tests in two processes side by side, for most tests wait for sound more than for a core; then what failed.

run_tests.py                all tests, in two halves
run_tests.py -k speaker     one process, with pytest's own arguments
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence

# What is fetched or started once for several modules is used within one half alone.
_FIRST = ("tests/browser", "tests/doors", "tests/unit")
HALVES = (_FIRST, ("tests", *(f"--ignore={folder}" for folder in _FIRST)))
AGAIN = ("--last-failed", "--last-failed-no-failures", "none")


def pytest(half: int, arguments: Sequence[str]) -> list[str]:
    cache = ("-o", f"cache_dir=.pytest_cache/{half}")  # each half remembers what failed in it
    return [sys.executable, "-m", "pytest", *cache, *arguments]


def side_by_side() -> list[int]:
    """The exit status of each half; what they print comes line by line."""
    running = [
        subprocess.Popen(pytest(i, half), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        for i, half in enumerate(HALVES)
    ]
    readers = [threading.Thread(target=show, args=(process,)) for process in running]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return [process.wait() for process in running]


def show(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)


def main(arguments: Sequence[str]) -> int:
    if arguments:
        halves: Sequence[Sequence[str]] = [arguments]
        ended = [subprocess.run(pytest(0, arguments), check=False).returncode]
    else:
        halves = HALVES
        ended = side_by_side()
    failed = [i for i, status in enumerate(ended) if status]
    if failed:
        print("\nThe failed ones once more, with the machine to themselves. What passes now is unsteady: mend it too.")
    return max((subprocess.run(pytest(i, [*AGAIN, *halves[i]]), check=False).returncode for i in failed), default=0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # pytest has got it too, and ends by itself
        sys.exit(130)
