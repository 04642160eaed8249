"""`/openapi.json`: the API as OpenAPI 3.1, made from what stands at each handler, and from its models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import TypeAdapter

from media_server import __version__

__all__ = ["document", "operation", "routes"]

Handler = TypeVar("Handler", bound=Callable[..., Any])
Scope = Literal["", "call", "admin"]
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "details": {}},
        }
    },
}
_DOCUMENT = web.AppKey("openapi", dict[str, Any])
_NOTED = "__operation__"
routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class _Operation:
    summary: str
    scope: Scope
    query: Any
    body: Any
    takes: str
    answers: Mapping[int, Any]
    gives: str
    also: Mapping[str, Any]


def operation(
    summary: str,
    *,
    scope: Scope = "",
    query: Any = None,
    body: Any = None,
    takes: str = "application/json",
    answers: Mapping[int, Any] | None = None,
    gives: str = "application/json",
    also: Mapping[str, Any] | None = None,
) -> Callable[[Handler], Handler]:
    """Say what a handler does.

    Args:
        scope: of the key that it takes; none for what is open to all.
        query, body: models that the request is checked with.
        takes: the body's type, where it is not JSON.
        answers: types of the body by status; None for an empty body. 200 with any JSON where nothing is given.
        gives: the type of the answers.
        also: other types of them, where the request chooses, and what their bodies are.
    """

    def note(handler: Handler) -> Handler:
        noted = _Operation(summary, scope, query, body, takes, answers or {200: dict[str, Any]}, gives, also or {})
        setattr(handler, _NOTED, noted)
        return handler

    return note


def document(app: web.Application) -> dict[str, Any]:
    """OpenAPI of all routes whose handlers say what they do."""
    schemas: dict[str, Any] = {"Error": ERROR}
    paths: dict[str, Any] = {}
    for route in app.router.routes():
        noted: _Operation | None = getattr(route.handler, _NOTED, None)
        resource = route.resource
        if noted is None or resource is None or route.method == "HEAD":
            continue
        path = resource.canonical
        paths.setdefault(path, {})[route.method.lower()] = _described(noted, path, route.method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "media-server", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key or a token."}},
        },
    }


def _described(noted: _Operation, path: str, method: str, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if noted.query is not None and method == "GET":
        schema = _schema(noted.query, schemas)
        required = schema.get("required", [])
        for name, each in schema["properties"].items():
            parameters.append({"name": name, "in": "query", "required": name in required, "schema": each})
    answers = {
        str(status): _answer(kind, {noted.gives: kind, **noted.also}, schemas) for status, kind in noted.answers.items()
    }
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    described: dict[str, Any] = {
        "summary": noted.summary,
        "parameters": parameters,
        "responses": answers | {"default": {"description": "A refusal", "content": refusal}},
    }
    if noted.scope:
        described["security"] = [{"key": [noted.scope]}, {}]  # without keys there is none to show
    if noted.body is not None and method != "GET":
        content = {noted.takes: {"schema": _schema(noted.body, schemas)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(kind: Any, given: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if kind is None:
        return {"description": "Done"}
    content = {gives: {"schema": _schema(each, schemas)} for gives, each in given.items()}
    return {"description": "Done", "content": content}


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
    for name, each in schema.pop("$defs", {}).items():
        if schemas.setdefault(name, each) != each:
            raise TypeError(f"There are two models called {name}: one of them needs another name.")
    return schema


@routes.get("/openapi.json")
async def openapi(request: web.Request) -> web.Response:
    return web.json_response(document(request.app))
