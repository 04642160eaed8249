"""`/docs`: the documents as a site, where they were built."""

from __future__ import annotations

import base64
import hashlib
import re

from aiohttp import web

from media_server.errors import ClientError
from media_server.http.files import file_response
from media_server.paths import DOCUMENTS

__all__ = ["routes"]

routes = web.RouteTableDef()
FILES = {path.relative_to(DOCUMENTS).as_posix(): path for path in DOCUMENTS.rglob("*") if path.is_file()}
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; script-src 'self'"
)
SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def _policy(page: str) -> str:
    """The Content-Security-Policy of a page: this server alone, and the page's own scripts by their hashes."""
    digests = [hashlib.sha256(script.encode()).digest() for script in SCRIPT.findall(page)]
    return " ".join([POLICY, *(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)])


POLICIES = {name: _policy(path.read_text()) for name, path in FILES.items() if name.endswith(".html")}


@routes.get("/docs")
async def index(_: web.Request) -> web.Response:
    # relative, as a proxy may have put a path before it
    raise web.HTTPFound("docs/index.html")


@routes.get("/docs/{path:.*}")
async def file(request: web.Request) -> web.StreamResponse:
    """A page or another file of the site."""
    if not FILES:
        message = "The documents were not built into this server. In a checkout, make docs builds them."
        raise ClientError("not_found", message, status=404)
    name = request.match_info["path"] or "index.html"
    if name not in FILES:
        raise web.HTTPNotFound
    policy = POLICIES.get(name)
    return await file_response(request, FILES[name], {"Content-Security-Policy": policy} if policy else {})
