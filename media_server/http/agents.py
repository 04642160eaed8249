"""`/v1/agents`: who can be called, and changing them while they are."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from typing_extensions import TypedDict

from media_server.agents import Agent, AgentRegistry
from media_server.errors import ClientError, problems
from media_server.http.access import ACCESS
from media_server.http.body import json_body
from media_server.http.openapi import operation
from media_server.jsonable import jsonable

__all__ = ["AGENTS", "routes"]

AGENTS = web.AppKey("agents", AgentRegistry)
routes = web.RouteTableDef()


class _Name(TypedDict):
    name: str


class _Names(TypedDict):
    agents: list[_Name]


class _File(TypedDict):
    file: str
    editable: bool
    text: str


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=60_000)]


class _Saved(TypedDict):
    file: str
    problems: list[str]
    """Problems of all files in the folder."""


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
        raise ClientError("bad_request", f"These settings are not valid. {said}.") from refused
    return web.json_response(_settings(changed))


@routes.get("/v1/agents/{name}/file")
@operation("The file that an agent is in", scope="admin", answers={200: _File})
async def file(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)
    path = _file(request)
    text = await asyncio.to_thread(path.read_text, "utf-8")
    return web.json_response({"file": path.name, "editable": path.suffix == ".toml", "text": text})


@routes.put("/v1/agents/{name}/file")
@operation("Write an agent's TOML file anew", scope="admin", body=_Text, answers={200: _Saved})
async def rewrite(request: web.Request) -> web.Response:
    """It is in force at once; the version before is kept beside it. Names, tenant and documents stay as they are."""
    await request.app[ACCESS].operator(request)
    path, wanted = _file(request), await json_body(request, _Text)
    if path.suffix != ".toml":
        message = f"{path.name} is a program; it is changed with an editor on the server."
        raise ClientError("not_editable", message, status=409)
    try:
        problems_now = await asyncio.to_thread(request.app[AGENTS].rewrite, path, wanted.text)
    except ValueError as refused:
        raise ClientError("bad_agent", f"The file is not valid: {refused}.") from refused
    except OSError as failed:
        message = f"{path.name} cannot be written: {failed.strerror or failed}."
        raise ClientError("not_writable", message, status=409) from failed
    return web.json_response({"file": path.name, "problems": [str(each) for each in problems_now]})


def _file(request: web.Request) -> Path:
    """The file of the agent of the address. Raises `ClientError` (404, 409) where there is none."""
    name = request.app[ACCESS].agent(None, request.match_info["name"]).name
    path = request.app[AGENTS].file_of(name)
    if path is None:
        message = f"The agent {name!r} is not in a file of the folder of agents (agents_dir)."
        raise ClientError("not_in_a_file", message, status=409)
    return path


def _settings(agent: Agent) -> dict[str, Any]:
    fields = {f.name: getattr(agent, f.name) for f in dataclasses.fields(agent) if f.name != "handlers"}
    fields["tools"] = [t.spec["function"] for t in agent.tools]
    # names alone: where on this machine files lie is nobody's business
    fields["knowledge"] = ", ".join(folder.name for folder in agent.knowledge) or None
    fields["comfort_sound"] = getattr(agent.comfort_sound, "name", agent.comfort_sound)
    shown: dict[str, Any] = jsonable({k: sorted(v) if isinstance(v, frozenset) else v for k, v in fields.items()})
    return shown
