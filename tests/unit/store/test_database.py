"""A database that cannot be used is a sentence, not a trace; one whose user is cancelled goes on being used."""

from __future__ import annotations

import asyncio
import logging
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
    said = await opened("sqlite:////nowhere/x.sqlite")
    assert said == "The database sqlite:////nowhere/x.sqlite cannot be opened: there is no folder /nowhere."


@pytest.mark.parametrize("url", ["", "nonsense", "oracle://x", "mysql://a:b@c/d", "sqlite+nothing:///x"])
async def test_what_is_no_url_of_a_database(url: str) -> None:
    assert "cannot be used: it has to be sqlite:///FILE or postgresql://" in await opened(url)


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(url) as database, database.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "a newer version of the server made it" in await opened(url)


async def test_a_use_that_is_cancelled_at_any_moment_is_undone_or_kept_and_troubles_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        async with database.begin() as session:
            await session.execute(text("CREATE TABLE pairs (n INTEGER)"))

        async def write_a_pair(n: int) -> None:
            async with database.begin() as session:
                for _ in range(2):
                    await session.execute(text("INSERT INTO pairs VALUES (:n)"), {"n": n})

        async def read() -> int:
            async with database.begin() as session:
                return int((await session.execute(text("SELECT count(*) FROM pairs"))).scalar_one())

        with caplog.at_level(logging.WARNING):
            for n in range(300):
                task = asyncio.create_task(write_a_pair(n) if n % 2 else read())
                await asyncio.sleep(n * 0.00002)
                task.cancel()
                await asyncio.wait([task])
        assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
        async with database.begin() as session:
            counts = (await session.execute(text("SELECT count(*) FROM pairs GROUP BY n"))).scalars().all()
        assert counts
        assert set(counts) == {2}
