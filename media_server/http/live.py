"""A call while it goes on: listening in, and a person who takes over. Pinecall's addresses for the first."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from media_server.call import Chat, Session
from media_server.errors import ClientError
from media_server.http.access import ACCESS, TOKEN_TTL_S, credential
from media_server.http.body import json_body, validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import new_socket, until_first
from media_server.http.tokens import PageToken, given_to_page, refused_to_page
from media_server.paths import STATIC
from media_server.rtc.listening import LISTENING_RATE_HZ, listen_in

__all__ = ["routes"]

routes = web.RouteTableDef()


class _ToSay(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _StreamWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agent_id: Annotated[str, Field(min_length=1)]
    """Names, with commas between."""
    scope: Literal["observe"] = "observe"
    call_id: str = ""


async def _live(request: web.Request) -> Session | Chat:
    """The call of the address, as far as the key reaches. Raises `ClientError` (404) where there is none."""
    key = await request.app[ACCESS].key(request, "admin")
    found = request.app[SESSIONS].under_way(request.match_info["id"])
    if key is not None and found.call.agent.tenant != key.tenant:
        raise ClientError("unknown_session", "There is no such call; it may be over.", status=404)
    return found


@routes.post("/v1/calls/{id}/pause")
@operation("Take a call over from the agent", scope="admin", answers={204: None})
async def pause(request: web.Request) -> web.Response:
    """The agent is silent; what is said goes into the record, and `say` is the person's."""
    (await _live(request)).call.pause()
    return web.Response(status=204)


@routes.post("/v1/calls/{id}/resume")
@operation("Give a call back to the agent", scope="admin", answers={204: None})
async def resume(request: web.Request) -> web.Response:
    """It knows what was said."""
    (await _live(request)).call.resume()
    return web.Response(status=204)


@routes.post("/v1/calls/{id}/say")
@operation("Say something in a call", scope="admin", body=_ToSay, answers={204: None})
async def say(request: web.Request) -> web.Response:
    """In the agent's voice, word for word, after what is being said."""
    live = await _live(request)
    live.call.say((await json_body(request, _ToSay)).text)
    return web.Response(status=204)


@routes.get("/stream/token")
@routes.post("/stream/token")
@operation("A token to listen in", scope="admin", query=_StreamWanted, body=_StreamWanted, answers={200: PageToken})
async def stream_token(request: web.Request) -> web.Response:
    """For these agents' calls, or one of them. With a key only."""
    try:
        key = await request.app[ACCESS].key(request, "admin")
        if request.method == "POST":
            wanted = await json_body(request, _StreamWanted)
        else:
            wanted = validated(_StreamWanted, dict(request.query))
        agents = [request.app[ACCESS].agent(key, name).name for name in wanted.agent_id.split(",")]
    except ClientError as refused:
        return refused_to_page(refused)
    sealed = {"agents": agents, "call_id": wanted.call_id}
    token = await request.app[ACCESS].tokens.mint("stream", "", TOKEN_TTL_S, {}, key.id if key else None, sealed)
    return given_to_page(request, token)


@routes.get("/live/{id}/ws")
@operation("Listen in on a call: a WebSocket", answers={101: None})
async def listen(request: web.Request) -> web.StreamResponse:
    """One message of JSON, then both sides as int16 mono; an empty message at the end."""
    socket = new_socket(request, 1024)
    session = request.app[SESSIONS].of_call(request.match_info["id"])
    granted = await request.app[ACCESS].tokens.use(credential(request) or "", "stream", None)
    about: dict[str, Any] = dict(granted.sealed)
    if session.call.agent.name not in about["agents"] or about["call_id"] not in ("", session.call_id):
        raise ClientError("token_wrong_agent", "The token is not for this call.", status=403)
    await socket.prepare(request)
    form = {"sampleRate": LISTENING_RATE_HZ, "channels": 1, "bitDepth": 16}
    await socket.send_json({"type": "metadata", **form, "sessionId": session.call_id})
    await until_first(_pump(socket, session), session.ended.wait(), _gone(socket))
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(b"")
    await socket.close()
    return socket


async def _gone(socket: web.WebSocketResponse) -> None:
    """Who listens has nothing to say."""
    async for _ in socket:
        pass


async def _pump(socket: web.WebSocketResponse, session: Session) -> None:
    async with contextlib.aclosing(listen_in(session.handset)) as pieces:
        async for piece in pieces:
            await socket.send_bytes(piece)


@routes.get("/live/{id}/player")
@operation("A page that listens in", answers={200: str}, gives="text/html")
async def player(_: web.Request) -> web.FileResponse:
    """The token goes on to the sound; it is good for one time."""
    return web.FileResponse(STATIC / "player.html")
