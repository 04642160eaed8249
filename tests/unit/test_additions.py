"""What CONTRIBUTING.md says of additions: each of its examples touches one folder and one line elsewhere, and works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADDITIONS = ROOT / "docs" / "additions"

DOOR = """
from media_server.doors import load_doors
(door,) = [each for each in load_doors() if each.name == "bell"]
print([route.path for table in door.routes for route in table])
"""
ENGINE = """
import numpy as np
from media_server.engines import messages as m
from media_server.engines.host import _load
engine = _load("embedding", {"engine": "hashing", "path": "", "threads": 1, "device": "cpu", "size": 64})
engine.submit(m.Embed(1, ("a red car", "the car is red", "good morning"), True))
vectors = np.frombuffer(next(iter(engine.step())).vectors, np.float32).reshape(3, -1)
print(engine.busy, vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
"""
METRIC = """
from types import SimpleNamespace
from media_server import events as e
from media_server.http.metrics import Metrics
metrics = Metrics(SimpleNamespace(all=[]), 1)
for reason in ("completed", "interrupted"):
    metrics.observe(e.Envelope("call-1", 0, 0.0, e.AgentSpeechStopped("turn-1", reason, "")))
print([line for line in metrics.text().decode().splitlines() if line.startswith("media_server_interruptions_total")])
"""
SETTING = """
from media_server.agents import Agent
print(Agent("desk", prompt="Be brief.", manners="Say please, {{name}}.").filled_in({"name": "Ada"}).prompt)
"""


@pytest.mark.parametrize(
    ("name", "script", "printed"),
    [
        ("door", DOOR, "['/bell']"),
        ("engine", ENGINE, "False True"),
        ("metric", METRIC, "['media_server_interruptions_total 1.0']"),
        ("setting", SETTING, "Be brief. Say please, Ada."),
    ],
)
def test_an_addition_touches_one_folder_and_one_line(name: str, script: str, printed: str, tmp_path: Path) -> None:
    diff = ADDITIONS / f"{name}.diff"
    changed = re.findall(r"^\+\+\+ b/(.*)$", diff.read_text(), re.MULTILINE)
    new = re.findall(r"^--- /dev/null\n\+\+\+ b/(.*)$", diff.read_text(), re.MULTILINE)
    assert len(changed) - len(new) == 1, "one file that was there"
    assert len({Path(path).parent for path in new}) <= 1, "one folder"
    shutil.copytree(ROOT / "media_server", tmp_path / "media_server", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", str(diff)], cwd=tmp_path, check=True, env=_outside_of_git(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.strip() == printed, ran.stderr


def _outside_of_git(folder: Path) -> dict[str, str]:
    """An environment in which git takes the folder for itself, and not for a part of a repository around it."""
    return os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
