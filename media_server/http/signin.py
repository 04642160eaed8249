"""`/v1/signin`: a key that was entered in one of the server's own pages, kept as a session cookie."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.errors import ClientError
from media_server.http.access import ACCESS, SESSION_TTL_S
from media_server.http.body import json_body
from media_server.http.openapi import operation
from media_server.http.own import cookie_name, is_encrypted, is_own_page, session_cookie

__all__ = ["routes"]

routes = web.RouteTableDef()


class _Shown(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=500)


class _SignedIn(TypedDict):
    name: str
    scopes: list[str]
    expires_in: float


@routes.post("/v1/signin")
@operation("Sign in with an API key", body=_Shown, answers={201: _SignedIn})
async def sign_in(request: web.Request) -> web.Response:
    """The cookie is `HttpOnly` and `SameSite=Strict`, and works for the server's own pages alone."""
    if not is_own_page(request):
        raise ClientError("origin_not_allowed", "Only the server's own pages can sign in.", status=403)
    access = request.app[ACCESS]
    shown = await json_body(request, _Shown)
    key = await access.key(request, "call", shown=shown.key.strip())
    if key is None:
        raise ClientError("no_keys", "This server asks for no API key.", status=409)
    session = await access.begin_session(key)
    body = {"name": key.name, "scopes": list(key.scopes), "expires_in": SESSION_TTL_S}
    response = web.json_response(body, status=201, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        cookie_name(request),
        session,
        max_age=int(SESSION_TTL_S),
        httponly=True,
        samesite="Strict",
        secure=is_encrypted(request),
    )
    return response


@routes.delete("/v1/signin")
@operation("Sign out", answers={204: None})
async def sign_out(request: web.Request) -> web.Response:
    """The session ends on the server too: a copy of its cookie opens nothing."""
    if not is_own_page(request):
        raise ClientError("origin_not_allowed", "Only the server's own pages can sign out.", status=403)
    if session := session_cookie(request):
        await request.app[ACCESS].tokens.forget(session)
    response = web.Response(status=204)
    response.del_cookie(cookie_name(request), httponly=True, samesite="Strict")
    return response
