"""Pages of other origins: their browsers ask first (CORS, the Fetch standard)."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from media_server.http.access import ACCESS
from media_server.http.door import DOORS

__all__ = ["cors", "cors_headers"]

_HEADERS = web.RequestKey("cors", dict[str, str])

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}
FOR_ANY_PAGE = "/static/"
"""Modules that pages import."""
FOR_TOKENS = "/v1/sessions"
"""Calls, which on a server with keys need a token or a key."""
EXPOSED = "Location, ETag, Link, Retry-After"


@web.middleware
async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: origins that some agent or key names may read answers, and on a server with keys all may that bring
    a token to a call; what they may do is decided as for all.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return await handler(request)
    if not await _may_read(request, origin):
        return await handler(request)
    allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        accepts = {"Accept-Post": "application/sdp"} if request.path.startswith("/v1/whip/") else {}
        return web.Response(status=204, headers=allowed | PREFLIGHT | accepts)
    request[_HEADERS] = allowed | {"Access-Control-Expose-Headers": EXPOSED}
    return await handler(request)


async def _may_read(request: web.Request, origin: str) -> bool:
    access = request.app[ACCESS]
    open_paths = (FOR_ANY_PAGE, *(path for door in request.app[DOORS] for path in door.open_paths))
    is_there = request.method == "HEAD" and request.path == "/"  # clients that only ask whether there is a server
    if is_there or request.path.startswith(open_paths) or await access.knows_origin(origin):
        return True
    # with keys a call needs a token or a key, which is a permission by itself, whatever page shows it
    return request.path.startswith(FOR_TOKENS) and await access.closed()


async def cors_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Put what the middleware found out into the heads of responses, streams too."""
    headers = request.get(_HEADERS, {})
    if headers and (varies := response.headers.get("Vary")):
        headers = headers | {"Vary": f"{varies}, Origin"}
    response.headers.update(headers)
