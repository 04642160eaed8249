"""A server without keys: this machine's own pages and programs get in, pages of other sites do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.addresses import own_addresses
from media_server.agents import Agent
from media_server.caller import Caller
from media_server.config import Settings
from media_server.http.access import OF_PROXIES
from media_server.paths import STATIC
from media_server.server import Server, running_server
from tests.conftest import kept, no_sessions

EVIL, SHOP = "https://evil.example", "https://shop.example"
# addresses as routes write them, with something for each of their parameters
FILLED = {"id": "call-x", "name": "open", "agent": "open", "connection_id": "c", "path": "index.html"}
FILLED |= {"base": "kb_000000000000", "doc": "0", "contact": "ada"}
PAGES = (
    *("/", "/admin", "/admin/", "/favicon.ico", "/healthz", "/readyz"),
    *("/static/index.html", "/static/examples/", "/live/call-x/player"),
)
OF_DOORS = ("DOMAIN_NOT_ALLOWED", "FORBIDDEN", "not_allowed", "")
"""Codes of both refusals in the forms of doors; LiveKit's is a text."""
DOCUMENTS = ("/docs", "/docs/index.html")
"""Pages too, which are there where they were built."""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, database: None) -> AsyncIterator[Server]:
    """A server without keys, with one agent for pages of a shop."""
    agents = [Agent("open", allowed_origins=(SHOP,)), Agent("private")]
    url = f"sqlite:///{tmp_path_factory.mktemp('shop')}/x.sqlite"
    names: Any = {"host_names": ["Voice.Lan"], "public_addresses": ["198.51.100.7", "2001:db8::1"]}
    async for server in kept(Settings(port=0, database=url, agents=agents, chat_linger_s=1, **names)):
        yield server


async def answer(server: Server, method: str, path: str, headers: dict[str, str], **body: Any) -> tuple[int, str]:
    """Status, and code of the refusal."""
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, server.url + path, headers=headers, **body) as response,
    ):
        if response.content_type != "application/json":
            return response.status, ""
        got = await response.json()
    return response.status, got["error"].get("code", "") if isinstance(got.get("error"), dict) else ""


async def upgrade(server: Server, path: str, **headers: str) -> int:
    """The status that a WebSocket's request is answered with."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(server.url + path, headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


def doors(server: Server) -> list[tuple[str, str]]:
    """Every method and address that the server has."""
    from media_server.config import Settings
    from media_server.doors import load_doors
    from media_server.engines.packs import load_pack
    from media_server.http import make_app
    from media_server.http.access import Access
    from media_server.http.console import new_console
    from media_server.http.metrics import Metrics
    from media_server.knowledge import Library
    from media_server.store import Database, Records

    sessions = server.sessions
    database: Any = Database.__new__(Database)
    app = make_app(
        server.agents,
        server.engines,
        sessions,
        Access(database, server.agents),
        Records(database, "x", 0, Path("x")),
        Metrics(server.engines, 1),
        load_doors(),
        new_console(Settings(), load_pack("starter", Path("models")), Library(Path("x")), None),
    )
    found = {(r.method, r.resource.canonical) for r in app.router.routes() if r.resource is not None}
    filled = [(method, path.format(**FILLED)) for method, path in sorted(found) if method != "HEAD"]
    assert len(filled) > 50
    return filled


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "192.0.2.7:8080", "Origin": "http://192.0.2.7:8080"},
        {"Host": "[2001:db8::7]"},
    ],
    ids=lambda headers: " ".join(f"{k}={v}" for k, v in headers.items()),
)
async def test_no_door_opens_to_pages_of_other_sites(shop: Server, headers: dict[str, str]) -> None:
    for method, path in doors(shop):
        if path in (*PAGES, *DOCUMENTS) and "Host" not in headers:
            continue
        for body in ({}, {"data": "{}", "headers": {"Content-Type": "text/plain"}}):
            sent = dict(body)
            extra: Any = sent.pop("headers", {})
            status, code = await answer(shop, method, path, headers | extra, **sent)
            assert status == 403, f"{method} {path}"
            assert code in ("origin_not_allowed", "host_not_allowed", *OF_DOORS), f"{method} {path}"
        if method == "GET":
            assert await upgrade(shop, path, **headers) == 403, path


async def test_the_refusal_says_what_to_do(shop: Server) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{shop.url}/v1/agents", headers={"Host": "box.example"}) as response:
            assert "host_names" in (await response.json())["error"]["message"]
        async with http.get(f"{shop.url}/v1/agents", headers={"Origin": EVIL}) as response:
            assert "allowed_origins" in (await response.json())["error"]["message"]


async def test_its_own_pages_and_programs_get_in(shop: Server) -> None:
    port = shop.url.rsplit(":", 1)[1]
    for headers in (
        {},
        {"Origin": shop.url},
        {"Origin": shop.url, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
        {"Host": f"LOCALHOST:{port}", "Origin": f"http://localhost:{port}"},
        {"Host": "198.51.100.7:8080", "Origin": "http://198.51.100.7:8080"},
        {"Host": "[2001:db8::1]:8080", "Origin": "http://[2001:db8::1]:8080"},
        *({"Host": address, "Origin": f"http://{address}"} for address in own_addresses()),
        {"Host": "[::1]:8080", "Origin": "http://[::1]:8080"},
        {"Host": "voice.lan", "Origin": "http://voice.lan:80"},
        {"Host": "voice.lan.", "Origin": "http://voice.lan."},
        # a proxy that speaks TLS for it
        {"Host": "voice.lan", "Origin": "https://voice.lan", "X-Forwarded-Proto": "https"},
    ):
        assert await answer(shop, "GET", "/v1/agents", headers) == (200, ""), headers
        assert await answer(shop, "POST", "/v1/tokens", headers, json={"agent": "private"}) == (201, ""), headers
        assert await upgrade(shop, "/v1/events", **headers) == 101, headers
    async with Caller(shop.url, "private") as caller:
        await caller.wait_for("call.started")
    await no_sessions(shop)
    for path in PAGES:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": EVIL}):
            status, _ = await answer(shop, "GET", path, headers)
            assert status in (200, 503), "a link to its page, and its modules, work everywhere"


async def test_a_page_that_an_agent_allows_calls_that_agent_and_does_nothing_else(shop: Server) -> None:
    page = {"Origin": SHOP}
    wanted = f"{shop.url}/webrtc/token?agent_id=open"
    async with aiohttp.ClientSession() as http, http.get(wanted, headers=page) as response:
        token = (await response.json())["token"]
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
    offer = {"type": "offer", "sdp": "v=0"}
    sent = page | {"Authorization": f"Bearer {token}"}
    assert await answer(shop, "POST", "/v1/sessions", sent, json=offer) == (400, "bad_sdp"), "the token is good"
    assert await answer(shop, "POST", "/v1/sessions", page, json=offer | {"agent": "open"}) == (400, "bad_sdp")
    assert await upgrade(shop, "/v1/chat?agent=open", **page) == 101
    for method, path, body in (
        ("POST", "/v1/sessions", offer | {"agent": "private"}),
        ("POST", "/v1/sessions", offer | {"agent": "nobody"}),
        ("GET", "/webrtc/token?agent_id=private", None),
        ("GET", "/webrtc/token?agent_id=nobody", None),
    ):
        assert await answer(shop, method, path, page, json=body) == (403, "origin_not_allowed"), path
    assert await upgrade(shop, "/v1/chat?agent=private", **page) == 403
    for method, path, body in (
        ("GET", "/v1/agents", None),
        ("GET", "/v1/calls", None),
        ("GET", "/metrics", None),
        ("POST", "/v1/tokens", {"agent": "open"}),
        ("POST", "/v1/api_keys", {}),
        ("PATCH", "/v1/agents/open", {"prompt": "Mine."}),
        ("GET", "/stream/token?agent_id=open", None),
    ):
        code = "not_authorised" if path == "/v1/api_keys" else "key_missing"
        assert await answer(shop, method, path, page, json=body) == (401, code), path
    assert await upgrade(shop, "/v1/events", **page) == 401
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{shop.url}/client", headers=page) as socket:
        await socket.send_json({"event": "connect"})
        assert (await socket.receive_json())["code"] == "UNAUTHORIZED"
    await no_sessions(shop)


@pytest.mark.parametrize("path", ["/v1/flow/livekit", "/v1/flow/webrtc", "/v1/api_keys", "/api_keys"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_json_is_taken_as_json_alone(shop: Server, path: str, kind: str) -> None:
    body = '{"message": "StartConversation", "conversation_config": {"template_id": "open"}}'
    status, _ = await answer(shop, "POST", path, {"Content-Type": kind}, data=body)
    assert status == 415


async def test_a_request_without_a_host_is_no_browsers(shop: Server) -> None:
    host, port = shop.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/agents HTTP/1.0\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v1/agents HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert b" 40" in await reader.readline()
    writer.close()


async def test_with_keys_a_name_is_nobodys_business(tmp_path: Path) -> None:
    from media_server.store import Database, Keys

    url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(url) as database:
        secret, _ = await Keys(database).create("any", ["admin"])
        async with running_server(Settings(port=0, database=url)) as server:
            headers = {"Host": "voice.example", "Authorization": f"Bearer {secret}"}
            assert await answer(server, "GET", "/v1/agents", headers) == (200, "")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.example/v1/agents", 403),
        ("http://evil.example:8080/v1/agents?x=/", 403),
        ("http://{own}/v1/agents", 200),
    ],
)
async def test_what_the_first_line_names_counts_as_host(shop: Server, target: str, status: int) -> None:
    own = shop.url.removeprefix("http://")
    host, _, port = own.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target.format(own=own)} HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n".encode())
    assert f" {status} " in (await reader.readline()).decode()
    writer.close()


@pytest.mark.parametrize("header", OF_PROXIES)
async def test_what_comes_through_a_proxy_is_not_this_machines(shop: Server, header: str) -> None:
    assert (await answer(shop, "GET", "/v1/calls", {header: "1.2.3.4"}))[0] == 401
    assert (await answer(shop, "GET", "/v1/agents", {header: "1.2.3.4"}))[0] == 200


async def test_addresses_that_people_type_lead_somewhere(shop: Server) -> None:
    typed = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with aiohttp.ClientSession(shop.url, headers=typed) as http:
        async with http.get("/admin/") as response:
            assert (response.status, str(response.url)) == (200, f"{shop.url}/admin")
        async with http.get("/static/examples/") as response:
            assert (response.status, str(response.url)) == (200, f"{shop.url}/static/examples/widget.html")
            page = await response.text()
        assert not [f for f in (STATIC / "examples").glob("*.html") if f.name != "widget.html" and f.name not in page]
        async with http.get("/favicon.ico") as response:
            assert (response.status, (await response.read())[:4]) == (200, b"\0\0\1\0")
        async with http.get("/static/no/<such>") as response:
            assert (response.status, response.content_type) == (404, "text/html")
            page = await response.text()
        assert "There is nothing at this address." in page
        assert 'href="../../"' in page
        async with http.get("/", headers={"Host": "voice.example"}) as response:
            assert (response.status, response.content_type) == (403, "text/html")
            page = await response.text()
        assert "<h1>Not allowed</h1>" in page
        assert "This server is not called &#x27;voice.example&#x27;." in page
        async with http.get("/static/no/such", headers={"Accept": "*/*"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")
