"""Requests of the server's own pages, told from those of other origins."""

from __future__ import annotations

from aiohttp import web

from media_server.agents.origins import DEFAULT_PORTS, Origin, parse_host, parse_origin

__all__ = ["cookie_name", "is_encrypted", "is_own_origin", "is_own_page", "session_cookie"]

SAFE_METHODS = ("GET", "HEAD")


def is_own_origin(request: web.Request, origin: Origin | None) -> bool:
    """Whether an origin is that of this server's own pages: the scheme and the host of this very request."""
    own = parse_host(request.headers.get("Host", ""))
    if origin is None or own is None:
        return False
    host, port = own
    # a proxy that speaks TLS says so; a page cannot, for its browser would ask first
    schemes = {request.scheme, request.headers.get("X-Forwarded-Proto", request.scheme)}
    return any(origin == Origin(s, host, port or DEFAULT_PORTS[s]) for s in schemes if s in DEFAULT_PORTS)


def is_own_page(request: web.Request) -> bool:
    """Whether a browser sent this request for a page of this server, or for an address that a person opened.

    Cookies do not tell ports of a host apart, so `SameSite` alone would let a page of another port pass. Browsers send
    `Origin` with every request that can change something; without encryption they leave out `Sec-Fetch-Site`.
    """
    origins = request.headers.getall("Origin", [])
    if origins:
        return len(origins) == 1 and is_own_origin(request, parse_origin(origins[0]))
    site = request.headers.get("Sec-Fetch-Site")
    return request.method in SAFE_METHODS and site in (None, "same-origin", "none")


def is_encrypted(request: web.Request) -> bool:
    """Whether the browser reached the server over HTTPS, itself or by a proxy."""
    return "https" in (request.scheme, request.headers.get("X-Forwarded-Proto"))


def cookie_name(request: web.Request) -> str:
    """The name of the session cookie: servers on several ports of one host have one each."""
    parsed = parse_host(request.headers.get("Host", ""))
    return f"media_server_{parsed[1] or 'session'}" if parsed else "media_server_session"


def session_cookie(request: web.Request) -> str | None:
    """The session that one of this server's own pages shows by its cookie."""
    shown = request.cookies.get(cookie_name(request))
    return shown if shown and is_own_page(request) else None
