"""A call while it goes on: listening in, and a person who takes over."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Annotated, Literal

import numpy as np
from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from media_server.agents import agent_name
from media_server.call import RunningCall, Session
from media_server.errors import ClientError, problems
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS, TOKEN_TTL_S
from media_server.http.body import json_body, validated
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import new_socket, until_first
from media_server.http.tokens import PageToken, given_to_page
from media_server.paths import STATIC
from media_server.rtc.listening import LISTENING_RATE_HZ, listen_in
from media_server.switchboard import reached
from media_server.terms import ListeningTerms

__all__ = ["routes"]

LARGEST = 64 * 1024
routes = web.RouteTableDef()


StreamScope = Literal["observe", "participate", "supervise"]


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["say", "pause", "resume"]
    text: Annotated[str, Field(max_length=4000)] = ""
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = LISTENING_RATE_HZ
    """The rate of the person's voice with `pause`; it comes as int16 mono."""


class _ToSay(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _StreamWanted(ForeignModel):
    agent_id: Annotated[str, Field(min_length=1)]
    """Names, with commas between."""
    scope: StreamScope = "observe"
    """`participate`: may have something said; `supervise`: may take the call over, also in their own voice."""
    call_id: str = ""


async def _live(request: web.Request) -> RunningCall:
    """The call of the address, as far as the key reaches. Raises `ClientError` (404) where there is none."""
    key = await request.app[ACCESS].key(request, "admin")
    return reached(key, request.app[SESSIONS].find_by_call_id(request.match_info["id"]))


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
    """Have it said in the agent's voice, word for word, after what is being said."""
    live = await _live(request)
    live.call.say((await json_body(request, _ToSay)).text)
    return web.Response(status=204)


@routes.post("/v1/calls/{id}/end")
@operation("Hang a call up", scope="admin", answers={204: None})
async def end(request: web.Request) -> web.Response:
    """It ends with the reason `operator_hangup`."""
    (await _live(request)).hang_up("operator_hangup")
    return web.Response(status=204)


@routes.get("/stream/token")
@routes.post("/stream/token")
@operation("A token to listen in", scope="admin", query=_StreamWanted, body=_StreamWanted, answers={200: PageToken})
async def stream_token(request: web.Request) -> web.Response:
    """A token for these agents' calls, or for one of them; it takes a key to get one."""
    key = await request.app[ACCESS].key(request, "admin")
    if request.method == "POST":
        wanted = await json_body(request, _StreamWanted)
    else:
        wanted = validated(_StreamWanted, dict(request.query))
    agents = [request.app[ACCESS].agent(key, agent_name(name)).name for name in wanted.agent_id.split(",")]
    terms = ListeningTerms(agents=tuple(agents), call_id=wanted.call_id, scope=wanted.scope)
    token = await request.app[ACCESS].tokens.mint("stream", "", TOKEN_TTL_S, key.id if key else None, terms)
    return given_to_page(request, token)


@routes.get("/live/{id}/ws")
@operation("Listen in on a call: a WebSocket", answers={101: None})
async def listen(request: web.Request) -> web.StreamResponse:
    """One message of JSON, then both sides as int16 mono; an empty message at the end.

    A client that may speak sends `{"action": "say", "text"}`, or `pause` and `resume`, and in between int16 mono.
    """
    socket = new_socket(request, LARGEST)
    # first the token: without one nobody learns which calls there are
    granted = await request.app[ACCESS].tokens.use(request.app[ACCESS].credential(request) or "", "stream", None)
    key = await request.app[ACCESS].minter(granted)
    session = reached(key, request.app[SESSIONS].spoken_by_call_id(request.match_info["id"]))
    terms = granted.listening
    if session.call.agent.name not in terms.agents or terms.call_id not in ("", session.call_id):
        raise ClientError("token_wrong_agent", "The token is not for this call.", status=403)
    await socket.prepare(request)
    scope = terms.scope
    form = {"sampleRate": LISTENING_RATE_HZ, "channels": 1, "bitDepth": 16}
    more = {} if scope == "observe" else {"scope": scope}
    await socket.send_json({"type": "metadata", **form, "sessionId": session.call_id, **more})
    seat = _Seat(socket, session, scope, terms.agents)
    try:
        speaking = [seat.person.run()] if scope == "supervise" else []
        over = (session.ended.wait(), request.app[ACCESS].withdrawn(key))
        await until_first(seat.listen(), seat.act(), *over, *speaking)
    finally:
        seat.leave()
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(b"")
    await socket.close()
    return socket


class _Seat:
    """Somebody beside a call, on a socket: `listen`, and `act` as far as their token goes."""

    def __init__(
        self, socket: web.WebSocketResponse, session: Session, scope: StreamScope, agents: Collection[str]
    ) -> None:
        self.person = session.person()
        self._agents = agents
        self._socket = socket
        self._session = session
        self._scope = scope
        self._speaking_at_hz: int | None = None
        """While this person has taken the call over: the rate of their voice."""

    async def listen(self) -> None:
        def hears_agent() -> bool:
            return self._speaking_at_hz is None

        async with contextlib.aclosing(listen_in(self._session.handset, hears_agent)) as pieces:
            async for piece in pieces:
                if not self._is_theirs:
                    return
                await self._socket.send_bytes(piece)

    async def act(self) -> None:
        """Returns when they are gone."""
        async for message in self._socket:
            if not self._is_theirs:
                return
            try:
                if message.type is WSMsgType.BINARY:
                    await self._speak(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._do(_action(message.data))
            except ClientError as refused:
                await self._socket.send_json({"type": "error", "code": refused.code, "message": refused.message})

    @property
    def _is_theirs(self) -> bool:
        """Whether the call is still with an agent that the token is for: it may be forwarded to another."""
        return self._session.call.agent.name in self._agents

    def leave(self) -> None:
        """They are gone: a call that they have taken over is given back, unless somebody else has it too."""
        if self._speaking_at_hz is not None:
            self._speaking_at_hz = None
            self._session.call.resume(by=self)

    async def _speak(self, data: bytes) -> None:
        if self._speaking_at_hz is None:
            raise ClientError("not_taken_over", "Take the call over first (pause): nobody hears you.", status=409)
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)
        await self.person.hear(samples, self._speaking_at_hz)

    def _do(self, wanted: _Action) -> None:
        call = self._session.call
        if self._scope == "observe" or (self._scope == "participate" and wanted.action != "say"):
            raise ClientError("token_scope", f"This token is not for that: it is for {self._scope!r}.", status=403)
        match wanted.action:
            case "say" if wanted.text:
                call.say(wanted.text)
            case "say":
                raise ClientError("bad_request", "text: what is to be said?")
            case "pause":
                call.pause(by=self)
                self._speaking_at_hz = wanted.sample_rate
            case "resume":
                self._speaking_at_hz = None
                self.person.finish()
                call.resume(by=self)


def _action(text: str) -> _Action:
    try:
        return _Action.model_validate_json(text)
    except ValidationError as wrong:
        raise ClientError("bad_request", f"{problems(wrong)}.") from wrong


@routes.get("/live/{id}/player")
@operation("A page that listens in", answers={200: str}, gives="text/html")
async def player(_: web.Request) -> web.FileResponse:
    """The token goes on to the sound; it is good for one time."""
    return web.FileResponse(STATIC / "player.html")
