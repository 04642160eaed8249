"""Files of pages are sent compressed where a browser takes that, and once."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from media_server.http.files import file_response
from tests.served import served

TEXT = "export const words = 'the same again and again';\n" * 200


async def test_a_browser_gets_it_small_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "page.js"
    file.write_text(TEXT)
    app = web.Application()
    app.router.add_get("/page.js", lambda request: file_response(request, file, {"X-More": "1"}))
    async with served(app) as url, aiohttp.ClientSession(auto_decompress=False) as http:
        takes = {"Accept-Encoding": "br, gzip;q=0.8"}
        async with http.get(f"{url}/page.js", headers=takes) as small:
            assert (small.status, small.headers["Content-Encoding"], small.headers["X-More"]) == (200, "gzip", "1")
            assert small.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert small.headers["Vary"] == "Accept-Encoding"
            body = await small.read()
            assert gzip.decompress(body).decode() == TEXT
            assert (len(body), len(body) < len(TEXT) / 10) == (small.content_length, True)
        async with http.get(f"{url}/page.js", headers=takes | {"If-None-Match": small.headers["ETag"]}) as again:
            assert (again.status, await again.read()) == (304, b"")
        file.write_text("other")
        os.utime(file, (1, 1))
        async with http.get(f"{url}/page.js", headers=takes | {"If-None-Match": small.headers["ETag"]}) as changed:
            assert gzip.decompress(await changed.read()) == b"other"


@pytest.mark.parametrize(
    "headers",
    [{"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip;q=0, br"}, {"Range": "bytes=0-9"}],
    ids=["takes none", "refuses it", "a part"],
)
async def test_others_get_it_as_it_is(tmp_path: Path, headers: dict[str, str]) -> None:
    file = tmp_path / "page.html"
    file.write_text(TEXT)
    app = web.Application()
    app.router.add_get("/page.html", lambda request: file_response(request, file))
    asked = {"Accept-Encoding": "gzip"} | headers
    async with served(app) as url, aiohttp.request("GET", f"{url}/page.html", headers=asked) as plain:
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["Vary"] == "Accept-Encoding"
        assert TEXT.startswith(await plain.text())
