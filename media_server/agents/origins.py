"""Origins of web pages, as browsers compare them, and the patterns that name them, **pure**.

`https://site.com` is that origin and no other; `https://*.site.com` any host below it, not the host itself;
`http://localhost:*` any port. Nothing else may have a `*`. A convenience for pages, not a secret: programs can
claim any origin.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import NamedTuple

from media_server.addresses import parse_address

__all__ = ["DEFAULT_PORTS", "Origin", "check_pattern", "matches", "parse_host", "parse_origin"]

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535
# ASCII: with Unicode's rules a Kelvin sign is a K, and an Arabic digit a digit
_NAME = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?"
_HOST = rf"{_NAME}|\[[0-9a-f:.]+\]"
_ORIGIN = re.compile(rf"(https?)://(\*\.)?({_HOST})(?::(\d{{1,5}}|\*))?", re.IGNORECASE | re.ASCII)
_AUTHORITY = re.compile(rf"({_HOST})(?::(\d{{1,5}}))?", re.IGNORECASE | re.ASCII)
_WRITTEN = re.compile(r"(https?://(?:\*\.)?)([^/:@?#\[\]\s]+)(.*)", re.IGNORECASE | re.DOTALL)


class Origin(NamedTuple):
    """An origin as the URL standard has it: the host in lower case, the port always there."""

    scheme: str
    host: str
    port: int


class _Pattern(NamedTuple):
    scheme: str
    host: str
    port: int | None
    """None: any."""
    below: bool
    """Hosts below this one, and not the host itself."""


def check_pattern(pattern: str) -> str:
    """The pattern, with a name of other letters than ASCII's as browsers send it (`xn--…`).

    Raises:
        ValueError: it is none.
    """
    written = _ascii(pattern)
    if _pattern(written) is None:
        raise ValueError(
            f"{pattern!r} is not an origin: write https://site.com, https://*.site.com or http://localhost:*"
        )
    return written


def parse_origin(text: str | None) -> Origin | None:
    """What an `Origin` header says; None where it names no origin of a page (`null`, or anything malformed)."""
    given = _ORIGIN.fullmatch(text or "")
    if not given or given[2] or given[4] == "*":
        return None
    scheme, port = given[1].lower(), _port(given[4], given[1].lower())
    host = _canonical(given[3])
    return None if port is None or host is None else Origin(scheme, host, port)


def parse_host(text: str) -> tuple[str, int | None] | None:
    """Host and port of a `Host` header; None where it is malformed."""
    given = _AUTHORITY.fullmatch(text)
    host = _canonical(given[1]) if given else None
    if not given or host is None or (given[2] and int(given[2]) > MAX_PORT):
        return None
    return host, int(given[2]) if given[2] else None


def matches(origin: str | None, pattern: str) -> bool:
    """Whether the `Origin` of a request is one of these. A missing one, or `null`, never is."""
    given, wanted = parse_origin(origin), _pattern(pattern)
    if given is None or wanted is None or given.scheme != wanted.scheme:
        return False
    if wanted.port is not None and given.port != wanted.port:
        return False
    return given.host.endswith(f".{wanted.host}") if wanted.below else given.host == wanted.host


@functools.lru_cache(maxsize=1000)
def _pattern(pattern: str) -> _Pattern | None:
    written = _ORIGIN.fullmatch(_ascii(pattern))
    if not written:
        return None
    scheme, any_port = written[1].lower(), written[4] == "*"
    port = None if any_port else _port(written[4], scheme)
    host = _canonical(written[3])
    if host is None or (port is None and not any_port) or (written[2] and parse_address(host.strip("[]"))):
        return None
    return _Pattern(scheme, host, port, bool(written[2]))


def _ascii(pattern: str) -> str:
    """International names as browsers send them."""
    if pattern.isascii() or not (written := _WRITTEN.fullmatch(pattern)):
        return pattern
    try:
        return written[1] + written[2].encode("idna").decode() + written[3]
    except UnicodeError:
        return pattern


def _canonical(host: str) -> str | None:
    """The host in lower case, an IPv6 address in its one short form; None for an address that is none."""
    host = host.lower()
    if not host.startswith("["):
        return host
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    except ValueError:
        return None


def _port(written: str | None, scheme: str) -> int | None:
    port = int(written) if written else DEFAULT_PORTS[scheme]
    return port if port <= MAX_PORT else None
