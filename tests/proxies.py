"""A reverse proxy that has a server under a path, as nginx does with `location /voice/ { proxy_pass http://…/; }`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from tests.served import served

__all__ = ["under_a_path"]

HOP = {"Transfer-Encoding", "Content-Length", "Connection"}


@contextlib.asynccontextmanager
async def under_a_path(url: str, path: str = "/voice/") -> AsyncIterator[str]:
    """The address of such a proxy; what is asked for outside of the path is not found."""
    async with aiohttp.ClientSession(auto_decompress=False) as http:

        async def forward(request: web.Request) -> web.Response:
            target = url + "/" + str(request.rel_url).removeprefix(path)
            body = await request.read()
            async with http.request(request.method, target, headers=request.headers, data=body or None) as answer:
                headers = {name: value for name, value in answer.headers.items() if name not in HOP}
                return web.Response(status=answer.status, headers=headers, body=await answer.read())

        app = web.Application()
        app.router.add_route("*", f"{path}{{rest:.*}}", forward)
        async with served(app, "127.0.0.1") as site:
            yield site + path
