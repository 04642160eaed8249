"""The browser's modules as an npm package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from media_server import __version__
from media_server.paths import STATIC


def test_npm_packs_what_pages_import(tmp_path: Path) -> None:
    if shutil.which("npm") is None and "MEDIA_SERVER_TESTS_NEED_CLIENTS" not in os.environ:
        pytest.skip("no Node.js here; Debian: apt-get install nodejs npm")
    folder = tmp_path / "static"
    shutil.copytree(STATIC, folder)
    pack = ["npm", "pack", "--silent", "--pack-destination", str(tmp_path)]
    done = subprocess.run(pack, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("*.tgz")
    with tarfile.open(made) as tar:
        names = {name.removeprefix("package/") for name in tar.getnames()}
        described = json.loads((tar.extractfile("package/package.json") or pytest.fail("no package.json")).read())
    assert described["version"] == __version__, "the version is the server's"
    for target in described["exports"].values():
        for path in [target] if isinstance(target, str) else target.values():
            assert path.removeprefix("./") in names, path
    assert not {n for n in names if n.startswith(("js/", "admin/"))}
