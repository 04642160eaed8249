"""What programs of yours ask of a server over HTTP: above all tokens for their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from media_server.errors import MediaServerError

__all__ = ["Token", "ask", "create_token"]


@dataclass(frozen=True, slots=True)
class Token:
    """For one call; what a page needs to make it."""

    token: str
    url: str
    """Of the server, as it was asked."""
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
    return Token(made["token"], made["url"], made["expires_in"], made["ice_servers"])


async def ask(url: str, method: str, path: str, *, key: str = "", verify: bool = True, **options: Any) -> Any:
    """What the server answers, decoded.

    Args:
        options: of aiohttp's `request`: `json`, `params`.

    Raises:
        MediaServerError: nobody answers, or the server refuses; with its code and sentence.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, url.rstrip("/") + path, ssl=verify, **options) as response,
        ):
            body = await response.json()
    except (aiohttp.ClientConnectionError, aiohttp.InvalidURL) as e:
        raise MediaServerError("no_server", f"Nobody answers at {url}: {e}.") from e
    except (aiohttp.ContentTypeError, ValueError) as e:
        raise MediaServerError("no_server", f"What answers at {url} is no media server.") from e
    if "error" in body:
        raise MediaServerError(body["error"]["code"], body["error"]["message"])
    return body
