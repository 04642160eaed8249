"""What waits to be written to the database, in files too: a server that dies loses nothing of what it told."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from media_server.private import private_file, private_folder
from media_server.tasks import to_its_end

__all__ = ["Spool"]

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 2**20
"""Size of a file after which nothing more is added to it: the database has been away for long."""


class Spool:
    """Keeps what is added until it is dropped; a thread writes it, so that the event loop never waits for the disk.

    There are two files by turns: while the database takes what is in the one, the other takes what comes. What is
    added is on its way to the disk within milliseconds, and outlasts the process, though not a loss of power.

    Args:
        path: beginning of the files' names. Where another process holds them, or the disk takes none, nothing is kept.
    """

    def __init__(self, path: Path) -> None:
        self._paths = (Path(f"{path}-a"), Path(f"{path}-b"))
        self._files: list[int] = []
        """Descriptors, while they are open."""
        self._current = 0
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._added, self._turned = 0, 0
        """How much was added, now and at the last turn."""
        self._in_trouble = False

    def add(self, line: Mapping[str, Any]) -> None:
        """Keep this; whoever adds it does not change it afterwards."""
        self._added += 1
        self._queue.put(lambda: self._append(line))

    def turn(self) -> None:
        """What was added until now is about to be written to the database."""
        self._turned = self._added
        self._queue.put(self._switch)

    def drop(self) -> None:
        """What was added before the last `turn` is in the database."""
        all_of_it = self._added == self._turned
        self._queue.put(lambda: self._truncate(all_of_it))

    async def take(self) -> list[dict[str, Any]]:
        """Open the files, and read what an earlier process left in them, in the order in which it was added."""
        return await asyncio.to_thread(self._open)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write while the block runs. What is left in the files then waits for the next start."""
        thread = threading.Thread(target=self._run, name="spool", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._queue.put(None)
            await to_its_end(asyncio.to_thread(self._end, thread))

    def _run(self) -> None:
        while step := self._queue.get():
            try:
                step()
            except (OSError, TypeError, ValueError) as failed:
                if not self._in_trouble:
                    self._in_trouble = True
                    log.warning("events that wait for the database are in memory only: %s", failed)

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._files and os.fstat(self._files[self._current]).st_size < MAX_BYTES:
            # the line's end comes first: a disk that is full may have cut the line before
            os.write(self._files[self._current], b"\n" + json.dumps(line, ensure_ascii=False).encode())
            self._in_trouble = False

    def _switch(self) -> None:
        # where the last write failed, the other file still holds what it has to
        if self._files and not os.fstat(self._files[1 - self._current]).st_size:
            self._current = 1 - self._current

    def _truncate(self, both: bool) -> None:
        if self._files:
            os.ftruncate(self._files[1 - self._current], 0)
            if both:
                os.ftruncate(self._files[self._current], 0)

    def _open(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        try:
            for path in self._paths:
                private_folder(path.parent)
                private_file(path)
                file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
                self._files.append(file)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lines += _whole(path.read_bytes())
        except OSError as failed:
            why = "another server has it open" if isinstance(failed, BlockingIOError) else failed.strerror
            log.warning("events that wait for the database are in memory only: %s: %s", path, why)
            for file in self._files:
                os.close(file)
            self._files = []
        return sorted(lines, key=lambda line: (line["call_id"], line.get("seq", float("inf"))))

    def _end(self, thread: threading.Thread) -> None:
        thread.join()
        for path, file in zip(self._paths, self._files, strict=False):
            if not os.fstat(file).st_size:
                path.unlink(missing_ok=True)
            os.close(file)
        self._files = []


def _whole(content: bytes) -> list[dict[str, Any]]:
    """The lines that are whole: the last one may have been cut."""
    lines = []
    for each in content.splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(each)
            if isinstance(line, dict) and isinstance(line.get("call_id"), str):
                lines.append(line)
    return lines
