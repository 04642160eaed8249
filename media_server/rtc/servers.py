"""STUN and TURN servers of the settings: checked at the start, in words for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiortc.rtcicetransport import parse_stun_turn_uri

from media_server.errors import ConfigurationError

__all__ = ["check_ice_servers"]

EXAMPLES = "such as stun:192.0.2.1:3478 or turn:turn.example.org:3478?transport=udp"


class Entry(Protocol):
    """One entry of `ice_servers`."""

    urls: str | list[str]
    username: str | None
    credential: str | None


def check_ice_servers(entries: Sequence[Entry]) -> None:
    """See that every entry can be used, before a caller has to find out.

    Raises:
        ConfigurationError: names the entry and says what is wrong with it.
    """
    for entry in entries:
        urls = [entry.urls] if isinstance(entry.urls, str) else entry.urls
        if not urls:
            raise ConfigurationError("ice_servers: an entry has no urls.")
        for url in urls:
            _check(url, entry)


def _check(url: str, entry: Entry) -> None:
    try:
        parsed = parse_stun_turn_uri(url)
    except ValueError:
        raise ConfigurationError(
            f"ice_servers: {url!r} is not the address of a STUN or TURN server, {EXAMPLES}."
        ) from None
    if not 1 <= parsed["port"] <= 65535:
        raise ConfigurationError(f"ice_servers: {url!r} has a port that cannot be; ports are 1 to 65535.")
    if not url.isascii() or not url.isprintable() or any(c in url for c in ' <>"'):
        raise ConfigurationError(f"ice_servers: {url!r} has characters in it that no address has.")
    if parsed["scheme"] not in ("turn", "turns"):
        return
    if parsed["transport"] not in ("udp", "tcp") or (parsed["scheme"] == "turns" and parsed["transport"] != "tcp"):
        raise ConfigurationError(f"ice_servers: {url!r} has to have the transport udp or tcp, and turns: tcp.")
    if not entry.username or not entry.credential:
        raise ConfigurationError(f"ice_servers: {url!r} needs a username and a credential.")
    if any(not each.isprintable() or '"' in each for each in (entry.username, entry.credential)):
        raise ConfigurationError(f"ice_servers: the username or credential of {url!r} has marks that cannot be sent.")
