"""Attacks on a running server, and what it says of them afterwards. `python -m bench.hostile` has more of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bench.hostile import ATTACKS, Attacked, attack, attacked_server
from media_server.caller import Caller

LOOP_S = 0.1
"""CPU of the event loop that no attack may take without a turn for others."""
SOME = [
    "compressed bodies",
    "silent connections",
    "halves of bodies",
    "voice: empty sound",
    "voice: tiny sound",
    "voice: acknowledgements",
    "voice: pings",
    "chat: empty text",
    "programs: empty text",
    "events: empty text",
    "flow: empty sound",
    "nextevi: large nonsense",
    "rooms: pings",
    "channel: acknowledgements",
    "channel: long messages",
    "half-open offers",
    "ICE restarts",
    "media: packets",
    "media: connections",
    "come and go",
]


@pytest.fixture(scope="module")
async def attacked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Attacked]:
    async with attacked_server(tmp_path_factory.mktemp("attacked")) as server:
        # what is made once for the first call is no leak
        async with Caller(server.url) as caller:
            caller.send(type="text.send", text="hello")
            await caller.wait_for("agent.speech_stopped", timeout_s=60)
        await server.settled()
        yield server


@pytest.mark.parametrize("name", SOME)
async def test_an_attack_holds_up_nobody_and_leaves_nothing_behind(attacked: Attacked, name: str) -> None:
    assert name in ATTACKS
    outcome = await attack(attacked, name, 1.0)
    assert outcome.work_s < LOOP_S
    assert outcome.descriptors[1] <= outcome.descriptors[0] + 4
    assert outcome.memory_mb[1] < outcome.memory_mb[0] + 32
    assert outcome.log_kb < 500
    async with aiohttp.ClientSession(attacked.url) as http, http.get("/healthz") as answer:
        assert answer.status == 200


async def test_the_log_of_all_that_has_no_traceback_in_it_and_the_id_of_each_call(attacked: Attacked) -> None:
    lines = [json.loads(line) for line in attacked.log.read_text().splitlines()]
    assert not [line for line in lines if "exception" in line or "Traceback" in line["message"]]
    assert not [line for line in lines if line["logger"] == "media_server.call" and "call" not in line]


async def test_secrets_do_not_get_into_the_log(tmp_path: Path) -> None:
    """Whatever a server mints, is shown, or is told wrongly."""
    async with attacked_server(tmp_path, "--log-level", "debug") as server:
        database = f"sqlite:///{tmp_path}/x.sqlite"
        made = subprocess.run(  # noqa: ASYNC221 - the server is another process
            [sys.executable, "-m", "media_server.cli", "keys", "create", "a", "--scope", "call", "--scope", "admin"],
            capture_output=True, text=True, check=True, cwd=tmp_path,
            env={**os.environ, "MEDIA_SERVER_DATABASE": database},
        )  # fmt: skip
        secrets = {word for word in made.stdout.split() if word.startswith("sk_")}
        assert secrets
        key = next(iter(secrets))
        secrets |= {"sk_wrong0123456789", "tok_wrong0123456789"}
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(server.url, headers=headers) as http:
            async with http.post("/v1/tokens", json={"agent": "assistant"}) as answer:
                assert answer.status in (200, 201), await answer.text()
                secrets.add((await answer.json())["token"])
            async with http.post("/v1/api_keys", json={"ttl": 60}) as answer:
                secrets.add((await answer.json())["key_value"])
            async with http.get("/stream/token", params={"agent_id": "assistant"}) as answer:
                secrets.add((await answer.json())["token"])
            async with http.ws_connect("/v1/chat", params={"agent": "assistant"}) as socket:
                opened = json.loads((await socket.receive()).data)
                secrets.add(opened["session_id"])
                await socket.send_json({"type": "text.send", "text": "hello"})
            for wrong in ("sk_wrong0123456789", "sk_\udcff"):
                with contextlib.suppress(UnicodeError):
                    async with http.get("/v1/calls", headers={"Authorization": f"Bearer {wrong}"}) as answer:
                        assert answer.status == 401
            for path in (f"/v1/sessions/{opened['session_id']}", "/v1/chat?token=tok_wrong0123456789"):
                async with http.delete(path) as answer:
                    assert answer.status >= 400
            async with Caller(server.url, auth=key) as caller:
                secrets.add(caller.session_id)
        await asyncio.sleep(1)
    log = server.log.read_text()
    assert log
    assert not [secret for secret in secrets if secret in log]


async def test_a_database_that_may_only_be_read_is_a_sentence(tmp_path: Path) -> None:
    async with attacked_server(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "x.sqlite") as database:
        database.execute("PRAGMA journal_mode=DELETE")
    # root may write what is read-only: SQLite itself is told
    errors = await _no_start(tmp_path, f"sqlite:///file:{tmp_path}/x.sqlite?mode=ro&uri=true")
    assert b"The database cannot be written" in errors or b"cannot be opened" in errors


async def test_a_database_that_another_program_keeps_from_being_written_is_a_sentence(tmp_path: Path) -> None:
    async with attacked_server(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "x.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")  # others read, and wait to write
        errors = await _no_start(tmp_path, f"sqlite:///{tmp_path}/x.sqlite")
    assert b"The database cannot be written: database is locked." in errors


async def _no_start(folder: Path, database: str) -> bytes:
    """What a server says that cannot start with this database."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "serve", "--port", "0",
        cwd=folder, env={**os.environ, "MEDIA_SERVER_DATABASE": database},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 1
    assert b"Traceback" not in errors
    return errors
