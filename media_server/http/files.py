"""Files of pages, compressed once for the browsers that take it; nothing has to be built beforehand."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from aiohttp import hdrs, web

__all__ = ["file_response"]

TEXT = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
}
"""What is worth compressing, by the ends of names; its type does not hang on what the machine knows of types."""
TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
MOST_FILES = 1000
"""How many are kept compressed: all pages, and the documents."""


async def file_response(request: web.Request, path: Path, headers: Mapping[str, str] = {}) -> web.StreamResponse:
    """A file that pages may fetch. What browsers have already is not sent again."""
    if path.suffix not in TEXT:
        return web.FileResponse(path, headers=headers)
    headers = {**headers, hdrs.CONTENT_TYPE: TEXT[path.suffix], hdrs.VARY: hdrs.ACCEPT_ENCODING}
    takes = TAKES_GZIP.search(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    if not takes or hdrs.RANGE in request.headers:
        return web.FileResponse(path, headers=headers)
    tag, body = await asyncio.to_thread(_newest, path)
    headers[hdrs.ETAG] = f'"{tag}"'
    known = [each.value for each in request.if_none_match or ()]
    if tag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, headers=headers)


def _newest(path: Path) -> tuple[str, bytes]:
    """The file's name for browsers that have it, and its content; as it is now, also where somebody edits it."""
    found = path.stat()
    tag = f"{found.st_mtime_ns:x}-{found.st_size:x}-gzip"
    return tag, _compressed(path, tag)


@lru_cache(MOST_FILES)
def _compressed(path: Path, _: str) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)
