"""`/v1/tokens` and `/webrtc/token`: tokens with which pages and apps may call."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from typing_extensions import TypedDict

from media_server.agents import Agent, AgentRegistry, TurnPreset, agent_name, contact_of
from media_server.call.session import new_call_id
from media_server.errors import ClientError, problems
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS, TOKEN_TTL_S
from media_server.http.agents import AGENTS
from media_server.http.body import json_body, validated
from media_server.http.openapi import operation
from media_server.http.room_tokens import encode
from media_server.http.sessions import SESSIONS
from media_server.store import TokenKind, Tokens
from media_server.terms import Terms

__all__ = ["MAX_IDENTITY", "PageToken", "base_url", "check_metadata", "given_to_page", "room_token", "routes"]

MAX_METADATA = 2048
"""Bytes, as JSON."""
MAX_IDENTITY = 100
"""Characters of a caller's name for itself in a room."""

routes = web.RouteTableDef()


class _Changes(BaseModel):
    """Settings of the agent for one call."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(max_length=20_000)] | None = None
    greeting: Annotated[str, Field(max_length=4000)] | None = None
    voice: Annotated[str, Field(max_length=64)] | None = None
    voice_speed: float | None = None
    language: str | None = None
    turns: TurnPreset | None = None
    temperature: float | None = None


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agent: str
    kind: TokenKind = "webrtc"
    ttl_s: Annotated[float, Field(gt=0, le=3600)] = TOKEN_TTL_S
    metadata: dict[str, Any] = {}
    changes: _Changes = _Changes()
    """Changes of the agent for this call alone; they need the scope `admin`."""


class _WantedByPage(ForeignModel):
    agent_id: str
    metadata: dict[str, Any] = Field(default_factory=dict)


class _Token(TypedDict):
    token: str
    expires_in: float
    url: str
    ice_servers: list[dict[str, Any]]


class PageToken(TypedDict):
    token: str
    server: str
    ws_server: str
    expires_in: int
    expiresIn: int


@routes.post("/v1/tokens")
@operation("A token for one call", scope="call", body=_Wanted, answers={201: _Token})
async def mint(request: web.Request) -> web.Response:
    key = await request.app[ACCESS].key(request, "call")
    wanted = await json_body(request, _Wanted)
    agent = request.app[ACCESS].agent(key, wanted.agent)
    check_metadata(wanted.metadata)
    key_id = key.id if key else None
    changes = wanted.changes.model_dump(exclude_none=True)
    if changes:
        await request.app[ACCESS].key(request, "admin", counted=False)
        _check_changes(request.app[AGENTS], agent, changes)
    terms = Terms(metadata=wanted.metadata, changes=changes)
    tokens = request.app[ACCESS].tokens
    if wanted.kind == "livekit":
        token = await room_token(tokens, "livekit", agent.name, wanted.ttl_s, key_id, terms)
    else:
        token = await tokens.mint(wanted.kind, agent.name, wanted.ttl_s, key_id, terms)
    servers = [s.model_dump(exclude_none=True) for s in request.app[SESSIONS].ice_servers]
    body = {"token": token, "expires_in": wanted.ttl_s, "url": base_url(request), "ice_servers": servers}
    return web.json_response(body, status=201, headers={"Cache-Control": "no-store"})


async def room_token(
    tokens: Tokens, kind: Literal["livekit", "room"], agent: str, ttl_s: float, key_id: str | None, terms: Terms
) -> str:
    """A token for one call as a JSON Web Token; the room has the name of the call.

    Args:
        terms: what is sealed under it; whom their metadata name is the caller's identity in the room.
    """
    terms = terms if terms.call_id else terms.model_copy(update={"call_id": new_call_id()})
    secret = await tokens.mint(kind, agent, ttl_s, key_id, terms)
    identity = contact_of(terms.metadata)[:MAX_IDENTITY] or f"caller-{secrets.token_hex(4)}"
    return encode(secret, terms.call_id, identity, ttl_s)


@routes.get("/webrtc/token")
@routes.post("/webrtc/token")
@operation("A token for a page", scope="call", query=_WantedByPage, body=_WantedByPage, answers={200: PageToken})
async def for_page(request: web.Request) -> web.Response:
    """A token for one call, for a key or straight for a page whose origin the agent allows."""
    return await _page_token(request, "webrtc")


@routes.get("/chat/token")
@routes.post("/chat/token")
@operation("A token for a page's chat", scope="call", query=_WantedByPage, body=_WantedByPage, answers={200: PageToken})
async def for_page_chat(request: web.Request) -> web.Response:
    """The same for a conversation in writing."""
    return await _page_token(request, "chat")


async def _page_token(request: web.Request, kind: TokenKind) -> web.Response:
    wanted = await _wanted_by_page(request)
    agent, key_id = await request.app[ACCESS].page(request, agent_name(wanted.agent_id))
    check_metadata(wanted.metadata)
    # a page's own metadata is not trusted, so it is not sealed; the page can send it again with the call
    terms = Terms(metadata=wanted.metadata if key_id else {})
    token = await request.app[ACCESS].tokens.mint(kind, agent.name, TOKEN_TTL_S, key_id, terms)
    return given_to_page(request, token)


def given_to_page(request: web.Request, token: str) -> web.Response:
    """The answer to a page: a token, and where it is good.

    `server` is http always: browsers take that for a WebSocket too, but not the other way round.
    """
    base = base_url(request)
    where = {"server": base, "ws_server": base.replace("http", "ws", 1)}
    body = {"token": token, **where, "expires_in": int(TOKEN_TTL_S), "expiresIn": int(TOKEN_TTL_S)}
    return web.json_response(body, headers={"Cache-Control": "no-store"})


async def _wanted_by_page(request: web.Request) -> _WantedByPage:
    if request.method == "POST":
        return await json_body(request, _WantedByPage)
    given: dict[str, Any] = dict(request.query)
    if "metadata" in given:
        try:
            given["metadata"] = from_json(given["metadata"])
        except ValueError as e:
            raise ClientError("bad_request", "metadata: not valid JSON.") from e
    return validated(_WantedByPage, given)


def base_url(request: web.Request) -> str:
    """Where the client reached this server."""
    return f"{request.scheme}://{request.host}"


def _check_changes(book: AgentRegistry, agent: Agent, changes: dict[str, Any]) -> None:
    """Raises `ClientError` where the agent cannot be so."""
    try:
        book.check(replace(agent, **changes))
    except ValueError as refused:
        said = problems(refused) if isinstance(refused, ValidationError) else str(refused)
        raise ClientError("bad_request", f"changes: {said}.") from refused


def check_metadata(metadata: dict[str, Any]) -> None:
    """Raises `ClientError` where they are more than a token seals."""
    if len(json.dumps(metadata).encode()) > MAX_METADATA:
        raise ClientError("bad_request", f"metadata: more than {MAX_METADATA} bytes as JSON.")
