"""One folder's index: an SQLite file with full-text search (FTS5), ranked by BM25.

The file is a cache: deleted, it is made again from the documents.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiosqlite

from media_server.knowledge.documents import SUFFIXES, DocumentError, Passage, passages

__all__ = ["Found", "Index", "Refreshed", "words"]

VERSION = 1
"""Of the table and of how documents are cut; an index of another one is made again."""
RELATED = 0.4
"""Of the best passage's score, which others must have as well."""
_TELL_NOTHING = (
    "a about after again all also am an and any are aren as at be because been before being but by can cannot could "
    "couldn d did didn do does doesn doing don down during each few for from further get give go going got had has "
    "have having he hello her here hers hi him his how i if in into is isn it its just know let like ll m may me might "
    "more most much must my need no nor not now of off ok okay on once one only or other our ours out over please re s "
    "said same say see she should so some still such t tell than thank thanks that the their them then there these "
    "they this those through to too uh um under until up us ve very want was wasn we were what when where which while "
    "who whom whose why will with won would yeah yes you your yours"
)
STOP_WORDS = frozenset(_TELL_NOTHING.split())
"""Words that tell nothing of what is asked about, in English (`one` has the stem of `on`); of other
languages BM25 weighs them down by itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage, and how well it fits: 1 for the best one of a search, less for others."""

    file: str
    title: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What `refresh` did."""

    files: int
    """That are in the index now."""
    changed: int
    problems: Sequence[str]
    """A sentence for each file that cannot be read."""


class Index:
    """`open` it; `refresh` brings it up to date with the folder, `search` asks it."""

    def __init__(self, folder: Path, connection: aiosqlite.Connection) -> None:
        self.folder = folder
        self._db = connection

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder: Path, file: Path) -> AsyncIterator[Index]:
        """The index of `folder`, kept in `file`.

        Raises:
            OSError, sqlite3.Error: it cannot be kept there.
        """
        await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
        async with aiosqlite.connect(file) as db:
            await db.execute("PRAGMA journal_mode=WAL")
            async with db.execute("PRAGMA user_version") as rows:
                version = await rows.fetchone()
            if version != (VERSION,):
                await db.executescript(
                    f"""
                    DROP TABLE IF EXISTS files;
                    DROP TABLE IF EXISTS passages;
                    CREATE TABLE files (path TEXT PRIMARY KEY, stamp TEXT NOT NULL);
                    CREATE VIRTUAL TABLE passages USING fts5(
                        title, text, file UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2');
                    PRAGMA user_version = {VERSION};
                    """
                )
            yield cls(folder, db)

    async def refresh(self) -> Refreshed:
        """Read what is new or has changed, and forget what is gone; other files are not opened."""
        async with self._db.execute("SELECT path, stamp FROM files") as rows:
            known: dict[str, str] = {path: stamp async for path, stamp in rows}
        present = await asyncio.to_thread(_stamps, self.folder)
        problems: list[str] = []
        changed = 0
        for path in sorted(known.keys() - present.keys()):
            await self._replace(path, None, [])
            changed += 1
        for path, stamp in sorted(present.items()):
            if known.get(path) == stamp:
                continue
            try:
                cut = await asyncio.to_thread(passages, self.folder / path)
            except DocumentError as e:
                problems.append(f"{self.folder / path}: {e}")
                cut = []
            await self._replace(path, stamp, cut)
            changed += 1
        return Refreshed(len(present), changed, problems)

    async def search(self, question: str, most: int) -> list[Found]:
        """The passages that fit best, the best first; none where nothing of the question is in any."""
        asked = words(question)
        if not asked:
            return []
        # what the headings say counts double
        query = (
            "SELECT file, title, text, -bm25(passages, 2.0, 1.0) AS score FROM passages "
            "WHERE passages MATCH ? ORDER BY score DESC LIMIT ?"
        )
        match = " OR ".join(f'"{word}"' for word in asked)
        async with self._db.execute(query, (match, most)) as rows:
            best, found = 0.0, []
            async for file, title, text, score in rows:
                best = best or score  # it is larger than zero, but hardly so in a folder of few passages
                found.append(Found(file, title, text, score / best))
        return [f for f in found if f.score >= RELATED]

    async def _replace(self, path: str, stamp: str | None, cut: Sequence[Passage]) -> None:
        try:
            await self._db.execute("DELETE FROM passages WHERE file = ?", (path,))
            await self._db.execute("DELETE FROM files WHERE path = ?", (path,))
            rows = [(p.title, p.text, path) for p in cut]
            await self._db.executemany("INSERT INTO passages (title, text, file) VALUES (?, ?, ?)", rows)
            if stamp is not None:
                await self._db.execute("INSERT INTO files VALUES (?, ?)", (path, stamp))
            await self._db.commit()
        except BaseException:
            await self._db.rollback()
            raise


def words(question: str) -> list[str]:
    """What of a question is worth searching for, each word once."""
    return [w for w in dict.fromkeys(re.findall(r"\w+", question.lower())) if w not in STOP_WORDS]


def _stamps(folder: Path) -> dict[str, str]:
    """Documents by their path in the folder, each with what changes when it does; hidden ones left out."""
    found = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.suffix in SUFFIXES and path.is_file() and not any(p.startswith(".") for p in inside.parts):
            stat = path.stat()
            found[inside.as_posix()] = f"{stat.st_mtime_ns} {stat.st_size}"
    return found
