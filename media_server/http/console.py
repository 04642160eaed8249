"""What the operator's console shows beside calls and agents: engines, settings, webhooks, the log."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from typing_extensions import TypedDict

import media_server
from media_server.config import Settings
from media_server.engines.client import EngineClient
from media_server.engines.packs import Pack
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import json_body, validated
from media_server.http.openapi import operation
from media_server.http.speech import ENGINES
from media_server.knowledge import Library
from media_server.logs import recent
from media_server.rfc3339 import stamp
from media_server.store import DeliveryState, Outbox

__all__ = ["CONSOLE", "Console", "new_console", "routes", "shown_settings"]

MEMORY_PAGE = os.sysconf("SC_PAGE_SIZE")
HIDDEN = "…"
"""What stands in place of secrets."""
routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Console:
    """What the console tells of. `outbox` is None where nothing is recorded."""

    settings: Settings
    pack: Pack
    library: Library
    outbox: Outbox | None
    began_s: float
    """When the server started, in seconds since the epoch."""


CONSOLE = web.AppKey("console", Console)


class _Engine(TypedDict):
    kind: str
    name: str
    ready: bool
    about: str
    """The model, and how it is run."""
    requests: int
    restarts: int
    memory_mb: float | None


class _Server(TypedDict):
    version: str
    name: str
    started_at: str
    pack: str
    notice: str
    device: str
    engines: list[_Engine]


class _Setting(TypedDict):
    name: str
    value: Any
    given: bool
    """Whether the operator has set it; otherwise it is the default."""


class _Settings(TypedDict):
    settings: list[_Setting]


class _Lines(TypedDict):
    lines: list[dict[str, Any]]


class _Webhook(TypedDict):
    url: str
    events: list[str]
    agents: list[str] | None


class _Message(TypedDict):
    id: str
    url: str
    call_id: str
    type: str
    state: DeliveryState
    attempts: int
    error: str | None


class _Webhooks(TypedDict):
    webhooks: list[_Webhook]
    deliveries: list[_Message]


class _Again(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Annotated[str | None, Field(max_length=64)] = None
    """A message that is dead; all of them without."""


class _Retried(TypedDict):
    retried: int


class _WhichLines(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = "debug"
    """The least."""


class _WhichMessages(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: DeliveryState | None = None


@routes.get("/v1/server")
@operation("The server, its model pack and its engines", scope="admin", answers={200: _Server})
async def server(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)
    about, engines = request.app[CONSOLE], request.app[ENGINES].all
    memory = await asyncio.to_thread(_memory, [engine.pid for engine in engines])
    shown: _Server = {
        "version": media_server.__version__,
        "name": about.settings.server_name,
        "started_at": stamp(about.began_s),
        "pack": about.settings.pack,
        "notice": about.pack.manifest.notice,
        "device": about.settings.device,
        "engines": [_engine(each, memory[i]) for i, each in enumerate(engines)],
    }
    return web.json_response(shown)


@routes.get("/v1/settings")
@operation("The settings in force, without what is secret in them", scope="admin", answers={200: _Settings})
async def settings(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)
    return web.json_response({"settings": shown_settings(request.app[CONSOLE].settings)})


@routes.get("/v1/log")
@operation("The last lines of the log", scope="admin", query=_WhichLines, answers={200: _Lines})
async def log(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)
    wanted = validated(_WhichLines, dict(request.query))
    levels = ("debug", "info", "warning", "error", "critical")
    least = levels.index(wanted.level)
    lines = [line for line in recent() if line["level"] in levels[least:]]
    return web.json_response({"lines": lines})


@routes.get("/v1/webhooks")
@operation("Webhooks, and the newest messages for them", scope="admin", query=_WhichMessages, answers={200: _Webhooks})
async def webhooks(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)
    wanted, about = validated(_WhichMessages, dict(request.query)), request.app[CONSOLE]
    sent = await about.outbox.all(wanted.state) if about.outbox else []
    messages: list[_Message] = [
        {
            "id": each.message_id,
            "url": each.url,
            "call_id": each.call_id,
            "type": each.type,
            "state": each.state,
            "attempts": each.attempts,
            "error": each.error,
        }
        for each in sent
    ]
    known: list[_Webhook] = [
        {"url": w.url, "events": sorted(w.events), "agents": None if w.agents is None else sorted(w.agents)}
        for w in about.settings.webhooks
    ]
    return web.json_response({"webhooks": known, "deliveries": messages})


@routes.post("/v1/webhooks/retry")
@operation("Send dead messages once more", scope="admin", body=_Again, answers={200: _Retried})
async def retry(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)
    wanted, outbox = await json_body(request, _Again), request.app[CONSOLE].outbox
    count = await outbox.retry(wanted.id) if outbox else 0
    if wanted.id is not None and not count:
        raise ClientError("unknown_message", "There is no dead message of this id.", status=404)
    return web.json_response({"retried": count})


def _engine(engine: EngineClient, memory_mb: float | None) -> _Engine:
    return {
        "kind": engine.kind,
        "name": engine.name,
        "ready": engine.ready.is_set(),
        "about": engine.info,
        "requests": engine.pending_requests,
        "restarts": engine.restarts,
        "memory_mb": memory_mb,
    }


def _memory(pids: list[int | None]) -> list[float | None]:
    """Resident memory of processes in MiB; None of those that do not run, or where the system does not say."""
    found: list[float | None] = []
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found.append(round(pages * MEMORY_PAGE / 2**20, 1))
        except (OSError, IndexError, ValueError):
            found.append(None)
    return found


def shown_settings(settings: Settings) -> list[_Setting]:
    """All settings but the agents, which have a page of their own; secrets are replaced by an ellipsis."""
    values = settings.model_dump(mode="json", exclude={"agents"})
    values["database"] = _without_password(settings.database)
    values["webhooks"] = [_without(hook, "secret") for hook in values["webhooks"]]
    values["ice_servers"] = [_without(each, "credential") for each in values["ice_servers"]]
    given = settings.model_fields_set
    return [{"name": name, "value": value, "given": name in given} for name, value in values.items()]


def _without(values: Mapping[str, Any], secret: str) -> dict[str, Any]:
    return {name: HIDDEN if name == secret and value else value for name, value in values.items()}


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return HIDDEN


def new_console(settings: Settings, pack: Pack, library: Library, outbox: Outbox | None) -> Console:
    """A console of a server that starts now."""
    return Console(settings, pack, library, outbox, time.time())
