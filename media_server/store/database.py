"""The one database of a server: opening it, and bringing it to its newest form."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from media_server.errors import ConfigurationError
from media_server.private import private_file
from media_server.tasks import to_its_end

__all__ = ["Database", "missing_file", "not_written", "reason_of", "storable", "to_its_end"]

log = logging.getLogger(__name__)
T = TypeVar("T")

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
"""Drivers that do not block the event loop."""
FORMS = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
QUEUE_S = 60
"""Seconds for a connection to SQLite to be free: a burst of calls on a busy machine takes its time."""
LOCKED_S = 10
"""Seconds for another writer to be done; then whoever waits is told that the database is busy."""
LEAST_FREE = 64 * 1024
"""Bytes on the disk below which a failure of SQLite, which calls it an I/O error, is a full disk."""
FEW = 2
"""Connections to SQLite: one writes at a time anyway, and each has a thread of its own."""


def storable(text: str) -> bool:
    """Whether a database can hold this text, and so may be asked for it: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def reason_of(failed: BaseException) -> str:
    """What a database says of its failure, in one line: without the statement, which holds what was to be written."""
    return str(getattr(failed, "orig", None) or failed).partition("\n")[0]


def not_written(failed: SQLAlchemyError) -> ConfigurationError:
    """The sentence for who started a command or a server whose database cannot be written."""
    return ConfigurationError(
        f"The database cannot be written: {reason_of(failed)}. Let this user write the file and its folder, make room "
        "where the disk is full, or name another database."
    )


def missing_file(url: str) -> Path | None:
    """The file of an SQLite database that is still to be made."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    name = parsed.database
    if parsed.get_backend_name() != "sqlite" or not name or name == ":memory:" or parsed.query:
        return None
    try:
        return None if (file := Path(name)).exists() else file
    except (OSError, ValueError):
        return None  # opening it says why


class Database:
    """`open` it; `begin` gives a session whose changes are kept if the block ends well."""

    file: Path | None = None
    """Where it is a file."""

    def __init__(self, engine: AsyncEngine, file: Path | None = None) -> None:
        self.file = file
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Database]:
        """The database at this SQLAlchemy URL, made and migrated if need be.

        Raises:
            ConfigurationError: the URL is none, or there is no database to be had there.
        """
        try:
            parsed = make_url(url)
            parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
            if parsed.drivername not in DRIVERS.values():
                raise ValueError(f"it has to be {FORMS}")
            sqlite = parsed.get_backend_name() == "sqlite"
            # what was to be written is nobody's business in a log
            engine = create_async_engine(
                parsed,
                hide_parameters=True,
                **({"pool_size": FEW, "max_overflow": 0, "pool_timeout": QUEUE_S} if sqlite else {}),
            )
        except (ArgumentError, ModuleNotFoundError, ValueError) as e:
            shown = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
            why = {
                ArgumentError: f"it has to be {FORMS}",
                ModuleNotFoundError: "it needs a package that is not installed: pip install asyncpg",
            }.get(type(e), str(e))
            raise ConfigurationError(f"The database {shown!r} cannot be used: {why}.") from e
        file = None
        if sqlite:
            if parsed.database and parsed.database != ":memory:" and not parsed.query:
                file = Path(parsed.database)
                await asyncio.to_thread(_make_private, file)
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        try:
            try:
                async with engine.begin() as connection:
                    await connection.run_sync(_migrate)
            except (DBAPIError, OSError, CommandError) as e:
                reason = str(e.orig) if isinstance(e, DBAPIError) else str(e)
                if isinstance(e, CommandError):
                    reason = "a newer version of the server made it"
                if file and not file.parent.is_dir():
                    reason = f"there is no folder {file.parent}"
                elif file and shutil.disk_usage(file.parent).free < LEAST_FREE:
                    reason = "the disk is full"
                where = parsed.set(drivername=parsed.get_backend_name()).render_as_string(hide_password=True)
                raise ConfigurationError(f"The database {where} cannot be opened: {reason}.") from e
            yield cls(engine, file)
        finally:
            await engine.dispose()

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction: undone where the block is cancelled or fails, kept, whatever comes, once it has ended."""
        async with self._sessions() as session:
            try:
                yield session
            except BaseException:
                await to_its_end(session.rollback())
                raise
            await to_its_end(session.commit())


def _make_private(file: Path) -> None:
    if file.parent.is_dir():
        for each in (file, *(f for ending in ("-wal", "-shm") if (f := Path(f"{file}{ending}")).exists())):
            private_file(each)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    # readers do not wait for the writer; what is committed outlasts the process, though not a loss of power
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={1000 * LOCKED_S}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    command.upgrade(config, "head")
    after = MigrationContext.configure(connection).get_current_revision()
    where = connection.engine.url.render_as_string(hide_password=True)
    if before is None:
        log.info("created the database %s", where)
    elif before != after:
        log.info("migrated the database %s from version %s to %s", where, before, after)
