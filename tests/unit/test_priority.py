"""How much of the processor the server's processes ask for."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOW = "import os; from media_server.priority import prefer; prefer({}); print(os.nice(0))"


@pytest.mark.parametrize("niceness", [3, 7])
def test_a_process_has_the_niceness_that_it_asks_for(niceness: int) -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW.format(niceness)], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == niceness


def test_what_it_may_not_have_is_no_error() -> None:
    # only the superuser goes before others, and in many containers nobody
    shown = subprocess.run([sys.executable, "-c", SHOW.format(-15)], capture_output=True, text=True, check=True)
    assert int(shown.stdout) in (-15, 0)
