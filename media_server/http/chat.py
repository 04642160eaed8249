"""`/v1/chat`: conversations in writing, over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Protocol

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field

from media_server import events as e
from media_server.call import Chat
from media_server.call.session import NATIVE, Dialect
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import new_socket, until_first

__all__ = ["HEARTBEAT_S", "LARGEST", "ChatDialect", "carry", "routes"]

HEARTBEAT_S = 20.0
LARGEST = 64 * 1024
routes = web.RouteTableDef()


class ChatDialect(Dialect, Protocol):
    """What is said on the socket of a conversation in writing."""

    def opened(self, conversation: Chat, history: Sequence[Mapping[str, str]] | None) -> Iterable[Mapping[str, Any]]:
        """The first messages on the socket; `history` is what was said before, where the client is told it."""
        ...


class _Native:
    outgoing, incoming = staticmethod(NATIVE.outgoing), staticmethod(NATIVE.incoming)

    def opened(self, conversation: Chat, history: Sequence[Mapping[str, str]] | None) -> Iterable[Mapping[str, Any]]:
        told = {} if history is None else {"history": history}
        return ({"type": "session.opened", "session_id": conversation.id, "call_id": conversation.call_id, **told},)


class _Wanted(BaseModel):
    """`agent`, or a token, which says it, begins a conversation; `session` goes on with one, after the event with the
    number `after`.
    """

    model_config = ConfigDict(extra="forbid")

    agent: str | None = None
    session: str | None = None
    after: Annotated[int, Field(ge=-1)] = -1
    token: str | None = None


@routes.get("/v1/chat")
@operation("Talk in writing: a WebSocket", scope="call", query=_Wanted, answers={101: None})
async def chat(request: web.Request) -> web.StreamResponse:
    wanted = validated(_Wanted, dict(request.query))
    socket = new_socket(request, LARGEST, HEARTBEAT_S)
    sessions = request.app[SESSIONS]
    if wanted.session:
        conversation = sessions.chat(wanted.session)
    elif wanted.after >= 0:
        raise ClientError("bad_request", "after: say which conversation goes on (session=…).")
    elif wanted.agent or wanted.token:
        sessions.check_room()
        agent, start = await request.app[ACCESS].start(request, wanted.agent, "chat")
        conversation = await sessions.open_chat(agent, start)
    else:
        raise ClientError("bad_request", "Pass agent=… to start or session=… to resume.")
    conversation.check(wanted.after)
    return await carry(request, socket, conversation, wanted.after, _Native())


async def carry(
    request: web.Request,
    socket: web.WebSocketResponse,
    conversation: Chat,
    after: int,
    dialect: ChatDialect,
    *,
    history: bool = False,
) -> web.WebSocketResponse:
    """Accept a socket and have it take part in a conversation until either is over.

    Args:
        after: the last event that the client has seen.
        history: tell what was said before.
    """
    await socket.prepare(request)

    async def send(messages: Iterable[Mapping[str, Any]]) -> None:
        for each in messages:
            await socket.send_str(json.dumps(each, ensure_ascii=False))

    async def tell(envelope: e.Envelope) -> None:
        await send(dialect.outgoing(envelope))

    async def read() -> None:
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                conversation.receive(message.data, dialect)

    await send(dialect.opened(conversation, conversation.call.transcript if history else None))
    await until_first(_serve(conversation, tell, after), read())
    await socket.close()
    return socket


async def _serve(conversation: Chat, tell: Callable[[e.Envelope], Awaitable[None]], after: int) -> None:
    try:
        await conversation.serve(tell, after)
    except ConnectionError:
        return  # the client is gone; it may come back
