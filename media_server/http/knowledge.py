"""`/v1/agents/{name}/knowledge`: an agent's documents, and what a question finds in them."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.agents import Agent
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import json_body
from media_server.http.console import CONSOLE
from media_server.http.openapi import operation

__all__ = ["routes"]

routes = web.RouteTableDef()


class _Document(TypedDict):
    file: str
    passages: int
    """Number of pieces that it was cut into; 0 where nothing could be read."""


class _Documents(TypedDict):
    ready: bool
    """Whether the documents have been read."""
    documents: list[_Document]


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, Field(min_length=1, max_length=1000)]
    limit: Annotated[int | None, Field(ge=1, le=20)] = None
    """Maximum passages; without it as many as the model is shown."""


class _Passage(TypedDict):
    file: str
    title: str
    text: str
    score: float
    """How well it fits: 1 for the best one, less for others."""


class _Passages(TypedDict):
    passages: list[_Passage]


@routes.get("/v1/agents/{name}/knowledge")
@operation("An agent's documents", scope="admin", answers={200: _Documents})
async def documents(request: web.Request) -> web.Response:
    agent = await _agent(request)
    library = request.app[CONSOLE].library
    indexed = [await library.documents(folder) for folder in agent.knowledge]
    found: list[_Document] = [
        {"file": file, "passages": count} for each in indexed for file, count in (each or {}).items()
    ]
    return web.json_response({"ready": None not in indexed, "documents": found})


@routes.post("/v1/agents/{name}/knowledge/search")
@operation("What a question finds in an agent's documents", scope="admin", body=_Question, answers={200: _Passages})
async def search(request: web.Request) -> web.Response:
    agent = await _agent(request)
    asked = await json_body(request, _Question)
    most = asked.limit or agent.knowledge_passages
    found = await request.app[CONSOLE].library.search(agent.knowledge, asked.question, most)
    passages: list[_Passage] = [
        {"file": each.file, "title": each.title, "text": each.text, "score": round(each.score, 3)} for each in found
    ]
    return web.json_response({"passages": passages})


async def _agent(request: web.Request) -> Agent:
    """The agent of the address. Raises `ClientError`, also where it has no documents."""
    key = await request.app[ACCESS].key(request, "admin")
    agent = request.app[ACCESS].agent(key, request.match_info["name"])
    if not agent.knowledge:
        raise ClientError("no_documents", f"The agent {agent.name!r} has no documents (knowledge).", status=409)
    return agent
