"""Speechmatics Flow's doors: a WebSocket, and a request that starts a call over WebRTC."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Annotated, NotRequired

from aiohttp import WSMsgType, web
from pydantic import Field, ValidationError
from typing_extensions import TypedDict

from media_server.agents import DEFAULT_AGENT
from media_server.call import Session
from media_server.call.session import new_call_id
from media_server.doors.flow.dialect import (
    ALIASES,
    VOICE_RATE_HZ,
    AudioEnded,
    AudioFormat,
    Flow,
    StartConversation,
    parse,
)
from media_server.errors import ClientError, problems
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS, TOKEN_TTL_S
from media_server.http.agents import AGENTS
from media_server.http.body import require_type
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import converse, new_socket, until_first
from media_server.http.tokens import base_url, room_token
from media_server.rtc import PcmFormat, SocketLine, SocketWire
from media_server.terms import Terms, ToolTerms

__all__ = ["refusal", "routes"]

FIRST_S = 10.0
"""Seconds for the first message to come."""
FINISH_S = 3.0
"""Seconds at the end for what was said to be heard and understood."""
LARGEST = 4 * 1024 * 1024
POLICY_VIOLATION = 1008
CODES = {
    "unknown_agent": "config_error", "key_agent": "not_allowed", "key_origin": "not_allowed",
    "key_scope": "not_allowed",
    "token_wrong_agent": "not_allowed", "token_wrong_kind": "not_allowed", "too_many_calls": "quota_exceeded",
    "too_many_calls_of_key": "quota_exceeded",
    "rate_limited": "quota_exceeded", "no_credit": "timelimit_exceeded", "draining": "job_error",
    "not_ready": "job_error", "protocol_error": "protocol_error", "config_error": "config_error",
}  # fmt: skip
"""Ours, and Flow's types of errors; keys and tokens that are none are `not_authorised`."""
STATUSES = {
    400: (400, "invalid_request"), 401: (401, "not_authorised"), 402: (429, "quota_exceeded"),
    403: (403, "not_allowed"), 404: (404, "template_not_found"), 429: (429, "quota_exceeded"),
    500: (500, "internal_error"), 503: (503, "busy"),
}  # fmt: skip
"""Flow's status and its code, by ours."""
routes = web.RouteTableDef()


class _Template(TypedDict):
    name: str
    character: str
    description: str
    start_text: list[str]


class _Templates(TypedDict):
    templates: dict[str, _Template]


class _Joining(TypedDict):
    url: str
    token: str
    """Empty where the request brought an offer: there is nothing left to join."""
    id: str
    session_id: str
    sdp: NotRequired[str]
    type: NotRequired[str]


class _ShortKeyWanted(ForeignModel):
    ttl: Annotated[int, Field(ge=60, le=86400)] = 300


class _ShortKey(TypedDict):
    key_value: str


class _Failed(Exception):
    """The conversation cannot be; said in the socket."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@routes.get("/v1/flow")
@operation("Speechmatics Flow: a WebSocket", scope="call", answers={101: None})
async def flow(request: web.Request) -> web.StreamResponse:
    """A key is shown in the header, or by a browser as `jwt`. The same is served at `/`."""
    socket = new_socket(request, LARGEST)
    if "jwt" not in request.query:
        # a browser cannot read why an upgrade was refused; programs can
        await request.app[ACCESS].check(request)
    await socket.prepare(request)
    try:
        session, line = await _begin(request, socket)
    except _Failed as failed:
        await socket.send_json({"message": "Error", "type": failed.kind, "reason": failed.reason})
        await socket.close(code=POLICY_VIOLATION)
        return socket
    received = 0
    line.connected.set()
    assert isinstance(session.dialect, Flow)
    # sound that the client sends in the same breath is not acknowledged before the conversation has started
    await until_first(session.dialect.started.wait(), session.ended.wait())

    async def take_text(text: str) -> None:
        if _ends(text):
            # some clients close the socket in the same breath: what was said is understood before that is noticed
            await _settled(session, line)
        session.receive(text)

    async def take_sound(data: bytes) -> None:
        nonlocal received
        await line.hear(data)
        received += 1
        line.send({"message": "AudioAdded", "seq_no": received})

    await converse(socket, line, take_text, take_sound)
    return socket


def _ends(text: str) -> bool:
    try:
        return isinstance(parse(text), AudioEnded)
    except ClientError:
        return False


async def _settled(session: Session, line: SocketLine) -> None:
    try:
        async with asyncio.timeout(FINISH_S):
            await line.heard_all()
            await session.call.settled()
    except TimeoutError:
        return


async def _begin(request: web.Request, socket: web.WebSocketResponse) -> tuple[Session, SocketLine]:
    try:
        async with asyncio.timeout(FIRST_S):
            first = await socket.receive()
    except TimeoutError:
        raise _Failed("protocol_error", f"StartConversation did not come within {FIRST_S:g} seconds.") from None
    if first.type is not WSMsgType.TEXT:
        raise _Failed("protocol_error", "The first message must be StartConversation.")
    try:
        wanted = parse(first.data)
        if not isinstance(wanted, StartConversation):
            raise ClientError("protocol_error", "The first message must be StartConversation.")
        agent = _agent(request, wanted)
        sessions = request.app[SESSIONS]
        sessions.check_room()
        start = await request.app[ACCESS].start_call(request, agent, "webrtc")
        tools = wanted.client_tools()
        variables = dict(wanted.conversation_config.template_variables)
        audio = wanted.audio_format or AudioFormat()
        wire = SocketWire(PcmFormat(audio.sample_rate, 1, audio.encoding), PcmFormat(VOICE_RATE_HZ))
        session, line = await sessions.open_line(
            agent,
            lambda handset: SocketLine(handset, wire),
            {},
            variables,
            start,
            Flow(_language(request, agent), prompts=wanted.debug.llm),
            tools,
            lingers=False,
        )
    except ClientError as refused:
        raise _Failed(CODES.get(refused.code, _kind(refused)), refused.message) from refused
    return session, line


def _kind(refused: ClientError) -> str:
    return {401: "not_authorised", 403: "not_allowed"}.get(refused.status, "job_error")


def _agent(request: web.Request, wanted: StartConversation) -> str:
    """The agent that a template stands for."""
    template = wanted.conversation_config.template_id
    alias = template in ALIASES and not request.app[SESSIONS].knows(template)
    return DEFAULT_AGENT.name if alias else template


def _language(request: web.Request, name: str) -> str:
    """What the agent of this name is spoken to in; empty where that is detected."""
    agent = request.app[AGENTS].get(name)
    return (agent.language if agent else None) or ""


@routes.post("/v1/flow/livekit")
@routes.post("/v1/flow/webrtc")
@operation("Speechmatics Flow: start a call over WebRTC", scope="call", answers={200: _Joining})
async def start(request: web.Request) -> web.Response:
    """Where to join, and with which token; what the conversation is to be is sealed under it."""
    wanted = await _wanted(request)
    agent = _agent(request, wanted)
    sessions = request.app[SESSIONS]
    sessions.check_room()
    begun = await request.app[ACCESS].start_call(request, agent, "webrtc")
    call_id = new_call_id()
    terms = _terms(wanted, call_id, _language(request, agent))
    joining = {"url": base_url(request), "token": "", "id": secrets.token_hex(8), "session_id": call_id}
    if wanted.sdp is None:
        tokens = request.app[ACCESS].tokens
        joining["token"] = await room_token(tokens, "room", agent, TOKEN_TTL_S, begun.key_id, terms)
    else:
        _, answer = await sessions.open(agent, wanted.sdp, {}, {}, replace(begun, terms=terms))
        joining |= {"sdp": answer, "type": "answer"}
    return web.json_response(joining, headers={"Cache-Control": "no-store"})


def refusal(refused: ClientError) -> web.Response:
    """A refusal in Flow's form."""
    status, code = STATUSES.get(refused.status, (refused.status, "invalid_request"))
    code = refused.code if refused.code == "not_found" else code
    body = {"error": {"code": code, "message": refused.message}}
    return web.json_response(body, status=status, headers=refused.headers)


def _terms(wanted: StartConversation, call_id: str, language: str) -> Terms:
    """The terms of the conversation, whoever joins it."""
    notes = ["audio_format is ignored over WebRTC."] if wanted.audio_format else []
    return Terms(
        dialect="flow",
        dialect_options={"language": language, "prompts": wanted.debug.llm, "notes": notes},
        call_id=call_id,
        variables=dict(wanted.conversation_config.template_variables),
        tools=tuple(ToolTerms.of(tool) for tool in wanted.client_tools()),
    )


async def _wanted(request: web.Request) -> StartConversation:
    require_type(request, "application/json")
    wanted = parse(await request.read())
    if not isinstance(wanted, StartConversation):
        raise ClientError("protocol_error", "The body must be StartConversation.")
    return wanted


@routes.get("/v1/discovery/templates")
@operation("Speechmatics Flow: agents", scope="call", answers={200: _Templates})
async def templates(request: web.Request) -> web.Response:
    key = await request.app[ACCESS].key(request, "call")
    found = {}
    for name in request.app[ACCESS].agents(key):
        agent = request.app[ACCESS].agent(key, name)
        greeting = [agent.greeting] if agent.greeting else []
        found[name] = _Template(name=name, character=name, description="", start_text=greeting)
    return web.json_response({"templates": found})


@routes.post("/v1/api_keys")
@routes.post("/api_keys")
@operation("Speechmatics Flow: a short key", scope="call", body=_ShortKeyWanted, answers={201: _ShortKey})
async def short_key(request: web.Request) -> web.Response:
    """Good for any number of calls until it expires."""
    key = await request.app[ACCESS].key(request, "call")
    if request.can_read_body:
        require_type(request, "application/json")
    try:
        wanted = _ShortKeyWanted.model_validate_json(await request.read() or b"{}")
    except ValidationError as e:
        return web.json_response({"code": "invalid_request", "message": problems(e)}, status=422)
    secret = await request.app[ACCESS].tokens.mint("short", "", wanted.ttl, key.id if key else None)
    return web.json_response({"key_value": secret}, status=201, headers={"Cache-Control": "no-store"})
