"""Real clients of hosted products, unmodified: fetched once from the package registries into a folder of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fetched import CACHE, fetched, from_npm

PYTHON_CLIENT = "speechmatics-flow==0.1.2"
ITS_NEEDS = ("websockets==13.1", "httpx>=0.27,<1")
"""Without PyAudio, which wants a sound card's headers."""
LIVEKIT_SDK = "livekit==1.2.1"
NODE_CLIENT = "@speechmatics/flow-client@0.2.2"


@pytest.fixture(scope="session")
def python_client() -> Path:
    """A folder for PYTHONPATH with `speechmatics_flow`."""
    folder = CACHE / "python"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    return fetched(folder, [*pip, *ITS_NEEDS], [*pip, "--no-deps", PYTHON_CLIENT])


@pytest.fixture(scope="session")
def node_client() -> Path:
    """A folder with `node_modules/@speechmatics/flow-client`."""
    return from_npm("node", NODE_CLIENT)


@pytest.fixture(scope="session")
def livekit_sdk() -> Path:
    """A folder for PYTHONPATH with `livekit`."""
    folder = CACHE / "livekit-python"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    return fetched(folder, [*pip, LIVEKIT_SDK])
