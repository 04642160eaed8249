"""An installed wheel is as good as a checkout: in a virtual environment with nothing of the checkout in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from media_server import __version__

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that has the wheel; what it needs is borrowed from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    # as a path file's paths have no path files of their own, the checkout that is installed here stays out
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True)
    return folder / "venv" / "bin"


def run(installed: Path, cwd: Path, *command: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("MEDIA_SERVER_")} | {
        "PATH": f"{installed}:{os.environ['PATH']}"
    }
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_imported_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "from media_server.paths import STATIC, BUNDLED_MODELS, CONSTRAINTS;"
        "from media_server.store import database; from pathlib import Path; import media_server;"
        "assert (STATIC / 'index.html').is_file() and CONSTRAINTS.is_file();"
        "assert (Path(media_server.__file__).parent / 'py.typed').is_file();"
        "assert list((Path(database.__file__).parent / 'migrations/versions').glob('0001_*.py'));"
        "print(STATIC, BUNDLED_MODELS)"
    )
    printed = run(installed, tmp_path, "python", "-c", code)
    assert printed.count(str(installed.parent)) == 2
    assert str(ROOT) not in printed


def test_the_commands_of_the_documents_work(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "media-server", "--version") == f"media-server {__version__}\n"
    assert "all checksums right" in run(installed, tmp_path, "media-server", "doctor")
    assert "small" in run(installed, tmp_path, "media-server", "models", "list", "--available")
    assert run(installed, tmp_path, "media-server", "keys", "create", "me").startswith("sk_")
    assert "good" in run(installed, tmp_path, "media-server", "keys", "list")
    assert "There are none." in run(installed, tmp_path, "media-server", "webhooks", "list")
    run(installed, tmp_path, "python", "-m", "download_models", "verify", "starter")


def test_the_folder_of_init_is_complete(installed: Path, tmp_path: Path) -> None:
    run(installed, tmp_path, "media-server", "init", "my-agents")
    printed = run(installed, tmp_path / "my-agents", "media-server", "doctor")
    assert "agents in agents: assistant, desk" in printed
    collected = run(installed, tmp_path / "my-agents", "python", "-m", "pytest", "--collect-only", "-q")
    assert "2 tests collected" in collected
