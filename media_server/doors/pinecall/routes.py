"""Pinecall's doors: ICE servers, offers with a token, and chats."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.agents import Agent, agent_name
from media_server.call import Chat
from media_server.doors.pinecall.dialect import Pinecall, PinecallChat, chosen_at_start
from media_server.doors.pinecall.program_messages import ANY_LANGUAGE, language_of
from media_server.doors.pinecall.programs import PROGRAMS
from media_server.errors import ClientError
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS
from media_server.http.agents import AGENTS
from media_server.http.body import json_body, validated
from media_server.http.chat import HEARTBEAT_S, LARGEST, carry
from media_server.http.dictation import DictationWanted, dictate
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import new_socket
from media_server.http.speech import ENGINES, is_spoken
from media_server.http.transcription import LANGUAGE
from media_server.switchboard import CallGrant

__all__ = ["audio_refusal", "refusal", "routes"]

THREAD_LINGER_S = 3600.0
"""How long a thread is kept while nobody is there."""
POLICY_VIOLATION = 1008
AUDIO_CODES = {
    "key_missing": "MISSING_KEY", "no_credit": "INSUFFICIENT_CREDITS", "input_too_long": "INPUT_TOO_LONG",
    "too_large": "FILE_TOO_LARGE", "not_supported": "DIARIZE_UNSUPPORTED",
}  # fmt: skip
AUDIO_STATUSES = {
    400: "BAD_REQUEST", 401: "INVALID_KEY", 402: "INSUFFICIENT_CREDITS", 415: "UNSUPPORTED_MEDIA", 429: "RATE_LIMITED",
    503: "UPSTREAM_ERROR",
}  # fmt: skip
"""Its codes for `/v1/audio`, by ours, and by the status."""
CHAT_COMPLETED = "chat_completed"
"""Why a chat ends that its page has left."""
routes = web.RouteTableDef()


class _IceServers(TypedDict):
    iceServers: list[dict[str, Any]]


class _Offer(ForeignModel):
    sdp: Annotated[str, Field(min_length=1)]
    type: Literal["offer"]
    token: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    """Settings as in the channel's `configure`: what the agent lets pages choose."""


class _Answer(TypedDict):
    sdp: str
    type: Literal["answer"]


class _ChatWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: str = ""
    thread: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.:-]{16,128})?$")] = ""
    """A name of the client's own for a conversation that it comes back to; whoever knows it does."""


class _DictationWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: str = ""
    lang: Annotated[str, Field(max_length=35)] = ""


class _VoicesWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    language: str = ""
    """Only voices that speak it; `provider`, of other products, is not asked."""


class _SdkVoice(TypedDict):
    id: str
    name: str
    alias: str
    provider: str
    languages: list[str]


class _SdkVoices(TypedDict):
    success: bool
    voices: list[_SdkVoice]
    total: int


class _Numbers(TypedDict):
    success: bool
    phones: list[dict[str, Any]]


class _Way(TypedDict):
    type: Literal["webrtc", "chat"]


class _AgentInfo(TypedDict):
    id: str
    name: str
    greeting: str
    language: str | None


class _WidgetInfo(_AgentInfo):
    agent: str
    channels: list[_Way]


class _Channel(TypedDict):
    count: int
    refs: list[str]


class _SdkAgent(_AgentInfo):
    slug: str
    org_id: str
    active: bool
    phones: list[str]
    channels: dict[str, _Channel]


class _SdkAgents(TypedDict):
    success: bool
    total: int
    agents: list[_SdkAgent]
    phone_map: dict[str, str]
    dev_overrides: dict[str, str]


class _Displaced(TypedDict):
    success: bool
    displaced: str
    org_id: str


def refusal(refused: ClientError) -> web.Response:
    """A refusal in the server's form, with the field that Pinecall's clients read."""
    body = refused.body() | {"detail": refused.message}
    return web.json_response(body, status=refused.status, headers=refused.headers)


def audio_refusal(refused: ClientError) -> web.Response:
    """A refusal of `/v1/audio` as its clients read it: a sentence and one of its codes."""
    code = AUDIO_CODES.get(refused.code) or AUDIO_STATUSES.get(refused.status, refused.code.upper())
    if refused.code == "bad_request" and any(d["field"] == "response_format" for d in refused.details or ()):
        code = "FORMAT_UNSUPPORTED"
    status = 413 if code == "INPUT_TOO_LONG" else refused.status
    body = {"error": refused.message, "code": code, "message": refused.message}
    return web.json_response(body, status=status, headers=refused.headers)


@routes.get("/api/sdk/voices")
@operation("Pinecall: voices", query=_VoicesWanted, answers={200: _SdkVoices})
async def voices(request: web.Request) -> web.Response:
    """Its client shows no key here."""
    wanted = validated(_VoicesWanted, dict(request.query))
    engines = request.app[ENGINES]
    found = [
        _SdkVoice(id=v, name=v, alias=v, provider="local", languages=[engines.language(v)])
        for v in engines.voices
        if is_spoken(engines.language(v), wanted.language)
    ]
    return web.json_response({"success": True, "voices": found, "total": len(found)})


@routes.get("/api/sdk/phone-numbers")
@operation("Pinecall: telephone numbers", scope="call", answers={200: _Numbers})
async def phone_numbers(request: web.Request) -> web.Response:
    """There are none here."""
    await request.app[ACCESS].key(request, "call")
    return web.json_response({"success": True, "phones": []})


@routes.get("/api/sdk/agents")
@operation("Pinecall: agents", scope="call", answers={200: _SdkAgents})
async def agents(request: web.Request) -> web.Response:
    access = request.app[ACCESS]
    key = await access.key(request, "call")
    found = [_about_sdk(access.agent(key, name)) for name in access.agents(key)]
    body = {"success": True, "total": len(found), "agents": found, "phone_map": {}, "dev_overrides": {}}
    return web.json_response(body)


@routes.delete("/api/sdk/agents/{agent}")
@operation("Pinecall: disconnect an agent that is a program", scope="admin", answers={200: _Displaced})
async def kick(request: web.Request) -> web.Response:
    """Its name is free afterwards. Agents of the server's own files stay."""
    key = await request.app[ACCESS].key(request, "admin")
    name = agent_name(request.match_info["agent"])
    agent = request.app[ACCESS].agent(key, name)
    if request.app[PROGRAMS].of_tenant(name, agent.tenant) is None:
        raise ClientError("unknown_agent", f"No program leads an agent {name!r}.", status=404)
    request.app[PROGRAMS].displace(name)
    return web.json_response({"success": True, "displaced": name, "org_id": agent.tenant})


@routes.get("/api/sdk/agent-info/{agent}")
@operation("Pinecall: what its widget shows of an agent", scope="call", answers={200: _WidgetInfo})
async def agent_info(request: web.Request) -> web.Response:
    """A token for a call, for a key or for a page whose origin the agent allows."""
    access = request.app[ACCESS]
    agent, _ = await access.page(request, agent_name(request.match_info["agent"]))
    ways = [_Way(type="webrtc"), _Way(type="chat")]
    return web.json_response(_WidgetInfo(**_about(agent), agent=agent.name, channels=ways))


def _about(agent: Agent) -> _AgentInfo:
    return _AgentInfo(id=agent.name, name=agent.name, greeting=agent.greeting, language=agent.language)


def _about_sdk(agent: Agent) -> _SdkAgent:
    channels = {kind: _Channel(count=1, refs=[]) for kind in ("webrtc", "chat")}
    return _SdkAgent(**_about(agent), slug=agent.name, org_id=agent.tenant, active=True, phones=[], channels=channels)


@routes.get("/webrtc/ice-servers")
@operation("Pinecall: ICE servers", answers={200: _IceServers})
async def ice_servers(request: web.Request) -> web.Response:
    """Without an answer its client would take a public STUN server. Those with a password are for who may call."""
    known = request.app[SESSIONS].ice_servers
    if not await request.app[ACCESS].may_call(request):
        known = [s for s in known if s.username is None and s.credential is None]
    servers = [s.model_dump(exclude_none=True) for s in known]
    return web.json_response({"iceServers": servers}, headers={"Cache-Control": "no-store"})


@routes.post("/webrtc/offer")
@operation("Pinecall: start a call", scope="call", body=_Offer, answers={200: _Answer})
async def offer(request: web.Request) -> web.Response:
    """The token says who is called."""
    wanted = await json_body(request, _Offer)
    sessions = request.app[SESSIONS]
    sessions.check_room()
    agent, start = await request.app[ACCESS].start_with_token(wanted.token, "webrtc")
    if wanted.config and (called := request.app[AGENTS].get(agent)):
        # the greeting is in the language that the page has chosen
        start = start.changed(chosen_at_start(wanted.config, called, request.app[ENGINES].voices))
    # its client gives up when a connection is lost
    session, answer = await sessions.open(agent, wanted.sdp, wanted.metadata, {}, start, Pinecall(), lingers=False)
    if wanted.config:
        session.receive(json.dumps({"action": "configure", **wanted.config}))
    return web.json_response({"sdp": answer, "type": "answer"})


@routes.get("/api/scribe/ws")
@operation("Pinecall: dictation, a WebSocket", scope="call", query=_DictationWanted, answers={101: None})
async def scribe(request: web.Request) -> web.StreamResponse:
    """Raw sound at 16 kHz in, with the token of a chat; what is refused is said in the socket."""
    try:
        wanted = validated(_DictationWanted, dict(request.query))
        language = "" if wanted.lang.lower() in ANY_LANGUAGE else language_of(wanted.lang)
        sound = validated(DictationWanted, {"language": language})
        _, start = await request.app[ACCESS].start_with_token(wanted.token, "chat")
        return await dictate(request, sound, start.key, "event")
    except ClientError as refused:
        socket = new_socket(request, LARGEST, HEARTBEAT_S)
        await socket.prepare(request)
        await socket.send_json({"event": "error", "error": refused.message, "code": refused.code})
        await socket.close(code=POLICY_VIOLATION)
        return socket


@routes.get("/ws")
@operation("Pinecall: a chat", scope="call", query=_ChatWanted, answers={101: None})
async def chat(request: web.Request) -> web.StreamResponse:
    return await _chat(request, cumulative=False)


@routes.get("/chat/ws")
@operation("Pinecall: a chat, each piece with all before it", scope="call", query=_ChatWanted, answers={101: None})
async def chat_cumulative(request: web.Request) -> web.StreamResponse:
    return await _chat(request, cumulative=True)


def _in_its_language(start: CallGrant) -> CallGrant:
    """A chat is held in the `lang` that a backend has sealed under its token."""
    sealed = start.terms.metadata.get("lang")
    language = language_of(sealed) if isinstance(sealed, str) else ""
    if language in ANY_LANGUAGE or not LANGUAGE.fullmatch(language):
        return start
    return start.changed({"language": language})


async def _chat(request: web.Request, cumulative: bool) -> web.StreamResponse:
    wanted = validated(_ChatWanted, dict(request.query))
    socket = new_socket(request, LARGEST, HEARTBEAT_S)
    sessions = request.app[SESSIONS]
    sessions.check_room()
    agent, start = await request.app[ACCESS].start_with_token(wanted.token, "chat")
    start = _in_its_language(start)
    dialect = PinecallChat(cumulative)
    if not wanted.thread:
        conversation = await sessions.open_chat(agent, start)
        await carry(request, socket, conversation, -1, dialect)
        conversation.hang_up(CHAT_COMPLETED)  # without a thread nobody can come back to it
        return socket
    name, owner = f"thread {agent} {wanted.thread}", start.key_id or ""
    found = sessions.named(name)
    if isinstance(found, Chat) and sessions.is_owner(name, owner):
        conversation = found
    else:
        conversation = await sessions.open_chat(agent, start, THREAD_LINGER_S)
        sessions.name(conversation, name, owner)
    return await carry(request, socket, conversation, conversation.newest, dialect, history=True)
