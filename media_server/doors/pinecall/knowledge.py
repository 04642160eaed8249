"""Pinecall's knowledge bases: documents that its SDK and its command line upload, by the id of their base."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from aiohttp import web
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from media_server.errors import ClientError
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS
from media_server.http.body import json_body
from media_server.http.console import CONSOLE
from media_server.http.openapi import operation
from media_server.knowledge import Base, Bases, Document

__all__ = ["BASES", "CHANGING", "routes"]

LARGEST = 4 * 1024 * 1024
"""Bytes of a request: a document, as JSON."""
MAX_TEXT = 1_000_000
"""Maximum characters of a document."""
BASES = web.AppKey("bases", Bases)
CHANGING = web.AppKey("changing", asyncio.Lock)
"""Held while a base is changed: what is known of its documents is in one file."""
T = TypeVar("T")
routes = web.RouteTableDef()


class _BaseWanted(ForeignModel):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=2000)] = ""


class _DocumentWanted(ForeignModel):
    path: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    title: Annotated[str, Field(max_length=500)] = ""
    text: Annotated[str, Field(max_length=MAX_TEXT)]


class _Query(ForeignModel):
    query: Annotated[str, Field(min_length=1, max_length=1000)]
    k: Annotated[int, Field(ge=1, le=50)] = 6


class _Base(TypedDict):
    id: str
    name: str
    description: str
    docCount: int
    status: Literal["ready", "empty"]


class _Doc(TypedDict):
    id: str
    path: str
    title: str
    bytes: int
    text: NotRequired[str]


class _OneBase(TypedDict):
    knowledgeBase: _Base


class _BaseWithDocs(_OneBase):
    docs: list[_Doc]


class _AllBases(TypedDict):
    knowledgeBases: list[_Base]


class _OneDoc(TypedDict):
    doc: _Doc


class _Done(TypedDict):
    success: bool


class _Hit(TypedDict):
    score: float
    text: str
    heading: str
    doc_title: str
    doc_path: str


class _Hits(TypedDict):
    hits: list[_Hit]


@routes.get("/api/knowledge")
@operation("Pinecall: knowledge bases", scope="admin", answers={200: _AllBases})
async def bases(request: web.Request) -> web.Response:
    tenant = await _tenant(request)
    found = await _done(partial(request.app[BASES].all, tenant))
    return web.json_response({"knowledgeBases": [_about(each) for each in found]})


@routes.post("/api/knowledge")
@operation("Pinecall: a new knowledge base", scope="admin", body=_BaseWanted, answers={201: _OneBase})
async def create(request: web.Request) -> web.Response:
    tenant = await _tenant(request)
    wanted = await json_body(request, _BaseWanted)
    async with request.app[CHANGING]:
        base = await _done(partial(request.app[BASES].create, tenant, wanted.name, wanted.description))
    return web.json_response({"knowledgeBase": _about(base)}, status=201)


@routes.get("/api/knowledge/{base}")
@operation("Pinecall: a knowledge base and its documents", scope="admin", answers={200: _BaseWithDocs})
async def one(request: web.Request) -> web.Response:
    base = await _base(request)
    docs = [_document(each) for each in base.documents]
    return web.json_response({"knowledgeBase": _about(base), "docs": docs})


@routes.delete("/api/knowledge/{base}")
@operation("Pinecall: delete a knowledge base", scope="admin", answers={200: _Done})
async def delete(request: web.Request) -> web.Response:
    async with request.app[CHANGING]:
        base = await _base(request)
        await _done(partial(request.app[BASES].delete, base))
    await request.app[CONSOLE].library.forget(base.folder)
    return web.json_response({"success": True})


@routes.post("/api/knowledge/{base}/reindex")
@operation("Pinecall: index a knowledge base anew", scope="admin", answers={200: _Done})
async def reindex(request: web.Request) -> web.Response:
    base = await _base(request)
    library = request.app[CONSOLE].library
    await library.forget(base.folder)
    await library.refresh(base.folder)
    return web.json_response({"success": True})


@routes.post("/api/knowledge/{base}/docs")
@operation("Pinecall: add or replace a document", scope="admin", body=_DocumentWanted, answers={200: _OneDoc})
async def push(request: web.Request) -> web.Response:
    """A document of the same `path` is replaced."""
    tenant = await _tenant(request)  # before a large body is read
    wanted = await json_body(request.clone(client_max_size=LARGEST), _DocumentWanted)
    async with request.app[CHANGING]:
        base = await _base_of(tenant, request)
        put = partial(request.app[BASES].put, base, wanted.path, wanted.title, wanted.text)
        document = await _done(put)
    return web.json_response({"doc": _document(document)})


@routes.get("/api/knowledge/{base}/docs/{doc}")
@operation("Pinecall: a document with its text", scope="admin", answers={200: _OneDoc})
async def text(request: web.Request) -> web.Response:
    document = _found(request, await _base(request))
    read = partial(document.file.read_text, encoding="utf-8")
    return web.json_response({"doc": _document(document) | {"text": await _done(read)}})


@routes.delete("/api/knowledge/{base}/docs/{doc}")
@operation("Pinecall: delete a document", scope="admin", answers={200: _Done})
async def remove(request: web.Request) -> web.Response:
    async with request.app[CHANGING]:
        base = await _base(request)
        await _done(partial(request.app[BASES].remove, base, _found(request, base)))
    return web.json_response({"success": True})


@routes.post("/api/knowledge/{base}/query")
@operation("Pinecall: what a question finds", scope="admin", body=_Query, answers={200: _Hits})
async def query(request: web.Request) -> web.Response:
    """Passages of everything that was pushed before."""
    base = await _base(request)
    asked = await json_body(request, _Query)
    library = request.app[CONSOLE].library
    await library.refresh(base.folder)
    documents = {each.file.relative_to(base.folder).as_posix(): each for each in base.documents}
    hits = [
        _Hit(score=round(f.score, 3), text=f.text, heading=f.title, doc_title=of.title, doc_path=of.path)
        for f in await library.search((base.folder,), asked.query, asked.k)
        if (of := documents.get(f.file))
    ]
    return web.json_response({"hits": hits})


async def _tenant(request: web.Request) -> str:
    """The tenant whose bases the key reaches. Raises `ClientError` where the key is bound to agents."""
    key = await request.app[ACCESS].key(request, "admin")
    if key and key.agents is not None:
        raise ClientError("key_agent", "This API key is for some agents only; knowledge bases are for all.", status=403)
    return key.tenant if key else ""


async def _base(request: web.Request) -> Base:
    """The base of the address, where the key reaches it. Raises `ClientError` where it does not."""
    return await _base_of(await _tenant(request), request)


async def _base_of(tenant: str, request: web.Request) -> Base:
    """The tenant's base of the address. Raises `ClientError` where there is none of this id."""
    base_id = request.match_info["base"]
    base = await _done(partial(request.app[BASES].get, tenant, base_id))
    if base is None:
        raise ClientError("unknown_knowledge_base", f"There is no knowledge base {base_id!r}.", status=404)
    return base


def _found(request: web.Request, base: Base) -> Document:
    document_id = request.match_info["doc"]
    document = base.document(document_id)
    if document is None:
        message = f"The knowledge base {base.id!r} has no document {document_id!r}."
        raise ClientError("unknown_document", message, status=404)
    return document


async def _done(work: Callable[[], T]) -> T:
    """What reads or writes documents. Raises `ClientError` where it cannot be done."""
    try:
        return await asyncio.to_thread(work)
    except ValueError as refused:
        raise ClientError("bad_request", f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from refused
    except OSError as failed:
        why = failed.strerror or str(failed)
        message = f"The documents cannot be read or written: {why}."
        raise ClientError("not_writable", message, status=503) from failed


def _about(base: Base) -> _Base:
    count = len(base.documents)
    state: Literal["ready", "empty"] = "ready" if count else "empty"
    return _Base(id=base.id, name=base.name, description=base.description, docCount=count, status=state)


def _document(document: Document) -> dict[str, Any]:
    return {"id": document.id, "path": document.path, "title": document.title, "bytes": document.size}
