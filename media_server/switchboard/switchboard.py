"""All calls of this process: opening them on their terms, finding them, and telling those who observe them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from media_server import events as e
from media_server.agents import Agent, Tool
from media_server.call import Chat, RunningCall, Session
from media_server.call.call import Call
from media_server.call.meter import FIRST_S, Meter
from media_server.call.services import Services
from media_server.call.session import NATIVE, Connection, Dialect, Line
from media_server.config import IceServer, Settings
from media_server.errors import ClientError
from media_server.rtc import Edge, Handset, Peer
from media_server.store import Key, Records
from media_server.store.course import course
from media_server.store.keys import digest
from media_server.switchboard.admission import Admission
from media_server.switchboard.start import CallGrant
from media_server.tasks import Turnstile
from media_server.terms import Terms, Variables

__all__ = ["Switchboard", "reached"]

AnyLine = TypeVar("AnyLine", bound=Line)
Found = TypeVar("Found", bound=RunningCall)

log = logging.getLogger(__name__)

REMEMBERED_CALLS = 5
"""Maximum earlier calls of a returning contact that are remembered."""
MAX_REMEMBERED = 20
"""Maximum messages that are taken from them."""


class Switchboard:
    """All calls of this process.

    Args:
        records: where calls are recorded; None where they are not.
        dialects: what makes the dialect that a call's terms name.
        group: owns the calls' tasks.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        records: Records | None,
        edge: Edge,
        dialects: Mapping[str, Callable[..., Dialect]],
        group: asyncio.TaskGroup,
    ) -> None:
        self.changed = asyncio.Event()
        """Set at the end of each call."""
        self.route: Callable[[str, str], str] = lambda agent, contact: agent
        """Which agent takes the call of a contact to an agent."""
        self.observers: list[Callable[[e.Envelope], None]] = [records.note] if records else []
        """Each is told all events of all calls."""
        self.on_ended: list[Callable[[RunningCall], None]] = []
        """Each is told of each call that is over."""
        self.admission = Admission(services.engines, settings.max_calls)
        self.turnstile = Turnstile()
        """Calls begin one by one, however many are asked for at once."""
        self._settings = settings
        self._services = services
        self._records = records
        self._edge = edge
        self._dialects = dialects
        self._group = group
        self._by_id: dict[str, RunningCall] = {}
        self._names: dict[str, tuple[RunningCall, str]] = {}
        """Those that their clients have a name for, and the digest of who may use it."""

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ice_servers(self) -> list[IceServer]:
        return self._settings.ice_servers

    @property
    def edge(self) -> Edge:
        """The ports that calls come over."""
        return self._edge

    async def open(
        self,
        agent_name: str,
        offer: str,
        metadata: Mapping[str, Any],
        variables: Variables,
        start: CallGrant,
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
        terms = start.terms.joined_by(metadata, variables)
        session = self._session(agent_name, "webrtc", terms, start, dialect, lingers)
        peer = self._peer(session)
        async with self._beginning(session, peer, start):
            await self.turnstile.turn()
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
            await self.turnstile.turn()
            answer = await peer.accept(offer)
            self.get(session_id)  # it may have ended meanwhile
        except BaseException:
            await peer.close()
            raise
        session.take(peer, received)
        return session, answer

    def _peer(self, session: Session) -> Peer:
        return Peer(self._edge, session.handset)

    async def open_line(
        self,
        agent_name: str,
        line: Callable[[Handset], AnyLine],
        metadata: Mapping[str, Any],
        variables: Variables,
        start: CallGrant,
        dialect: Dialect | None = None,
        tools: Sequence[Tool] = (),
        lingers: bool = True,
        transport: e.Transport = "websocket",
        connect_s: float = 0.0,
    ) -> tuple[Session, AnyLine]:
        """A new session over a line that is made here, such as a WebSocket's.

        Args:
            dialect: that is spoken on it; the native one where none is given.
            tools: of the client, beside the agent's.
            connect_s: for how long at least its client may take to be there.

        Raises:
            ClientError: unknown agent, engines not ready, or too many calls.
        """
        terms = start.terms.joined_by(metadata, variables, tools)
        session = self._session(agent_name, transport, terms, start, dialect, lingers, connect_s)
        made = line(session.handset)
        async with self._beginning(session, made, start):
            pass
        return session, made

    def _session(
        self,
        agent_name: str,
        transport: e.Transport,
        terms: Terms,
        start: CallGrant,
        dialect: Dialect | None,
        lingers: bool,
        connect_s: float = 0.0,
    ) -> Session:
        """A session on these terms; what they settle of the dialect wins over the line's."""
        agent, terms = self._agreed(agent_name, terms, start)
        if terms.dialect:
            dialect = self._made(terms)
        connection = Connection(
            transport,
            linger_s=self._settings.reconnect_s if lingers else 0.0,
            connect_timeout_s=max(self._settings.connect_timeout_s, connect_s),
            idle_timeout_s=self._settings.idle_timeout_s,
            recordings=self._settings.recordings_dir if self._records else None,
            dialect=dialect or NATIVE,
        )
        return Session(agent, terms, self._services, connection, self._note)

    def _made(self, terms: Terms) -> Dialect:
        make = self._dialects.get(terms.dialect)
        if make is None:
            message = f"The token is for the dialect {terms.dialect!r}, which this server does not speak."
            raise ClientError("token_expired", message, status=401)
        return make(**terms.dialect_options)

    def _agreed(self, agent_name: str, terms: Terms, start: CallGrant) -> tuple[Agent, Terms]:
        """The agent, and the terms with the limits that hold now and what is vouched for.

        Raises:
            ClientError: unknown agent, engines not ready, too many calls, or a greeting that is too long.
        """
        agent_name = self.route(agent_name, start.contact or "")
        agent = self._services.latest(agent_name)
        if agent is None:
            raise ClientError("unknown_agent", f"There is no agent called {agent_name!r}.", status=404)
        self.admission.check(agent, start.key)
        settled = {"limits": self.admission.limits(agent, start.key), "sealed_metadata": start.sealed_metadata}
        terms = terms.model_copy(update=settled)
        _check_greeting(agent, terms)
        return agent, terms

    @contextlib.asynccontextmanager
    async def _beginning(self, session: Session, line: Line, start: CallGrant) -> AsyncIterator[None]:
        """What the line needs to begin is done inside; then the call is recorded, and runs. Else the line is closed."""
        with self.admission.taking(session.agent, start):
            try:
                await session.call.ring()
                yield
                session.meter = await self._begin_record(session.call, start)
            except BaseException:
                await line.close()
                raise
        session.take(line)
        self._begin(session, start)

    async def open_chat(self, agent_name: str, start: CallGrant, linger_s: float | None = None) -> Chat:
        """A new conversation in writing.

        Args:
            linger_s: how long it waits for a client to come back, where that is not the server's setting.

        Raises:
            ClientError: unknown agent, engines not ready, or too many calls.
        """
        agent, terms = self._agreed(agent_name, start.terms, start)
        linger_s = self._settings.chat_linger_s if linger_s is None else linger_s
        chat = Chat(agent, terms, self._services, linger_s, self._note)
        with self.admission.taking(agent, start):
            await chat.call.ring()
            chat.meter = await self._begin_record(chat.call, start)
        self._begin(chat, start)
        return chat

    def knows(self, name: str) -> bool:
        """Whether there is such an agent."""
        return self._services.latest(name) is not None

    def _begin(self, session: RunningCall, start: CallGrant) -> None:
        self._by_id[session.id] = session
        self.admission.began(session, start)
        self._group.create_task(self._run(session), name=f"session-{session.call_id}")

    def _note(self, envelope: e.Envelope) -> None:
        for observe in self.observers:
            try:
                observe(envelope)
            except Exception:  # one observer's defect must end neither the call nor what the others are told
                log.exception("call %s: an observer failed at %s", envelope.call_id, envelope.event.type)

    async def _begin_record(self, call: Call, start: CallGrant) -> Meter | None:
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
                call.history.remember(await self._said_before(agent, contact), MAX_REMEMBERED)
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

    async def _run(self, session: RunningCall) -> None:
        try:
            await session.run()
        except Exception:  # one call's defect must not end the others
            log.exception("call %s failed", session.call_id)
        finally:
            del self._by_id[session.id]
            self.admission.ended(session)
            self._names = {name: entry for name, entry in self._names.items() if entry[0] is not session}
            for tell in self.on_ended:
                tell(session)
            self.changed.set()

    def check_room(self) -> None:
        """Raises `ClientError` (503) as long as no call can be taken."""
        self.admission.check_room()

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

    def name(self, session: RunningCall, name: str, secret: str) -> None:
        """Let whoever shows the same secret go on with the session by a name that the client has chosen."""
        self._names[name] = session, digest(secret)

    def named(self, name: str) -> RunningCall | None:
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
        return name in self._services.engines.voices

    def conversations(self) -> list[RunningCall]:
        """All that are under way."""
        return [each for each in self._by_id.values() if not each.over]

    def find_by_call_id(self, call_id: str) -> RunningCall:
        """The conversation, spoken or written. Raises `ClientError` where there is none."""
        for found in self._by_id.values():
            if found.call_id == call_id and not found.over:
                return found
        raise _no_such_call()

    def spoken_by_call_id(self, call_id: str) -> Session:
        """The session that conducts this call, if it is spoken. Raises `ClientError` where there is none."""
        found = self.find_by_call_id(call_id)
        if isinstance(found, Session):
            return found
        raise _no_such_call()  # without sound; to whom it is not, it does not exist either

    def chat(self, session_id: str) -> Chat:
        """Raises `ClientError` where there is none."""
        chat = self._by_id.get(session_id)
        if not isinstance(chat, Chat) or chat.over:
            raise ClientError("unknown_session", "There is no such conversation; it may be over.", status=404)
        return chat


def reached(key: Key | None, found: Found) -> Found:
    """A conversation, as far as the key reaches. Raises `ClientError` (404) as if there were none."""
    agent = found.call.agent
    if key is not None and (agent.tenant != key.tenant or not key.allows_agent(agent.name)):
        raise _no_such_call()
    return found


def _no_such_call() -> ClientError:
    return ClientError("unknown_session", "There is no such call; it may be over.", status=404)


def _check_greeting(agent: Agent, terms: Terms) -> None:
    """Raises `ClientError` where variables of the caller make more of the greeting than may be said."""
    greeted = replace(agent, greeting=terms.changes.get("greeting", agent.greeting))
    if (length := len(greeted.greeting_with(terms.variables))) > greeted.most_said:
        message = f"variables: with them the greeting has {length} characters; {greeted.most_said} at most."
        raise ClientError("bad_request", message)
