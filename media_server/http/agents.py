"""`/v1/agents`: who can be called, and changing them while they are."""

from __future__ import annotations

import dataclasses
from typing import Any

from aiohttp import web
from pydantic import RootModel, ValidationError
from typing_extensions import TypedDict

from media_server.agents import Agent, AgentBook
from media_server.errors import ClientError, problems
from media_server.http.access import ACCESS
from media_server.http.body import json_body
from media_server.http.openapi import operation
from media_server.jsonable import jsonable

__all__ = ["AGENTS", "routes"]

AGENTS = web.AppKey("agents", AgentBook)
routes = web.RouteTableDef()


class _Name(TypedDict):
    name: str


class _Names(TypedDict):
    agents: list[_Name]


class _Changes(RootModel[dict[str, Any]]):
    pass


@routes.get("/v1/agents")
@operation("The agents that can be called", scope="call", answers={200: _Names})
async def names(request: web.Request) -> web.Response:
    key = await request.app[ACCESS].key(request, "call")
    return web.json_response({"agents": [{"name": name} for name in request.app[ACCESS].agents(key)]})


@routes.get("/v1/agents/{name}")
@operation("An agent's settings", scope="admin")
async def one(request: web.Request) -> web.Response:
    key = await request.app[ACCESS].key(request, "admin")
    return web.json_response(_settings(request.app[ACCESS].agent(key, request.match_info["name"])))


@routes.patch("/v1/agents/{name}")
@operation("Change an agent, from the next turn of its calls on", scope="admin", body=_Changes)
async def change(request: web.Request) -> web.Response:
    """Calls under way go on with the new version from their next turn on."""
    key = await request.app[ACCESS].key(request, "admin")
    agent = request.app[ACCESS].agent(key, request.match_info["name"])
    changes = await json_body(request, _Changes)
    try:
        changed = request.app[AGENTS].change(agent.name, changes.root)
    except ValueError as refused:
        said = problems(refused) if isinstance(refused, ValidationError) else str(refused)
        raise ClientError("bad_request", f"The agent cannot be so. {said}.") from refused
    return web.json_response(_settings(changed))


def _settings(agent: Agent) -> dict[str, Any]:
    fields = {f.name: getattr(agent, f.name) for f in dataclasses.fields(agent) if f.name != "handlers"}
    fields["tools"] = [t.spec["function"] for t in agent.tools]
    # the folder's name: where on this machine it lies is nobody's business
    fields["knowledge"] = agent.knowledge.name if agent.knowledge else None
    shown: dict[str, Any] = jsonable({k: sorted(v) if isinstance(v, frozenset) else v for k, v in fields.items()})
    return shown
