"""`/v1/sessions` and `/v1/whip`: offers in, answers out, trickle ICE, hanging up."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import TypedDict

from media_server import events as e
from media_server.agents import Agent, AgentBook, Tool, client_tool
from media_server.call import Chat, Session
from media_server.call.call import Call
from media_server.call.meter import FIRST_S, Meter
from media_server.call.session import Dialect, Line
from media_server.config import IceServer, Settings
from media_server.engines.client import Engines
from media_server.engines.silero import VoiceActivityModel
from media_server.errors import ClientError
from media_server.http.access import ACCESS, Start
from media_server.http.body import json_body, require_type, text_body
from media_server.http.calls import course
from media_server.http.door import Door
from media_server.http.metrics import Metrics
from media_server.http.openapi import operation
from media_server.http.tracing import Tracing
from media_server.knowledge import Library
from media_server.rtc import Edge, Handset, Peer, SocketLine
from media_server.store import Key, Records
from media_server.store.keys import digest

__all__ = ["SESSIONS", "Sessions", "reached", "routes"]

Variables = Mapping[str, str | int | float | bool]
Conversation = TypeVar("Conversation", Session, Chat, Session | Chat)

log = logging.getLogger(__name__)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
ACCEPTS = {"Allow": "OPTIONS, POST", "Accept-Post": SDP}
BUSY = {"Retry-After": "10"}
REMEMBERED_CALLS = 5
"""Of somebody who calls again, and …"""
MOST_REMEMBERED = 20
"""… messages of them."""
NEARLY = 0.8
"""Of the lines: when so many are in use the operator is warned."""


class Sessions:
    """All sessions of this process; `group` owns their tasks."""

    def __init__(
        self,
        settings: Settings,
        agents: AgentBook,
        engines: Engines,
        library: Library,
        records: Records | None,
        metrics: Metrics,
        tracing: Tracing | None,
        edge: Edge,
        doors: Sequence[Door],
        group: asyncio.TaskGroup,
    ) -> None:
        self.draining = False
        """No new calls: the server is about to stop."""
        self.changed = asyncio.Event()
        """Set at the end of each session."""
        self._settings = settings
        self._agents = agents
        self._engines = engines
        self._library = library
        self._records = records
        self._metrics = metrics
        self._edge = edge
        self._dialects = {door.name: door.dialect for door in doors if door.dialect}
        self._activity = VoiceActivityModel()
        self._group = group
        self._by_id: dict[str, Session | Chat] = {}
        self._keys: dict[str, str | None] = {}
        """Who pays for each."""
        self._names: dict[str, tuple[Session | Chat, str]] = {}
        """Those that their clients have a name for, and the digest of who may use it."""
        self.observers: list[Callable[[e.Envelope], None]] = []
        """Each is told all events of all calls."""
        self.observers.append(metrics.observe)
        if tracing:
            self.observers.append(tracing.observe)
        if records:
            self.observers.append(records.note)
        self._opening: list[tuple[str, str | None]] = []
        """Agents and payers of calls that are about to begin."""
        self._nearly_full = False

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ice_servers(self) -> list[IceServer]:
        return self._settings.ice_servers

    async def open(
        self,
        agent_name: str,
        offer: str,
        metadata: Mapping[str, Any],
        variables: Variables,
        start: Start,
        dialect: Dialect | None = None,
        lingers: bool = True,
    ) -> tuple[Session, str]:
        """A new session and the answer to its offer.

        Args:
            metadata: handed through to the call's events and log.
            variables: fill the agent's prompt and greeting.
            start: on whose account.
            dialect: that is spoken on the data channel; the native one where none is given.
            lingers: whether it waits for a client whose connection was lost.

        Raises:
            ClientError: unknown agent, unusable offer, engines not ready, or too many calls.
        """
        session = self._session(agent_name, "webrtc", metadata, variables, start, dialect, (), lingers)
        peer = self._peer(session)
        async with self._beginning(session, peer, start):
            answer = await peer.accept(offer)
        return session, answer

    async def continue_with_offer(self, session_id: str, offer: str, received: int | None) -> tuple[Session, str]:
        """A call that goes on over another connection, and the answer to its offer.

        Args:
            received: how many messages the client has had.

        Raises:
            ClientError: no such session, or an unusable offer.
        """
        session = self.get(session_id)
        peer = self._peer(session)
        try:
            answer = await peer.accept(offer)
            self.get(session_id)  # it may have ended meanwhile
        except BaseException:
            await peer.close()
            raise
        session.take(peer, received)
        return session, answer

    def _peer(self, session: Session) -> Peer:
        return Peer(self._edge, session.handset)

    async def open_socket(
        self,
        agent_name: str,
        line: Callable[[Handset], SocketLine],
        metadata: Mapping[str, Any],
        variables: Variables,
        start: Start,
        dialect: Dialect | None = None,
        tools: Sequence[Tool] = (),
        lingers: bool = True,
    ) -> tuple[Session, SocketLine]:
        """A new session over a WebSocket.

        Args:
            dialect: that is spoken on it; the native one where none is given.
            tools: of the client, beside the agent's.

        Raises:
            ClientError: unknown agent, engines not ready, or too many calls.
        """
        session = self._session(agent_name, "websocket", metadata, variables, start, dialect, tools, lingers)
        made = line(session.handset)
        async with self._beginning(session, made, start):
            pass
        return session, made

    def _session(
        self,
        agent_name: str,
        transport: e.Transport,
        metadata: Mapping[str, Any],
        variables: Variables,
        start: Start,
        dialect: Dialect | None,
        tools: Sequence[Tool],
        lingers: bool,
    ) -> Session:
        """What a token settles of the call wins over what the client says of it."""
        agent = self._agent(agent_name, start)
        settled = start.sealed
        if "dialect" in settled:
            dialect = self._dialects[settled["dialect"]](**settled.get("dialect_options", {}))
        tools = [*tools, *(client_tool(**each) for each in settled.get("tools", ()))]
        changes = dict(settled.get("changes", {}))
        variables = {**variables, **settled.get("variables", {})}
        _check_greeting(agent, changes, variables)
        session = Session(
            agent,
            self._agents.get,
            self._engines,
            self._library,
            self._activity,
            transport=transport,
            linger_s=self._settings.reconnect_s if lingers else 0.0,
            metadata={**metadata, **start.metadata},
            variables=variables,
            connect_timeout_s=self._settings.connect_timeout_s,
            idle_timeout_s=self._settings.idle_timeout_s,
            record=self._note,
            recording=self._settings.recordings_dir if self._records else None,
            dialect=dialect,
            call_id=settled.get("call_id"),
            limits=self._limits(agent, start),
        )
        session.call.client_metadata = metadata
        if tools:
            changes["tools"] = _with(agent.tools, tools)
        if changes:
            session.call.update(**changes)
        return session

    def _limits(self, agent: Agent, start: Start) -> e.Limits:
        key = start.key
        if key and key.max_calls is not None:
            under_way = list(self._keys.values()).count(key.id)
            return e.Limits(agent.max_duration_s, under_way + 1, key.max_calls)
        return e.Limits(agent.max_duration_s, len(self) + 1, self._settings.max_calls)

    @contextlib.asynccontextmanager
    async def _beginning(self, session: Session, line: Line, start: Start) -> AsyncIterator[None]:
        """What the line needs to begin is done inside; then the call is recorded, and runs. Else the line is closed."""
        with self._taking(session.agent, start):
            try:
                await session.call.ring()
                yield
                session.meter = await self._begin_record(session.call, start)
            except BaseException:
                await line.close()
                raise
        session.take(line)
        self._begin(session, start)

    async def open_chat(self, agent_name: str, start: Start, linger_s: float | None = None) -> Chat:
        """A new conversation in writing.

        Args:
            linger_s: how long it waits for a client to come back, where that is not the server's setting.

        Raises:
            ClientError: unknown agent, engines not ready, or too many calls.
        """
        agent = self._agent(agent_name, start)
        changes, variables = start.sealed.get("changes", {}), start.sealed.get("variables", {})
        _check_greeting(agent, changes, variables)
        chat = Chat(
            agent,
            self._agents.get,
            self._engines,
            self._library,
            metadata=start.metadata,
            variables=variables,
            linger_s=self._settings.chat_linger_s if linger_s is None else linger_s,
            record=self._note,
        )
        if changes:
            chat.call.update(**changes)
        with self._taking(agent, start):
            await chat.call.ring()
            chat.meter = await self._begin_record(chat.call, start)
        self._begin(chat, start)
        return chat

    def knows(self, name: str) -> bool:
        """Whether there is such an agent."""
        return self._agents.get(name) is not None

    def _agent(self, name: str, start: Start) -> Agent:
        """Whom somebody wants to talk to.

        Raises:
            ClientError: unknown, engines not ready, or too many calls.
        """
        agent = self._agents.get(name)
        if agent is None:
            raise ClientError("unknown_agent", f"There is no agent called {name!r}.", status=404)
        self.check_room()
        opening = [agent for agent, _ in self._opening]
        taken = [each.call.agent.name for each in self._by_id.values()] + opening
        if agent.max_calls is not None and taken.count(name) >= agent.max_calls:
            raise _busy()
        key = start.key
        paid = [*self._keys.values(), *(key_id for _, key_id in self._opening)]
        if key and key.max_calls is not None and paid.count(key.id) >= key.max_calls:
            message = "This API key has as many calls under way as it may have."
            raise ClientError("too_many_calls_of_key", message, status=429, headers=BUSY)
        return agent

    @contextlib.contextmanager
    def _taking(self, agent: Agent, start: Start) -> Iterator[None]:
        """A line is taken while a call is about to begin."""
        entry = (agent.name, start.key_id)
        self._opening.append(entry)
        try:
            yield
        finally:
            self._opening.remove(entry)

    def _begin(self, session: Session | Chat, start: Start) -> None:
        self._by_id[session.id] = session
        self._keys[session.id] = start.key_id
        nearly_full = len(self._by_id) >= NEARLY * self._settings.max_calls
        if nearly_full and not self._nearly_full:
            log.warning("%d of max_calls = %d lines are in use", len(self._by_id), self._settings.max_calls)
        self._nearly_full = nearly_full
        self._metrics.calls = len(self._by_id)
        self._group.create_task(self._run(session), name=f"session-{session.call_id}")

    def _note(self, envelope: e.Envelope) -> None:
        for observe in self.observers:
            try:
                observe(envelope)
            except Exception:  # one observer's defect must end neither the call nor what the others are told
                log.exception("call %s: an observer failed at %s", envelope.call_id, envelope.event.type)

    async def _begin_record(self, call: Call, start: Start) -> Meter | None:
        """Record that a call begins, have it paid for, and recall what its caller said before.

        Raises:
            ClientError: 503 `no_records` where it cannot be recorded; 402 `no_credit`.
        """
        records = self._records
        if records is None:
            return None
        agent, contact = call.agent, start.contact
        try:
            if contact and agent.remember:
                call.history.remember(await self._said_before(agent, contact), MOST_REMEMBERED)
            price = agent.price_per_minute
            paid_s = await records.start(
                call.id, agent.name, call.metadata, agent.tenant, start.key_id, price, contact, FIRST_S
            )
        except SQLAlchemyError as failed:
            log.exception("call %s could not be recorded", call.id)
            raise ClientError("no_records", "The database cannot be written.", status=503) from failed
        return None if math.isinf(paid_s) else Meter(paid_s, lambda seconds: records.buy(call.id, seconds))

    async def _said_before(self, agent: Agent, contact: str) -> list[tuple[Literal["user", "assistant"], str]]:
        assert self._records
        calls = await self._records.of_contact(contact, agent.name, agent.tenant, REMEMBERED_CALLS)
        return [(m["role"], m["text"]) for c in calls for m in (await course(self._records, c.id))["transcript"]]

    def check_room(self) -> None:
        """Raises `ClientError` (503) as long as no call can be taken."""
        if self.draining:
            raise ClientError("draining", "The server is about to stop.", status=503, headers={"Retry-After": "30"})
        if not self._engines.ready:
            raise ClientError(
                "not_ready", "The models are still being loaded.", status=503, headers={"Retry-After": "2"}
            )
        if len(self._by_id) + len(self._opening) >= self._settings.max_calls:
            raise _busy()

    async def _run(self, session: Session | Chat) -> None:
        try:
            await session.run()
        except Exception:  # one call's defect must not end the others
            log.exception("call %s failed", session.call_id)
        finally:
            del self._by_id[session.id], self._keys[session.id]
            self._names = {name: entry for name, entry in self._names.items() if entry[0] is not session}
            self._metrics.calls = len(self._by_id)
            self._metrics.ended(session)
            self.changed.set()

    def hang_up_all(self) -> None:
        """The server is going down."""
        for session in self._by_id.values():
            session.hang_up("server_shutdown")

    def get(self, session_id: str) -> Session:
        """Raises `ClientError` where there is none that is spoken."""
        session = self._by_id.get(session_id)
        if not isinstance(session, Session) or session.over:
            raise ClientError("unknown_session", "There is no such session; it may be over.", status=404)
        return session

    def peer(self, session_id: str) -> Peer:
        """The connection of one over WebRTC. Raises `ClientError` where there is none."""
        line = self.get(session_id).line
        if not isinstance(line, Peer) or line.gone.is_set():
            message = "The session has no WebRTC connection now; continue it with a new offer."
            raise ClientError("no_peer", message, status=409)
        return line

    def name(self, session: Session | Chat, name: str, secret: str) -> None:
        """Let whoever shows the same secret go on with the session by a name that the client has chosen."""
        self._names[name] = session, digest(secret)

    def named(self, name: str) -> Session | Chat | None:
        """The session of this name, if it is under way."""
        session, _ = self._names.get(name, (None, ""))
        return None if session is None or session.over else session

    def has_named(self, beginning: str) -> bool:
        """Whether a session is under way one of whose names begins so."""
        return any(name.startswith(beginning) for name in self._names)

    def is_owner(self, name: str, secret: str) -> bool:
        """Whether it is the secret with which the session of this name began."""
        _, owner = self._names.get(name, (None, ""))
        return hmac.compare_digest(owner, digest(secret))

    def has_voice(self, name: str) -> bool:
        """Whether the model pack has a voice of this name."""
        return name in self._engines.voices

    def conversations(self) -> list[Session | Chat]:
        """All that are under way."""
        return [each for each in self._by_id.values() if not each.over]

    def under_way(self, call_id: str) -> Session | Chat:
        """The conversation, spoken or written. Raises `ClientError` where there is none."""
        for found in self._by_id.values():
            if found.call_id == call_id and not found.over:
                return found
        raise _no_such_call()

    def of_call(self, call_id: str) -> Session:
        """That conducts this call, if it is spoken. Raises `ClientError` where there is none."""
        found = self.under_way(call_id)
        if isinstance(found, Session):
            return found
        raise _no_such_call()  # without sound; to whom it is not, it does not exist either

    def chat(self, session_id: str) -> Chat:
        """Raises `ClientError` where there is none."""
        chat = self._by_id.get(session_id)
        if not isinstance(chat, Chat) or chat.over:
            raise ClientError("unknown_session", "There is no such conversation; it may be over.", status=404)
        return chat


def reached(key: Key | None, found: Conversation) -> Conversation:
    """A conversation, as far as the key reaches. Raises `ClientError` (404) as if there were none."""
    agent = found.call.agent
    if key is not None and (agent.tenant != key.tenant or not key.allows_agent(agent.name)):
        raise _no_such_call()
    return found


def _no_such_call() -> ClientError:
    return ClientError("unknown_session", "There is no such call; it may be over.", status=404)


def _check_greeting(agent: Agent, changes: Mapping[str, Any], variables: Variables) -> None:
    """Raises `ClientError` where variables of the caller make more of the greeting than may be said."""
    greeted = replace(agent, greeting=changes.get("greeting", agent.greeting))
    if (length := len(greeted.greeting_with(variables))) > greeted.most_said:
        message = f"variables: with them the greeting has {length} characters; {greeted.most_said} at most."
        raise ClientError("bad_request", message)


def _with(own: Sequence[Tool], tools: Sequence[Tool]) -> list[Tool]:
    """Those of the client do not take the place of the agent's own."""
    names = {t.name for t in own}
    return [*own, *(t for t in tools if t.name not in names)]


def _busy() -> ClientError:
    return ClientError("too_many_calls", "All lines are busy; try again later.", status=503, headers=BUSY)


class _Offer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agent: str | None = None
    """May be left out with a token, which says it."""
    sdp: str = Field(min_length=1)
    type: Literal["offer"]
    metadata: dict[str, Any] = {}
    variables: dict[str, str | int | float | bool] = {}
    continues: str | None = None
    """A session whose connection was lost: the call goes on over this one."""
    received: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    """How many messages of that session's channel have come; what followed is sent again."""


class _Answer(TypedDict):
    session_id: str
    call_id: str
    type: Literal["answer"]
    sdp: str


routes = web.RouteTableDef()
SESSIONS = web.AppKey("sessions", Sessions)


def _created(session: Session, sessions: str) -> dict[str, str]:
    """Headers of an answer; `sessions` is relative to the request, as a proxy may have put a path before both."""
    etag = {"ETag": session.line.etag} if isinstance(session.line, Peer) else {}
    return {"Location": f"{sessions}/{session.id}", **etag}


@routes.post("/v1/sessions")
@operation("Start a call", scope="call", body=_Offer, answers={201: _Answer})
async def create(request: web.Request) -> web.Response:
    offer = await json_body(request, _Offer)
    sessions = request.app[SESSIONS]
    if offer.continues is not None:
        session, answer = await sessions.continue_with_offer(offer.continues, offer.sdp, offer.received)
    else:
        sessions.check_room()  # before a token is used up for nothing
        agent, start = await request.app[ACCESS].start(request, offer.agent, "webrtc")
        session, answer = await sessions.open(agent, offer.sdp, offer.metadata, offer.variables, start)
    body = {"session_id": session.id, "call_id": session.call_id, "type": "answer", "sdp": answer}
    return web.json_response(body, status=201, headers=_created(session, "sessions"))


@routes.post("/v1/whip/{agent}")
@operation("Start a call as WHIP", scope="call", body=str, takes=SDP, answers={201: str}, gives=SDP)
async def whip(request: web.Request) -> web.Response:
    """RFC 9725."""
    require_type(request, SDP)
    sessions, agent, offer = request.app[SESSIONS], request.match_info["agent"], await text_body(request)
    sessions.check_room()
    start = await request.app[ACCESS].start_call(request, agent, "webrtc")
    session, answer = await sessions.open(agent, offer, {}, {}, start)
    response = web.Response(text=answer, status=201, content_type=SDP, headers=_created(session, "../sessions"))
    for server in sessions.ice_servers:
        for url in [server.urls] if isinstance(server.urls, str) else server.urls:
            link = f'<{url}>; rel="ice-server"'
            if server.username:
                link += f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
            response.headers.add("Link", link)
    return response


@routes.options("/v1/whip/{agent}")
@routes.options("/v1/sessions/{id}")
async def options(request: web.Request) -> web.Response:
    """What may be asked for here (RFC 9725 section 4.2); pages of other origins are answered by `cors`."""
    headers = {"Allow": "OPTIONS, DELETE, PATCH"} if "id" in request.match_info else ACCEPTS
    return web.Response(status=204, headers=headers)


@routes.patch("/v1/sessions/{id}")
@operation("Trickle ICE", body=str, takes=FRAGMENT, answers={204: None, 200: str}, gives=FRAGMENT)
async def patch(request: web.Request) -> web.Response:
    """Trickle ICE: 204. ICE restart: 200 with our new credentials and candidates (RFC 9725 section 4.3)."""
    peer = request.app[SESSIONS].peer(request.match_info["id"])
    require_type(request, FRAGMENT)
    wanted = [each.strip() for each in request.headers.get("If-Match", "").split(",") if each.strip()]
    if not wanted:
        message = 'Name the ICE session: If-Match with the ETag of the answer, or "*" for a restart.'
        raise ClientError("no_ice_session", message, status=428)
    if "*" not in wanted and peer.etag not in wanted:
        raise ClientError("stale_ice_session", "If-Match names an ICE session that was replaced.", status=412)
    ours = await peer.trickle(await text_body(request), "*" in wanted)
    if ours is None:
        return web.Response(status=204)
    return web.Response(text=ours, content_type=FRAGMENT, headers={"ETag": peer.etag})


@routes.delete("/v1/sessions/{id}")
@operation("Hang up", answers={204: None})
async def delete(request: web.Request) -> web.Response:
    request.app[SESSIONS].get(request.match_info["id"]).hang_up("client_hangup")
    return web.Response(status=204)
