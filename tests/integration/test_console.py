"""What the operator's console asks for: calls by filters, engines, settings, the log, keys, agents' files, webhooks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server import events as e
from media_server.config import Settings, Webhook
from media_server.server import Server, running_server
from media_server.store import ALL_CALLS, CallFilter, Database, Keys, Records

AGENT = '[[agents]]\nname = "clerk"\nprompt = "You are a clerk."\n'
SECRET = "whsec_" + "A" * 32


async def ask(server: Server, method: str, path: str, key: str | None = None, **more: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, server.url + path, headers=headers, **more) as answer,
    ):
        return answer.status, await answer.json() if answer.content_type == "application/json" else None


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[tuple[Server, str, str, Path]]:
    """A server with keys: the operator's, one of a tenant, and the folder of agents."""
    url, folder = f"sqlite:///{tmp_path}/x.sqlite", tmp_path / "agents"
    folder.mkdir()
    (folder / "staff.toml").write_text(AGENT)
    documents = folder / "leaflets"
    documents.mkdir()
    (documents / "hours.md").write_text("# Opening hours\n\nThe shop is open from nine to five.\n")
    (documents / "parking.md").write_text("# Parking\n\nCars stand behind the house.\n")
    (documents / "scan.pdf").write_bytes(b"%PDF-1.4 nothing that can be read")
    (folder / "guide.toml").write_text('[[agents]]\nname = "guide"\nprompt = "Help."\nknowledge = "leaflets"\n')
    (folder / "code.py").write_text(
        "from media_server import Agent\nclever = Agent(name='clever', prompt='Be clever.')\n"
    )
    async with Database.open(url) as database:
        admin, _ = await Keys(database).create("me", ["admin"])
        other, _ = await Keys(database).create("them", ["admin"], tenant="them")
    settings = Settings(
        port=0,
        database=url,
        agents_dir=folder,
        webhooks=[Webhook(url="http://127.0.0.1:9/hook", secret=SECRET)],
        models_dir=Path("models"),
    )
    async with running_server(settings) as server:
        yield server, admin, other, folder


async def test_only_the_operator_is_told(closed: tuple[Server, str, str, Path]) -> None:
    server, admin, other, _ = closed
    addresses = [
        ("GET", "/v1/server"), ("GET", "/v1/settings"), ("GET", "/v1/log"), ("GET", "/v1/webhooks"),
        ("GET", "/v1/keys"), ("GET", "/v1/agents/clerk/file"), ("POST", "/v1/webhooks/retry"), ("POST", "/v1/keys"),
        ("DELETE", "/v1/keys/x"), ("PUT", "/v1/agents/clerk/file"), ("POST", "/v1/keys/x/credit"),
    ]  # fmt: skip
    for method, path in addresses:
        body: dict[str, Any] = {} if method == "GET" else {"json": {"name": "x", "text": "x", "add": 1}}
        assert (await ask(server, method, path, **body))[0] == 401, path
        assert (await ask(server, method, path, other, **body))[0] == 404, path
    for path in ("/v1/server", "/v1/settings", "/v1/log", "/v1/webhooks", "/v1/keys"):
        status, answer = await ask(server, "GET", path, admin)
        assert status == 200, path
        assert SECRET not in str(answer)
        assert admin not in str(answer)


async def test_what_they_say(closed: tuple[Server, str, str, Path]) -> None:
    server, admin, _, _ = closed
    await server.ready(60)
    _, about = await ask(server, "GET", "/v1/server", admin)
    assert about["pack"] == "starter"
    assert {x["kind"] for x in about["engines"]} >= {"stt", "llm", "tts"}
    assert all(x["ready"] and x["memory_mb"] > 10 and x["about"] for x in about["engines"])
    _, settings = await ask(server, "GET", "/v1/settings", admin)
    by_name = {s["name"]: s for s in settings["settings"]}
    assert by_name["webhooks"]["value"][0]["secret"] == "…"
    assert by_name["port"] == {"name": "port", "value": 0, "given": True}
    assert not by_name["max_calls"]["given"]
    assert "agents" not in by_name
    _, hooks = await ask(server, "GET", "/v1/webhooks", admin)
    assert [w["url"] for w in hooks["webhooks"]] == ["http://127.0.0.1:9/hook"]
    assert await ask(server, "POST", "/v1/webhooks/retry", admin, json={}) == (200, {"retried": 0})
    status, refused = await ask(server, "POST", "/v1/webhooks/retry", admin, json={"id": "msg_none"})
    assert (status, refused["error"]["code"]) == (404, "unknown_message")


async def test_an_agents_documents_and_what_a_question_finds(closed: tuple[Server, str, str, Path]) -> None:
    server, admin, other, _ = closed
    path = "/v1/agents/guide/knowledge"
    async with asyncio.timeout(30):
        while not (answer := (await ask(server, "GET", path, admin))[1])["ready"]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    counts = {each["file"]: each["passages"] for each in answer["documents"]}
    assert counts == {"hours.md": 1, "parking.md": 1, "scan.pdf": 0}
    status, found = await ask(server, "POST", f"{path}/search", admin, json={"question": "When are you open?"})
    assert (status, [p["file"] for p in found["passages"]]) == (200, ["hours.md"])
    assert found["passages"][0]["title"] == "Opening hours"
    assert "nine to five" in found["passages"][0]["text"]
    _, nothing = await ask(server, "POST", f"{path}/search", admin, json={"question": "the of and", "limit": 1})
    assert nothing == {"passages": []}
    wrong: list[dict[str, Any]] = [{}, {"question": ""}, {"question": "x" * 1001}, {"question": "x", "limit": 0}]
    for body in wrong:
        assert (await ask(server, "POST", f"{path}/search", admin, json=body))[0] == 400, body
    status, refused = await ask(server, "GET", "/v1/agents/clerk/knowledge", admin)
    assert (status, refused["error"]["code"]) == (409, "no_documents")
    assert (await ask(server, "GET", path))[0] == 401
    assert (await ask(server, "GET", path, other))[0] == 404


async def test_keys_are_made_and_revoked(closed: tuple[Server, str, str, Path]) -> None:
    server, admin, _, _ = closed
    status, key = await ask(
        server, "POST", "/v1/keys", admin, json={"name": "web", "origins": ["https://a.com"], "credit": 5}
    )
    assert status == 201
    assert (await ask(server, "GET", "/v1/agents", key["secret"]))[0] == 200
    _, listed = await ask(server, "GET", "/v1/keys", admin)
    assert "secret" not in str(listed)
    status, more = await ask(server, "POST", f"/v1/keys/{key['id']}/credit", admin, json={"add": 2.5})
    assert (status, more["credit"]) == (200, 7.5)
    assert (await ask(server, "DELETE", f"/v1/keys/{key['id']}", admin))[0] == 204
    assert (await ask(server, "GET", "/v1/agents", key["secret"]))[0] == 401
    mine = next(k for k in listed["keys"] if k["name"] == "me")
    status, refused = await ask(server, "DELETE", f"/v1/keys/{mine['id']}", admin)
    assert (status, refused["error"]["code"]) == (409, "own_key")
    wrong: list[dict[str, Any]] = [
        {"name": ""}, {"scopes": []}, {"scopes": ["root"]}, {"origins": ["a"]}, {"credit": -1}, {"max_calls": 0},
        {"agents": [""]}, {"more": 1}, {"tenant": "a b"}, {"max_calls": 10**20}, {"per_minute": 10**20},
        {"credit": 1e300},
    ]  # fmt: skip
    for body in wrong:
        status, refused = await ask(server, "POST", "/v1/keys", admin, json={"name": "x"} | body)
        assert (status, refused["error"]["code"]) == (400, "bad_request"), body
    assert (await ask(server, "POST", "/v1/keys", admin, json={"name": "x", "agents": ["nobody"]}))[0] == 404


async def test_the_first_key_has_to_be_one_that_can_make_more(server: Server) -> None:
    status, refused = await ask(server, "POST", "/v1/keys", json={"name": "web"})
    assert (status, refused["error"]["code"]) == (409, "first_key")
    assert await ask(server, "GET", "/v1/keys") == (200, {"keys": []})


async def test_a_file_of_agents_is_written_anew(closed: tuple[Server, str, str, Path]) -> None:
    server, admin, _, folder = closed
    path, file = "/v1/agents/clerk/file", folder / "staff.toml"
    assert await ask(server, "GET", path, admin) == (200, {"file": "staff.toml", "editable": True, "text": AGENT})
    for text, part in (
        ("x = \n", "line 1"),
        (AGENT.replace("prompt", "promt"), "promt"),
        (AGENT.replace("clerk", "other"), "has to keep its agents"),
        (AGENT + 'knowledge = "."\n', "tenant, knowledge"),
        (AGENT + 'voice = "nobody"\n', "there are: calm"),
    ):
        status, refused = await ask(server, "PUT", path, admin, json={"text": text})
        assert (status, refused["error"]["code"]) == (400, "bad_agent")
        assert part in refused["error"]["message"]
    assert file.read_text() == AGENT
    text = AGENT.replace("a clerk", "a friendly clerk")
    assert await ask(server, "PUT", path, admin, json={"text": text}) == (200, {"file": "staff.toml", "problems": []})
    assert (await ask(server, "GET", "/v1/agents/clerk", admin))[1]["prompt"] == "You are a friendly clerk."
    assert [f.read_text() for f in folder.glob(".staff.toml.*")] == [AGENT]
    status, code = await ask(server, "GET", "/v1/agents/clever/file", admin)
    assert (status, code["editable"]) == (200, False)
    status, refused = await ask(server, "PUT", "/v1/agents/clever/file", admin, json={"text": "x"})
    assert (status, refused["error"]["code"]) == (409, "not_editable")
    status, refused = await ask(server, "GET", "/v1/agents/assistant/file", admin)
    assert (status, refused["error"]["code"]) == (409, "not_in_a_file")


async def test_calls_are_found_by_what_was_said_and_more(tmp_path: Path) -> None:
    async with Database.open(f"sqlite:///{tmp_path}/x.sqlite") as database:
        records = Records(database, "here", 0, tmp_path)
        now = time.time()
        for name, agent, contact, said in (
            ("a", "desk", "ann", "Where is my ORDER?"),
            ("b", "desk", "ben", "100% sure_thing"),
            ("c", "shop", None, "Straße"),
        ):
            await records.start(name, agent, {}, contact=contact)
            for event in (
                e.UserTranscript("t", said, True),
                e.AgentText("t", f"answer to {name}"),
                e.TurnMetrics("t", 0, 0, 0, 0, 0, 0, 100.0, e.TurnMarks()),
                e.TurnMetrics("u", 0, 0, 0, 0, 0, 0, 300.0, e.TurnMarks()),
                e.CallEnded("client_hangup", 1.0),
            ):
                records.note(e.Envelope(name, 0, 0.5, event))
            await records.flush()

        async def found(**which: Any) -> set[str]:
            return {c.id for c in await records.page(10, None, CallFilter(**which))}

        assert await found(words="order") == {"a"}
        assert await found(words="STRASSE") == {"c"}
        assert await found(words="%") == {"b"}, "what is a pattern in SQL is a letter here"
        assert await found(words="sure_t") == {"b"}
        assert await found(words="sureXt") == set()
        assert await found(words="answer to") == {"a", "b", "c"}
        assert await found(words="\x00") == set()
        assert await found(contact="ben") == {"b"}
        assert await found(agents=["shop"]) == {"c"}
        assert await found(since=now - 5, until=now + 5) == {"a", "b", "c"}
        assert await found(since=now + 5) == set()
        assert await found(until=now - 5) == set()
        first = (await records.page(10, None, ALL_CALLS))[-1]
        assert (first.first_words, first.turns, first.response_ms) == ("Where is my ORDER?", 1, 200.0)


async def test_wrong_filters_are_refused(server: Server) -> None:
    for query in ("since=yesterday", "since=2026-01-01", "words=", "status=gone", "contact=" + "x" * 201, "more=1"):
        status, refused = await ask(server, "GET", f"/v1/calls?{query}")
        assert (status, refused["error"]["code"]) == (400, "bad_request"), query
    assert (await ask(server, "GET", "/v1/calls?since=2026-01-01T00:00:00Z&words=x&limit=1"))[0] == 200
