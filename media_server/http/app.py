"""The application: its routes, and the small resources that need no module of their own."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Sequence

from aiohttp import web
from typing_extensions import TypedDict

from media_server.agents import AgentRegistry
from media_server.engines.engines import Engines
from media_server.http import (
    agents,
    calls,
    chat,
    console,
    dictation,
    documents,
    keys,
    knowledge,
    live,
    metrics,
    openapi,
    playground,
    sessions,
    signin,
    speech,
    tokens,
    transcription,
    voice,
)
from media_server.http.access import ACCESS, Access
from media_server.http.bodies import bounded_bodies, plain_bodies
from media_server.http.cors import cors, cors_headers
from media_server.http.door import DOORS, Door
from media_server.http.errors import errors_as_json
from media_server.http.fairness import in_turn
from media_server.http.files import file_response
from media_server.http.gate import gate
from media_server.http.openapi import operation
from media_server.http.speech import ENGINES
from media_server.http.uploads import Uploads
from media_server.paths import STATIC
from media_server.store import Records
from media_server.switchboard import Switchboard

__all__ = ["make_app"]

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024

routes = web.RouteTableDef()


class _Status(TypedDict):
    status: str


class _Readiness(TypedDict):
    ready: bool
    engines: dict[str, bool]


@routes.get("/healthz")
@operation("The process serves requests", answers={200: _Status})
async def healthz(_: web.Request) -> web.Response:
    """The process serves requests."""
    return web.json_response({"status": "ok"})


@routes.get("/readyz")
@operation("Whether calls can be taken", answers={200: _Readiness, 503: _Readiness})
async def readyz(request: web.Request) -> web.Response:
    """All engines are loaded, and the server is not about to stop: 200, else 503."""
    engines = request.app[ENGINES]
    state = {engine.kind: engine.ready.is_set() for engine in engines.all}
    ready = engines.ready and not request.app[sessions.SESSIONS].admission.draining
    return web.json_response({"ready": ready, "engines": state}, status=200 if ready else 503)


# listed once: nothing but these can be asked for, and no request waits for the disk to be searched
FILES = {str(path.relative_to(STATIC)): path for path in STATIC.rglob("*") if path.is_file()}
POLICY = (
    "default-src 'self'; connect-src 'self'; media-src 'self' blob: mediastream:; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def _policy(page: str) -> str:
    """The Content-Security-Policy of a page: import maps have to stand in it, and are allowed by their hash."""
    maps = re.findall(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(m.encode()).digest()).decode()}'" for m in maps]
    return " ".join([f"{POLICY}; script-src 'self'", *hashes])


POLICIES = {name: _policy(path.read_text()) for name, path in FILES.items() if name.endswith(".html")}


@routes.get("/")
async def page(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        for door in request.app[DOORS]:
            if door.at_root:
                return await door.at_root(request)
    return await file_response(request, STATIC / "index.html")


@routes.get("/admin")
async def admin(request: web.Request) -> web.StreamResponse:
    """The operator's page; what it shows it asks for with a key."""
    return await file_response(request, STATIC / "admin" / "index.html")


@routes.get("/admin/")
async def admin_with_slash(_: web.Request) -> web.Response:
    # relative, as a proxy may have put a path before it
    raise web.HTTPFound("../admin")


@routes.get("/static/examples/")
async def examples(_: web.Request) -> web.Response:
    """The page that leads to all of them."""
    raise web.HTTPFound("widget.html")


@routes.get("/favicon.ico")
async def favicon(_: web.Request) -> web.FileResponse:
    """The icon that browsers ask for by themselves, where a page names none."""
    return web.FileResponse(STATIC / "favicon.ico")


@routes.get("/static/{path:.+}")
async def static(request: web.Request) -> web.StreamResponse:
    path = FILES.get(request.match_info["path"])
    if path is None:
        raise web.HTTPNotFound
    policy = POLICIES.get(request.match_info["path"])
    return await file_response(request, path, {"Content-Security-Policy": policy} if policy else {})


async def _offline_page(_: web.BaseRequest, response: web.StreamResponse) -> None:
    """Pages may talk to this server alone, are framed by nobody, and their addresses, which hold tokens, stay here."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if re.match("text/(html|css|javascript)", response.headers.get("Content-Type", "")):
        response.headers.setdefault("Cache-Control", "no-cache")


def make_app(
    all_agents: AgentRegistry,
    engines: Engines,
    all_sessions: Switchboard,
    access: Access,
    records: Records | None,
    all_metrics: metrics.Metrics,
    doors: Sequence[Door],
    about: console.Console,
) -> web.Application:
    """The whole API over these agents, engines and sessions, for whom `access` lets in, and through these doors."""
    middlewares = [in_turn, bounded_bodies, errors_as_json, cors, gate, plain_bodies]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app[agents.AGENTS] = all_agents
    app[metrics.METRICS] = all_metrics
    app[console.CONSOLE] = about
    app[ACCESS] = access
    app[ENGINES] = engines
    app[transcription.UPLOADS] = Uploads()
    app[dictation.DICTATIONS] = dictation.Dictations()
    app[sessions.SESSIONS] = all_sessions
    app[DOORS] = doors
    app.add_routes(routes)
    app.add_routes(sessions.routes)
    app.add_routes(tokens.routes)
    app.add_routes(agents.routes)
    app.add_routes(playground.routes)
    app.add_routes(signin.routes)
    app.add_routes(chat.routes)
    app.add_routes(voice.routes)
    app.add_routes(live.routes)
    app.add_routes(speech.routes)
    app.add_routes(transcription.routes)
    app.add_routes(dictation.routes)
    app.add_routes(openapi.routes)
    app.add_routes(metrics.routes)
    app.add_routes(documents.routes)
    app.add_routes(console.routes)
    app.add_routes(keys.routes)
    app.add_routes(knowledge.routes)
    if records:
        app[calls.RECORDS] = records
        app.add_routes(calls.routes)
    for door in doors:
        if door.needs_records and not records:
            log.info("the door %s stays closed: it needs call records (records = true)", door.name)
            continue
        if door.prepare:
            door.prepare(app)
        for table in door.routes:
            app.add_routes(table)
    app.on_response_prepare.append(_offline_page)
    app.on_response_prepare.append(cors_headers)
    return app
