"""The page's pure modules, tried by Node's own test runner; the browser's tests try the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1] / "static"


def test_the_modules_do_what_their_tests_say() -> None:
    node = shutil.which("node")
    if node is None:
        if "MEDIA_SERVER_TESTS_NEED_CLIENTS" in os.environ:
            pytest.fail("no Node.js here")
        pytest.skip("no Node.js here; Debian: apt-get install nodejs npm")
    tests = sorted(str(path) for path in TESTS.glob("*.test.js"))
    done = subprocess.run([node, "--test", "--test-reporter=tap", *tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout
