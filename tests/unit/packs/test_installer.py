"""Putting a bundle into place: nothing of the operator's is touched, and what was interrupted is continued."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from media_server.engines.packs import load_pack, problems_of
from media_server.packs.installer import Bundle, BundleError, install_pack
from media_server.packs.local import PackError
from tests.unit.packs.boxes import assert_nothing_installed, create, install, limited

ROOT = Path(__file__).parents[3]


def test_installing_twice_changes_nothing(box: Path, tmp_path: Path) -> None:
    install(box, tmp_path)
    before = {p: p.stat().st_ino for p in tmp_path.rglob("*")}
    with Bundle(box) as bundle:
        placed = install_pack(bundle, tmp_path)
    assert (placed.new, placed.kept) == (0, len(bundle.contents.pack_files))
    assert {p: p.stat().st_ino for p in tmp_path.rglob("*")} == before


def test_what_the_operator_has_stays(box: Path, tmp_path: Path) -> None:
    mine = tmp_path / "starter"
    (mine / "stt").mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    (mine / "stt/fine-tuned.bin").write_text("mine too")
    shutil.copy(ROOT / "models/starter/stt/config.json", mine / "stt/config.json")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/pack.toml").write_text("mine as well")
    with Bundle(box) as bundle:
        placed = install_pack(bundle, tmp_path)
    assert placed.kept == 1
    assert problems_of(load_pack("starter", tmp_path)) == []
    assert (mine / "notes.txt").read_text() == "mine"
    assert (mine / "stt/fine-tuned.bin").read_text() == "mine too"
    assert (tmp_path / "other/pack.toml").read_text() == "mine as well"


@pytest.mark.parametrize("what", ["file", "link", "file for a folder"])
def test_another_file_in_the_place_of_one_is_not_replaced(what: str, box: Path, tmp_path: Path) -> None:
    mine = tmp_path / "starter"
    (mine / "stt").mkdir(parents=True)
    match what:
        case "file":
            (mine / "stt/model.bin").write_text("my own model")
        case "link":
            (mine / "stt/model.bin").symlink_to(tmp_path / "nowhere")
        case _:
            (mine / "voice").write_text("not a folder")
    before = {p: p.lstat().st_ino for p in tmp_path.rglob("*")}
    with pytest.raises(BundleError, match=r"starter/(stt/model.bin|voice) is"):
        install(box, tmp_path)
    assert {p: p.lstat().st_ino for p in tmp_path.rglob("*")} == before


def test_a_bundle_is_installed_by_one_process_at_a_time(box: Path, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".starter.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BundleError, match="Another process"):
            install(box, tmp_path)
    install(box, tmp_path)


def test_a_full_disk_is_told_and_the_next_try_goes_on(box: Path, tmp_path: Path) -> None:
    with limited(4 << 20), pytest.raises(BundleError, match="the disk is full"):
        install(box, tmp_path)
    assert_nothing_installed(tmp_path)
    install(box, tmp_path)
    assert problems_of(load_pack("starter", tmp_path)) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [".starter.lock", "starter"]


def test_too_little_space_is_told_before_anything_is_written(
    box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1 << 20

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(BundleError, match=r"17 MB are needed .* 1 MB are free"):
        install(box, tmp_path)
    with pytest.raises(PackError, match=r"needs 17\.6 MB more"):
        create(tmp_path / "another.tar")


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_told(
    error: int, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error), str(tmp_path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(BundleError, match=r"read-only|may not write"):
        install(box, tmp_path / "models")


INSTALL_SLOWLY = """
import sys, time
from pathlib import Path
from media_server.packs.installer import Bundle, install_pack

def slowly(name, count):
    print(name, flush=True)
    time.sleep(0.01)

with Bundle(Path(sys.argv[1])) as bundle:
    install_pack(bundle, Path(sys.argv[2]), slowly)
"""


@pytest.mark.parametrize(
    "after", ["README.txt", "pack/starter/chat", "pack/starter/stt/tokenizer", "pack/starter/pack.toml"]
)
def test_an_installation_that_was_killed_is_continued(after: str, box: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INSTALL_SLOWLY, str(box), str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        for line in process.stdout:
            if line.startswith(after):
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert_nothing_installed(tmp_path)
    before = {p.name: p.stat().st_ino for p in tmp_path.rglob("*.gguf")}
    assert bool(before) == (after > "pack/starter/chat")
    install(box, tmp_path)
    assert problems_of(load_pack("starter", tmp_path)) == []
    # what was complete is used
    assert before.items() <= {p.name: p.stat().st_ino for p in tmp_path.rglob("*.gguf")}.items()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".starter.lock", "starter"]


def test_a_file_from_before_the_kill_that_is_damaged_is_unpacked_again(box: Path, tmp_path: Path) -> None:
    with Bundle(box) as bundle:
        staging = tmp_path / f".starter.bundle-{bundle.id[:12]}" / "pack/starter/chat"
    staging.mkdir(parents=True)
    (staging / "starter-chat.gguf").write_bytes(b"x" * 5865184)
    install(box, tmp_path)
    assert problems_of(load_pack("starter", tmp_path)) == []
