"""An installed wheel is as good as a checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_page_and_the_starter_models_travel_in_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as z:
        z.extractall(unpacked)
    code = (
        "from media_server.paths import STATIC, BUNDLED_MODELS; from media_server.engines.packs import *;"
        "from pathlib import Path; p = load_pack('starter', Path('none'));"
        "assert problems_of(p) == []; assert (STATIC / 'index.html').is_file(); print(STATIC, p.folder)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=unpacked, check=True, capture_output=True, text=True)
    assert str(unpacked) in ran.stdout
    assert ran.stdout.count(str(unpacked)) == 2
    assert (unpacked / "media_server/py.typed").is_file()
    assert list((unpacked / "media_server/store/migrations/versions").glob("0001_*.py"))
    subprocess.run([sys.executable, "-m", "download_models", "verify", "starter"], cwd=unpacked, check=True)
