"""Middleware that bounds requests' bodies: not compressed, in time, and not read on once they are refused."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from aiohttp.typedefs import Handler

from media_server.errors import ClientError

__all__ = ["bounded_bodies", "plain_bodies"]

BODY_S = 20.0
"""Seconds for a body to come, and …"""
SLOWEST = 32 * 1024
"""… bytes a second that a large one has to come with."""
SMALL = 64 * 1024
REST_S = 0.1
"""Seconds for the rest of a small body that was refused: most clients send it in a packet of its own, and go on."""
READ_S = 0.25
"""Seconds for a client to read why its body was refused, before the connection is closed."""


@web.middleware
async def plain_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse compressed bodies."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ClientError("compressed_body", "Send the body without a Content-Encoding.", status=415)
    return await handler(request)


@web.middleware
async def bounded_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give a body its time, and close the connection of one that was not read to its end."""
    if request.content.is_eof():
        return await handler(request)
    declared = request.content_length or 0
    late = ClientError("body_too_slow", "The body was not received in time.", status=408)
    due = asyncio.get_running_loop().call_later(BODY_S + declared / SLOWEST, _give_up, request, late)
    try:
        response = await handler(request)
    finally:
        due.cancel()
    if not request.content.is_eof() and 0 < declared <= SMALL:
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(REST_S):
                await request.content.wait_eof()
    if not request.content.is_eof() and not response.prepared:
        await _send_away(request, response)
    return response


def _give_up(request: web.Request, late: ClientError) -> None:
    if not request.content.is_eof():
        request.content.set_exception(late)


async def _send_away(request: web.Request, response: web.StreamResponse) -> None:
    """Answer and close, without reading what is still to come; the client has a moment to read the answer."""
    response.force_close()
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof()
    if (transport := request.transport) is None:
        return
    with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
        transport.pause_reading()
        if transport.can_write_eof():
            transport.write_eof()
    await asyncio.sleep(READ_S)
