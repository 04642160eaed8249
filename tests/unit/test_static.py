"""The page's pure modules, tried by Node's own test runner; the browser's tests try the rest."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from media_server.paths import STATIC

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


def test_the_page_is_small() -> None:
    """All that it loads before a call, as it lies here and as it is sent."""
    names = re.findall(r'(?:href|src)="static/([^"]+\.(?:js|css|svg))"', (STATIC / "index.html").read_text())
    files = [(STATIC / name).read_bytes() for name in ("index.html", *dict.fromkeys(names))]
    assert len(files) > 15
    assert sum(map(len, files)) < 150_000
    assert sum(len(gzip.compress(content)) for content in files) < 60_000
