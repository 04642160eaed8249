"""One folder's index: an SQLite file with full-text search (FTS5), by BM25, and with vectors where there is a model.

The file is a cache: deleted, it is made again from the documents.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiosqlite
import numpy as np
import numpy.typing as npt

from media_server.errors import EngineError
from media_server.knowledge.documents import SUFFIXES, DocumentError, Passage, passages
from media_server.private import private_file, private_folder

__all__ = ["Embedder", "Found", "Index", "Refreshed", "words"]

VERSION = 2
"""Version of the table and of how documents are cut; an index of another version is rebuilt."""
RELATED = 0.4
"""Share of the best passage's score that the others must reach."""
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


CANDIDATES = 20
"""Maximum candidates of each kind, where passages are found by words and by vectors."""
FUSION = 60
"""Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): a passage at rank r of a list counts 1 / (60 + r)."""
Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """A model of embeddings."""

    name: str
    """Vectors of another one are of no use."""
    related_at: float
    """Cosine from which on question and passage belong together."""

    async def embed(self, texts: Sequence[str], *, query: bool) -> Vectors:
        """Vectors of length 1. Raises `EngineError`."""
        ...


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
    """Files that are in the index now."""
    changed: int
    problems: Sequence[str]
    """A sentence for each file that cannot be read."""


class Index:
    """`open` it; `refresh` brings it up to date with the folder, `search` asks it."""

    def __init__(self, folder: Path, connection: aiosqlite.Connection, embedder: Embedder | None) -> None:
        self.folder = folder
        self._db = connection
        self._embedder = embedder
        self._vectors: tuple[list[int], Vectors] | None = None
        """Vectors of all passages, by their ids; read when they are needed."""
        self._refreshing = asyncio.Lock()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder: Path, file: Path, embedder: Embedder | None = None) -> AsyncIterator[Index]:
        """The index of `folder`, kept in `file`.

        Raises:
            OSError, sqlite3.Error: it cannot be kept there.
        """
        await asyncio.to_thread(private_folder, file.parent)
        await asyncio.to_thread(private_file, file)
        async with aiosqlite.connect(file) as db:
            await db.execute("PRAGMA journal_mode=WAL")
            made_by = f"{VERSION} {embedder.name if embedder else ''}"
            await db.execute("CREATE TABLE IF NOT EXISTS made_by (version TEXT)")
            async with db.execute("SELECT version FROM made_by") as rows:
                version = await rows.fetchone()
            if version != (made_by,):
                await db.executescript(
                    """
                    DROP TABLE IF EXISTS files;
                    DROP TABLE IF EXISTS passages;
                    CREATE TABLE files (path TEXT PRIMARY KEY, stamp TEXT NOT NULL);
                    CREATE VIRTUAL TABLE passages USING fts5(
                        title, text, file UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2');
                    DROP TABLE IF EXISTS vectors;
                    CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL);
                    DELETE FROM made_by;
                    """
                )
                await db.execute("INSERT INTO made_by VALUES (?)", (made_by,))
                await db.commit()
            yield cls(folder, db, embedder)

    async def refresh(self) -> Refreshed:
        """Read what is new or has changed, and forget what is gone; other files are not opened."""
        async with self._refreshing:
            return await self._read_anew()

    async def _read_anew(self) -> Refreshed:
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
            vectors = await self._embedded(cut)
            # without their vectors passages are found by words, until the file is read once more
            await self._replace(path, stamp if vectors is not None else "", cut, vectors)
            changed += known.get(path) != ""  # once is enough to be told
        return Refreshed(len(present), changed, problems)

    async def _embedded(self, cut: Sequence[Passage]) -> Vectors | None:
        """The passages' vectors, none of them without a model; None where the model does not answer now."""
        if self._embedder is None or not cut:
            return np.zeros((0, 0), np.float32)
        try:
            return await self._embedder.embed([f"{p.title}: {p.text}" if p.title else p.text for p in cut], query=False)
        except EngineError:
            return None

    async def documents(self) -> dict[str, int]:
        """How many passages each document has, by its path in the folder, in the paths' order."""
        query = (
            "SELECT files.path, COUNT(passages.rowid) FROM files LEFT JOIN passages ON passages.file = files.path "
            "GROUP BY files.path ORDER BY files.path"
        )
        async with self._db.execute(query) as rows:
            return {path: int(count) async for path, count in rows}

    async def search(self, question: str, most: int) -> list[Found]:
        """The passages that fit best, the best first; none where nothing of the question is in any."""
        asked = words(question)
        if not asked:
            return []
        by_words = await self._by_words(asked)
        ranked = [by_words, await self._by_vectors(question)] if self._embedder else [by_words]
        fused: dict[int, float] = {}
        for ids in ranked:
            for rank, (passage, score) in enumerate(ids):
                # one list alone keeps its own scores, which say more than ranks
                fused[passage] = fused.get(passage, 0) + (1 / (FUSION + rank) if len(ranked) > 1 else score)
        best = sorted(fused, key=lambda passage: -fused[passage])[:most]
        found = []
        for passage in best:
            query = "SELECT file, title, text FROM passages WHERE rowid = ?"
            async with self._db.execute(query, (passage,)) as rows:
                if row := await rows.fetchone():
                    found.append(Found(row[0], row[1], row[2], fused[passage] / fused[best[0]]))
        return found

    async def _by_words(self, asked: Sequence[str]) -> list[tuple[int, float]]:
        """Passages with any of these words, and their share of the best one's score."""
        # what the headings say counts double
        query = (
            "SELECT rowid, -bm25(passages, 2.0, 1.0) AS score FROM passages "
            "WHERE passages MATCH ? ORDER BY score DESC LIMIT ?"
        )
        match = " OR ".join(f'"{word}"' for word in asked)
        async with self._db.execute(query, (match, CANDIDATES)) as rows:
            scored = [(int(passage), float(score)) async for passage, score in rows]
        # the best score is larger than zero, but hardly so in a folder of few passages
        return [(p, score / scored[0][1]) for p, score in scored if score >= RELATED * scored[0][1]]

    async def _by_vectors(self, question: str) -> list[tuple[int, float]]:
        """Passages that are near the question, and their cosine; none where the model does not answer."""
        assert self._embedder
        if self._vectors is None:
            async with self._db.execute("SELECT passage, vector FROM vectors") as rows:
                read = [(passage, np.frombuffer(vector, np.float32)) async for passage, vector in rows]
            self._vectors = [p for p, _ in read], np.array([v for _, v in read], np.float32)
        ids, vectors = self._vectors
        if not ids:
            return []
        try:
            (asked,) = await self._embedder.embed([question], query=True)
        except EngineError:
            return []
        cosines = await asyncio.to_thread(np.matmul, vectors, asked)
        near = [i for i in np.argsort(-cosines)[:CANDIDATES] if cosines[i] >= self._embedder.related_at]
        return [(ids[i], float(cosines[i])) for i in near]

    async def _replace(
        self, path: str, stamp: str | None, cut: Sequence[Passage], vectors: Vectors | None = None
    ) -> None:
        self._vectors = None
        try:
            of_file = "SELECT rowid FROM passages WHERE file = ?"
            await self._db.execute(f"DELETE FROM vectors WHERE passage IN ({of_file})", (path,))
            await self._db.execute("DELETE FROM passages WHERE file = ?", (path,))
            await self._db.execute("DELETE FROM files WHERE path = ?", (path,))
            for i, p in enumerate(cut):
                insert = "INSERT INTO passages (title, text, file) VALUES (?, ?, ?)"
                made = await self._db.execute(insert, (p.title, p.text, path))
                if vectors is not None and len(vectors):
                    row = (made.lastrowid, vectors[i].tobytes())
                    await self._db.execute("INSERT INTO vectors VALUES (?, ?)", row)
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
