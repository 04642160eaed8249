"""The examination of a machine changes nothing on it."""

from __future__ import annotations

from pathlib import Path

from media_server.config import Settings
from media_server.doctor import database


def test_a_database_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found, keys = database(Settings(database=f"sqlite:///{tmp_path}/x.sqlite"))
    assert (found.level, keys) == ("ok", 0)
    assert "made at the first start" in found.text
    assert list(tmp_path.iterdir()) == []
    found, _ = database(Settings(database=f"sqlite:///{tmp_path}/none/x.sqlite"))
    assert found.level == "bad"
    assert str(tmp_path / "none") in found.remedy
