"""Events of an agent's calls for Pinecall's pages and programs that watch them (`createEventStream`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from media_server import events as e
from media_server.agents import contact_of
from media_server.doors.pinecall.followed_call import FollowedCall
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import PacedSocket, new_socket, until_first
from media_server.switchboard import Switchboard

__all__ = ["routes"]

LARGEST = 4096
HEARTBEAT_S = 20.0
MAX_UNSENT = 2000
"""Messages for a client that does not read them, after which it is sent away."""
TRY_AGAIN_LATER = 1013
routes = web.RouteTableDef()


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: str = ""
    agent: Annotated[str, Field(max_length=64)] = ""
    session: Annotated[str, Field(max_length=128)] = ""
    """The one call; all where none is named."""


@routes.get("/ws/stream")
@operation("Pinecall: events of calls, a WebSocket", scope="admin", query=_Wanted, answers={101: None})
async def stream(request: web.Request) -> web.StreamResponse:
    """With a token to listen in; `{"action": "ping"}` is answered with a `pong`."""
    wanted = validated(_Wanted, dict(request.query))
    access = request.app[ACCESS]
    granted = await access.tokens.use(wanted.token, "stream", None)
    key = await access.minter(granted)
    agents = [name for name in granted.listening.agents if wanted.agent in ("", name)]
    call_id = granted.listening.call_id or wanted.session
    socket = new_socket(request, LARGEST, HEARTBEAT_S)
    await socket.prepare(request)
    watching = _Watching(request.app[SESSIONS], agents, key.tenant if key else "", call_id)
    observers = request.app[SESSIONS].observers
    observers.append(watching.observe)
    try:
        await until_first(watching.write(socket), _answer(socket, watching.put), access.withdrawn(key))
    finally:
        observers.remove(watching.observe)
        await socket.close(code=TRY_AGAIN_LATER if watching.is_behind else 1000)
    return socket


async def _answer(socket: PacedSocket, put: Callable[[Mapping[str, Any]], None]) -> None:
    async for message in socket:
        try:
            action = from_json(message.data).get("action")
        except (ValueError, TypeError, AttributeError):
            continue  # what is no action is nothing
        if action == "ping":
            put({"event": "pong", "timestamp": time.time()})


class _Watching:
    """What one client is told of the calls of these agents, or of one call."""

    def __init__(self, sessions: Switchboard, agents: Collection[str], tenant: str, call_id: str) -> None:
        self.is_behind = False
        self._sessions = sessions
        self._agents, self._tenant, self._call_id = agents, tenant, call_id
        self._calls: dict[str, FollowedCall] = {}
        self._unsent: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(MAX_UNSENT)
        self.put({"event": "connected", "agents": list(agents)})

    def put(self, message: Mapping[str, Any]) -> None:
        """Send the client this; one that does not read is sent away."""
        self.is_behind = self.is_behind or self._unsent.full()
        if not self.is_behind:
            self._unsent.put_nowait(message)

    async def write(self, socket: PacedSocket) -> None:
        while not self.is_behind and (message := await self._unsent.get()) is not None:
            await socket.send_json(message)

    def observe(self, envelope: e.Envelope) -> None:
        """Something happened in some call."""
        if self._call_id not in ("", envelope.call_id) or (followed := self._follow(envelope)) is None:
            return
        started = envelope.event
        who = contact_of(started.metadata) if isinstance(started, e.CallStarted) else ""
        for message in followed.outgoing(envelope, who):
            fields = {k: v for k, v in message.items() if k != "agent_id"}
            # its documents have the SDK's names of fields, its wire the server's
            self.put({**{to_camel(k): v for k, v in fields.items()}, **fields, "agent": followed.agent_id})
        if isinstance(envelope.event, e.CallEnded):
            del self._calls[envelope.call_id]

    def _follow(self, envelope: e.Envelope) -> FollowedCall | None:
        """The call's translation, if it is one of these agents'."""
        call_id = envelope.call_id
        if call_id not in self._calls:
            try:
                agent = self._sessions.find_by_call_id(call_id).call.agent
            except ClientError:
                return None
            if agent.name not in self._agents or agent.tenant != self._tenant:
                return None
            self._calls[call_id] = FollowedCall(agent.name, call_id, time.time() - envelope.time, agent.language)
        return self._calls[call_id]
