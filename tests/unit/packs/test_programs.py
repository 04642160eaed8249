"""The virtual environment that a bundle is installed into, on a machine with Python alone."""

from __future__ import annotations

import ensurepip
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from media_server.engines.packs import load_pack, problems_of
from media_server.packs import bundle as making
from media_server.packs.installer import Bundle, BundleError, Wheels
from media_server.packs.installer.programs import MARK, install_all
from media_server.packs.wheels import here

PIP = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"), None)

pytestmark = pytest.mark.skipif(PIP is None, reason="this Python has no pip inside to make bundles of")


def box(folder: Path, says: str, *, with_pip: bool = True) -> Path:
    """A bundle with the starter pack, and one program that says something."""
    assert PIP is not None
    wheels = folder / f"wheels-{says}"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "talker-1.0-py3-none-any.whl", "w") as z:
        z.writestr("talker.py", f"print({says!r})\n")
        z.writestr("talker-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: talker\nVersion: 1.0\nLicense: MIT\n")
        z.writestr("talker-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("talker-1.0.dist-info/RECORD", "talker.py,,\n")
    if with_pip:
        (wheels / PIP.name).write_bytes(PIP.read_bytes())
    machine = here()
    needs = Wheels("1.0", machine.python, machine.platform, "2.17", (), ())
    output = folder / f"{says}.tar.zst"
    making.write(making.plan(load_pack("starter", Path("none")), output, needs, wheels))
    return output


def install(bundle: Path, to: Path) -> None:
    with Bundle(bundle) as opened:
        install_all(opened, to)


def said(to: Path) -> str:
    return subprocess.run([to / ".venv/bin/python", "-m", "talker"], check=True, capture_output=True, text=True).stdout


def test_programs_and_models_are_installed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, to = box(tmp_path, "hello"), tmp_path / "to"
    install(bundle, to)
    assert said(to) == "hello\n"
    assert problems_of(load_pack("starter", to / "models")) == []
    assert sorted(p.name for p in to.iterdir()) == [".venv", "models"]
    assert "Installing" in capsys.readouterr().out
    install(bundle, to)
    assert "Installing" not in capsys.readouterr().out


def test_an_environment_that_was_half_filled_is_filled(tmp_path: Path) -> None:
    bundle, to = box(tmp_path, "hello"), tmp_path / "to"
    (to / ".venv").mkdir(parents=True)
    (to / ".venv" / MARK).write_text("being filled\n")
    install(bundle, to)
    assert said(to) == "hello\n"


def test_a_newer_bundle_replaces_the_programs_and_keeps_the_models(tmp_path: Path) -> None:
    to = tmp_path / "to"
    install(box(tmp_path, "older"), to)
    before = (to / "models/starter/stt/model.bin").stat().st_ino
    (to / "models/notes.txt").write_text("mine")
    install(box(tmp_path, "newer"), to)
    assert said(to) == "newer\n"
    assert (to / "models/starter/stt/model.bin").stat().st_ino == before
    assert (to / "models/notes.txt").read_text() == "mine"


def test_an_environment_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    to = tmp_path / "to"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", to / ".venv"], check=True)
    before = {p: p.lstat().st_mtime_ns for p in to.rglob("*")}
    with pytest.raises(BundleError, match="was not made by this installer"):
        install(box(tmp_path, "hello"), to)
    assert {p: p.lstat().st_mtime_ns for p in to.rglob("*")} == before


def test_a_bundle_without_pip_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no pip among the wheels"):
        install(box(tmp_path, "hello", with_pip=False), tmp_path / "to")
    assert not (tmp_path / "to/models/starter").exists()


def test_settings_of_pip_on_the_machine_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://192.0.2.1/simple")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "nonsense")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "nowhere"))
    install(box(tmp_path, "hello"), tmp_path / "to")
    assert said(tmp_path / "to") == "hello\n"
