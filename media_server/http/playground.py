"""`/v1/playground`: what a page shows before a call: the agents, the models and what the visitor may do."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from typing_extensions import TypedDict

from media_server.agents import Agent
from media_server.errors import ClientError
from media_server.http import documents
from media_server.http.access import ACCESS
from media_server.http.agents import AGENTS
from media_server.http.openapi import operation
from media_server.http.own import cookie_name, is_own_page, session_cookie
from media_server.http.sessions import SESSIONS
from media_server.http.speech import ENGINES
from media_server.store import Key

__all__ = ["routes"]

routes = web.RouteTableDef()


class _Card(TypedDict):
    name: str
    title: str
    description: str
    examples: list[str]
    color: str
    language: str | None
    turns: str
    recording: bool
    client_settings: list[str]
    tools: list[str]
    client_tools: list[str]


class _Playground(TypedDict):
    agents: list[_Card]
    notice: str
    voices: list[str]
    key_needed: bool
    signed_in: str | None
    may_edit: bool
    ice_servers: list[dict[str, Any]]
    documents: bool


@routes.get("/v1/playground")
@operation("What the server's page shows before a call", answers={200: _Playground})
async def playground(request: web.Request) -> web.Response:
    """The agents that pages of this origin may call without a key, on a server that asks for one."""
    access, engines = request.app[ACCESS], request.app[ENGINES]
    key, refused = None, False
    try:
        key = await access.key(request, "call", counted=False)
        agents = access.agents(key)
    except ClientError:
        refused = True
        agents = access.agents_of_page(request)
    book = request.app[AGENTS]
    cards = [_card(agent) for name in agents if (agent := book.get(name)) is not None]
    known = bool(cards) or not refused
    body: _Playground = {
        "agents": cards,
        "notice": engines.notice if known else "",
        "voices": list(engines.voices) if known else [],
        "key_needed": refused,
        "signed_in": key.name if key and session_cookie(request) else None,
        "may_edit": await _may_edit(request, key, refused),
        # with passwords of TURN: for who may call
        "ice_servers": [s.model_dump(exclude_none=True) for s in request.app[SESSIONS].ice_servers] if known else [],
        "documents": bool(documents.FILES),
    }
    response = web.json_response(body, headers={"Cache-Control": "no-store"})
    if refused and session_cookie(request):
        response.del_cookie(cookie_name(request), httponly=True, samesite="Strict")
    return response


async def _may_edit(request: web.Request, key: Key | None, refused: bool) -> bool:
    """Whether the visitor may read an agent's settings, and change them for a call."""
    if refused:
        return False
    if key is not None:
        return key.allows("admin")
    try:
        await request.app[ACCESS].key(request, "admin", counted=False)
    except ClientError:
        return False
    return is_own_page(request)


def _card(agent: Agent) -> _Card:
    return {
        "name": agent.name,
        "title": agent.title or _title(agent.name),
        "description": agent.description,
        "examples": list(agent.examples),
        "color": agent.color,
        "language": agent.language,
        "turns": agent.turns,
        "recording": agent.recording,
        "client_settings": sorted(agent.client_settings),
        "tools": [t.name for t in agent.tools],
        "client_tools": [t.name for t in agent.tools if t.function is None],
    }


def _title(name: str) -> str:
    """A name of a file as people write it: `order_desk` is `Order desk`."""
    words = name.replace("_", " ").replace("-", " ").strip() or name
    return words[:1].upper() + words[1:]
