"""A database that cannot be used is a sentence, not a trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from media_server.errors import ConfigurationError
from media_server.store import Database


async def opened(url: str) -> str:
    """Why it was not."""
    with pytest.raises(ConfigurationError) as error:
        async with Database.open(url):
            pass
    return error.value.message


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"hello" * 1000)
    assert "cannot be opened: file is not a database" in await opened(f"sqlite:///{tmp_path}/x.sqlite")


async def test_a_folder_that_is_not_there() -> None:
    assert "unable to open database file" in await opened("sqlite:////nowhere/x.sqlite")


@pytest.mark.parametrize("url", ["", "nonsense", "oracle://x", "sqlite+nothing:///x"])
async def test_what_is_no_url_of_a_database(url: str) -> None:
    assert "cannot be used" in await opened(url)


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(url) as database, database.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "a newer version of the server made it" in await opened(url)
