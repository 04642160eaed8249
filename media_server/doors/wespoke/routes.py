"""Wespoke's doors: tokens for pages, what can be done to a call, and call records."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from media_server import events as e
from media_server.agents import Agent
from media_server.call import Session
from media_server.call.session import new_call_id
from media_server.doors.wespoke.dialect import ENDINGS, WespokeChat, message_of
from media_server.doors.wespoke.overrides import settled_by
from media_server.errors import ClientError
from media_server.foreign import ForeignModel
from media_server.http.access import ACCESS, TOKEN_TTL_S
from media_server.http.body import json_body, validated
from media_server.http.calls import RECORDS, UNDER_WAY, agents_for, recorded, time_text
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import until_first
from media_server.http.tokens import base_url, room_token
from media_server.store import CallFilter, CallRecord, CallStatus
from media_server.store.course import course
from media_server.switchboard import CallGrant, reached, require_credit
from media_server.terms import Terms

__all__ = ["refusal", "routes"]

DELETE_WAITS_S = 2.0
"""A page deletes a record right after it has hung up."""
CODES = {
    400: "INVALID_REQUEST", 401: "UNAUTHORIZED", 402: "INSUFFICIENT_CREDITS", 403: "DOMAIN_NOT_ALLOWED",
    404: "ASSISTANT_NOT_FOUND", 409: "CALL_ACTIVE", 429: "RATE_LIMIT_EXCEEDED",
    503: "SERVER_BUSY",
}  # fmt: skip
OWN = {
    "unknown_call": "CALL_NOT_FOUND", "unknown_session": "CALL_NOT_FOUND", "override": "OVERRIDE_NOT_ALLOWED",
    "key_scope": "FORBIDDEN", "key_agent": "ASSISTANT_NOT_FOUND", "call_rejected": "CALL_REJECTED",
    "busy": "SERVER_BUSY", "not_found": "NOT_FOUND", "host_not_allowed": "FORBIDDEN",
}  # fmt: skip
STATUSES = {"active": "in_progress"}
OUR_STATUSES: dict[str, CallStatus] = {
    "queued": "queued", "in_progress": "active", "completed": "completed", "failed": "failed",
}  # fmt: skip
QUEUED_S = TOKEN_TTL_S + 30.0
"""How long a call may take to begin."""
MAX_OFFSET = 10_000
CHAT_LINGER_S = 900.0
"""How long a chat waits for the next message."""
routes = web.RouteTableDef()


def refusal(refused: ClientError) -> web.Response:
    """A refusal in Wespoke's form."""
    usual = CODES.get(refused.status, "INVALID_REQUEST" if refused.status < 500 else "SERVER_ERROR")
    error: dict[str, Any] = {"code": OWN.get(refused.code, usual), "message": refused.message}
    if wait := refused.headers.get("Retry-After"):
        error["retryAfter"] = int(wait)
        error["resetAt"] = time_text(time.time() + int(wait))
    body = {"success": False, "error": error}
    # its clients decide by the status: 403 is a page that may not call, and not an assistant that is another key's
    status = 404 if error["code"] == "ASSISTANT_NOT_FOUND" else refused.status
    return web.json_response(body, status=status, headers=refused.headers)


class _TokenWanted(ForeignModel):
    assistantId: Annotated[str, Field(min_length=1)]  # noqa: N815 - as it is on the wire
    metadata: dict[str, Any] = Field(default_factory=dict)
    assistantOverrides: dict[str, Any] = Field(default_factory=dict)  # noqa: N815


class _Muted(BaseModel):
    muted: bool


class _Said(BaseModel):
    message: Annotated[str, Field(min_length=1, max_length=4000)]


class _Written(BaseModel):
    content: Annotated[str, Field(min_length=1, max_length=4000)]


class _Page(BaseModel):
    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0


class _CallsWanted(_Page):
    """Which records are listed; all where nothing is said."""

    before: str | None = None
    """The last one of the page before; cheaper than `offset`, and nothing new shifts it."""
    status: Literal["queued", "in_progress", "completed", "failed"] | None = None
    assistantId: str | None = None  # noqa: N815
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    """Bounds of their beginnings; the later one is excluded."""


@routes.post("/api/v1/embed/token")
@operation("Wespoke: a token for a page", scope="call", body=_TokenWanted, answers={200: dict[str, Any]})
async def token(request: web.Request) -> web.StreamResponse:
    """Single use; agent, metadata and overrides are sealed under it."""
    agent, start = await _start(request)
    call_id = new_call_id()
    terms = start.terms.model_copy(update={"dialect": "wespoke", "call_id": call_id})
    access = request.app[ACCESS]
    joining = await room_token(access.tokens, "room", agent.name, TOKEN_TTL_S, start.key_id, terms)
    await request.app[RECORDS].queue(
        call_id, agent.name, terms.metadata, agent.tenant, start.key_id, QUEUED_S, start.contact
    )
    data = {
        "callId": call_id,
        "token": joining,
        "url": base_url(request),
        "roomName": call_id,
        "assistant": _assistant(agent),
        "rateLimit": access.rate(start.key),
        "expiresIn": int(TOKEN_TTL_S),
    }
    return web.json_response({"success": True, "data": data}, headers={"Cache-Control": "no-store"})


async def _start(request: web.Request) -> tuple[Agent, CallGrant]:
    """Whom a page may talk to, and what is settled of the conversation."""
    key = await request.app[ACCESS].key(request, "call")
    wanted = await json_body(request, _TokenWanted)
    agent = request.app[ACCESS].agent(key, wanted.assistantId)
    require_credit(key)
    changes, variables = settled_by(wanted.assistantOverrides, agent.client_settings)
    request.app[SESSIONS].check_room()
    return agent, CallGrant(key, Terms(changes=changes, variables=variables, metadata=wanted.metadata))


@routes.post("/api/v1/embed/chat")
@operation("Wespoke: begin a chat", scope="call", body=_TokenWanted, answers={200: dict[str, Any]})
async def begin_chat(request: web.Request) -> web.StreamResponse:
    agent, start = await _start(request)
    chat = await request.app[SESSIONS].open_chat(agent.name, start, CHAT_LINGER_S)
    now_s = time.time()
    data: dict[str, Any] = {"chatId": chat.id, "assistant": _assistant(agent), "startedAt": time_text(now_s)}
    if greeting := chat.call.agent.greeting:
        data["greetingMessage"] = message_of("assistant", "greeting", greeting, now_s)
    return web.json_response({"success": True, "data": data})


@routes.post("/api/v1/embed/chat/{id}/messages")
@operation("Wespoke: write in a chat", scope="call", body=_Written, answers={200: str}, gives="text/event-stream")
async def write(request: web.Request) -> web.StreamResponse:
    """The answer, as it is made."""
    chat = request.app[SESSIONS].chat(request.match_info["id"])
    wanted = await json_body(request, _Written)
    dialect = WespokeChat()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    done = asyncio.Event()

    async def send(envelope: e.Envelope) -> None:
        # what was before this message is not the answer to it
        for name, data in dialect.outgoing(envelope) if envelope.seq > before else ():
            await response.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
            if name == "done":
                done.set()

    before = chat.newest
    chat.call.receive(e.TextSend(type="text.send", text=wanted.content))
    await response.prepare(request)
    await until_first(chat.serve(send, before), done.wait())
    with contextlib.suppress(ConnectionError):  # who asked may be gone
        await response.write_eof()
    return response


@routes.post("/api/v1/embed/chat/{id}/end")
@operation("Wespoke: end a chat", scope="call", answers={200: dict[str, bool]})
async def end_chat(request: web.Request) -> web.StreamResponse:
    request.app[SESSIONS].chat(request.match_info["id"]).hang_up("client_hangup")
    return web.json_response({"success": True})


def _assistant(agent: Agent) -> dict[str, Any]:
    return {"id": agent.name, "name": agent.name, "version": 1}


async def _live(request: web.Request) -> Session:
    """The call that is going on, as far as the key reaches."""
    key = await request.app[ACCESS].key(request, "call")
    return reached(key, request.app[SESSIONS].spoken_by_call_id(request.match_info["id"]))


@routes.post("/api/v1/embed/calls/{id}/end")
@operation("Wespoke: hang up", scope="call", answers={200: dict[str, bool]})
async def end(request: web.Request) -> web.StreamResponse:
    (await _live(request)).hang_up("client_hangup")
    return web.json_response({"success": True})


@routes.post("/api/v1/embed/calls/{id}/mute")
@operation("Wespoke: mute the caller", scope="call", body=_Muted, answers={200: dict[str, bool]})
async def mute(request: web.Request) -> web.StreamResponse:
    session = await _live(request)
    wanted = await json_body(request, _Muted)
    session.call.receive(e.UserMute(type="user.mute", muted=wanted.muted))
    return web.json_response({"success": True})


@routes.post("/api/v1/embed/calls/{id}/messages")
@operation("Wespoke: type into a call", scope="call", body=_Said, answers={200: dict[str, bool]})
async def say(request: web.Request) -> web.StreamResponse:
    session = await _live(request)
    wanted = await json_body(request, _Said)
    session.call.receive(e.TextSend(type="text.send", text=wanted.message))
    return web.json_response({"success": True})


@routes.get("/api/v1/embed/calls/{id}/messages")
@operation("Wespoke: what was said in a call", scope="call", query=_Page, answers={200: dict[str, Any]})
async def messages(request: web.Request) -> web.StreamResponse:
    wanted = validated(_Page, dict(request.query))
    session = await _live(request)
    records = request.app[RECORDS]
    await records.flush()
    found = await records.get(session.call_id)
    began = found.started_at if found else 0.0
    # what is being said has no text yet
    said = [m for m in (await course(records, session.call_id))["transcript"] if m["text"]]
    shown = [message_of(m["role"], m["turn_id"], m["text"], began + m["at_s"]) for m in said]
    page = shown[wanted.offset : wanted.offset + wanted.limit]
    return web.json_response({"success": True, "data": {"messages": page}})


@routes.get("/api/v1/calls")
@operation("Wespoke: call records", scope="admin", query=_CallsWanted, answers={200: dict[str, Any]})
async def calls(request: web.Request) -> web.StreamResponse:
    key = await request.app[ACCESS].key(request, "admin")
    wanted = validated(_CallsWanted, dict(request.query))
    which = CallFilter(
        agents=agents_for(key, [wanted.assistantId] if wanted.assistantId else None),
        status=OUR_STATUSES[wanted.status] if wanted.status else None,
        tenant=key.tenant if key else None,
        since=wanted.since.timestamp() if wanted.since else None,
        until=wanted.until.timestamp() if wanted.until else None,
    )
    found = await request.app[RECORDS].page(wanted.offset + wanted.limit, wanted.before, which)
    found = found[wanted.offset :]
    following = found[-1].id if len(found) == wanted.limit else None
    return web.json_response({"success": True, "data": {"calls": [_record(c) for c in found], "next": following}})


@routes.get("/api/v1/calls/{id}")
@operation("Wespoke: a call record", scope="admin", answers={200: dict[str, Any]})
async def call(request: web.Request) -> web.StreamResponse:
    found = await recorded(request)
    said = await course(request.app[RECORDS], found.id)
    transcript = [
        {"role": t["role"], "text": t["text"], "start": t["at_s"], "end": t.get("until_s", t["at_s"])}
        | {"interrupted": t.get("interrupted", False)}
        for t in said["transcript"]
    ]
    figures = [{k: v for k, v in turn.items() if k.endswith("_ms")} for turn in said["turns"]]
    roles = Counter(t["role"] for t in transcript)
    usage = {"userMessages": roles["user"], "assistantMessages": roles["assistant"], "toolCalls": len(said["tools"])}
    told = {**_record(found), "transcript": transcript, "usage": usage, "latency": figures}
    return web.json_response({"success": True, "data": told})


@routes.delete("/api/v1/calls/{id}")
@operation("Wespoke: forget a call", scope="admin", answers={200: dict[str, bool]})
async def forget(request: web.Request) -> web.StreamResponse:
    """The record; it does not end a call. One that has just been hung up is waited for."""
    found = await recorded(request)
    try:
        async with asyncio.timeout(DELETE_WAITS_S):
            while (now := await request.app[RECORDS].get(found.id)) and now.status in UNDER_WAY:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise ClientError("call_active", "The call is still going on; hang up first.", status=409) from None
    await request.app[RECORDS].delete(found.id)
    return web.json_response({"success": True})


def _record(found: CallRecord) -> dict[str, Any]:
    seconds = None if found.ended_at is None else round(found.ended_at - found.started_at, 3)
    return {
        "id": found.id,
        "assistantId": found.agent,
        "status": STATUSES.get(found.status, found.status),
        "startedAt": time_text(found.started_at),
        "endedAt": time_text(found.ended_at),
        "durationSeconds": seconds,
        "endReason": ENDINGS.get(found.end_reason, "error") if found.end_reason else None,
        "cost": found.cost,
        "metadata": dict(found.metadata),
    }
