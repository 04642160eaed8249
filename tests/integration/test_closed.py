"""A server that had a key stays closed, and whoever shows nothing learns nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from media_server.agents import Agent
from media_server.caller import Caller
from media_server.config import IceServer, Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.conftest import no_sessions
from tests.integration.test_knowledge import agents_in

PAGE = "https://page.example"
TURN = IceServer(urls="turn:turn.example:3478", username="box", credential="TURN-SECRET")
STUN = IceServer(urls="stun:stun.example:3478")
TOKEN = re.compile(r"(tmp|wrtc|cht|strm)_[A-Za-z0-9_-]{32}")
CONVERSATION = {"message": "StartConversation", "conversation_config": {"template_id": "plain"}}
OFFER = {"type": "offer", "sdp": "v=0"}


@dataclass
class Box:
    """A server, and its database."""

    server: Server
    database: Database
    http: aiohttp.ClientSession

    @property
    def keys(self) -> Keys:
        return Keys(self.database)

    async def ask(self, method: str, path: str, auth: str = "", **kwargs: Any) -> tuple[int, Any]:
        """Status and body; of an error its code alone."""
        headers = kwargs.pop("headers", {}) | ({"Authorization": f"Bearer {auth}"} if auth else {})
        async with self.http.request(method, self.server.url + path, headers=headers, **kwargs) as response:
            said = await response.text()
            body = json.loads(said) if response.content_type == "application/json" else said
        code = body["error"].get("code") if isinstance(body, dict) and isinstance(body.get("error"), dict) else None
        return response.status, code or body

    async def token(self, path: str, auth: str = "", **body: Any) -> str:
        status, got = await self.ask("POST", path, auth, json=body)
        assert status in (200, 201), got
        return str(got.get("token") or got.get("key_value"))

    async def upgrade(self, path: str, **headers: str) -> int | str:
        """How a WebSocket is answered: with a status, or by what is said in it first."""
        try:
            async with self.http.ws_connect(self.server.url + path, headers=headers) as socket:
                message = await asyncio.wait_for(socket.receive(), 0.5)
                said = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
                return str(said.get("code") or said.get("type") or said)
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status
        except TimeoutError:
            return "waits for the first message"


@contextlib.asynccontextmanager
async def box(folder: Path, *, ready: bool = False, **settings: Any) -> AsyncIterator[Box]:
    agents = [Agent("open", allowed_origins=(PAGE,)), Agent("plain"), Agent("theirs", tenant="theirs")]
    url = f"sqlite:///{folder}/x.sqlite"
    given = {
        "port": 0,
        "agents": agents,
        "database": url,
        "chat_linger_s": 1,
        "reconnect_s": 1,
        "ice_servers": [TURN, STUN],
        **settings,
    }
    async with (
        Database.open(url) as database,
        aiohttp.ClientSession() as http,
        running_server(Settings(**given)) as server,
    ):
        if ready:
            await server.ready(60)
        yield Box(server, database, http)


async def command(folder: Path, *args: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "keys", *args, "--database", f"sqlite:///{folder}/x.sqlite",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_revoking_the_last_key_does_not_open_the_server(tmp_path: Path) -> None:
    async with box(tmp_path) as b:
        assert (await b.ask("GET", "/v1/agents"))[0] == 200
        _, key = await b.keys.create("only", ["admin"])
        assert await b.ask("GET", "/v1/agents") == (401, "key_missing")
        status, said = await command(tmp_path, "revoke", key.id)
        assert status == 0
        assert "the server stays closed" in said
        assert "keys open" in said
        assert "stays closed" in (await command(tmp_path, "list"))[1]
        for path in ("/v1/agents", "/v1/calls", "/metrics", "/webrtc/token?agent_id=plain"):
            assert await b.ask("GET", path) == (401, "key_missing"), path
            assert await b.ask("GET", path, "sk_any") == (401, "key_unknown"), path
        assert await b.ask("POST", "/v1/tokens", json={"agent": "plain"}) == (401, "key_missing")
        assert await b.upgrade("/v1/events") == 401
    # nor does a start, wherever it listens
    async with box(tmp_path, host="0.0.0.0") as b:
        url = b.server.url.replace("0.0.0.0", "127.0.0.1")
        async with b.http.get(f"{url}/v1/agents") as response:
            assert response.status == 401


async def test_an_explicit_command_opens_the_server_again(tmp_path: Path) -> None:
    async with box(tmp_path) as b:
        _, key = await b.keys.create("only", ["admin"])
        status, said = await command(tmp_path, "open")
        assert (status, "revoke them first" in said) == (1, True)
        assert await b.ask("GET", "/v1/agents") == (401, "key_missing")
        await b.keys.revoke(key.id)
        status, said = await command(tmp_path, "open")
        assert (status, "is open" in said) == (0, True), said
        assert (await b.ask("GET", "/v1/agents"))[0] == 200


async def test_open_in_the_settings_opens_it_at_the_start_until_the_next_key(tmp_path: Path) -> None:
    async with box(tmp_path, open=True) as b:
        _, key = await b.keys.create("first")
        await b.keys.revoke(key.id)
        assert await b.ask("GET", "/v1/agents") == (401, "key_missing"), "not by itself, while it runs"
    async with box(tmp_path, open=True) as b:
        assert (await b.ask("GET", "/v1/agents"))[0] == 200
        _, second = await b.keys.create("second")
        assert await b.ask("GET", "/v1/agents") == (401, "key_missing")
        await b.keys.revoke(second.id)
        assert await b.ask("GET", "/v1/agents") == (401, "key_missing")


async def test_what_was_minted_while_it_was_open_ends_with_the_first_key(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True) as b:
        short = await b.token("/v1/api_keys", ttl=86400)
        token = await b.token("/v1/tokens", agent="plain", ttl_s=3600)
        chat = await b.token("/v1/tokens", agent="plain", kind="chat", ttl_s=3600)
        stream = await b.token("/stream/token", agent_id="plain")
        page = await b.token("/webrtc/token", agent_id="plain")
        embedded = (await b.ask("POST", "/api/v1/embed/token", json={"assistantId": "plain"}))[1]["data"]["token"]
        async with Caller(b.server.url, "plain") as caller:
            await caller.wait_for("call.started")
            secret, _ = await b.keys.create("first", ["admin"])
            for shown in (token, page, embedded):
                assert await b.ask("POST", "/v1/sessions", shown, json=OFFER) == (401, "token_expired")
            assert await b.ask("POST", "/v1/sessions", short, json=OFFER | {"agent": "plain"}) == (401, "token_expired")
            assert await b.upgrade(f"/v1/chat?token={chat}") == 401
            assert await b.upgrade(f"/live/{caller.call_id}/ws?token={stream}") == 401
            by_origin = (await b.ask("GET", "/webrtc/token?agent_id=open", headers={"Origin": PAGE}))[1]["token"]
            assert await b.ask("POST", "/v1/sessions", by_origin, json=OFFER) == (400, "bad_sdp"), "that one is good"
            fresh = await b.token("/v1/api_keys", secret)
            assert await b.ask("POST", "/v1/sessions", fresh, json=OFFER | {"agent": "plain"}) == (400, "bad_sdp")
        await no_sessions(b.server)


async def test_turn_credentials_are_for_who_may_call(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True) as b:

        async def shown(auth: str = "", query: str = "", **headers: str) -> bool:
            status, body = await b.ask("GET", f"/webrtc/ice-servers{query}", auth, headers=headers)
            assert status == 200
            assert {"urls": "stun:stun.example:3478"} in body["iceServers"]
            return "TURN-SECRET" in json.dumps(body)

        assert await shown(), "nobody has to show a key"
        secret, key = await b.keys.create("any")
        token = await b.token("/v1/tokens", secret, agent="plain")
        assert not await shown()
        assert not await shown("sk_nonsense")
        assert not await shown("wrtc_nonsense")
        assert not await shown(Origin="https://evil.example")
        assert await shown(secret)
        assert await shown(token)
        assert await shown(query=f"?token={token}")
        assert await shown(Origin=PAGE)
        await b.keys.revoke(key.id)
        assert not await shown(secret)
        assert not await shown(token)
        async with b.http.post(
            f"{b.server.url}/v1/whip/plain", data="v=0", headers={"Content-Type": "application/sdp"}
        ) as r:
            assert (r.status, "Link" in r.headers) == (401, False)


# session ids are secrets of 128 bits: who knows one may go on with that call
SECRET_IDS = ("/v1/sessions/", "/api/v1/embed/chat/")


async def test_without_a_credential_all_names_are_answered_alike(tmp_path: Path) -> None:
    """Every method and address of the server, with what there is and with what there is not."""
    from tests.integration.test_gate import doors

    async with box(tmp_path, ready=True) as b:
        secret, _ = await b.keys.create("admin", ["admin"])
        stranger, _ = await b.keys.create("stranger", ["admin"], tenant="other")
        body = {"agent": "plain", "agent_id": "plain", "assistantId": "plain", "token": "x", **OFFER}
        async with (
            Caller(b.server.url, "plain", auth=secret) as caller,
            b.http.ws_connect(f"{b.server.url}/ws/voice/mine?config_id=plain&api_key={secret}"),
        ):
            await caller.wait_for("call.started")
            there = {"call-x": caller.call_id, "open": "plain", "/c": "/mine"}
            tried = 0
            for auth in ("", stranger):
                for method, path in doors(b.server):
                    if path.startswith(("/static/", *SECRET_IDS)) or path in ("/", "/admin", "/admin/", "/favicon.ico"):
                        continue
                    asked = path + "?agent_id=plain&agent=plain&config_id=plain&assistantId=plain"
                    asked = asked.replace("/ws/voice/c", "/ws/voice/nobodys")
                    real = asked.replace("call-x", caller.call_id).replace("/open", "/plain").replace("nobodys", "mine")
                    missing = asked.replace("/open", "/nobody").replace("=plain", "=nobody")
                    nobody = json.loads(json.dumps(body).replace("plain", "nobody"))
                    answers = [
                        [await b.ask(method, address, auth, json=sent), await b.upgrade(address, **with_key(auth))]
                        for address, sent in ((real, body), (missing, nobody))
                    ]
                    known, unknown = (TOKEN.sub("…", json.dumps(a)).replace("nobody", "plain") for a in answers)
                    known = known.replace(caller.call_id, "call-x")
                    tried += 1
                    assert known == unknown, f"{method} {path} with {auth or 'nothing'}"
            assert tried > 80
            assert there
        await no_sessions(b.server)


def with_key(auth: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {auth}"} if auth else {}


@pytest.mark.parametrize(
    "shown",
    [b"sk_\xff_\xff", b"\xc3", b"wrtc_\xff", b"tmp_\xff\xfe", b"strm_\xed\xa0\x80", b"sk_0_\xff", b"sk_ID_\xff"],
)
async def test_a_key_of_any_bytes_is_unknown(tmp_path: Path, shown: bytes) -> None:
    async with box(tmp_path) as b:
        _, key = await b.keys.create("any")
        shown = shown.replace(b"ID", key.id.encode())
        host, port = b.server.url.removeprefix("http://").split(":")
        for method, path in (
            (b"GET", b"/v1/agents"), (b"GET", b"/v1/calls/x"), (b"GET", b"/webrtc/token?agent_id=open"),
            (b"GET", b"/stream/token?agent_id=open"), (b"POST", b"/v1/sessions"), (b"GET", b"/metrics"),
        ):  # fmt: skip
            reader, writer = await asyncio.open_connection(host, int(port))
            content = b'{"agent": "open", "type": "offer", "sdp": "v=0"}'
            head = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\n" % (
                method, path, shown,
            )  # fmt: skip
            writer.write(
                head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
            )
            answered = await reader.readline()
            writer.close()
            assert b" 401 " in answered or b" 503 " in answered, (path, answered)


@pytest.mark.parametrize(
    "charset",
    [
        "undefined",
        "punycode",
        "idna",
        "base64",
        "utf-7",
        "utf-16",
        "unicode_escape",
        "raw_unicode_escape",
        "zip",
        "x" * 3000,
    ],
)
async def test_an_odd_charset_is_a_bad_request(tmp_path: Path, charset: str) -> None:
    async with box(tmp_path) as b:
        headers = {"Content-Type": f"application/json; charset={charset}"}
        status, code = await b.ask("POST", "/v1/tokens", headers=headers, data=b'{"agent": "open"}')
        assert (status, code) == (400, "bad_encoding")
        headers = {"Content-Type": f"application/sdp; charset={charset}"}
        assert (await b.ask("POST", "/v1/whip/open", headers=headers, data=b"\xff.\\u00"))[0] in (400, 503)


@pytest.mark.parametrize("odd", ["%00", "x%00y", "%ff", "%ed%a0%80", "%F0%9F%98%80", "..%2f..%2fx", "a" * 3000])
async def test_an_odd_name_is_nobodys(tmp_path: Path, odd: str) -> None:
    async with box(tmp_path) as b:
        for path in (
            f"/v1/calls/{odd}", f"/v1/calls/{odd}/events", f"/api/v1/calls/{odd}", f"/v1/agents/{odd}",
            f"/v1/calls/{odd}/recording", f"/live/{odd}/ws", f"/webrtc/token?agent_id={odd}",
        ):  # fmt: skip
            from yarl import URL

            async with b.http.get(URL(b.server.url + path, encoded=True)) as response:
                assert response.status in (400, 404), path
        for query in (f"agent={odd}", f"before={odd}"):
            async with b.http.get(URL(f"{b.server.url}/v1/calls?{query}", encoded=True)) as response:
                assert response.status == 200, query
                assert (await response.json())["calls"] == []


async def test_an_agent_with_documents_is_shown_and_changed(tmp_path: Path) -> None:
    async with box(tmp_path, agents=[], agents_dir=agents_in(tmp_path / "agents")) as b:
        names = [a["name"] for a in (await b.ask("GET", "/v1/agents"))[1]["agents"]]
        with_documents = 0
        for name in names:
            status, settings = await b.ask("GET", f"/v1/agents/{name}")
            assert status == 200, settings
            with_documents += settings["knowledge"] == "documents"
            assert str(tmp_path) not in json.dumps(settings), "where the folder is stays here"
            status, settings = await b.ask("PATCH", f"/v1/agents/{name}", json={"prompt": "Be brief."})
            assert (status, settings["prompt"]) == (200, "Be brief.")
        assert with_documents


async def test_a_database_that_cannot_be_used_is_said_so_everywhere(tmp_path: Path) -> None:
    async with box(tmp_path, ready=True) as b:
        secret, _ = await b.keys.create("any", ["admin"])
        async with b.database.begin() as session:
            await session.execute(text("ALTER TABLE tokens RENAME TO gone"))
        for method, path, body in (
            ("POST", "/v1/tokens", {"agent": "plain"}),
            ("GET", "/webrtc/token?agent_id=plain", None),
            ("GET", "/chat/token?agent_id=plain", None),
            ("GET", "/stream/token?agent_id=plain", None),
            ("POST", "/v1/api_keys", {}),
            ("POST", "/api/v1/embed/token", {"assistantId": "plain"}),
            (
                "POST",
                "/v1/flow/livekit",
                {"message": "StartConversation", "conversation_config": {"template_id": "plain"}},
            ),
        ):
            at_doors = {"/api/v1/embed/token": "SERVER_BUSY", "/v1/flow/livekit": "busy", "/v1/api_keys": "busy"}
            code = at_doors.get(path, "no_records")
            assert await b.ask(method, path, secret, json=body) == (503, code), path
        for path in ("/v1/chat?token=cht_x", "/live/call-x/ws?token=strm_x", "/ws?token=cht_x"):
            assert await b.upgrade(path) == 503, path
        async with b.database.begin() as session:
            await session.execute(text("ALTER TABLE keys RENAME TO lost"))
        for path in ("/v1/agents", "/v1/calls", "/metrics", "/healthz"):
            status, _ = await b.ask("GET", path, secret, headers={"Origin": "https://other.example"})
            assert status == 503, path


async def test_what_callers_said_is_for_the_owner_of_the_files_alone(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").touch(mode=0o644)
    (tmp_path / "x.sqlite").chmod(0o644)  # of an older version
    folders = {"recordings_dir": tmp_path / "sound", "knowledge_dir": tmp_path / "index", "tls_dir": tmp_path / "tls"}
    agents = [Agent("recorder", recording=True)]
    found: dict[str, Any] = {"agents": agents, "agents_dir": agents_in(tmp_path / "agents"), **folders}
    async with box(tmp_path, ready=True, **found) as b:
        async with Caller(b.server.url, "recorder") as caller:
            await caller.wait_for("call.started")
            await asyncio.sleep(1.5)
        await no_sessions(b.server)
        files = [f for f in tmp_path.rglob("*") if f.is_file() and "agents" not in f.parts]  # noqa: ASYNC240
        names = {f.suffix for f in files}
        assert {".sqlite", ".ogg", ".sqlite-wal"} <= names, names
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
        for folder in (tmp_path / "sound", tmp_path / "index"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    async with box(tmp_path, tls="auto", **found):
        assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


async def test_pages_cannot_be_framed_and_keep_their_addresses_to_themselves(tmp_path: Path) -> None:
    async with box(tmp_path) as b:
        for path in ("/", "/admin", "/live/x/player", "/static/index.html", "/static/examples/plain.html", "/healthz"):
            async with b.http.get(b.server.url + path) as response:
                policy = response.headers["Content-Security-Policy"]
                for rule in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "object-src 'none'"):
                    assert rule in policy, path
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["X-Frame-Options"] == "DENY"
