"""Keys, tokens and origins: who gets in, who does not, and what those are told."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.agents import Agent
from media_server.caller import Caller
from media_server.client import ask, create_token
from media_server.config import Settings
from media_server.errors import ClientError, ConfigurationError, MediaServerError
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.conftest import no_sessions
from tests.integration.test_records import ended_record

PAGE = "https://page.example"


@dataclass
class Guarded:
    """A server with keys."""

    server: Server
    keys: Keys
    http: aiohttp.ClientSession
    key: str

    async def ask(self, method: str, path: str, auth: str = "", **kwargs: Any) -> tuple[int, Any]:
        """Status and body; of an error its code alone."""
        headers = kwargs.pop("headers", {}) | ({"Authorization": f"Bearer {auth}"} if auth else {})
        async with self.http.request(method, self.server.url + path, headers=headers, **kwargs) as response:
            body = await response.json()
        return response.status, body["error"]["code"] if "error" in body else body

    async def token(self, **wanted: Any) -> str:
        status, body = await self.ask("POST", "/v1/tokens", self.key, json={"agent": "mara", **wanted})
        assert status == 201, body
        return str(body["token"])


@contextlib.asynccontextmanager
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    agents = [Agent("mara", allowed_origins=(PAGE, "https://*.shop.example", "http://localhost:*")), Agent("luna")]
    url = f"sqlite:///{tmp_path}/keys.sqlite"
    async with Database.open(url) as database, aiohttp.ClientSession() as http:
        keys = Keys(database)
        secret, _ = await keys.create("backend")
        # any address, now that there is a key
        async with running_server(Settings(host="0.0.0.0", port=0, database=url, agents=agents)) as server:
            await server.ready(60)
            local = replace(server, url=server.url.replace("0.0.0.0", "127.0.0.1"))
            yield Guarded(local, keys, http, secret)


async def refused(url: str, auth: str, agent: str = "mara", **options: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        async with Caller(url, agent, auth=auth, **options):
            pass
    return error.value.status, error.value.code


async def test_a_backend_makes_tokens(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        made = await create_token(g.server.url, "mara", key=g.key, ttl_s=30, metadata={"plan": "gold"})
        assert (made.url, made.expires_in_s, made.ice_servers) == (g.server.url, 30, [])
        said = {"plan": "free", "page": "x"}
        async with Caller(g.server.url, "mara", auth=made.token, metadata=said) as caller:
            started = await caller.wait_for("call.started")
            assert started["metadata"] == {"plan": "gold", "page": "x"}
            assert g.server.sessions._by_id[caller.session_id].call.client_metadata == said
        with pytest.raises(MediaServerError, match="no agent called 'nobody'"):
            await create_token(g.server.url, "nobody", key=g.key)
        with pytest.raises(MediaServerError, match="API key"):
            await create_token(g.server.url, "mara")
        with pytest.raises(MediaServerError, match="does not look like a media server"):
            await ask(g.server.url, "GET", "/")
    with pytest.raises(MediaServerError, match="Cannot reach"):
        await create_token("http://127.0.0.1:1", "mara")


async def test_a_token_is_good_for_one_call_with_its_agent(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        token = await g.token(metadata={"customer": 7, "plan": "gold"})
        assert token.startswith("wrtc_")
        async with Caller(g.server.url, "mara", auth=token, metadata={"customer": 1, "page": "x"}) as caller:
            started = await caller.wait_for("call.started")
            assert started["metadata"] == {"customer": 7, "plan": "gold", "page": "x"}, "what is sealed wins"
        url = g.server.url
        assert await refused(url, token) == (401, "token_used")
        assert await refused(url, await g.token(), "luna") == (403, "token_wrong_agent")
        assert await refused(url, await g.token(kind="chat")) == (403, "token_wrong_kind")
        assert await refused(url, await g.token(ttl_s=0.001)) == (401, "token_expired")
        assert await refused(url, "wrtc_forged") == (401, "token_unknown")
        assert await refused(url, "") == (401, "key_missing")
        async with Caller(url, "mara", auth=g.key) as caller:
            await caller.wait_for("call.started")


async def test_of_many_who_use_a_token_at_once_one_gets_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        token = await g.token()
        offer = {"agent": "mara", "type": "offer", "sdp": "v=0"}
        tried = await asyncio.gather(*(g.ask("POST", "/v1/sessions", token, json=offer) for _ in range(12)))
        # whoever used it is told of the offer, the others of the token
        assert sorted(tried) == [(400, "bad_sdp")] + [(401, "token_used")] * 11


async def test_a_key_opens_what_it_is_for(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        narrow, _ = await g.keys.create("narrow", agents=["luna"], origins=[PAGE], per_minute=4)
        wanted = {"agent": "mara"}
        assert await g.ask("POST", "/v1/tokens", narrow, json=wanted) == (403, "key_agent")
        elsewhere = {"Origin": "https://elsewhere.example"}
        assert await g.ask("POST", "/v1/tokens", narrow, json=wanted, headers=elsewhere) == (403, "key_origin")
        own = {"Origin": PAGE}
        status, _ = await g.ask("POST", "/v1/tokens", narrow, json={"agent": "luna"}, headers=own)
        assert status == 201
        assert await refused(g.server.url, narrow) == (403, "key_agent")
        assert (await g.ask("GET", "/v1/agents", narrow))[0] == 200
        assert await g.ask("GET", "/v1/agents", narrow) == (429, "rate_limited")
        assert await g.ask("POST", "/v1/tokens", g.key, json=wanted, headers=own) == (403, "key_origin")

        for shown, code in [
            ("", "key_missing"),
            ("sk_x_y", "key_unknown"),
            (g.key[:-1], "key_unknown"),
            ("é", "key_unknown"),
        ]:
            assert await g.ask("GET", "/v1/agents", shown) == (401, code)
        token = await g.token()
        (key, *_) = await g.keys.all()
        assert await g.keys.revoke(key.id)
        assert await g.ask("GET", "/v1/agents", g.key) == (401, "key_revoked")
        assert await refused(g.server.url, token) == (401, "key_revoked"), "nor do tokens that it minted"


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ({"agent": "nobody"}, (404, "unknown_agent")),
        ({"agent": "desk", "ttl_s": 99999}, (400, "bad_request")),
        ({"agent": "desk", "kind": "fax"}, (400, "bad_request")),
        ({"agent": "desk", "colour": "red"}, (400, "bad_request")),
        ({"agent": "desk", "metadata": {"x": "y" * 3000}}, (400, "bad_request")),
        ([], (400, "bad_request")),
    ],
)
async def test_a_token_that_cannot_be_is_refused(server: Server, wanted: Any, answer: tuple[int, str]) -> None:
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/v1/tokens", json=wanted) as response:
        assert (response.status, (await response.json())["error"]["code"]) == answer


async def test_a_page_gets_a_token_by_its_origin(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        path = "/webrtc/token?agent_id=mara"
        for origin in (PAGE, "https://a.shop.example", "http://localhost:5173"):
            status, body = await g.ask("GET", path, headers={"Origin": origin})
            assert status == 200, origin
            assert body["expires_in"] == body["expiresIn"] == 60
            assert body["server"] == g.server.url
            async with Caller(g.server.url, "mara", auth=body["token"]) as caller:
                await caller.wait_for("call.started")
        for origin in ("https://shop.example", "https://evilshop.example", "https://page.example.evil.example", "null"):
            assert await g.ask("GET", path, headers={"Origin": origin}) == (403, "origin_not_allowed")
        assert await g.ask("GET", path) == (401, "key_missing")
        assert await g.ask("GET", "/webrtc/token?agent_id=luna", headers={"Origin": PAGE}) == (
            403,
            "origin_not_allowed",
        )
        nobody = await g.ask("GET", "/webrtc/token?agent_id=nobody", headers={"Origin": PAGE})
        assert nobody == (403, "origin_not_allowed"), "an origin is no credential: it learns of no agent"
        assert await g.ask("GET", "/webrtc/token", headers={"Origin": PAGE}) == (400, "bad_request")
        assert await g.ask("GET", f"{path}&metadata=%7B", headers={"Origin": PAGE}) == (400, "bad_request")
        status, body = await g.ask("POST", "/webrtc/token", g.key, json={"agent_id": "luna", "metadata": {"a": 1}})
        assert status == 200
        async with Caller(g.server.url, "luna", auth=body["token"]) as caller:
            assert (await caller.wait_for("call.started"))["metadata"] == {"a": 1}
        answers = [await g.ask("GET", path, headers={"Origin": PAGE}) for _ in range(25)]
        assert answers[-1] == (429, "rate_limited")


async def test_pages_of_other_origins_may_read_answers(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        for path in ("/v1/sessions", "/webrtc/token"):
            async with g.http.options(g.server.url + path, headers=asks | {"Origin": PAGE}) as preflight:
                assert preflight.status == 204
                assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
                assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
            other = asks | {"Origin": "https://other.example"}
            async with g.http.options(g.server.url + path, headers=other) as preflight:
                # a token may be brought by any page; minting one is for origins that are named
                reads = path == "/v1/sessions"
                assert preflight.status == (204 if reads else 405)
                assert ("Access-Control-Allow-Origin" in preflight.headers) is reads
        async with g.http.post(f"{g.server.url}/v1/sessions", headers={"Origin": PAGE}, json={}) as answer:
            assert answer.status == 400
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE, "it may read what was wrong"
            assert answer.headers["Vary"] == "Origin"


async def test_calls_are_paid_for_from_a_keys_credit(tmp_path: Path) -> None:
    agents = [Agent("dear", price_per_minute=60), Agent("free")]
    url = f"sqlite:///{tmp_path}/keys.sqlite"
    async with Database.open(url) as database, running_server(Settings(port=0, database=url, agents=agents)) as server:
        await server.ready(60)
        keys = Keys(database)
        secret, made = await keys.create("pays", ["admin"], credit=2.2)
        async with aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {secret}"}) as http:
            async with http.post("/v1/tokens", json={"agent": "dear"}) as minted:
                token = (await minted.json())["token"]
            async with Caller(server.url, "dear", auth=token) as caller:
                warned = await caller.wait_for("warning")
                assert warned["code"] == "call_ending"
                ended = await caller.wait_for("call.ended")
                assert ended["reason"] == "credits_exhausted", "no longer than it is paid for"
            record = await ended_record(http, caller.call_id)
            assert record["cost"] == 2, "whole seconds, and no more than it can pay"
            key = await keys.get(made.id)
            assert key is not None
            assert key.credit is not None
            assert key.credit == pytest.approx(2.2 - record["cost"], abs=1e-6)
            assert await refused(server.url, secret, "dear") == (402, "no_credit")
            assert await keys.add_credit(made.id, 10) == pytest.approx(key.credit + 10)
            async with Caller(server.url, "free", auth=secret) as caller:
                await caller.wait_for("call.started")


async def test_a_key_has_so_many_calls_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path}/keys.sqlite"
    async with Database.open(url) as database:
        keys = Keys(database)
        small, _ = await keys.create("small", max_calls=1)
        large, _ = await keys.create("large")
        async with running_server(Settings(port=0, database=url, max_calls=2)) as server:
            await server.ready(60)
            async with Caller(server.url, auth=small) as caller:
                await caller.wait_for("call.started")
                assert await refused(server.url, small, "assistant") == (429, "too_many_calls_of_key")
                assert "call slots in use" not in caplog.text
                async with Caller(server.url, auth=large) as other:
                    await other.wait_for("call.started")
                    assert "2 of 2 call slots in use" in caplog.text
                    assert await refused(server.url, large, "assistant") == (503, "too_many_calls")
            await no_sessions(server)
            async with Caller(server.url, auth=small) as caller:
                await caller.wait_for("call.started")


async def test_the_command_line_makes_lists_and_revokes_keys(tmp_path: Path) -> None:
    async def run(*args: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media_server.cli", "keys", *args, "--database", f"sqlite:///{tmp_path}/keys.sqlite",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode().strip(), err.decode().strip()

    status, listed, told = await run("list")
    assert (status, listed) == (0, "No API keys. Anyone who can reach the server can call.")
    assert told.startswith("There is no database ")
    limits = ["--per-minute", "60", "--max-calls", "3", "--credit", "5"]
    status, secret, told = await run("create", "my backend", "--agent", "mara", *limits)
    assert (status, secret[:3]) == (0, "sk_")
    assert "only its hash" in told
    key_id = secret.split("_")[1]
    assert secret.split("_", 2)[2] not in (tmp_path / "keys.sqlite").read_bytes().decode("latin-1")
    _, listed, _ = await run("list")
    assert listed.startswith(f"{key_id}  good")
    assert "agents: mara  per minute: 60  calls at once: 3  credit: 5.0" in listed
    assert await run("credit", key_id, "2.5") == (0, f"{key_id} has a credit of 7.5.", "")
    assert (await run("credit", "nothing", "1"))[0] == 1
    assert (await run("revoke", key_id))[0] == 0
    assert "revoked" in (await run("list"))[1]
    assert (await run("revoke", "nothing"))[0] == 1
    status, _, err = await run("create", "x", "--origin", "https://*")
    assert (status, "is not an origin" in err) == (2, True)
    for option in (
        "--max-calls=0",
        "--per-minute=99999999999999999999",
        "--credit=-1",
        "--credit=nan",
        "--credit=1e300",
    ):
        status, _, err = await run("create", "x", option)
        assert (status, "is a number from" in err, "Traceback" in err) == (2, True, False), option
    for amount in ("0", "nan", "1e300"):
        assert (await run("credit", key_id, amount))[0] == 2


async def test_without_keys_only_this_machine_is_listened_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keys create"):
        async with running_server(Settings(host="0.0.0.0", port=0, database=f"sqlite:///{tmp_path}/none.sqlite")):
            pass


async def test_a_database_that_cannot_be_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    for url in ("nonsense", "mysql://x", f"sqlite:///{tmp_path}/no/such/folder.sqlite"):
        with pytest.raises(ConfigurationError, match="database"):
            async with Database.open(url):
                pass


async def test_a_key_that_was_entered_in_the_page_is_a_session_of_the_page(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        own = {"Origin": g.server.url}
        secret, key = await g.keys.create("me", ("admin",))

        async def ask(method: str, path: str, headers: dict[str, str] = own, **kwargs: Any) -> tuple[int, Any]:
            async with browser.request(method, g.server.url + path, headers=headers, **kwargs) as response:
                body = await response.json() if response.content_type == "application/json" else {}
                return response.status, body["error"]["code"] if "error" in body else body

        assert (await ask("GET", "/v1/playground"))[1]["key_needed"]
        assert await ask("POST", "/v1/signin", json={"key": "sk_x"}) == (401, "key_unknown")
        elsewhere = {"Origin": "https://elsewhere.example"}
        assert await ask("POST", "/v1/signin", elsewhere, json={"key": secret}) == (403, "origin_not_allowed")
        async with browser.post(g.server.url + "/v1/signin", headers=own, json={"key": secret}) as response:
            (cookie,) = response.cookies.values()
            assert response.status == 201
        assert (cookie["samesite"], cookie["httponly"], secret in cookie.value) == ("Strict", True, False)

        status, shown = await ask("GET", "/v1/playground")
        assert (status, shown["key_needed"], shown["may_edit"], shown["signed_in"]) == (200, False, True, "me")
        assert [a["name"] for a in shown["agents"]] == ["assistant", "mara", "luna"]
        offer = {"agent": "luna", "type": "offer", "sdp": "v=0"}
        assert await ask("POST", "/v1/sessions", json=offer) == (400, "bad_sdp")
        # a page of another port of this host is "same-site": its browser sends the cookie along
        for foreign in (elsewhere, {"Origin": "http://127.0.0.1:9"}, {"Sec-Fetch-Site": "same-site"}):
            assert await ask("GET", "/v1/agents/luna", foreign) == (401, "key_missing"), foreign
        assert await ask("POST", "/v1/tokens", {}, json={"agent": "luna"}) == (401, "key_missing"), "without an Origin"
        program = await g.ask("GET", "/v1/agents/luna", cookie.value)
        assert program == (401, "key_missing"), "a session is a cookie, and no key for programs"
        assert await ask("POST", "/v1/signin", json={"key": f"{cookie.value}x"}) == (401, "key_missing")

        assert (await ask("DELETE", "/v1/signin"))[0] == 204
        stolen = {**own, "Cookie": f"{cookie.key}={cookie.value}"}
        assert await ask("GET", "/v1/agents/luna", stolen) == (401, "key_missing"), "a copy opens nothing"
        assert (await ask("POST", "/v1/signin", json={"key": secret}))[0] == 201
        assert await g.keys.revoke(key.id)
        assert (await ask("GET", "/v1/agents/luna")) == (401, "key_revoked")
        assert (await ask("GET", "/v1/playground"))[1]["key_needed"]


async def test_a_token_settles_what_the_agent_is_in_one_call(tmp_path: Path) -> None:
    async with guarded(tmp_path) as g:
        boss, _ = await g.keys.create("boss", ("admin",))
        wanted = {"agent": "mara", "changes": {"greeting": "Ahoy!", "turns": "fast"}}
        assert await g.ask("POST", "/v1/tokens", g.key, json=wanted) == (403, "key_scope")
        refused: list[dict[str, Any]] = [{"voice": "nobody"}, {"temperature": 7}, {"turns": "never"}, {"tools": []}]
        for changes in refused:
            assert (await g.ask("POST", "/v1/tokens", boss, json={"agent": "mara", "changes": changes}))[0] == 400
        status, body = await g.ask("POST", "/v1/tokens", boss, json=wanted)
        assert status == 201
        async with Caller(g.server.url, "mara", auth=body["token"]) as caller:
            assert (await caller.wait_for("agent.text"))["text"] == "Ahoy!"
        assert (await g.ask("GET", "/v1/agents/mara", boss))[1]["greeting"] == "", "the agent itself stays as it is"
