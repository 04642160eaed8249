"""What tests need from the package registries besides Python packages: fetched once, into a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["CACHE", "fetched", "from_npm"]

CACHE = Path(__file__).parent.parent / ".doors"


def fetched(folder: Path, *commands: list[str]) -> Path:
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode and "MEDIA_SERVER_TESTS_NEED_CLIENTS" in os.environ:
                pytest.fail(f"{command[0]} failed: {done.stderr[-2000:]}")
            if done.returncode:
                pytest.skip(f"it could not be fetched: {done.stderr.strip()[-200:]}")
        (folder / ".complete").touch()
    return folder


def from_npm(name: str, *packages: str) -> Path:
    """A folder with the packages in `node_modules`."""
    if shutil.which("npm") is None:
        if "MEDIA_SERVER_TESTS_NEED_CLIENTS" in os.environ:
            pytest.fail("no npm here")
        pytest.skip("no Node.js here; Debian: apt-get install nodejs npm")
    folder = CACHE / name
    return fetched(
        folder, ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), *packages]
    )
