"""Pinecall's memory for back offices: what an agent knows of a contact, searching it, and forgetting it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.agents import agent_name
from media_server.doors.pinecall.memory import MEMORIES
from media_server.doors.pinecall.memory_facts import as_contact, as_fact, as_markdown
from media_server.engines.engines import Engines
from media_server.errors import ClientError, EngineError
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.speech import ENGINES
from media_server.knowledge.index import words
from media_server.rfc3339 import stamp
from media_server.store import Fact, Facts, Key, Whose

__all__ = ["refusal", "routes"]

MAX_SEARCHED = 5000
"""Maximum facts of an agent that are searched, the newest."""
MAX_COMPARED = 64
"""Maximum facts whose meaning is compared with a question, the newest."""
routes = web.RouteTableDef()


class _FactSearch(BaseModel):
    model_config = ConfigDict(extra="ignore")

    agent: Annotated[str, Field(min_length=1, max_length=64)]
    q: Annotated[str, Field(min_length=1, max_length=1000)]
    contact: Annotated[str, Field(max_length=200)] = ""
    """The one contact; all of the agent's without."""
    k: Annotated[int, Field(ge=1, le=50)] = 6


class _FactHit(TypedDict):
    contact: str
    id: str
    kind: str
    text: str
    score: float


class _FactHits(TypedDict):
    success: bool
    hits: list[_FactHit]


class _ContactFacts(TypedDict):
    success: bool
    contact: str
    revision: int
    facts: list[dict[str, Any]]
    memory_md: str


class _ForgottenContact(TypedDict):
    success: bool
    forgotten: bool


class _MemoryRefusal(TypedDict):
    success: bool
    error: str
    code: str


_REFUSALS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404), _MemoryRefusal)


def refusal(refused: ClientError) -> web.Response:
    """A refusal: its clients show `error` as it is."""
    body = {"success": False, "error": refused.message, "code": refused.code}
    return web.json_response(body, status=refused.status, headers=refused.headers)


@routes.get("/api/memory/search")
@operation(
    "Pinecall: facts about contacts that fit a question",
    scope="admin",
    query=_FactSearch,
    answers={200: _FactHits, **_REFUSALS},
)
async def search(request: web.Request) -> web.Response:
    """By the words, and those of one contact by their meaning too, where the model pack has a model for it."""
    key = await request.app[ACCESS].key(request, "admin")
    wanted = validated(_FactSearch, dict(request.query))
    whose = _whose(key, wanted.agent, _contact(wanted.contact) if wanted.contact else "")
    facts = _facts(request)
    if whose.contact:
        known = [(whose.contact, fact) for fact in reversed((await facts.of(whose)).holding)]
    else:
        known = await facts.of_agent(whose.tenant, whose.agent, MAX_SEARCHED)
    texts = [fact.text for _, fact in known]
    scores = await asyncio.to_thread(_by_words, texts, words(wanted.q))
    if whose.contact and len(scores) < wanted.k:
        scores = await _by_meaning(request.app[ENGINES], texts[:MAX_COMPARED], wanted.q) | scores
    best = sorted(scores, key=lambda at: -scores[at])[: wanted.k]
    hits = [_hit(*known[at], scores[at]) for at in best]
    return web.json_response({"success": True, "hits": hits})


@routes.get("/api/memory/{agent}/{contact}")
@operation("Pinecall: what an agent knows of a contact", scope="admin", answers={200: _ContactFacts, **_REFUSALS})
async def one(request: web.Request) -> web.Response:
    """Facts that hold no more have `valid_to`."""
    whose = await _named(request)
    known = await _facts(request).of(whose)
    told = _ContactFacts(
        success=True,
        contact=whose.contact,
        revision=known.revision,
        facts=[_with_source(fact) for fact in known.facts],
        memory_md=as_markdown(whose.contact, known),
    )
    return web.json_response(told)


@routes.delete("/api/memory/{agent}/{contact}")
@operation("Pinecall: forget a contact", scope="admin", answers={200: _ForgottenContact, **_REFUSALS})
async def forget(request: web.Request) -> web.Response:
    whose = await _named(request)
    return web.json_response({"success": True, "forgotten": await _facts(request).forget(whose)})


async def _named(request: web.Request) -> Whose:
    key = await request.app[ACCESS].key(request, "admin")
    return _whose(key, request.match_info["agent"], _contact(request.match_info["contact"]))


def _contact(named: str) -> str:
    """Raises `ClientError` where nobody can be called so, and no database may be asked."""
    if not (contact := as_contact(named)):
        raise ClientError("bad_request", "contact: this has to be a line of 200 characters at most.")
    return contact


def _whose(key: Key | None, agent: str, contact: str) -> Whose:
    """Raises `ClientError` (403) where the key is not for the agent, which need not be there now."""
    agent = agent_name(agent)
    if key and not key.allows_agent(agent):
        raise ClientError("key_agent", f"This API key is not for the agent {agent!r}.", status=403)
    return Whose(key.tenant if key else "", agent, contact)


def _facts(request: web.Request) -> Facts:
    records = request.app[MEMORIES].records
    if records is None:
        raise ClientError("no_records", "This server keeps no call records (records = false).", status=404)
    return records.facts


def _hit(contact: str, fact: Fact, score: float) -> _FactHit:
    return _FactHit(contact=contact, id=fact.id, kind=fact.kind, text=fact.text, score=round(score, 3))


def _with_source(fact: Fact) -> dict[str, Any]:
    ended = {} if fact.ended_at is None else {"valid_to": stamp(fact.ended_at)[:10]}
    source = {"call": fact.call_id, "turn": fact.turn, "transport": fact.transport}
    return as_fact(fact) | ended | {"source": source}


def _by_words(texts: Sequence[str], asked: Sequence[str]) -> dict[int, float]:
    """The texts with any of these words, by their places, each with its share of the best one's score."""
    if not texts or not asked:
        return {}
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE facts USING fts5(text, tokenize = 'porter unicode61 remove_diacritics 2')")
        db.executemany("INSERT INTO facts (rowid, text) VALUES (?, ?)", enumerate(texts))
        match = " OR ".join(f'"{word}"' for word in asked)
        found = db.execute("SELECT rowid, -bm25(facts) FROM facts WHERE facts MATCH ?", (match,)).fetchall()
    finally:
        db.close()
    most = max((score for _, score in found), default=1.0)
    return {at: score / most for at, score in found}


async def _by_meaning(engines: Engines, texts: Sequence[str], question: str) -> dict[int, float]:
    """The texts that are near the question, by their places, each with the cosine."""
    if engines.embedding is None or not texts:
        return {}
    try:
        vectors = await engines.embed(texts, query=False)
        (asked,) = await engines.embed([question], query=True)
    except EngineError:
        return {}
    return {at: float(c) for at, c in enumerate(vectors @ asked) if c >= engines.related_at}
