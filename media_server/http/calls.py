"""`/v1/calls` and `/v1/events`: what was said and done, afterwards and while it goes on."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import from_json
from typing_extensions import TypedDict

from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.openapi import operation
from media_server.http.sockets import new_socket, until_first
from media_server.rfc3339 import stamp
from media_server.store import CallFilter, CallRecord, CallStatus, Key, Records
from media_server.store.course import course

__all__ = ["RECORDS", "UNDER_WAY", "agents_for", "recorded", "routes", "time_text"]

SILENCE_S = 15.0
"""Seconds of silence after which a stream says that it is alive."""
UNDER_WAY = ("queued", "active")
RECORDS = web.AppKey("records", Records)
_EVENT_ID = re.compile(r"[0-9]{1,18}")
routes = web.RouteTableDef()


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: str | None = None
    agent: str | None = None
    status: CallStatus | None = None
    since: AwareDatetime | None = None
    """Calls that began then or later; `until` excludes its moment."""
    until: AwareDatetime | None = None
    contact: Annotated[str | None, Field(max_length=200)] = None
    words: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    """A part of what was said in calls that are over, in any case."""


class _Followed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    agents: str = ""
    """Names, with commas between; all where there are none."""
    token: str = ""
    """A token of `/stream/token` in place of a key, over a WebSocket."""
    call: str = ""
    """The only call that is wanted, over a WebSocket."""
    tool_results: bool = False
    """Whether what tools returned is wanted too, over a WebSocket."""

    @property
    def names(self) -> list[str]:
        return [name for name in self.agents.split(",") if name]


class _Summary(TypedDict):
    id: str
    agent: str
    status: CallStatus
    started_at: str
    ended_at: str | None
    duration_s: float | None
    end_reason: str | None
    cost: float | None
    metadata: dict[str, Any]
    contact: str | None
    first_words: str | None
    turn_count: int | None
    response_ms: float | None


class _Calls(TypedDict):
    calls: list[_Summary]
    next: str | None


class _Call(_Summary):
    recording: NotRequired[str]
    transcript: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    knowledge: list[dict[str, Any]]
    turns: list[dict[str, Any]]
    quality: NotRequired[dict[str, float]]


@routes.get("/v1/calls")
@operation("Call records, the newest first", scope="admin", query=_Page, answers={200: _Calls})
async def page(request: web.Request) -> web.Response:
    key = await request.app[ACCESS].key(request, "admin")
    wanted = validated(_Page, dict(request.query))
    agents = agents_for(key, [wanted.agent] if wanted.agent is not None else None)
    which = CallFilter(
        agents=agents,
        status=wanted.status,
        tenant=key.tenant if key else None,
        since=wanted.since.timestamp() if wanted.since else None,
        until=wanted.until.timestamp() if wanted.until else None,
        contact=wanted.contact,
        words=wanted.words,
    )
    calls = await request.app[RECORDS].page(wanted.limit, wanted.before, which)
    following = calls[-1].id if len(calls) == wanted.limit else None
    return web.json_response({"calls": [_summary(c) for c in calls], "next": following})


@routes.get("/v1/calls/{id}")
@operation("What was said and done in a call", scope="admin", answers={200: _Call})
async def one(request: web.Request) -> web.Response:
    record = await recorded(request)
    said = await course(request.app[RECORDS], record.id)
    has_sound = await request.app[RECORDS].recording(record.id)
    sound = {"recording": f"/v1/calls/{record.id}/recording"} if has_sound else {}
    return web.json_response(_summary(record) | sound | said)


@routes.get("/v1/calls/{id}/recording")
@operation("The sound of a call", scope="admin", answers={200: bytes}, gives="audio/ogg")
async def recording(request: web.Request) -> web.StreamResponse:
    record = await recorded(request)
    if record.status in UNDER_WAY:
        raise ClientError("call_active", "The call is still going on.", status=409)
    path = await request.app[RECORDS].recording(record.id)
    if path is None:
        raise ClientError("no_recording", "The sound of this call was not recorded.", status=404)
    return web.FileResponse(path, headers={"Content-Type": "audio/ogg", "Cache-Control": "no-store"})


@routes.delete("/v1/calls/{id}")
@operation("Forget a call", scope="admin", answers={204: None})
async def forget(request: web.Request) -> web.Response:
    record = await recorded(request)
    if record.status in UNDER_WAY:
        message = "The call is still going on; hang up first, or wait."
        raise ClientError("call_active", message, status=409)
    await request.app[RECORDS].delete(record.id)
    return web.Response(status=204)


@routes.get("/v1/calls/{id}/events")
@operation("Follow a call", scope="admin", answers={200: str}, gives="text/event-stream")
async def events_of_call(request: web.Request) -> web.StreamResponse:
    record, key = await _reached(request)
    return await _stream(request, key, record.id, None)


@routes.get("/v1/events")
@operation("Follow all calls", scope="admin", query=_Followed, answers={200: str}, gives="text/event-stream")
async def events(request: web.Request) -> web.StreamResponse:
    """Events of calls, as server-sent events, or over a WebSocket where the request asks for one."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await _over_a_socket(request, validated(_Followed, dict(request.query)))
    key = await request.app[ACCESS].key(request, "admin")
    agents = validated(_Followed, dict(request.query)).names
    return await _stream(request, key, None, agents_for(key, agents or None))


async def _over_a_socket(request: web.Request, wanted: _Followed) -> web.StreamResponse:
    """`{"event", …, "agent"}` from now on; `{"action": "ping"}` is answered with a `pong`."""
    access, records = request.app[ACCESS], request.app[RECORDS]
    socket = new_socket(request, 4096)
    agents, call_id = wanted.names, wanted.call
    if wanted.token:
        granted = await access.tokens.use(wanted.token, "stream", None)
        allowed = granted.listening
        agents = [a for a in agents if a in allowed.agents] or list(allowed.agents)
        call_id = allowed.call_id or call_id
        key = await access.minter(granted)
    else:
        key = await access.key(request, "admin")
    names: dict[str, str] = {}

    async def tell() -> None:
        after, tenant = await records.newest(), key.tenant if key else None
        of_agents = agents_for(key, agents or None)
        async for piece in records.follow(after, call_id or None, of_agents, tenant, SILENCE_S):
            for each in piece:
                of = each.call_id
                if of not in names:
                    record = await records.get(of)
                    names[of] = record.agent if record else ""
                hidden = {"type", *(() if wanted.tool_results else ("result",))}
                fields = {k: v for k, v in each.event.items() if k not in hidden}
                await socket.send_json({"event": each.type, **fields, "agent": names[of]})

    async def answer() -> None:
        async for message in socket:
            with contextlib.suppress(ValueError, TypeError, AttributeError):  # what is no ping is nothing
                if from_json(message.data).get("action") == "ping":
                    await socket.send_json({"event": "pong"})

    await socket.prepare(request)
    await until_first(tell(), answer(), access.withdrawn(key))
    await socket.close()
    return socket


def agents_for(key: Key | None, wanted: Sequence[str] | None) -> Sequence[str] | None:
    """Select the wanted agents that the key is for; None stands for all."""
    if key is None or key.agents is None:
        return wanted
    return key.agents if wanted is None else [name for name in wanted if key.allows_agent(name)]


async def recorded(request: web.Request) -> CallRecord:
    """The call of the address, as far as the key reaches. Raises `ClientError` (404) where there is none."""
    return (await _reached(request))[0]


async def _reached(request: web.Request) -> tuple[CallRecord, Key | None]:
    key = await request.app[ACCESS].key(request, "admin")
    record = await request.app[RECORDS].get(request.match_info["id"])
    mine = record and (key is None or (record.tenant == key.tenant and key.allows_agent(record.agent)))
    if record is None or not mine:
        raise ClientError("unknown_call", "There is no record of such a call.", status=404)
    return record, key


async def _stream(
    request: web.Request, key: Key | None, call_id: str | None, agents: Sequence[str] | None
) -> web.StreamResponse:
    """Server-sent events (WHATWG HTML section 9.2); `Last-Event-ID` goes on where a connection broke off.

    That of one call ends with it; that of all begins now.
    """
    records = request.app[RECORDS]
    last = request.headers.get("Last-Event-ID", "")
    if last and not _EVENT_ID.fullmatch(last):
        raise ClientError("bad_request", "Last-Event-ID has to be the id of an event.")
    after = int(last) if last else (0 if call_id else await records.newest())
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)

    async def tell() -> None:
        tenant = None if call_id or key is None else key.tenant
        async for piece in records.follow(after, call_id, agents, tenant, SILENCE_S):
            lines = [f"id: {e.id}\nevent: {e.type}\ndata: {json.dumps(e.event)}\n\n" for e in piece]
            await response.write("".join(lines or [": alive\n\n"]).encode())
            if call_id and any(e.type == "call.ended" for e in piece):
                return

    await until_first(tell(), request.app[ACCESS].withdrawn(key))
    with contextlib.suppress(ConnectionError):  # who followed is gone
        await response.write_eof()
    return response


def time_text(seconds: float | None) -> str | None:
    """RFC 3339."""
    return None if seconds is None else stamp(seconds)


def _summary(call: CallRecord) -> dict[str, Any]:
    duration = None if call.ended_at is None else round(call.ended_at - call.started_at, 3)
    return {
        "id": call.id,
        "agent": call.agent,
        "status": call.status,
        "started_at": time_text(call.started_at),
        "ended_at": time_text(call.ended_at),
        "duration_s": duration,
        "end_reason": call.end_reason,
        "cost": call.cost,
        "metadata": dict(call.metadata),
        "contact": call.contact,
        "first_words": call.first_words,
        "turn_count": call.turns,
        "response_ms": call.response_ms,
    }
