"""What the server refuses before any handler is asked is told in the form of the door that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from media_server.server import Server


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/api/v1/embed/token", lambda body: (body["success"], body["error"]["code"])),
        ("POST", "/v1/flow/livekit", lambda body: (False, body["error"]["code"])),
        ("GET", "/webrtc/token?agent_id=desk", lambda body: (False, body["detail"] and body["error"]["code"])),
        ("GET", "/rtc/v1/validate?access_token=x", lambda body: (False, body)),
    ],
    ids=["wespoke", "flow", "pinecall", "livekit"],
)
async def test_what_no_handler_refuses_is_told_in_the_form_of_the_door(
    server: Server, method: str, path: str, said: Callable[[Any], tuple[bool, str]]
) -> None:
    expected = {
        "/api": "DOMAIN_NOT_ALLOWED",
        "/v1/": "not_allowed",
        "/web": "origin_not_allowed",
        "/rtc": "Pages of https://evil.example may not use this server: as long as there are no API keys only its own "
        "pages may, and those that an agent names in allowed_origins.",
    }
    async with aiohttp.ClientSession(server.url) as http:
        async with http.request(method, path, json={}, headers={"Origin": "https://evil.example"}) as response:
            assert response.status == 403
            body = await response.json() if response.content_type == "application/json" else await response.text()
        assert said(body) == (False, expected[path[:4]])
        if method == "POST":
            async with http.post(path, json={"x": "y" * 70_000}) as response:
                assert response.status == 413
                assert said(await response.json())[1].lower() == "invalid_request"


@pytest.mark.parametrize(
    "path", ["/v1/flow/livekit", "/v1/flow/webrtc", "/api_keys", "/v1/api_keys", "/api/v1/embed/token"]
)
async def test_a_page_can_read_why_it_was_refused(server: Server, path: str) -> None:
    page = {"Origin": "https://evil.example"}
    async with aiohttp.ClientSession(server.url) as http:
        async with http.options(path, headers=page | {"Access-Control-Request-Method": "POST"}) as response:
            assert response.status == 204
        async with http.post(path, json={}, headers=page) as response:
            assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (403, page["Origin"])
            assert (await response.json())["error"]["code"] in ("not_allowed", "DOMAIN_NOT_ALLOWED")


async def test_a_page_can_see_that_there_is_a_server(server: Server) -> None:
    page = "https://evil.example"
    async with aiohttp.ClientSession(server.url) as http, http.head("/", headers={"Origin": page}) as response:
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, page)
