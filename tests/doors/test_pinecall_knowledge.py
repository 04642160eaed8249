"""Pinecall's knowledge bases, as its SDK and its command line ask for them; and agents that draw on them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.doors.test_pinecall_process import MARA, Program, program
from tests.integration.test_access import Guarded, guarded
from tests.integration.test_chat import chatting

MUSEUM = "# Museum\n\nsunny and free\n"
BERLIN = "# Berlin\n\nwindy and 12 degrees in berlin\n"


@contextlib.asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[Guarded]:
    """A server, and a key of a backend that may do everything."""
    async with guarded(tmp_path) as g:
        key, _ = await g.keys.create("backend", scopes=["call", "admin"])
        yield replace(g, key=key)


async def made(g: Guarded, name: str, docs: dict[str, str]) -> str:
    status, body = await g.ask("POST", "/api/knowledge", g.key, json={"name": name, "description": None})
    assert status == 201, body
    base = body["knowledgeBase"]
    assert (base["name"], base["docCount"], base["status"]) == (name, 0, "empty")
    for path, text in docs.items():
        pushed = {"path": path, "title": None, "text": text}
        status, body = await g.ask("POST", f"/api/knowledge/{base['id']}/docs", g.key, json=pushed)
        assert status == 200, body
        assert body["doc"]["path"] == path
    return str(base["id"])


async def test_bases_are_filled_asked_and_emptied(tmp_path: Path) -> None:
    async with serving(tmp_path) as g:
        base = await made(g, "Help", {"help/museum.md": MUSEUM, "../berlin.md": BERLIN, "_tap-manifest.json": "{}"})
        at = f"/api/knowledge/{base}"
        _, listed = await g.ask("GET", "/api/knowledge", g.key)
        assert [(b["id"], b["docCount"], b["status"]) for b in listed["knowledgeBases"]] == [(base, 3, "ready")]
        _, asked = await g.ask("POST", f"{at}/query", g.key, json={"query": "is the museum free", "k": 1})
        (hit,) = asked["hits"]
        assert (hit["doc_path"], hit["doc_title"], hit["heading"]) == ("help/museum.md", "museum", "Museum")
        assert (hit["text"], hit["score"]) == ("sunny and free", 1)
        docs = {d["path"]: d["id"] for d in (await g.ask("GET", at, g.key))[1]["docs"]}
        assert list(docs) == ["help/museum.md", "../berlin.md", "_tap-manifest.json"]
        _, read = await g.ask("GET", f"{at}/docs/{docs['../berlin.md']}", g.key)
        assert (read["doc"]["text"], read["doc"]["bytes"]) == (BERLIN, len(BERLIN))
        # the same path once more is the same document; a large one comes whole
        large = "The zoo opens at nine.\n\n" * 20_000
        status, again = await g.ask("POST", f"{at}/docs", g.key, json={"path": "../berlin.md", "text": large})
        assert (status, again["doc"]["id"], again["doc"]["bytes"]) == (200, docs["../berlin.md"], len(large))
        _, asked = await g.ask("POST", f"{at}/query", g.key, json={"query": "when does the zoo open"})
        assert {h["doc_path"] for h in asked["hits"]} == {"../berlin.md"}
        assert (await g.ask("POST", f"{at}/reindex", g.key))[0] == 200
        assert (await g.ask("DELETE", f"{at}/docs/{docs['../berlin.md']}", g.key))[0] == 200
        _, asked = await g.ask("POST", f"{at}/query", g.key, json={"query": "when does the zoo open"})
        assert asked["hits"] == []
        await refusals(g, at)
        assert (await g.ask("DELETE", at, g.key))[0] == 200
        assert (await g.ask("GET", at, g.key)) == (404, "unknown_knowledge_base")
        assert (await g.ask("GET", "/api/knowledge", g.key))[1] == {"knowledgeBases": []}


async def refusals(g: Guarded, at: str) -> None:
    stranger, _ = await g.keys.create("stranger", scopes=["admin"], tenant="other")
    page, _ = await g.keys.create("page", scopes=["call"])
    doc = {"path": "a.md", "text": "x"}
    cases: list[tuple[str, str, str, dict[str, Any] | None, int]] = [
        ("GET", at, stranger, None, 404),
        ("DELETE", at, stranger, None, 404),
        ("POST", f"{at}/docs", stranger, doc, 404),
        ("POST", f"{at}/query", stranger, {"query": "museum"}, 404),
        ("GET", at, page, None, 403),
        ("POST", f"{at}/docs", "", doc, 401),
        ("POST", f"{at}/docs", g.key, {"path": "", "text": "x"}, 400),
        ("POST", f"{at}/docs", g.key, {"path": "a.md"}, 400),
        ("POST", f"{at}/docs", g.key, {"path": "help/museum.md/x.md", "text": "x"}, 400),
        ("POST", f"{at}/query", g.key, {"query": "museum", "k": 0}, 400),
        ("POST", "/api/knowledge", g.key, {"name": ""}, 400),
        ("GET", f"{at}/docs/nothing", g.key, None, 404),
        ("GET", "/api/knowledge/..", g.key, None, 404),
        ("GET", "/api/knowledge/kb_ffffffffffff", g.key, None, 404),
    ]
    for method, path, key, body, status in cases:
        assert (await g.ask(method, path, key, **({"json": body} if body else {})))[0] == status, (method, path, body)
    assert (await g.ask("GET", "/api/knowledge", stranger))[1] == {"knowledgeBases": []}


async def found(g: Guarded, mara: Program, text: str) -> list[str]:
    """The documents that the agent has looked at for this question."""
    async with chatting(g.server.url, agent="guide", token=g.key) as client:
        since = len(mara.messages)
        await client.ask(text)
        await mara.wait_for("chat.response", since=since)
        return [s["file"] for m in mara.messages[since:] if m["event"] == "docs.sources" for s in m["sources"]]


async def test_agents_of_programs_draw_on_bases_by_their_ids(tmp_path: Path) -> None:
    async with serving(tmp_path) as g:
        museum = await made(g, "Museum", {"museum.md": MUSEUM})
        berlin = await made(g, "Berlin", {"berlin.md": BERLIN})
        both, about_berlin, about_museum = [museum, berlin], "what is the weather in berlin", "tell me about the museum"
        async with program(g.server.url, g.key) as mara:
            guide = {"agent_id": "guide", "tools": [], "prompt": "Answer from this: {{RAG_CONTEXT}}."}
            created = await mara.create(**guide, knowledge_base=both)
            assert not [u for u in created["unused"] if u.startswith("knowledge_base")]
            for base in both:
                await g.ask("POST", f"/api/knowledge/{base}/query", g.key, json={"query": "x"})
            assert (await found(g, mara, about_berlin))[0] == "berlin.md"
            assert (await found(g, mara, about_museum))[0] == "museum.md"
            # a skill brings its own, and one of no id is told
            skill = {"name": "weather", "description": "weather", "knowledge_base": berlin, "activation": "always"}
            since = len(mara.messages)
            await mara.send("agent.create", **MARA | guide, knowledge_base="kb_nothing", skills=[skill])
            created = await mara.wait_for("agent.created", since=since)
            assert any("kb_nothing" in u for u in created["unused"])
            assert await found(g, mara, about_berlin) == ["berlin.md"]
            assert await found(g, mara, about_museum) == []


async def test_a_key_for_some_agents_reaches_no_base(tmp_path: Path) -> None:
    async with serving(tmp_path) as g:
        base = await made(g, "Help", {"museum.md": MUSEUM})
        key, _ = await g.keys.create("bound", scopes=["call", "admin"], agents=["mara"])
        asked = [("GET", ""), ("POST", ""), ("GET", f"/{base}"), ("DELETE", f"/{base}"), ("POST", f"/{base}/docs")]
        given = {"name": "x", "path": "a", "text": "b"}
        for method, path in asked:
            assert await g.ask(method, f"/api/knowledge{path}", key, json=given) == (403, "key_agent")
        assert (await g.ask("GET", f"/api/knowledge/{base}", g.key))[1]["knowledgeBase"]["docCount"] == 1
