"""The gate of a server without keys: this machine's own pages and programs pass, pages of other sites do not.

A browser sends requests of any site's pages to this machine. Three things that it says, and that no page can change,
tell them apart: `Origin`, `Sec-Fetch-Site`, and `Host`, which names the attacker's own host where its DNS answers with
an address of this machine (DNS rebinding). With keys a request is judged by the key or token that it shows instead.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler

from media_server.addresses import is_own_address
from media_server.agents.origins import parse_host, parse_origin
from media_server.errors import ClientError
from media_server.http.access import ACCESS, FOREIGN, Access
from media_server.http.own import is_own_origin

__all__ = ["gate"]

PUBLIC = re.compile(r"/|/admin/?|/favicon\.ico|/healthz|/readyz|/static/.*|/docs(?:/.*)?|/live/[^/]+/player")
"""Paths of pages and their modules, which hold nothing of anybody's and change nothing."""
OTHER_SITES = ("cross-site", "same-site")
"""Values of `Sec-Fetch-Site` for requests of other origins; those without `Origin` cannot be read by their page."""


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: refuse what pages of other sites send to a server that asks for no key.

    Raises:
        ClientError: 403 `host_not_allowed`, `origin_not_allowed`.
    """
    access = request.app[ACCESS]
    # whether there are keys is asked of the database for what has to be refused without; most requests never have to be
    try:
        _check_host(request, access.own_names)
        public = request.method in ("GET", "HEAD") and PUBLIC.fullmatch(request.path)
        origin = None if public else _foreign_origin(request, access)
    except ClientError:
        if not await access.closed():
            raise
        origin = None
    if origin is not None and not await access.closed():
        request[FOREIGN] = origin
    return await handler(request)


def _check_host(request: web.Request, own_names: Collection[str]) -> None:
    # what the first line of a request names counts for more than Host (RFC 9112 section 3.2.2)
    named = [] if request.raw_path.startswith(("/", "*")) else [_authority(request.raw_path)]
    for written in [*request.headers.getall("Host", []), *named]:
        parsed = parse_host(written)
        host = parsed[0].removesuffix(".") if parsed else ""
        if not (host == "localhost" or host in own_names or is_own_address(host, _reached(request))):
            message = (
                f"This server is not called {written!r}. As long as there are no API keys it answers to its machine's "
                "addresses, to localhost, and to what its settings host_names and public_addresses say."
            )
            raise ClientError("host_not_allowed", message, status=403)


def _reached(request: web.Request) -> str:
    """The address of this machine that a request came to; empty for a socket without one."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) else ""


def _authority(target: str) -> str:
    """The host and port that a request's target names where it is a whole URL."""
    return re.split(r"[/?#]", target.partition("://")[2] or target, maxsplit=1)[0]


def _foreign_origin(request: web.Request, access: Access) -> str | None:
    """The origin of another site's page, where some agent allows it: it gets further, and is judged as with keys.

    Raises:
        ClientError: 403 `origin_not_allowed`: no agent does.
    """
    foreign = None
    origins = request.headers.getall("Origin", [])
    for origin in origins:
        if is_own_origin(request, parse_origin(origin)):
            continue
        if len(origins) > 1 or not access.some_agent_allows(origin):
            message = (
                f"Pages of {origin} may not use this server: as long as there are no API keys only its own pages may, "
                "and those that an agent names in allowed_origins."
            )
            raise ClientError("origin_not_allowed", message, status=403)
        foreign = origin
    if not origins and request.headers.get("Sec-Fetch-Site") in OTHER_SITES:
        message = "Pages of other sites may not use this server as long as there are no API keys."
        raise ClientError("origin_not_allowed", message, status=403)
    return foreign
