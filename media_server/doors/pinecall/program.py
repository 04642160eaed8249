"""One of Pinecall's programs on its socket: its agents, their calls, and what it says of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType

from media_server import events as e
from media_server.agents import contact_of
from media_server.call import RunningCall
from media_server.call.overhearing import Overhearing
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.bridge import open_bridge
from media_server.doors.pinecall.dialect import MEMORY_OPS
from media_server.doors.pinecall.followed_call import FollowedCall
from media_server.doors.pinecall.program_agents import (
    Here,
    Refused,
    changes,
    make_agent,
    make_handlers,
    make_tool,
)
from media_server.doors.pinecall.program_chats import LedChats
from media_server.doors.pinecall.program_history import change_history
from media_server.doors.pinecall.program_questions import Questions, channel_of
from media_server.doors.pinecall.program_replies import Replies
from media_server.doors.pinecall.program_takeover import Takeover
from media_server.errors import ClientError
from media_server.http.access import Access
from media_server.http.sockets import PacedSocket
from media_server.jsonable import sound
from media_server.store import Key
from media_server.switchboard import CallGrant, Switchboard
from media_server.terms import Terms

if TYPE_CHECKING:
    from media_server.doors.pinecall.programs import Programs

__all__ = ["Program"]

log = logging.getLogger(__name__)

MAX_UNSENT = 10_000
"""Messages for a program that does not read them, after which it is taken for gone."""
AWAY_S = 10.0
"""How long a call goes on without the program, which may come back."""
GOODBYE = "I am sorry, I have to end the call here. Goodbye."
ANSWER_S = 3.0
"""Seconds for a program to answer a ping when another one wants the name of its agent."""


class Program:
    """`write` and `read` carry messages until it is gone."""

    def __init__(
        self, programs: Programs, sessions: Switchboard, access: Access, key: Key | None, socket: PacedSocket
    ) -> None:
        self.lost = asyncio.Event()
        """It does not read what it is sent, or answers no ping."""
        self.tenant = key.tenant if key else ""
        self.has_key = key is not None
        self.calls: dict[str, FollowedCall] = {}
        self.callers: frozenset[str] = frozenset()
        """Contacts whose calls to an agent go to this program's version of it, where that is made for a developer."""
        self._programs = programs
        self._sessions = sessions
        self._access = access
        self._key = key
        self._socket = socket
        self._agents: dict[str, p.AgentCreate] = {}
        """Agents as the program wants them."""
        self._unsent: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._gone = False
        self._channels: dict[tuple[str, str], p.ChannelCommand] = {}
        """What is otherwise for calls that reach an agent in one way, by both."""
        self.questions = Questions(self.send, self._rings)
        self._replies = Replies(self.questions, self.send)
        self._chats = LedChats(sessions, access, key, self.send)
        self._takeover = Takeover(self._agents, self.calls, sessions, self.send)
        self._tasks: set[asyncio.Task[None]] = set()
        """Names that it wants and others have, and calls that its agents have placed."""
        self._callees: dict[str, str] = {}
        """Whom its agents call, by call."""

    def send(self, message: Mapping[str, Any]) -> None:
        if self._gone:
            return
        self._unsent.put_nowait(message)
        if self._unsent.qsize() > MAX_UNSENT:
            self.lost.set()

    async def write(self) -> None:
        while True:
            await self._socket.send_str(sound(json.dumps(await self._unsent.get(), ensure_ascii=False)))

    async def read(self) -> None:
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            try:
                await self._take(p.parse(message.data))
            except ClientError as refused:
                self._refuse(p.about(message.data), refused)
            except Exception:  # one message's defect must not end the program's calls
                log.exception("a message of a program failed")
                self._refuse(p.about(message.data), ClientError("INTERNAL", "The server made a mistake; see its log."))

    def _refuse(self, message: Mapping[str, Any], refused: ClientError) -> None:
        fields = refused.fields if isinstance(refused, Refused) else {}
        if followed := self.calls.get(str(message.get("call_id") or message.get("session_id"))):
            message = {"agent_id": followed.agent_id, **message}  # by which a program finds the call
        for answer in p.refusal(message, refused, fields):
            self.send(answer)

    async def answers(self) -> bool:
        """Whether the program is there; one that is not is taken for gone."""
        if await self._socket.answers(ANSWER_S):
            return True
        self.lost.set()
        return False

    async def say_goodbye(self) -> None:
        """Its calls go on for a while; then they end, unless it is back."""
        if not self.calls:
            return
        await asyncio.sleep(AWAY_S)
        for call_id, followed in self.calls.items():
            with contextlib.suppress(ClientError):
                call = self._sessions.find_by_call_id(call_id).call
                leader = self._programs.of_tenant(followed.agent_id, self.tenant)
                if leader is None and call.agent.name == followed.agent_id:
                    call.say(GOODBYE, interrupt=True)
                    call.hangup(after_speech=True)

    async def leave(self) -> None:
        """It is gone: nobody waits for it any more."""
        self._gone = True
        self.questions.give_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._chats.leave()

    def displace(self, name: str) -> None:
        """The operator has taken an agent from it."""
        self._agents.pop(name, None)
        self.send({"event": "agent.displaced", "agent_id": name, "reason": "An operator disconnected it."})

    # -- its calls

    def observe(self, envelope: e.Envelope) -> None:
        """Something happened in some call."""
        call_id, who = envelope.call_id, ""
        match envelope.event:
            case e.CallStarted(agent=name, metadata=metadata):
                who = contact_of(metadata)
                if self._leads(call_id, name):
                    self._follow_by_channel(call_id, name)
            case e.CallForwarded(agent=True) as forwarded:
                self._hand_over(call_id, forwarded, envelope)
                return
        if (followed := self.calls.get(call_id)) is None:
            return
        for message in followed.outgoing(envelope, who):
            self.send(message)
        match envelope.event:
            case e.CallEnded():
                del self.calls[call_id]
                self.questions.forget(call_id)
            case e.StateChanged():
                # also where the program prepares no turns, or answers them itself
                if agent := self._programs.conducting(call_id):
                    self.questions.tell_language(call_id, agent)

    def _hand_over(self, call_id: str, forwarded: e.CallForwarded, envelope: e.Envelope) -> None:
        """A call goes from one agent to another: it is over for the one and begins for the other."""
        before = self.calls.pop(call_id, None)
        if before:
            for message in (*before.outgoing(envelope, ""), before.ended("forwarded", envelope.time)):
                self.send(message)
        if forwarded.to not in self._agents:  # calls are forwarded within a tenant alone
            return
        call = self._sessions.find_by_call_id(call_id).call
        self._follow(call_id, forwarded.to)
        started = e.CallStarted(forwarded.to, call.metadata, call.transport)
        routed = {"routed_from": before.agent_id} if before else {}
        self.send({**self.calls[call_id].started(started, contact_of(call.metadata)), **routed})

    def _may_lead(self, name: str) -> bool:
        return self._key is None or self._key.allows_agent(name)

    def _leads(self, call_id: str, name: str) -> bool:
        agent = self._programs.conducting(call_id)
        return name in self._agents and agent is not None and agent.tenant == self.tenant

    def _follow(self, call_id: str, agent_id: str) -> None:
        agent = self._programs.conducting(call_id)
        language, callee = agent.language if agent else None, self._callees.pop(call_id, "")
        self.calls[call_id] = FollowedCall(agent_id, call_id, time.time(), language, callee)
        self.questions.follow(call_id, language)
        self._remember(call_id, agent_id)
        # after what begins the call: it is in the middle of that now
        asyncio.get_running_loop().call_soon(self._takeover.begin, call_id)

    def _remember(self, call_id: str, agent_id: str) -> None:
        """Have what a caller says of themselves kept, where the agent is to remember it."""
        wanted, memories = self._agents[agent_id].memory, self._programs.memories
        with contextlib.suppress(ClientError):
            call = self._sessions.find_by_call_id(call_id).call
            if wanted and not memories.follows(call_id):
                memories.follow(call, wanted, channel_of(call_id), partial(self._tell_learned, agent_id))

    def _tell_learned(self, agent_id: str, told: Mapping[str, Any]) -> None:
        if leader := self._programs.of_tenant(agent_id, self.tenant):
            leader.send({"event": MEMORY_OPS, "agent_id": agent_id, **told})

    def _follow_by_channel(self, call_id: str, agent_id: str) -> None:
        """A call begins: what is otherwise for calls of its way is so from its greeting on."""
        if channel := self._channels.get((agent_id, channel_of(call_id))):
            with contextlib.suppress(ClientError, ValueError):  # it was valid when the program said it
                given, _ = changes(channel, self._here(agent_id))
                self._sessions.find_by_call_id(call_id).call.update(**given)
        self._follow(call_id, agent_id)

    def _rings(self, agent_id: str, kind: str) -> bool:
        channel = self._channels.get((agent_id, kind))
        return bool(channel and channel.ringing)

    # -- what the program says

    async def _take(self, message: Any) -> None:
        match message:
            case p.Ping(event="ping"):
                self.send({"event": "pong", "timestamp": time.time()})
            case p.Ping():
                pass
            case p.Connect():
                raise ClientError("BAD_MESSAGE", "It is connected already.")
            case p.AgentCreate():
                self._create(message)
            case p.AgentConfigure(agent_id=name):
                self._configure(name, message)
            case p.ChannelCommand():
                self._set_channel(message)
            case p.ToolResults(results=results):
                self.questions.take_results(results)
            case p.LlmReady(call_id=call_id):
                self.questions.take_verdict(call_id, "preparing", "ready")
            case p.CallAccept(call_id=call_id):
                self.questions.take_verdict(call_id, "ringing", "accepted")
            case p.CallReject(call_id=call_id, reason=reason):
                self.questions.take_verdict(call_id, "ringing", reason)
            case p.SessionCommand():
                self._takeover.take(message)
            case p.SessionConfigure():
                self._configure_call(message)
            case p.LlmChat():
                await self._chats.write(message)
            case p.LineCommand(event=what, number=number):
                why = "There are no telephones here: an agent is reached by WebRTC, WebSockets and chats."
                answer = {"event": "line.error", "code": "PHONE_NOT_IN_ORG", "error": why}
                self.send({"number": number, **(answer if what == "line.create" else {"event": "line.destroyed"})})
            case p.DevConfig(callers=callers):
                self.callers = frozenset(callers)
            case p.CallDial() | p.CallBridge():
                self._own(message.agent_id)
                self._start(self._place(message))
            case _:
                self._in_call(message, self._call(message.call_id))

    def _in_call(self, message: Any, session: RunningCall) -> None:
        call, followed = session.call, self.calls[message.call_id]
        of = {"agent_id": followed.agent_id, "call_id": call.id}
        match message:
            case p.BotReply() | p.BotReplyStream() | p.BotCancel():
                self._replies.take(message, call, followed)
            case p.CallCommand(event="call.hangup"):
                call.hangup()
            case p.CallCommand(event="call.dtmf"):
                raise ClientError("NOT_SUPPORTED", "There are no telephone tones here.")
            case p.CallCommand():
                self._listen(message.event, call, of)
            case p.CallForward(to=to, message=text):
                if text:
                    call.say(text)
                call.forward(message.agent if self._programs.has_agent(message.agent) else to)
            case p.SkillCommand(event=what, skill=name):
                try:
                    (call.load_skill if what == "skill.load" else call.unload_skill)(name)
                except ValueError as unknown:
                    raise ClientError("UNKNOWN_SKILL", f"{what}: {unknown}.") from unknown
            case p.History():
                self.send({**of, **change_history(message, call)})

    def _listen(self, what: str, call: Any, of: Mapping[str, str]) -> None:
        """Have the agent listen to the caller, or not; a program that mutes is told later what was said."""
        if call.floor is None:
            raise ClientError("NOT_SUPPORTED", f"There is no sound in a chat: {what} does nothing.")
        if what == "call.hold":
            call.interrupt()
        overhearing = call.floor.overhearing
        call.mute(what in ("call.mute", "call.hold"), "hold" if what.endswith("hold") else "program")
        done = {"hold": "held", "unhold": "unheld", "mute": "muted", "unmute": "unmuted"}
        answer = {"event": f"call.{done[what.removeprefix('call.')]}", **of}
        if what != "call.unmute":
            self.send(answer)
        elif overhearing is None:
            self.send({**answer, "muted_transcript": None})
        else:
            self._start(self._tell_overheard(answer, overhearing))

    async def _tell_overheard(self, answer: Mapping[str, str], overhearing: Overhearing) -> None:
        self.send({**answer, "muted_transcript": await overhearing.text() or None})

    async def _place(self, wanted: p.CallDial | p.CallBridge) -> None:
        """A call of one of its agents to another agent of this server, for as long as it lasts."""
        of = {"agent_id": wanted.agent_id, "from": wanted.agent_id, "to": wanted.to}
        try:
            self._access.agent(self._key, wanted.to)
            given, _ = changes(wanted.settings, self._here(wanted.agent_id))
            given |= {"greeting": "" if wanted.detect_turn_end else wanted.greeting}
            start = CallGrant(self._key, Terms(metadata=wanted.metadata))
            bridge = await open_bridge(self._sessions, wanted.agent_id, wanted.to, start, given, {})
        except ClientError as refused:
            message = refused.message
            if refused.code == "unknown_agent":
                message = f"There is no agent {wanted.to!r} to call, and there are no telephones here."
            self.send({"event": "call.error", **of, "error": message, "code": refused.code.upper()})
            return
        self._callees[bridge.caller.call_id] = wanted.to
        call = bridge.caller.call
        if wanted.detect_turn_end and wanted.greeting:
            call.once("turn.ended", lambda _: call.say(wanted.greeting, interrupt=True))
        await bridge.carry()

    # -- its agents

    def _create(self, wanted: p.AgentCreate) -> None:
        if not self._may_lead(wanted.agent_id):
            message = f"This API key is not for the agent {wanted.agent_id!r}."
            raise Refused("REGISTRATION_ERROR", message)
        holder = self._programs.of_tenant(wanted.agent_id, self.tenant)
        if holder is None or holder is self:
            self._register(wanted)
            return
        # beside the reading of messages: the holder may be asking the same of this program
        self._start(self._contest(wanted, holder))

    async def _contest(self, wanted: p.AgentCreate, holder: Program) -> None:
        """Take the name of a program that is gone without a word: after a break of the network it may be this one."""
        try:
            if not await holder.answers():
                self._programs.withdraw(holder)
            self._register(wanted)
        except ClientError as refused:
            self._refuse({"event": "agent.create", "agent_id": wanted.agent_id}, refused)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _register(self, wanted: p.AgentCreate) -> None:
        unused = self._made(wanted)
        for what in unused:
            log.warning("agent %s: %s", wanted.agent_id, what)
        self.send({"event": "agent.created", "agent_id": wanted.agent_id, "unused": unused})
        for each in self._sessions.conversations():
            # it was away, and its calls went on
            mine = (each.call.agent.name, each.call.agent.tenant) == (wanted.agent_id, self.tenant)
            if mine and each.call_id not in self.calls:
                self._follow(each.call_id, wanted.agent_id)

    def _configure(self, name: str, message: p.AgentConfigure) -> None:
        before = self._own(name)
        given = {field: getattr(message, field) for field in message.model_fields_set - {"event"}}
        unused = self._made(before.model_copy(update=given))
        named = [what for what in unused if what.partition(":")[0] in given]
        self.send({"event": "agent.configured", "agent_id": name, "unused": named})

    def _made(self, wanted: p.AgentCreate) -> list[str]:
        """Register the agent as it is wanted; which of its settings are not used here."""
        handlers = make_handlers(wanted, partial(self._leader, wanted.agent_id), self._programs.memories)
        agent, unused = make_agent(wanted, self.tenant, self._here(wanted.agent_id), handlers)
        self._programs.register(agent, self)
        self._agents[agent.name] = wanted
        return unused

    def _configure_call(self, message: p.SessionConfigure) -> None:
        session = self._call(message.session_id)
        agent_id = self.calls[message.session_id].agent_id
        try:
            given, unused = changes(message, self._here(agent_id))
            session.call.update(**given)
        except Refused as wrong:
            raise ClientError("BAD_MESSAGE", f"session.configure: {wrong.message}") from wrong
        except ValueError as wrong:
            raise ClientError("BAD_MESSAGE", f"session.configure: {wrong}.") from wrong
        about = {"agent_id": agent_id, "session_id": message.session_id}
        self.send({"event": "session.configured", **about, "unused": unused})

    def _here(self, agent_id: str) -> Here:
        # whoever leads the agent when a tool runs: a program that was away may be back
        tools = partial(make_tool, partial(self._leader, agent_id))
        folder_of = partial(self._programs.bases.folder, self.tenant)
        return Here(self._sessions.has_voice, tools, folder_of, self._programs.memories)

    def _leader(self, agent_id: str) -> Questions | None:
        program = self._programs.of_tenant(agent_id, self.tenant)
        return program.questions if program else None

    # -- small things

    def _set_channel(self, message: p.ChannelCommand) -> None:
        """What is otherwise for calls of one way; telephones have none here."""
        name, kind = message.agent_id, message.type or message.ref or ""
        self._own(name)
        what, unused = message.event.removeprefix("channel."), []
        if kind not in ("webrtc", "chat"):
            unused.append(f"{kind or 'channel'}: there is none here; the agent is reached by webrtc and chat")
        elif what == "remove":
            self._channels.pop((name, kind), None)
        else:
            _, unused = changes(message, self._here(name))
            self._channels[name, kind] = message
        done = {"add": "added", "configure": "configured", "remove": "removed"}[what]
        about = {"type": message.type, "ref": message.ref}
        self.send({"event": f"channel.{done}", "agent_id": name, **about, "unused": unused})

    def _own(self, name: str) -> p.AgentCreate:
        if name not in self._agents:
            raise ClientError("UNKNOWN_AGENT", f"This program has not created an agent {name!r}.")
        return self._agents[name]

    def _call(self, call_id: str) -> RunningCall:
        if call_id not in self.calls:
            raise ClientError("UNKNOWN_CALL", f"There is no call {call_id!r} of this program's agents; it may be over.")
        try:
            return self._sessions.find_by_call_id(call_id)
        except ClientError as over:
            raise ClientError("UNKNOWN_CALL", over.message) from over
