"""`/v1/keys`: API keys, for the operator."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.agents.origins import check_pattern
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import json_body
from media_server.http.openapi import operation
from media_server.rfc3339 import stamp
from media_server.store import MAX_LIMIT, MAX_TENANT, TENANT, Key, Scope

__all__ = ["routes"]

routes = web.RouteTableDef()


class _New(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=2)] = ["call"]
    agents: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]] | None, Field(max_length=1000)] = None
    origins: Annotated[list[Annotated[str, AfterValidator(check_pattern)]] | None, Field(max_length=1000)] = None
    """Origins of pages that may use it; without any, programs alone may."""
    per_minute: Annotated[int | None, Field(ge=1, le=MAX_LIMIT)] = None
    max_calls: Annotated[int | None, Field(ge=1, le=MAX_LIMIT)] = None
    credit: Annotated[float | None, Field(ge=0, le=MAX_LIMIT)] = None
    tenant: Annotated[str, Field(max_length=MAX_TENANT, pattern=TENANT)] = ""


class _Credit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    add: Annotated[float, Field(gt=0, le=MAX_LIMIT)]


class _Shown(TypedDict):
    id: str
    name: str
    tenant: str
    scopes: list[str]
    agents: list[str] | None
    origins: list[str] | None
    per_minute: int | None
    max_calls: int | None
    credit: float | None
    created_at: str
    revoked_at: str | None


class _Created(_Shown):
    secret: str
    """The only time that it is shown."""


class _Keys(TypedDict):
    keys: list[_Shown]


@routes.get("/v1/keys")
@operation("API keys, without their secrets", scope="admin", answers={200: _Keys})
async def keys(request: web.Request) -> web.Response:
    access = request.app[ACCESS]
    await access.operator(request)
    return web.json_response({"keys": [_shown(key) for key in await access.keys.all()]})


@routes.post("/v1/keys")
@operation("Make an API key", scope="admin", body=_New, answers={201: _Created})
async def create(request: web.Request) -> web.Response:
    """The first key closes a server that was open: from then on everybody has to show one."""
    access = request.app[ACCESS]
    await access.operator(request)
    new = await json_body(request, _New)
    if not await access.keys.any() and "admin" not in new.scopes:
        message = "The first key has to have the scope 'admin': with another one nobody could make more."
        raise ClientError("first_key", message, status=409)
    for name in new.agents or []:
        access.agent(None, name)
    made: dict[str, Any] = new.model_dump()
    secret, key = await access.keys.create(made.pop("name"), **made)
    return web.json_response(_shown(key) | {"secret": secret}, status=201)


@routes.post("/v1/keys/{id}/credit")
@operation("Add to what calls with a key may cost", scope="admin", body=_Credit, answers={200: _Shown})
async def add_credit(request: web.Request) -> web.Response:
    access = request.app[ACCESS]
    await access.operator(request)
    wanted = await json_body(request, _Credit)
    await access.keys.add_credit((await _named(request)).id, wanted.add)
    return web.json_response(_shown(await _named(request)))


@routes.delete("/v1/keys/{id}")
@operation("Revoke an API key", scope="admin", answers={204: None})
async def revoke(request: web.Request) -> web.Response:
    """It opens nothing any more, nor do tokens that it minted; the server stays closed."""
    access = request.app[ACCESS]
    mine = await access.operator(request)
    key = await _named(request)
    if mine is not None and mine.id == key.id:
        raise ClientError("own_key", "This is the key that you show; revoke it with another one.", status=409)
    await access.keys.revoke(key.id)
    return web.Response(status=204)


async def _named(request: web.Request) -> Key:
    key = await request.app[ACCESS].keys.get(request.match_info["id"])
    if key is None:
        raise ClientError("unknown_key", "There is no such API key.", status=404)
    return key


def _shown(key: Key) -> _Shown:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "agents": None if key.agents is None else list(key.agents),
        "origins": None if key.origins is None else list(key.origins),
        "per_minute": key.per_minute,
        "max_calls": key.max_calls,
        "credit": key.credit,
        "created_at": stamp(key.created_at),
        "revoked_at": None if key.revoked_at is None else stamp(key.revoked_at),
    }
