"""`/v1/attach`: Pinecall's call log over a WebSocket, from a cursor on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from media_server.doors.pinecall.call_log import LIFECYCLE, AgentLog, CallLog, entry, newest_event
from media_server.doors.pinecall.memory import MEMORIES, Memories
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.body import validated
from media_server.http.calls import RECORDS
from media_server.http.openapi import operation
from media_server.http.sockets import PacedSocket, new_socket, until_first
from media_server.store import CallRecord, Records
from media_server.store.records import RecordedEvent

__all__ = ["routes"]

LARGEST = 4096
HEARTBEAT_S = 20.0
ATTACHED_S = 3600.0
"""How long a token is good for coming back, from each time that it was used."""
UNREAD_S = 10.0
"""Seconds for a client to take a message, after which it is sent away; its cursor brings it back."""
TRY_AGAIN_LATER = 1013
AT_ONCE = 50
"""Events that are read in one step."""
Entries = AsyncIterator[Sequence[Mapping[str, Any]]]
routes = web.RouteTableDef()


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    token: str = ""
    call: Annotated[str, Field(max_length=128)] = ""
    agent: Annotated[str, Field(max_length=64)] = ""
    after: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """The last entry that the client has."""

    @model_validator(mode="after")
    def of_one(self) -> Self:
        if bool(self.call) == bool(self.agent):
            raise ValueError("name either a call or an agent")
        return self


@routes.get("/v1/attach")
@operation("Pinecall: the log of a call, or of an agent's calls, a WebSocket", query=_Wanted, answers={101: None})
async def attach(request: web.Request) -> web.StreamResponse:
    """With a token to listen in, which is good for coming back too. The socket closes when the call's log is sealed."""
    socket = new_socket(request, LARGEST, HEARTBEAT_S)
    wanted = validated(_Wanted, dict(request.query))
    access, records = request.app[ACCESS], request.app.get(RECORDS)
    granted = await access.tokens.look(wanted.token, ("stream",), unused=True)
    key = await access.minter(granted)
    if records is None:
        raise ClientError("no_records", "This server keeps no call records (records = false).", status=404)
    allowed, tenant = granted.listening, key.tenant if key else None
    about: tuple[str | None, str]
    if wanted.call:
        call = await records.get(wanted.call)
        if call is None or tenant not in (None, call.tenant):
            raise ClientError("unknown_call", "There is no record of such a call.", status=404)
        if call.agent not in allowed.agents or allowed.call_id not in ("", call.id):
            raise ClientError("token_wrong_agent", "The token is not for this call.", status=403)
        entries, about = _of_call(records, call, request.app[MEMORIES]), (call.id, call.agent)
    else:
        if wanted.agent not in allowed.agents or allowed.call_id:
            raise ClientError("token_wrong_agent", "The token is not for this agent.", status=403)
        entries = _of_agent(records, wanted.agent, tenant, newest_event(wanted.after))
        about = None, wanted.agent
    await access.tokens.restore(wanted.token, ATTACHED_S)
    await socket.prepare(request)
    try:
        await until_first(_tell(socket, entries, wanted.after, about), _listen(socket), access.withdrawn(key))
    except TimeoutError:
        await socket.close(code=TRY_AGAIN_LATER, message=b"slow_consumer")
    await socket.close()
    return socket


async def _listen(socket: PacedSocket) -> None:
    """Until the client goes; it has nothing to say."""
    async for _ in socket:
        pass


async def _tell(socket: PacedSocket, entries: Entries, after: int, about: tuple[str | None, str]) -> None:
    """The entries after a cursor; an empty piece says that there are no more for now, which is told once."""
    last, caught_up = after, False
    async for piece in entries:
        told = [each for each in piece if each["seq"] > after]
        if not piece and not caught_up:
            caught_up = True
            told = [entry(last, time.time(), *about, "log.caught_up", {"seq": last})]
        for each in told:
            last = max(last, each["seq"])
            async with asyncio.timeout(UNREAD_S):
                await socket.send_json(each)


async def _of_call(records: Records, call: CallRecord, memories: Memories) -> Entries:
    """All of it from the beginning, since entries depend on those before."""
    log = CallLog(call)
    async for piece in _followed(records, 0, call.id):
        yield [entry for each in piece for entry in log.entries(each)]
        if any(each.type == "call.ended" for each in piece):
            break
    else:
        return
    # what is noted afterwards is part of the log, whose last entry is the summary
    await memories.settled(call.id)
    await records.flush()
    while piece := await records.events(piece[-1].id, call.id, None, None, AT_ONCE):
        yield [entry for each in piece for entry in log.entries(each)]
    log.call = await records.get(call.id) or call  # with what it cost
    yield [log.summary()]
    yield []


async def _of_agent(records: Records, agent: str, tenant: str | None, after: int) -> Entries:
    log = AgentLog(agent)
    async for piece in _followed(records, after, None, [agent], tenant, LIFECYCLE):
        entries: list[Mapping[str, Any]] = []
        for each in piece:
            if call := await records.get(each.call_id):
                entries += log.entries(each, call)
        yield entries


async def _followed(
    records: Records,
    after: int,
    call_id: str | None,
    agents: Sequence[str] | None = None,
    tenant: str | None = None,
    types: Sequence[str] | None = None,
) -> AsyncIterator[list[RecordedEvent]]:
    """The events that there are, an empty piece, and those to come."""
    await records.flush()
    while piece := await records.events(after, call_id, agents, tenant, AT_ONCE, types):
        yield piece
        after = piece[-1].id
    yield []
    async for piece in records.follow(after, call_id, agents, tenant, HEARTBEAT_S, types):
        yield piece
