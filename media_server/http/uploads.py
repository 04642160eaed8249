"""Recordings that are uploaded: received onto the disk, and decoded a piece at a time, few of them at once."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from aiohttp import web
from av.error import FFmpegError

from media_server.audio import MODEL_RATE_HZ, Samples, read_parts
from media_server.engines.guards import windows
from media_server.errors import ClientError
from media_server.http.multipart import FormParser, Part, boundary_of
from media_server.tasks import in_thread

__all__ = ["Upload", "Uploads"]

LARGEST = 25 * 1024 * 1024
HEADS = 64 * 1024
"""Bytes that all but the file may have in a form."""
MAX_PARTS = 32
MAX_FIELD = 4096
"""Maximum bytes of a field that is not the file."""
MAX_S = 3600.0
AT_ONCE = 2
"""Recordings that are decoded at once: it is work for a processor that calls need."""
MOST = 8
"""Maximum uploads under way, those that wait for their turn too."""
STEP_S = 30.0
"""Sound that is decoded in one go: after it, it is looked whether it is still wanted."""


@dataclass
class Upload:
    """A recording that has come, and what the form says of it."""

    file: IO[bytes]
    wanted: Callable[[], bool] = lambda: True
    """Whether the client is still there."""
    fields: dict[str, str] = field(default_factory=dict)
    duration_s: float = 0.0

    async def measure(self) -> None:
        """See that it is a recording, and of how many seconds.

        Raises:
            ClientError: `bad_request`: it is none, or too long.
        """
        count = 0
        async for part in self._decoded():
            count += len(part)
        self.duration_s = count / MODEL_RATE_HZ

    async def pieces(self, longest_s: float) -> AsyncGenerator[Samples, None]:
        """Its sound at 16 kHz, cut in pauses into pieces of at most `longest_s`."""
        waiting = np.zeros(0, np.int16)
        async for part in self._decoded():
            cut = windows(np.concatenate([waiting, part]), longest_s)
            for _, piece in cut[:-1]:
                yield piece
            waiting = cut[-1][1]
        yield waiting

    async def _decoded(self) -> AsyncIterator[Samples]:
        self.file.seek(0)
        parts = read_parts(self.file, MODEL_RATE_HZ, MAX_S)
        try:
            while len(some := await in_thread(_some, parts)):
                if not self.wanted():
                    raise ConnectionResetError
                yield some
        except ConnectionError:
            raise
        except FFmpegError as wrong:  # before the others, which some of its errors are as well
            raise ClientError("bad_request", "file: the sound in it cannot be decoded.") from wrong
        except (ValueError, OSError) as wrong:
            raise ClientError("bad_request", f"file: {wrong}.") from wrong
        finally:
            await asyncio.to_thread(parts.close)


def _some(parts: Iterator[Samples]) -> Samples:
    taken: list[Samples] = []
    count = 0
    for part in parts:
        taken.append(part)
        count += len(part)
        if count > STEP_S * MODEL_RATE_HZ:
            break
    return np.concatenate(taken) if taken else np.zeros(0, np.int16)


class Uploads:
    """`receive` a form with a recording; few at once are decoded, and not many wait."""

    def __init__(self) -> None:
        self._under_way = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    @contextlib.asynccontextmanager
    async def receive(self, request: web.Request) -> AsyncIterator[Upload]:
        """The recording in the body, when it is its turn.

        Raises:
            ClientError: the form cannot be read, is too large, lacks a file, or too many are under way.
        """
        if self._under_way >= MOST:
            message = "There are as many recordings under way as there may be; try again later."
            raise ClientError("too_many_uploads", message, status=503, headers={"Retry-After": "10"})
        self._under_way += 1
        try:
            with tempfile.TemporaryFile() as file:
                upload = Upload(file, lambda: request.transport is not None and not request.transport.is_closing())
                try:
                    found = await _read(request, upload)
                except ValueError as wrong:
                    raise ClientError("bad_request", f"The form cannot be read: {wrong}.") from wrong
                if not found:
                    raise ClientError("bad_request", "file: the recording is missing.")
                async with self._turns:
                    await upload.measure()
                    yield upload
        finally:
            self._under_way -= 1


async def _read(request: web.Request, upload: Upload) -> bool:
    """Take the parts of a form; whether there was a file."""
    found, name, value, count = False, "", bytearray(), 0
    form = FormParser(boundary_of(request.headers.get("Content-Type", "")))
    while data := await request.content.readany():
        if request.content.total_bytes > LARGEST + HEADS:
            raise ClientError("too_large", "file: more than 25 MB.", status=413)
        for item in form.feed(data):
            if isinstance(item, Part):
                _keep(upload, name, value)
                name, count = item.name, count + 1
                if count > MAX_PARTS:
                    raise ClientError("bad_request", f"The form has more than {MAX_PARTS} parts.")
                value.clear()
                found = found or name == "file"
            elif name == "file":
                if upload.file.tell() + len(item) > LARGEST:
                    raise ClientError("too_large", "file: more than 25 MB.", status=413)
                await asyncio.to_thread(upload.file.write, item)
            else:
                value += item
                if len(value) > MAX_FIELD:
                    raise ClientError("bad_request", f"A field of the form has more than {MAX_FIELD} bytes.")
    if not form.complete:
        raise ValueError("it is cut")
    _keep(upload, name, value)
    return found


def _keep(upload: Upload, name: str, value: bytearray) -> None:
    if name and name != "file":
        upload.fields[name[:64]] = value.decode(errors="replace")
