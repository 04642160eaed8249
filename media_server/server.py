"""Puts the parts together: engines, sessions, HTTP; starts them in order and stops them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles
from aiohttp import web
from aiortc import RTCIceServer
from sqlalchemy.exc import SQLAlchemyError

from media_server.agents import DEFAULT_AGENT, HOME_AGENT, AgentRegistry, Problem
from media_server.call.comfort import check_sound
from media_server.call.services import Services
from media_server.call.session import Dialect
from media_server.config import Settings, Webhook, is_loopback
from media_server.doors import load_doors
from media_server.engines.engines import Engines
from media_server.engines.packs import check_files, load_pack
from media_server.engines.silero import VoiceActivityModel
from media_server.errors import ConfigurationError
from media_server.http import make_app
from media_server.http.access import Access
from media_server.http.connections import Limits, serving
from media_server.http.console import new_console
from media_server.http.metrics import Metrics
from media_server.http.tracing import Tracing
from media_server.knowledge import Library
from media_server.pulse import Pulse
from media_server.rtc import Edge, Ports
from media_server.rtc.servers import check_ice_servers
from media_server.store import Database, Outbox, Records, Subscription, missing_file, not_written
from media_server.switchboard import Switchboard
from media_server.tasks import cause_of
from media_server.tls import check_tls, fingerprint, server_context
from media_server.webhooks import Deliverer

__all__ = ["Server", "running_server"]

log = logging.getLogger(__name__)

RELOAD_STEP_MS = 50
"""Changes that come within it are one: editors write files in several steps."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is running."""

    url: str
    engines: Engines
    sessions: Switchboard
    agents: AgentRegistry
    pulse: Pulse = field(default_factory=Pulse)
    notice: str = ""
    """What its models are good for, where their pack says so."""
    problems: Sequence[Problem] = ()
    """The files of agents that were not in use when it started."""

    async def ready(self, timeout_s: float) -> None:
        """Wait until all engines are loaded.

        Raises:
            TimeoutError: they were not in time.
        """
        async with asyncio.timeout(timeout_s):
            for engine in self.engines.all:
                await engine.ready.wait()

    async def drain(self, timeout_s: float) -> None:
        """Take no new calls, and wait until those under way have ended, or for so long."""
        self.sessions.admission.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while len(self.sessions):
                    self.sessions.changed.clear()
                    await self.sessions.changed.wait()


class _Embedder:
    """The pack's model of embeddings, as the library asks it."""

    def __init__(self, engines: Engines) -> None:
        self.name = engines.embedding_name
        self.related_at = engines.related_at
        self.embed = engines.embed


@contextlib.asynccontextmanager
async def running_server(settings: Settings) -> AsyncIterator[Server]:
    """A server while the block runs; at its end calls are hung up and the engines' processes are gone.

    Raises:
        ConfigurationError: a setting cannot be, the model pack is incomplete, or a model does not load.
        OSError: the address is taken.
    """
    pack = load_pack(settings.pack, settings.models_dir)
    check_files(pack)
    _check(settings)
    doors = load_doors()
    # a server that has agents of its own shows none that only demonstrate
    shown = settings.agents if settings.agents or settings.agents_dir else [HOME_AGENT]
    agents = AgentRegistry([DEFAULT_AGENT, *shown], pack.manifest.voices, check_sound)
    problems = await _load_agents(agents, settings.agents_dir) if settings.agents_dir else ()
    pulse = Pulse()
    engines = Engines(pack, settings)
    library = Library(settings.knowledge_dir, _Embedder(engines) if engines.embedding else None)
    try:
        async with Database.open(settings.database) as database, asyncio.TaskGroup() as owner:
            access = Access(database, agents, settings.own_names, doors)
            if settings.open:
                await access.reopen()
            settings.check_exposure(await access.closed())
            running = [
                owner.create_task(engines.run(), name="engines"),
                owner.create_task(library.run(), name="knowledge"),
                owner.create_task(pulse.run(), name="pulse"),
            ]
            _follow_documents(agents, library)
            records, outbox = None, None
            if settings.records:
                outbox = Outbox(database, settings.server_name, [_subscription(w) for w in settings.webhooks])
                deliverer = Deliverer(outbox, {w.url: w.secret for w in settings.webhooks})
                records = Records(
                    database,
                    settings.server_name,
                    settings.records_days,
                    settings.recordings_dir,
                    outbox,
                    on_written=deliverer.wake,
                )
                await _close_lost(records)
                running.append(owner.create_task(records.run(), name="records"))
                running.append(owner.create_task(deliverer.run(), name="webhooks"))
            if settings.agents_dir and settings.reload:
                running.append(owner.create_task(_reload_agents(agents, settings.agents_dir, library), name="reload"))
            about = new_console(settings, pack, library, outbox)
            try:
                metrics = Metrics(engines, settings.max_calls, pulse)
                services = Services(agents.get, engines, library, VoiceActivityModel())
                dialects = {door.name: door.dialect for door in doors if door.dialect}

                def app_of(sessions: Switchboard, tracing: Tracing | None) -> web.Application:
                    metrics.calls = lambda: len(sessions)
                    sessions.observers += [metrics.observe, *([tracing.observe] if tracing else [])]
                    sessions.on_ended.append(metrics.ended)
                    return make_app(agents, engines, sessions, access, records, metrics, doors, about)

                async with (
                    _tracing(settings) as tracing,
                    _edge(settings) as edge,
                    _calls(settings, services, records, edge, dialects) as sessions,
                    _http(settings, app_of(sessions, tracing), metrics) as url,
                ):
                    yield Server(url, engines, sessions, agents, pulse, pack.manifest.notice, problems)
            finally:
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as group:
        # one cause is what the operator needs to read
        raise cause_of(group, BaseException) or group from None


def _check(settings: Settings) -> None:
    """Refuse what cannot be, before a file is made or a model is loaded."""
    check_ice_servers(settings.ice_servers)
    check_tls(settings.tls)
    if settings.webhooks and not settings.records:
        raise ConfigurationError("Webhooks tell what is in the records: they need records = true.")
    if missing_file(settings.database):
        settings.check_exposure(has_keys=False)


async def _close_lost(records: Records) -> None:
    try:
        await records.close_orphaned_calls()
    except SQLAlchemyError as failed:
        raise not_written(failed) from failed


def _subscription(webhook: Webhook) -> Subscription:
    return Subscription(webhook.url, webhook.events, webhook.agents, webhook.tenant)


async def _load_agents(agents: AgentRegistry, folder: Path) -> Sequence[Problem]:
    # it runs the operator's own code, which may read files
    problems = await asyncio.to_thread(agents.load, folder)
    for problem in problems:
        log.error("%s", problem)
    log.info("agents: %s", ", ".join(agents.names))
    return problems


def _follow_documents(agents: AgentRegistry, library: Library) -> None:
    for agent in agents.agents:
        for folder in agent.folders:
            library.follow(folder)


async def _reload_agents(agents: AgentRegistry, folder: Path, library: Library) -> None:
    """Read the folder again whenever something in it changes, for ever."""
    async for _ in watchfiles.awatch(folder, step=RELOAD_STEP_MS):
        try:
            await _load_agents(agents, folder)
            _follow_documents(agents, library)
        except ConfigurationError as gone:
            log.error("%s", gone.message)


@contextlib.asynccontextmanager
async def _calls(
    settings: Settings,
    services: Services,
    records: Records | None,
    edge: Edge,
    dialects: Mapping[str, Callable[..., Dialect]],
) -> AsyncIterator[Switchboard]:
    async with asyncio.TaskGroup() as group:
        switchboard = Switchboard(settings, services, records, edge, dialects, group)
        try:
            yield switchboard
        finally:
            switchboard.hang_up_all()


@contextlib.asynccontextmanager
async def _edge(settings: Settings) -> AsyncIterator[Edge]:
    ports = Ports(settings.udp_port, settings.tcp_port, (settings.port + 1) % 65536 if settings.port else 0)
    public = [str(address) for address in settings.public_addresses]
    servers = [RTCIceServer(**server.model_dump(exclude_none=True)) for server in settings.ice_servers]
    async with contextlib.AsyncExitStack() as stack:
        try:
            edge = await stack.enter_async_context(Edge.open(ports, public, servers, is_loopback(settings.host)))
        except OSError as failed:
            numbers = f"udp_port = {settings.udp_port}, tcp_port = {settings.tcp_port}"
            reason = failed.strerror or str(failed)
            raise ConfigurationError(f"A port for calls cannot be opened ({numbers}): {reason}.") from failed
        if not servers:
            log.info("calls come over UDP port %d and TCP port %d", edge.udp_port, edge.tcp_port)
        yield edge


@contextlib.asynccontextmanager
async def _tracing(settings: Settings) -> AsyncIterator[Tracing | None]:
    if not settings.traces:
        yield None
        return
    async with Tracing.open(settings.traces, settings.server_name) as tracing:
        yield tracing


@contextlib.asynccontextmanager
async def _http(settings: Settings, app: web.Application, metrics: Metrics) -> AsyncIterator[str]:
    context = None
    if settings.tls:
        context, certificate = await asyncio.to_thread(server_context, settings.tls, settings.tls_dir)
        log.info("TLS with %s, SHA-256 %s", certificate, await asyncio.to_thread(fingerprint, certificate))
    limits = Limits(settings.max_calls, settings.max_connections_per_address)
    async with serving(app, settings.host, settings.port, context, limits) as (connections, port):
        metrics.connections = lambda: len(connections)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield f"{'https' if context else 'http'}://{host}:{port}"
