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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the modules, where there is npm to work on it."""
    if shutil.which("npm") is None and "MEDIA_SERVER_TESTS_NEED_CLIENTS" not in os.environ:
        pytest.skip("no Node.js here; Debian: apt-get install nodejs npm")
    return Path(shutil.copytree(STATIC, tmp_path / "static"))


def npm(folder: Path, *command: str) -> None:
    done = subprocess.run(["npm", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_made_of_the_modules_is_made_of_these(folder: Path) -> None:
    """Types, and the script for pages without modules; else: `npm run build` in static/."""
    made = [*folder.glob("types/*.d.ts"), folder / "room.umd.js"]
    before = {path.name: path.read_text() for path in made}
    for path in made:
        path.unlink()
    npm(folder, "run", "--silent", "build")
    assert {p.name: p.read_text() for p in [*folder.glob("types/*.d.ts"), folder / "room.umd.js"]} == before


def test_npm_packs_what_pages_import(tmp_path: Path, folder: Path) -> None:
    npm(folder, "pack", "--silent", "--pack-destination", str(tmp_path))
    (made,) = tmp_path.glob("*.tgz")
    with tarfile.open(made) as tar:
        names = {name.removeprefix("package/") for name in tar.getnames()}
        described = json.loads((tar.extractfile("package/package.json") or pytest.fail("no package.json")).read())
    assert described["version"] == __version__, "the version is the server's"
    for target in described["exports"].values():
        for path in [target] if isinstance(target, str) else target.values():
            assert path.removeprefix("./") in names, path
    assert not {n for n in names if n.startswith(("js/", "admin/"))}
