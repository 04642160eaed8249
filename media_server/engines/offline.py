"""Keeping an engine's process off the network: a library must not ask a hub for what a pack lacks."""

from __future__ import annotations

import os
import socket
import sys

__all__ = ["OFFLINE", "Offline", "environment", "stay_offline"]

OFFLINE = "MEDIA_SERVER_OFFLINE"
"""Variable of the environment that tells a host to stay offline."""


class Offline(RuntimeError):
    """A library wanted to reach the network. No OSError, which libraries take for a reason to try again."""


def environment() -> dict[str, str]:
    """Variables for a host that has to stay offline."""
    return {OFFLINE: "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def stay_offline() -> None:
    """Let this process reach no network from now on, and resolve no name; sockets of this machine's own are allowed."""
    if os.environ.get(OFFLINE) == "1":
        sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = arguments[:2]
        if isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX and address:
            raise Offline(f"something in it wanted to connect to {address!r}, and nothing may be fetched (offline)")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        raise Offline(f"something in it wanted to reach {arguments[0]!r}, and nothing may be fetched (offline)")
