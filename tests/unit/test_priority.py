"""How much of the processor the server's processes ask for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOW = "import os; from media_server.priority import prefer; prefer({}); print(os.nice(0))"


@pytest.mark.skipif(os.geteuid() != 0, reason="a negative niceness is for root alone")
@pytest.mark.parametrize(("before", "asked", "after"), [(0, -3, -3), (-5, -3, -5), (4, -3, -3)])
def test_a_process_goes_before_others(before: int, asked: int, after: int) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", f"import os; os.setpriority(os.PRIO_PROCESS, 0, {before}); {SHOW.format(asked)}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(shown.stdout) == after


def test_what_it_may_not_have_is_no_error() -> None:
    # only the superuser goes before others, and in many containers nobody
    shown = subprocess.run([sys.executable, "-c", SHOW.format(-15)], capture_output=True, text=True, check=True)
    assert int(shown.stdout) in (-15, 0)


@pytest.mark.parametrize(
    ("act", "given", "kept"),
    [
        ("stand_back", -5, 0),
        ("stand_back", 0, 0),
        ("stand_back", 3, 3),
        ("step_behind", -5, 0),
        ("step_behind", 0, 5),
        ("step_behind", 3, 8),
    ],
)
def test_an_engine_gives_up_its_servers_priority_or_lets_it_go_first(act: str, given: int, kept: int) -> None:
    code = (
        f"import os; os.setpriority(os.PRIO_PROCESS, 0, {given}); from media_server.priority import {act};"
        f"{act}(); print(os.getpriority(os.PRIO_PROCESS, 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "PermissionError" in done.stderr:
        pytest.skip("a negative niceness is for root alone")
    assert done.stdout.strip() == str(kept)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="a class of Linux")
def test_a_process_runs_only_where_nothing_else_wants_to() -> None:
    code = (
        "import os; from media_server.priority import wait_for_the_rest;"
        "wait_for_the_rest(); print(os.sched_getscheduler(0))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == os.SCHED_IDLE
