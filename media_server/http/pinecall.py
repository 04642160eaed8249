"""Pinecall's doors: ICE servers, offers with a token, and chats."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from media_server.dialects.pinecall import Pinecall, PinecallChat
from media_server.http.access import ACCESS
from media_server.http.body import json_body, validated
from media_server.http.chat import HEARTBEAT_S, LARGEST, carry
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import new_socket

__all__ = ["routes"]

routes = web.RouteTableDef()


class _IceServers(TypedDict):
    iceServers: list[dict[str, Any]]


class _Offer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    sdp: Annotated[str, Field(min_length=1)]
    type: Literal["offer"]
    token: str
    metadata: dict[str, Any] = {}


class _Answer(TypedDict):
    sdp: str
    type: Literal["answer"]


class _ChatWanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: str = ""


@routes.get("/webrtc/ice-servers")
@operation("Pinecall: ICE servers", answers={200: _IceServers})
async def ice_servers(request: web.Request) -> web.Response:
    """Without an answer its client would take a public STUN server."""
    servers = [s.model_dump(exclude_none=True) for s in request.app[SESSIONS].ice_servers]
    return web.json_response({"iceServers": servers})


@routes.post("/webrtc/offer")
@operation("Pinecall: start a call", scope="call", body=_Offer, answers={200: _Answer})
async def offer(request: web.Request) -> web.Response:
    """The token says who is called."""
    wanted = await json_body(request, _Offer)
    sessions = request.app[SESSIONS]
    sessions.check_room()
    agent, start = await request.app[ACCESS].start_with_token(wanted.token, "webrtc")
    # its client gives up when a connection is lost
    _, answer = await sessions.open(agent, wanted.sdp, wanted.metadata, {}, start, Pinecall(), lingers=False)
    return web.json_response({"sdp": answer, "type": "answer"})


@routes.get("/ws")
@operation("Pinecall: a chat", scope="call", query=_ChatWanted, answers={101: None})
async def chat(request: web.Request) -> web.StreamResponse:
    return await _chat(request, cumulative=False)


@routes.get("/chat/ws")
@operation("Pinecall: a chat, each piece with all before it", scope="call", query=_ChatWanted, answers={101: None})
async def chat_cumulative(request: web.Request) -> web.StreamResponse:
    return await _chat(request, cumulative=True)


async def _chat(request: web.Request, cumulative: bool) -> web.StreamResponse:
    wanted = validated(_ChatWanted, dict(request.query))
    socket = new_socket(request, LARGEST, HEARTBEAT_S)
    sessions = request.app[SESSIONS]
    sessions.check_room()
    agent, start = await request.app[ACCESS].start_with_token(wanted.token, "chat")
    conversation = await sessions.open_chat(agent, start)
    return await carry(request, socket, conversation, -1, PinecallChat(cumulative))
