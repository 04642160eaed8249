"""Real clients of hosted products, unmodified: fetched once from the package registries into a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(__file__).parent.parent.parent / ".doors"
PYTHON_CLIENT = "speechmatics-flow==0.1.2"
ITS_NEEDS = ("websockets==13.1", "httpx>=0.27,<1")
"""Without PyAudio, which wants a sound card's headers."""
NODE_CLIENT = "@speechmatics/flow-client@0.2.2"


def fetched(folder: Path, *commands: list[str]) -> Path:
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode and "MEDIA_SERVER_TESTS_NEED_CLIENTS" in os.environ:
                pytest.fail(f"{command[0]} failed: {done.stderr[-2000:]}")
            if done.returncode:
                pytest.skip(f"the client could not be fetched: {done.stderr.strip()[-200:]}")
        (folder / ".complete").touch()
    return folder


@pytest.fixture(scope="session")
def python_client() -> Path:
    """A folder for PYTHONPATH with `speechmatics_flow`."""
    folder = CACHE / "python"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    return fetched(folder, [*pip, *ITS_NEEDS], [*pip, "--no-deps", PYTHON_CLIENT])


@pytest.fixture(scope="session")
def node_client() -> Path:
    """A folder with `node_modules/@speechmatics/flow-client`."""
    if shutil.which("npm") is None:
        if "MEDIA_SERVER_TESTS_NEED_CLIENTS" in os.environ:
            pytest.fail("no npm here")
        pytest.skip("no Node.js here; Debian: apt-get install nodejs npm")
    folder = CACHE / "node"
    npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
    return fetched(folder, [*npm, NODE_CLIENT])
