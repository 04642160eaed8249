"""Programs that are agents: which program leads which agent, and the WebSocket that each comes on."""

from __future__ import annotations

import asyncio
import time

from aiohttp import WSMsgType, web

from media_server import events as e
from media_server.agents import Agent, AgentRegistry
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.knowledge import BASES, CHANGING
from media_server.doors.pinecall.memory import MEMORIES, Memories
from media_server.doors.pinecall.program import Program
from media_server.doors.pinecall.program_agents import Refused
from media_server.errors import ClientError
from media_server.http.access import ACCESS
from media_server.http.agents import AGENTS
from media_server.http.calls import RECORDS
from media_server.http.console import CONSOLE
from media_server.http.openapi import operation
from media_server.http.sessions import SESSIONS
from media_server.http.sockets import new_socket, until_first
from media_server.http.speech import ENGINES
from media_server.knowledge import Bases, Library
from media_server.store import Key
from media_server.switchboard import Switchboard

__all__ = ["PROGRAMS", "Programs", "prepare", "routes"]

FIRST_S = 10.0
"""For `connect` to come."""
LARGEST = 1024 * 1024
POLICY_VIOLATION = 1008
MAX_AGENTS = 1000
"""Maximum agents that the programs of one tenant lead: none of them can take the room from another."""
KEPT_S = 86400.0
"""How long the name of an agent stays its tenant's after the program has gone."""
MAX_KEPT = 10_000
"""Maximum names that are kept for one tenant."""
routes = web.RouteTableDef()


class Programs:
    """Which program leads which agent.

    A name stays its tenant's while the program is away: as long as calls of it are under way, and for `KEPT_S`.
    """

    def __init__(
        self, agents: AgentRegistry, sessions: Switchboard, bases: Bases, library: Library, memories: Memories
    ) -> None:
        self.bases = bases
        self.memories = memories
        self._library = library
        self._agents = agents
        self._sessions = sessions
        self._by_agent: dict[str, Program] = {}
        self._kept: dict[str, tuple[str, float]] = {}
        """Names of programs that are away: whose each is, and until when, in seconds of the monotonic clock."""
        sessions.observers.append(self._observe)
        sessions.route = self._developers_version

    def get(self, agent: str) -> Program | None:
        return self._by_agent.get(agent)

    def has_agent(self, name: str) -> bool:
        return self._agents.get(name) is not None

    def of_tenant(self, agent: str, tenant: str) -> Program | None:
        """The program that leads this agent, if it is of this tenant."""
        program = self._by_agent.get(agent)
        return program if program and program.tenant == tenant else None

    def _developers_version(self, agent: str, contact: str) -> str:
        """The agent that somebody gets who calls one: a developer gets `dev-…-{agent}` of their own program."""
        wanted = self._agents.get(agent)
        if not contact or wanted is None:
            return agent
        for name, program in self._by_agent.items():
            for_developer = name.startswith("dev-") and name.endswith(f"-{agent}")
            if for_developer and contact in program.callers and program.tenant == wanted.tenant:
                return name
        return agent

    def conducting(self, call_id: str) -> Agent | None:
        """The agent that has a call now, if it is under way."""
        try:
            return self._sessions.find_by_call_id(call_id).call.agent
        except ClientError:
            return None

    def register(self, agent: Agent, program: Program) -> None:
        """Raises `ClientError` where another program, another tenant, or the server itself has this name."""
        holder = self._by_agent.get(agent.name)
        if self._belongs_to_another(agent):
            message = f"The name {agent.name!r} is taken; choose another one."
            raise Refused("AGENT_CONFLICT", message, retry_after_s=60, holder_alive=holder is not None)
        if holder is not None and holder is not program:
            raise Refused(
                "AGENT_CONFLICT", f"Another program leads {agent.name!r}.", retry_after_s=5, holder_alive=True
            )
        used = sum(each.tenant == program.tenant for each in self._by_agent.values())
        if holder is None and used >= MAX_AGENTS:
            message = "There are as many agents of programs as there may be."
            raise Refused("SERVER_AT_CAPACITY", message, used=used, limit=MAX_AGENTS)
        try:
            self._agents.register(agent)
        except KeyError:
            raise Refused("AGENT_CONFLICT_FATAL", f"The server has an agent {agent.name!r} itself.") from None
        except ValueError as wrong:
            raise Refused("REGISTRATION_ERROR", f"{wrong}.") from wrong
        for folder in agent.folders:
            self._library.follow(folder)
        self._by_agent[agent.name] = program
        self._kept.pop(agent.name, None)

    def _belongs_to_another(self, agent: Agent) -> bool:
        """Whether another tenant's program leads an agent of this name, or is away and has calls or a right to it."""
        if holder := self._by_agent.get(agent.name):
            return holder.tenant != agent.tenant
        owner, until = self._kept.get(agent.name, (agent.tenant, 0.0))
        if owner != agent.tenant and until > time.monotonic():
            return True
        under_way = (each.call.agent for each in self._sessions.conversations())
        return any(a.name == agent.name and a.tenant != agent.tenant for a in under_way)

    def withdraw(self, program: Program) -> None:
        """The program is gone."""
        now = time.monotonic()
        self._kept = {name: kept for name, kept in self._kept.items() if kept[1] > now}
        room = MAX_KEPT - sum(owner == program.tenant for owner, _ in self._kept.values()) if program.has_key else 0
        for name in [name for name, each in self._by_agent.items() if each is program]:
            del self._by_agent[name]
            self._agents.withdraw(name)
            if room > 0:
                self._kept[name] = program.tenant, now + KEPT_S
                room -= 1

    def displace(self, name: str) -> None:
        """Take an agent from the program that leads it."""
        program = self._by_agent.pop(name)
        self._agents.withdraw(name)
        program.displace(name)

    def _observe(self, envelope: e.Envelope) -> None:
        self.memories.observe(envelope)  # a call that is handed over is over for one agent before the next one has it
        for program in set(self._by_agent.values()):
            program.observe(envelope)


PROGRAMS = web.AppKey("programs", Programs)


def prepare(app: web.Application) -> None:
    """Have the application lead programs."""
    about = app[CONSOLE]
    app[BASES], app[CHANGING] = Bases(about.settings.bases_dir), asyncio.Lock()
    app[MEMORIES] = Memories(app.get(RECORDS), app[ENGINES], f"local/{about.pack.manifest.name}")
    app[PROGRAMS] = Programs(app[AGENTS], app[SESSIONS], app[BASES], about.library, app[MEMORIES])

    async def close(_: web.Application) -> None:
        await app[MEMORIES].close()

    app.on_cleanup.append(close)


@routes.get("/client")
@operation("Pinecall: an agent that is a program: a WebSocket", answers={101: None})
async def client(request: web.Request) -> web.StreamResponse:
    """The key comes in the first message, `connect`."""
    socket = new_socket(request, LARGEST, 30.0)
    await socket.prepare(request)
    try:
        key = await _connected(request, socket)
    except ClientError as refused:
        await socket.send_json(_error(refused.code, refused.message))
        await socket.close(code=POLICY_VIOLATION)
        return socket
    program = Program(request.app[PROGRAMS], request.app[SESSIONS], request.app[ACCESS], key, socket)
    program.send({"event": "connected", "org_id": key.tenant if key else ""})

    async def revoked() -> None:
        await request.app[ACCESS].withdrawn(key)
        await socket.send_json(_error("UNAUTHORIZED", "This API key was revoked."))
        await socket.close(code=POLICY_VIOLATION)

    try:
        await until_first(program.write(), program.read(), program.lost.wait(), revoked())
    finally:
        request.app[PROGRAMS].withdraw(program)
        await program.leave()
        await socket.close()
    await program.say_goodbye()
    return socket


def _error(code: str, message: str) -> dict[str, str]:
    return {"event": "error", "code": code, "message": message, "error": message}


async def _connected(request: web.Request, socket: web.WebSocketResponse) -> Key | None:
    try:
        async with asyncio.timeout(FIRST_S):
            first = await socket.receive()
    except TimeoutError:
        raise ClientError("NOT_CONNECTED", f"connect did not come within {FIRST_S:g} seconds.") from None
    message = p.parse(first.data) if first.type is WSMsgType.TEXT else None
    if not isinstance(message, p.Connect):
        raise ClientError("NOT_CONNECTED", "The first message has to be connect, with an api_key.")
    try:
        return await request.app[ACCESS].key(request, "admin", shown=message.api_key or None)
    except ClientError as refused:
        raise ClientError("UNAUTHORIZED", refused.message) from refused
