"""`/v1/sessions` and `/v1/whip`: offers in, answers out, trickle ICE, hanging up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from typing_extensions import TypedDict

from media_server.call import Session
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import json_body, require_type, text_body
from media_server.http.openapi import operation
from media_server.rtc import Peer
from media_server.switchboard import Switchboard

__all__ = ["SESSIONS", "routes"]

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
ACCEPTS = {"Allow": "OPTIONS, POST", "Accept-Post": SDP}
ACCEPTS_OF_SESSION = {"Allow": "OPTIONS, DELETE, PATCH", "Accept-Patch": FRAGMENT}


class _Offer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agent: str | None = None
    """May be left out with a token, which says it."""
    sdp: str = Field(min_length=1)
    type: Literal["offer"]
    metadata: dict[str, Any] = {}
    variables: dict[str, str | int | FiniteFloat | bool] = {}
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
SESSIONS = web.AppKey("sessions", Switchboard)


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
    return web.Response(status=204, headers=ACCEPTS_OF_SESSION if "id" in request.match_info else ACCEPTS)


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
