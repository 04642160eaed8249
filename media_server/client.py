"""What programs of yours ask of a server over HTTP: above all tokens for their pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from media_server import __version__
from media_server.errors import MediaServerError

__all__ = ["Token", "ask", "create_token", "understood", "unreachable"]

ANSWER_S = 30.0
"""Maximum seconds that a server is waited for."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token for one call, which is what a page needs to make it."""

    token: str
    url: str
    """The server's address, as it was asked for the token."""
    expires_in_s: float
    ice_servers: Sequence[Mapping[str, Any]]


async def create_token(
    url: str,
    agent: str,
    *,
    key: str = "",
    kind: Literal["webrtc", "chat"] = "webrtc",
    ttl_s: float = 60,
    metadata: Mapping[str, Any] | None = None,
    verify: bool = True,
) -> Token:
    """A token for one call with an agent.

    Args:
        url: of the server: `https://box.lan:8443`.
        key: an API key.
        metadata: sealed: the page cannot change it. `contact` in it says who calls.
        verify: take only a certificate that somebody vouches for.

    Raises:
        MediaServerError: nobody answers, or the server refuses; with its code and sentence.
    """
    wanted = {"agent": agent, "kind": kind, "ttl_s": ttl_s, "metadata": dict(metadata or {})}
    made = await ask(url, "POST", "/v1/tokens", key=key, verify=verify, json=wanted)
    with understood(url):
        return Token(made["token"], made["url"], made["expires_in"], made["ice_servers"])


async def ask(url: str, method: str, path: str, *, key: str = "", verify: bool = True, **options: Any) -> Any:
    """What the server answers, decoded; None where it answers nothing.

    Args:
        options: of aiohttp's `request`: `json`, `params`.

    Raises:
        MediaServerError: nobody answers, or the server refuses; with its code and sentence.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http,
            http.request(method, url.rstrip("/") + path, ssl=verify, **options) as response,
        ):
            body = None if response.status == 204 else await response.json()
    except (aiohttp.ClientError, ValueError, TimeoutError) as e:
        raise unreachable(url, e) from e
    match body:
        case {"error": {"code": str(code), "message": str(message)}}:
            raise MediaServerError(code, message)
        case dict() | None if response.ok:
            return body
    raise MediaServerError("no_server", f"{url} does not look like a media server.")


@contextmanager
def understood(url: str) -> Iterator[None]:
    """A block that reads an answer; raises where the answer is not as this version's server gives it."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as e:
        message = f"{url} gives an answer that media-server {__version__} does not understand. Is it another version?"
        raise MediaServerError("other_version", message) from e


def unreachable(url: str, error: Exception) -> MediaServerError:
    """Why a request to a server failed, and what to do, for what aiohttp raised."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            said = (
                f"The certificate of {url} is not trusted. If the server made it itself, compare the SHA-256 in its "
                "log and add --insecure."
            )
        case aiohttp.ClientConnectorSSLError():
            said = f"{url} does not speak HTTPS. Try {url.replace('https:', 'http:', 1)}."
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            said = f"{url!r} is no address of a server. One looks like http://127.0.0.1:8080."
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() if not isinstance(
            error, aiohttp.ClientConnectorError
        ):
            said = f"{url} closed the connection."
            if url.startswith("http:"):
                said += f" If it speaks HTTPS, try {url.replace('http:', 'https:', 1)}."
        case aiohttp.ClientConnectionError():
            said = f"Cannot reach {url}. Is the server running (media-server serve)? --url names another one."
        case TimeoutError():
            said = f"{url} does not answer. Is it a media server, and not too busy?"
        case _:
            said = f"{url} does not look like a media server."
    return MediaServerError("no_server", said)
