"""Middleware that spreads requests which come at once, so that no round of the event loop is theirs alone."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from media_server.http.sessions import SESSIONS

__all__ = ["in_turn"]


@web.middleware
async def in_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Begin with requests that change something, or open a socket, one by one; those that only read are short."""
    if request.method not in ("GET", "HEAD") or "Upgrade" in request.headers:
        await request.app[SESSIONS].turnstile.turn()
    return await handler(request)
