"""All folders that agents look things up in: an index for each, kept up to date while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import sqlite3
from pathlib import Path

import watchfiles

from media_server.knowledge.index import Embedder, Found, Index

__all__ = ["Library"]

log = logging.getLogger(__name__)

STEP_MS = 50
"""Changes that come within it are one."""
LOOK_MS = 5000
AGAIN_S = 5.0
"""Seconds before a folder that is not there, or an index that cannot be written, is tried again."""


class Library:
    """`run` owns the indexes; `follow` adds a folder, `search` asks one that is followed.

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
                group.create_task(self._keep(folder), name=f"knowledge-{folder.name}")

    async def search(self, folder: Path, question: str, most: int) -> list[Found]:
        """Passages of a folder that fit a question, the best first; none of one that is not indexed yet."""
        self.follow(folder)
        index = self._indexes[folder]
        if index is None:
            return []
        try:
            return await index.search(question, most)
        except sqlite3.Error:
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
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        async with Index.open(folder, self._directory / f"{name}.sqlite", self._embedder) as index:
            if not await asyncio.to_thread(folder.is_dir):
                raise FileNotFoundError(f"there is no folder {folder}")
            await self._refresh(index)
            self._indexes[folder] = index
            # also without a change: not every file system tells of them
            changes = watchfiles.awatch(folder, step=STEP_MS, rust_timeout=LOOK_MS, yield_on_timeout=True)
            async with contextlib.aclosing(changes):
                async for _ in changes:
                    await self._refresh(index)

    async def _refresh(self, index: Index) -> None:
        done = await index.refresh()
        for problem in done.problems:
            log.error("%s", problem)
        if done.changed:
            log.info("documents in %s: %d, of which %d were read now", index.folder, done.files, done.changed)
