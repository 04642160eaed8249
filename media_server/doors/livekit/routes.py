"""LiveKit's signalling: joining a room, coming back to it, and why it cannot be joined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Annotated, Any
from weakref import WeakValueDictionary

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.agents import DEFAULT_AGENT
from media_server.call import Session
from media_server.call.session import NATIVE
from media_server.doors.livekit.agent import AgentParticipant
from media_server.doors.livekit.joining import parse_join
from media_server.doors.livekit.line import RoomLine
from media_server.doors.livekit.messages import LeaveAction, LeaveReason, decode_request, encode_response
from media_server.doors.livekit.participants import Room
from media_server.doors.livekit.protobuf import Message, WireError
from media_server.doors.livekit.signalling import Outbox
from media_server.errors import ClientError
from media_server.events import CallEnded, Envelope
from media_server.http.access import ACCESS, TOKEN_TTL_S
from media_server.http.body import json_body
from media_server.http.openapi import operation
from media_server.http.room_tokens import encode, identity_of, secret_of
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import PacedSocket, new_socket
from media_server.http.tokens import MAX_IDENTITY, base_url, check_metadata, room_token
from media_server.rtc import Handset
from media_server.store import BY_ORIGIN
from media_server.store.keys import digest
from media_server.tasks import to_its_end
from media_server.terms import Terms

__all__ = ["prepare", "refusal", "routes"]

LARGEST = 128 * 1024
"""Bytes of a message; what clients say after coming back has two session descriptions in it."""
LAST_S = 3.0
"""Seconds for a client to take what is sent last."""
CONNECTED_S = 60.0
"""Seconds for a client to be connected; one that fails joins the same call anew after 15 s, several times."""
RESTORED_S = 60.0
"""How long the token of a call that has not come about is good again."""
REFRESHED_S = 24 * 3600.0
JOINING = web.AppKey("livekit_joining", MutableMapping[str, asyncio.Lock])
"""The joins under way, by the token's digest."""
UNUSED = web.AppKey("livekit_unused", dict[str, float])
"""Tokens whose clients were never connected, by their digests, and until when they are good again."""
MAX_UNUSED = 10_000
routes = web.RouteTableDef()


def prepare(app: web.Application) -> None:
    """Put what the handlers share into the application."""
    app[JOINING] = WeakValueDictionary()
    app[UNUSED] = {}


@routes.get("/rtc/v1")
@operation("LiveKit: join a room, a WebSocket", scope="call", answers={101: None})
async def join(request: web.Request) -> web.StreamResponse:
    """Join over one WebRTC connection, as newer clients do. The token is `access_token`, or in the header."""
    return await _join(request, two_connections=False)


@routes.get("/rtc")
@operation("LiveKit: join a room with two connections, a WebSocket", scope="call", answers={101: None})
async def join_with_two(request: web.Request) -> web.StreamResponse:
    """One connection for each direction, as older clients and those of phones do."""
    return await _join(request, two_connections=True)


@routes.get("/rtc/v1/validate")
@routes.get("/rtc/validate")
@operation(
    "LiveKit: whether a room can be joined", scope="call", answers={200: str, 401: str, 403: str}, gives="text/plain"
)
async def validate(request: web.Request) -> web.Response:
    """Clients ask where they could not join, and show the user the answer."""
    parse_join(request.query)
    token = _token(request)
    async with _joining(request, token):
        if _named(request, token) is None:
            await _restore_unused(request, token)
            access = request.app[ACCESS]
            await access.minter(await access.tokens.look(token, ("livekit", "room"), unused=True))
            request.app[SESSIONS].check_room()
    return web.Response(text="success")


def refusal(refused: ClientError) -> web.Response:
    """Why a room cannot be joined: clients show the user this text with a 401 or 403, and else their own sentence."""
    status = refused.status if refused.status in (401, 500) else 403
    return web.Response(text=refused.message, status=status)


class _AgentWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    agent_name: str = ""
    metadata: str = ""


class _RoomConfig(BaseModel):
    model_config = ConfigDict(extra="ignore")

    agents: list[_AgentWanted] = []


class _Wanted(BaseModel):
    """What LiveKit's components post where they are given an endpoint for tokens."""

    model_config = ConfigDict(extra="ignore")

    participant_identity: Annotated[str, Field(max_length=MAX_IDENTITY)] = ""
    participant_name: str = ""
    participant_metadata: str = ""
    participant_attributes: dict[str, str] = {}
    room_config: _RoomConfig = _RoomConfig()

    def sealed(self) -> dict[str, Any]:
        """What the agent's code finds in the call's metadata."""
        told = {
            "userId": self.participant_identity,
            "participant_name": self.participant_name,
            "participant_metadata": self.participant_metadata,
            "participant_attributes": self.participant_attributes,
            "agent_metadata": next((agent.metadata for agent in self.room_config.agents if agent.agent_name), ""),
        }
        return {name: value for name, value in told.items() if value}


class _Joining(TypedDict):
    server_url: str
    participant_token: str


@routes.post("/v1/livekit/token")
@operation("LiveKit: a token for its components", scope="call", body=_Wanted, answers={201: _Joining})
async def token(request: web.Request) -> web.Response:
    """A room's token, for a key or for a page that the agent allows; the agent is the first of `room_config`."""
    wanted = await json_body(request, _Wanted)
    named = [each.agent_name for each in wanted.room_config.agents if each.agent_name]
    access = request.app[ACCESS]
    agent, key_id = await access.page(request, named[0] if named else DEFAULT_AGENT.name)
    # who a page says that it is counts for nothing
    metadata = wanted.sealed() if key_id != BY_ORIGIN else {}
    check_metadata(metadata)
    terms = Terms(metadata=metadata)
    minted = await room_token(access.tokens, "livekit", agent.name, TOKEN_TTL_S, key_id, terms)
    joining = _Joining(server_url=base_url(request), participant_token=minted)
    return web.json_response(joining, status=201, headers={"Cache-Control": "no-store"})


async def _join(request: web.Request, two_connections: bool) -> web.StreamResponse:
    socket = new_socket(request, LARGEST)
    wanted = parse_join(request.query)
    token = _token(request)
    if wanted.get("reconnect"):
        await socket.prepare(request)
        found = _line_of(_named(request, token))
        if found is None or found.gone.is_set() or found.room.caller.sid != wanted.get("participant_sid"):
            return await _send_away(socket)
        line = found
    else:
        async with _joining(request, token):
            session = _named(request, token)
            if session is None:
                line = await _new_call(request, token, two_connections)
            await socket.prepare(request)
            if session is not None:
                if session.over:
                    return await _send_away(socket)
                line = _another_line(request, session, two_connections)
    outbox = line.open_socket(wanted)
    # the same call for longer: clients that look at a token find that it has not expired when they come back
    room = line.room
    outbox.put(refresh_token=encode(token, room.name, room.caller.identity, REFRESHED_S))
    await _signal(socket, line, outbox, wanted)
    return socket


def _joining(request: web.Request, token: str) -> asyncio.Lock:
    """Held while a client joins: one whose socket is lost meanwhile shows its token again at once, for that call."""
    return request.app[JOINING].setdefault(digest(token), asyncio.Lock())


async def _send_away(socket: web.WebSocketResponse) -> web.WebSocketResponse:
    """There is nothing to come back to: the client joins anew."""
    leave = {"can_reconnect": True, "reason": LeaveReason.STATE_MISMATCH, "action": LeaveAction.RECONNECT}
    await socket.send_bytes(encode_response(leave=leave))
    await socket.close()
    return socket


def _token(request: web.Request) -> str:
    """What is secret in the token. Raises `ClientError` (401)."""
    shown = _shown(request)
    if not shown:
        raise ClientError("token_missing", "Show a token (access_token, or Authorization: Bearer …).", status=401)
    secret = secret_of(shown)
    if secret is None:
        raise ClientError("token_unknown", "This is not a token of a room of this server.", status=401)
    return secret


def _shown(request: web.Request) -> str:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    return request.query.get("access_token") or (shown.strip() if scheme.lower() == "bearer" else "")


def _name(token: str) -> str:
    return f"livekit {digest(token)}"


def _named(request: web.Request, token: str) -> Session | None:
    """The call that this token has begun, if it is under way: for so long the token is good."""
    session = request.app[SESSIONS].named(_name(token))
    return session if isinstance(session, Session) else None


def _line_of(session: Session | None) -> RoomLine | None:
    line = session.line if session else None
    return line if isinstance(line, RoomLine) else None


async def _new_call(request: web.Request, token: str, two_connections: bool) -> RoomLine:
    sessions = request.app[SESSIONS]
    sessions.check_room()  # before a token is used up for nothing
    access, unused, key = request.app[ACCESS], request.app[UNUSED], digest(token)
    await _restore_unused(request, token)
    agent, start = await access.start_with_token(token, "livekit")
    # the room has the name of the call, which the token settles
    room = Room(start.terms.call_id, identity_of(_shown(request)), agent)

    def new_line(handset: Handset) -> RoomLine:
        return RoomLine(sessions.edge, handset, room, _ice_servers(request), two_connections)

    try:
        session, line = await sessions.open_line(
            agent, new_line, {}, {}, start, transport="webrtc", connect_s=CONNECTED_S
        )
    except BaseException:
        await to_its_end(access.tokens.restore(token, RESTORED_S))
        raise

    def note_end(envelope: Envelope) -> None:
        match envelope.event:
            case CallEnded(reason="connect_timeout") if len(unused) < MAX_UNUSED:
                now = time.monotonic()
                for old in [each for each, until in unused.items() if until < now]:
                    del unused[old]
                unused[key] = now + RESTORED_S

    session.listeners.append(note_end)
    sessions.name(session, _name(token), token)
    participant = AgentParticipant(session, line, session.dialect is NATIVE)
    session.listeners.append(lambda envelope: participant.note(envelope.event))
    return line


async def _restore_unused(request: web.Request, token: str) -> None:
    """A client that was never connected may try once more with its token."""
    if request.app[UNUSED].pop(digest(token), 0.0) > time.monotonic():
        await request.app[ACCESS].tokens.restore(token, RESTORED_S)


def _another_line(request: web.Request, session: Session, two_connections: bool) -> RoomLine:
    """A client that has lost its connection for good joins its call anew."""
    before = _line_of(session)
    assert before
    assert before.agent
    room = Room(before.room.name, before.room.caller.identity, session.call.agent.name)
    sessions = request.app[SESSIONS]
    line = RoomLine(sessions.edge, session.handset, room, _ice_servers(request), two_connections)
    before.agent.move(line)
    session.take(line)
    return line


def _ice_servers(request: web.Request) -> list[dict[str, Any]]:
    return [
        {
            "urls": [server.urls] if isinstance(server.urls, str) else list(server.urls),
            "username": server.username or "",
            "credential": server.credential or "",
        }
        for server in request.app[SESSIONS].ice_servers
    ]


async def _signal(socket: PacedSocket, line: RoomLine, outbox: Outbox, wanted: Message) -> None:
    """Carry messages between a socket and a line until either is gone."""

    async def write() -> None:
        while (data := await outbox.next()) is not None:
            await socket.send_bytes(data)

    async def read() -> None:
        try:
            await line.begin(wanted)
            async for message in socket:
                if message.type is WSMsgType.ERROR and not isinstance(message.data, WebSocketError):
                    return  # the connection broke: the client may come back to its call
                if message.type is not WSMsgType.BINARY:
                    raise ClientError("bad_signal", "Messages have to be binary: SignalRequest in protobuf.")
                await line.take(**decode_request(message.data))
        except ClientError as refused:
            line.fail(refused)
        except WireError as wrong:
            line.fail(ClientError("bad_signal", f"A message is no SignalRequest: {wrong}."))

    reading, writing = asyncio.ensure_future(read()), asyncio.ensure_future(write())
    try:
        await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        outbox.close()
        reading.cancel()
        await asyncio.wait([reading, writing], timeout=LAST_S)
        writing.cancel()
        ended = await asyncio.gather(reading, writing, return_exceptions=True)
        if socket.sent_away:
            line.fail(ClientError("too_many_messages", "It sends more than can be borne."))
        # clients take a clean close without a word before it for nothing at all
        await socket.close(code=WSCloseCode.OK if outbox.has_left else WSCloseCode.SERVICE_RESTART)
    for failed in ended:
        if isinstance(failed, Exception) and not isinstance(failed, ConnectionError):
            raise failed
