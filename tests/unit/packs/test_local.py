from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from media_server.engines.packs import load_pack, problems_of
from media_server.packs.local import PackError, check_space, local_packs, locked, remove_pack, sha256_of, staging
from tests.conftest import STARTER

MANIFEST = (STARTER / "pack.toml").read_text().replace('name = "starter"', 'name = "mine"')


def incoming(models: Path) -> None:
    """The starter pack's files, put where the pack `mine` is put together."""
    with staging(models, "mine") as place:
        shutil.copytree(STARTER, place.folder, dirs_exist_ok=True)


def commit(models: Path, manifest: str = MANIFEST) -> Path:
    with staging(models, "mine") as place:
        return place.commit(manifest)


def test_a_pack_is_in_place_all_at_once_and_replaces_the_one_before(tmp_path: Path) -> None:
    for revision in ("1", "2"):
        incoming(tmp_path)
        (tmp_path / ".mine.incoming/stt/left.part").write_text("x")
        commit(tmp_path, MANIFEST.replace("[stt]", f"# {revision}\n[stt]"))
        pack = load_pack("mine", tmp_path)
        assert problems_of(pack) == []
        assert f"# {revision}" in (pack.folder / "pack.toml").read_text()
        assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["mine"]
        assert not (pack.folder / "stt/left.part").exists()


def test_an_incomplete_pack_is_not_put_in_place(tmp_path: Path) -> None:
    incoming(tmp_path)
    commit(tmp_path)
    incoming(tmp_path)
    (tmp_path / ".mine.incoming/stt/model.bin").write_bytes(b"half")
    with pytest.raises(PackError, match=r"stt/model\.bin is missing or not complete"):
        commit(tmp_path)
    assert problems_of(load_pack("mine", tmp_path)) == []


def test_a_stop_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    incoming(tmp_path)
    commit(tmp_path)
    (tmp_path / "mine").rename(tmp_path / ".mine.outgoing")
    with staging(tmp_path, "mine"):
        assert problems_of(load_pack("mine", tmp_path)) == []


def test_files_of_the_version_before_are_taken_over_and_not_shared_for_writing(tmp_path: Path) -> None:
    incoming(tmp_path)
    commit(tmp_path)
    data = (tmp_path / "mine/stt/model.bin").read_bytes()
    with staging(tmp_path, "mine") as place:
        assert place.has("stt/model.bin", len(data), sha256_of(tmp_path / "mine/stt/model.bin"))
        assert not place.has("stt/model.bin", len(data), "0" * 64)
        assert (place.folder / "stt/model.bin").read_bytes() == data


def test_two_processes_do_not_change_one_pack(tmp_path: Path) -> None:
    with (
        locked(tmp_path, "mine"),
        pytest.raises(PackError, match="Another process is changing the pack 'mine'"),
        staging(tmp_path, "mine"),
    ):
        pass


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a" * 65, "naïve"])
def test_a_pack_is_not_called_anything(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackError, match="cannot be the name"), staging(tmp_path, name):
        pass
    with pytest.raises(PackError):
        remove_pack(name, tmp_path)


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 10**9))
    check_space(tmp_path / "not/yet", 900_000_000, "The pack small")
    with pytest.raises(PackError, match=r"The pack small needs 1\.00 GB more .* which has 1\.00 GB free"):
        check_space(tmp_path, 10**9, "The pack small")


@pytest.mark.parametrize("name", ["", "mine", ".mine.incoming"])
def test_a_file_in_the_way_is_named_and_stays(tmp_path: Path, name: str) -> None:
    models = tmp_path / "models"
    if name:
        models.mkdir()
    (models / name).write_text("a letter")
    with pytest.raises(PackError, match="Move it away"), staging(models, "mine"):
        pass
    assert (models / name).read_text() == "a letter"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PackError, match="--models-dir"), staging(tmp_path / "models", "mine"):
        pass


def test_removing_deletes_a_pack_of_this_folder_only(tmp_path: Path) -> None:
    incoming(tmp_path)
    commit(tmp_path)
    kept = tmp_path / "kept"
    os.link(tmp_path / "mine/stt/model.bin", kept)
    assert remove_pack("mine", tmp_path) > 1_000_000
    assert "mine" not in local_packs(tmp_path)
    assert kept.stat().st_size > 1_000_000
    with pytest.raises(PackError, match="came with this package"):
        remove_pack("starter", tmp_path)
    with pytest.raises(PackError, match="no pack 'mine'"):
        remove_pack("mine", tmp_path)


def test_a_linked_pack_is_unlinked_and_stays_where_it_is(tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "elsewhere")
    models = tmp_path / "models"
    models.mkdir()
    (models / "mine").symlink_to(tmp_path / "elsewhere")
    remove_pack("mine", models)
    assert not (models / "mine").is_symlink()
    assert (tmp_path / "elsewhere/pack.toml").is_file()
