"""All folders that agents look things up in: an index for each, kept up to date while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import watchfiles

from media_server.knowledge.index import Embedder, Found, Index, words

__all__ = ["Library"]

log = logging.getLogger(__name__)

STEP_MS = 50
"""Changes that come within it are one."""
LOOK_MS = 5000
AGAIN_S = 5.0
"""Seconds before a folder that is not there, or an index that cannot be written, is tried again."""
READY_S = 10.0
"""Maximum seconds for a new folder to be indexed."""
STEM = 5
"""Letters by which words are taken for the same."""


class Library:
    """`run` owns the indexes; `follow` adds a folder, `forget` drops it, `search` asks those that are followed.

    Args:
        directory: where the indexes are kept.
        embedder: finds passages by their meaning too.
    """

    def __init__(self, directory: Path, embedder: Embedder | None = None) -> None:
        self._directory = directory
        self._embedder = embedder
        self._indexes: dict[Path, Index | None] = {}
        """None as long as nothing can be found in it."""
        self._new: asyncio.Queue[Path] = asyncio.Queue()
        self._keeping: dict[Path, asyncio.Task[None]] = {}
        self._indexed = asyncio.Condition()

    def follow(self, folder: Path) -> None:
        """Have this folder indexed, now and whenever it changes."""
        if folder not in self._indexes:
            self._indexes[folder] = None
            self._new.put_nowait(folder)

    async def run(self) -> None:
        """Index what is followed, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                folder = await self._new.get()
                if folder in self._indexes and folder not in self._keeping:
                    keeping = group.create_task(self._keep(folder), name=f"knowledge-{folder.name}")
                    self._keeping[folder] = keeping

    async def forget(self, folder: Path) -> None:
        """Drop a folder that is gone, and its index."""
        self._indexes.pop(folder, None)
        if keeping := self._keeping.pop(folder, None):
            keeping.cancel()
            await asyncio.wait([keeping])
        file = self._file(folder)
        for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            await asyncio.to_thread(each.unlink, missing_ok=True)

    async def refresh(self, folder: Path) -> None:
        """Have everything that is in the folder now be found, as far as it can be read."""
        self.follow(folder)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S), self._indexed:
                await self._indexed.wait_for(lambda: self._indexes.get(folder) is not None)
        if index := self._indexes.get(folder):
            await self._refresh(index)

    async def search(self, folders: Sequence[Path], question: str, most: int) -> list[Found]:
        """Passages that fit a question, the best first; none of folders that are not indexed yet."""
        found = [each for folder in folders for each in await self._in(folder, question, most)]
        return found if len(folders) < 2 else _merged(found, question)[:most]

    async def _in(self, folder: Path, question: str, most: int) -> list[Found]:
        if folder not in self._indexes and not await asyncio.to_thread(folder.is_dir):
            return []  # it was deleted
        self.follow(folder)
        index = self._indexes[folder]
        if index is None:
            return []
        try:
            return await index.search(question, most)
        except (sqlite3.Error, ValueError):  # ValueError: the index was closed meanwhile
            # a conversation goes on without its documents
            log.exception("the documents in %s could not be searched", folder)
            return []

    async def documents(self, folder: Path) -> dict[str, int] | None:
        """The documents of a folder by their paths in it, and how many passages each has; None as long as they are
        not indexed."""
        self.follow(folder)
        index = self._indexes[folder]
        try:
            return await index.documents() if index else None
        except sqlite3.Error:
            log.exception("the documents in %s could not be listed", folder)
            return None

    async def _keep(self, folder: Path) -> None:
        while True:
            try:
                await self._index(folder)
            except (OSError, sqlite3.Error) as e:
                log.error("The documents in %s cannot be indexed: %s", folder, e)
            self._indexes[folder] = None
            await asyncio.sleep(AGAIN_S)

    async def _index(self, folder: Path) -> None:
        async with Index.open(folder, self._file(folder), self._embedder) as index:
            if not await asyncio.to_thread(folder.is_dir):
                raise FileNotFoundError(f"there is no folder {folder}")
            await self._refresh(index)
            self._indexes[folder] = index
            async with self._indexed:
                self._indexed.notify_all()
            # also without a change: not every file system tells of them
            changes = watchfiles.awatch(folder, step=STEP_MS, rust_timeout=LOOK_MS, yield_on_timeout=True)
            async with contextlib.aclosing(changes):
                async for _ in changes:
                    await self._refresh(index)

    def _file(self, folder: Path) -> Path:
        return self._directory / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.sqlite"

    async def _refresh(self, index: Index) -> None:
        done = await index.refresh()
        for problem in done.problems:
            log.error("%s", problem)
        if done.changed:
            log.info("documents in %s: %d, of which %d were read now", index.folder, done.files, done.changed)


def _merged(found: Sequence[Found], question: str) -> list[Found]:
    """Passages of several folders, by how much of the question is in each: scores are comparable within a folder."""
    asked = [word[:STEM] for word in words(question)]

    def weight(passage: Found) -> float:
        text = f"{passage.title} {passage.text}".lower()
        return passage.score * (1 + sum(word in text for word in asked))

    ranked = sorted(found, key=weight, reverse=True)
    return [replace(each, score=weight(each) / weight(ranked[0])) for each in ranked]
