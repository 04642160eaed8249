"""Which web pages may use an agent: patterns of origins, **pure**.

`https://site.com` is that origin and no other; `https://*.site.com` any host below it, not the host itself;
`http://localhost:*` any port. Nothing else may have a `*`. A convenience for pages, not a secret: programs can
claim any origin.
"""

from __future__ import annotations

import re

__all__ = ["check_pattern", "matches"]

PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"(https?)://(\*\.)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}|\*))?", re.IGNORECASE)


def check_pattern(pattern: str) -> str:
    """The pattern.

    Raises:
        ValueError: it is none.
    """
    if not _ORIGIN.fullmatch(pattern):
        raise ValueError(
            f"{pattern!r} is not an origin: write https://site.com, https://*.site.com or http://localhost:*"
        )
    return pattern


def matches(origin: str | None, pattern: str) -> bool:
    """Whether the `Origin` of a request is one of these. A missing one, or `null`, never is."""
    given, wanted = _ORIGIN.fullmatch(origin or ""), _ORIGIN.fullmatch(pattern)
    if not given or not wanted or given[2] or given[4] == "*":
        return False
    scheme, host = given[1].lower(), given[3].lower()
    if scheme != wanted[1].lower():
        return False
    if wanted[4] != "*" and _port(given[4], scheme) != _port(wanted[4], scheme):
        return False
    if wanted[2]:
        return host.endswith(f".{wanted[3].lower()}") and not host.startswith(".")
    return host == wanted[3].lower()


def _port(written: str | None, scheme: str) -> int:
    return int(written) if written else PORTS[scheme]
