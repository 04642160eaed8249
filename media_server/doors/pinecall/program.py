"""A program on its socket: what it is told of its agents' calls, and what it has done in them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from media_server import events as e
from media_server.agents import Agent, Call, ToolAnswer, contact_of
from media_server.call import Chat, Session
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.dialect import PinecallChat
from media_server.doors.pinecall.program_agents import OFFLINE, Refused, made
from media_server.errors import ClientError
from media_server.store import Key
from media_server.switchboard import Start, Switchboard
from media_server.tasks import Awaited

__all__ = ["Leaders", "Program"]

log = logging.getLogger(__name__)

MOST_UNSENT = 10_000
"""Messages for a program that does not read them, after which it is taken for gone."""
AWAY_S = 10.0
"""How long a call goes on without the program, which may come back."""
GOODBYE = "I am sorry, I have to end the call here. Goodbye."


class Leaders(Protocol):
    """Which program leads which agent."""

    def of_tenant(self, agent: str, tenant: str) -> Program | None:
        """The program that leads this agent, if it is of this tenant."""
        ...

    def conducting(self, call_id: str) -> Agent | None:
        """The agent that has a call now, if it is under way."""
        ...

    def register(self, agent: Agent, program: Program) -> None:
        """Raises `ClientError` where another program, another tenant, or the server itself has this name."""
        ...


class Program:
    """A program on its socket: `write` and `read` carry messages until it is gone."""

    def __init__(self, programs: Leaders, sessions: Switchboard, key: Key | None) -> None:
        self.overwhelmed = asyncio.Event()
        """It does not read what it is sent."""
        self._programs = programs
        self._sessions = sessions
        self._key = key
        self.tenant = key.tenant if key else ""
        self._agents: dict[str, Agent] = {}
        self._calls: dict[str, p.FollowedCall] = {}
        self._unsent: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._gone = False
        self._tools: Awaited[str, ToolAnswer] = Awaited()
        """What it is asked to do, by the id of each."""
        self._asked: Awaited[tuple[str, str], str] = Awaited()
        """What it was asked, `ringing` or `preparing`, by call."""
        self._turns: dict[str, asyncio.Queue[str | None]] = {}
        """The pieces of its answers, by call; None at an answer's end."""
        self._chats: dict[str, tuple[Chat, asyncio.Task[None]]] = {}

    def send(self, message: Mapping[str, Any]) -> None:
        if self._gone:
            return
        self._unsent.put_nowait(message)
        if self._unsent.qsize() > MOST_UNSENT:
            self.overwhelmed.set()

    async def write(self, socket: web.WebSocketResponse) -> None:
        while True:
            await socket.send_str(json.dumps(await self._unsent.get(), ensure_ascii=False))

    async def read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            try:
                await self._take(p.parse(message.data))
            except ClientError as refused:
                fields = refused.fields if isinstance(refused, Refused) else {}
                self.send({"event": "error", "code": refused.code, "message": refused.message, **fields})
            except Exception:  # one message's defect must not end the program's calls
                log.exception("a message of a program failed")
                self.send({"event": "error", "code": "INTERNAL", "message": "The server made a mistake; see its log."})

    async def leave(self) -> None:
        """It is gone: nobody waits for it any more."""
        self._gone = True
        self._tools.answer_all(ToolAnswer(error=OFFLINE))
        self._asked.answer_all("")
        for turn in self._turns.values():
            turn.put_nowait(None)
        for chat, serving in self._chats.values():
            chat.hang_up("client_hangup")
            serving.cancel()
        await asyncio.gather(*(serving for _, serving in self._chats.values()), return_exceptions=True)

    async def say_goodbye(self) -> None:
        """Its calls go on for a while; then they end, unless it is back."""
        if not self._calls:
            return
        await asyncio.sleep(AWAY_S)
        for call_id, followed in self._calls.items():
            with contextlib.suppress(ClientError):
                call = self._sessions.under_way(call_id).call
                leader = self._programs.of_tenant(followed.agent_id, self.tenant)
                if leader is None and call.agent.name == followed.agent_id:
                    call.say(GOODBYE, interrupt=True)
                    call.hangup(after_speech=True)

    def observe(self, envelope: e.Envelope) -> None:
        """Something happened in some call."""
        call_id, who = envelope.call_id, ""
        match envelope.event:
            case e.CallStarted(agent=name, metadata=metadata):
                who = contact_of(metadata)
                if self._leads(call_id, name):
                    self._follow(call_id, name)
            case e.CallForwarded(agent=True, to=name) if name in self._agents:
                self._follow(call_id, name)  # calls are forwarded within a tenant alone
        if (followed := self._calls.get(call_id)) is None:
            return
        for message in followed.outgoing(envelope, who):
            self.send(message)
        match envelope.event:
            case e.CallEnded():
                del self._calls[call_id]
            case e.CallForwarded(agent=True, to=name) if not self._may_lead(name):
                del self._calls[call_id]

    def _may_lead(self, name: str) -> bool:
        return self._key is None or self._key.allows_agent(name)

    def _leads(self, call_id: str, name: str) -> bool:
        agent = self._programs.conducting(call_id)
        return name in self._agents and agent is not None and agent.tenant == self.tenant

    def _follow(self, call_id: str, agent_id: str) -> None:
        self._calls[call_id] = p.FollowedCall(agent_id, call_id, time.time())

    # -- what agents of this program do in calls

    async def run_tool(self, call: Call, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        tool_id = f"tool-{secrets.token_hex(6)}"
        called = {"id": tool_id, "name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        about = {"agent_id": call.agent.name, "call_id": call.id, "msg_id": tool_id}
        message = {"event": "llm.tool_call", **about, "tool_calls": [called]}
        return await self._tools.wait(tool_id, lambda: self.send(message))

    async def answer(self, call: Call) -> AsyncGenerator[str, None]:
        pieces = self._turns[call.id] = asyncio.Queue()
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            if self._turns.get(call.id) is pieces:
                del self._turns[call.id]

    async def _ask(self, call: Call, what: str, message: Mapping[str, Any]) -> str:
        """Its answer; the call's own patience ends the waiting."""
        asked = {"agent_id": call.agent.name, "call_id": call.id, **message}
        return await self._asked.wait((call.id, what), lambda: self.send(asked))

    async def ring(self, call: Call) -> None:
        about = {"from": contact_of(call.metadata), "to": call.agent.name}
        verdict = await self._ask(call, "ringing", {"event": "call.ringing", **about})
        if verdict in ("busy", "rejected"):
            call.reject("busy" if verdict == "busy" else "rejected")

    async def prepare(self, call: Call) -> None:
        """Let it put things right before the model is asked."""
        await self._ask(call, "preparing", {"event": "llm.before", "turn": len(call.transcript)})

    # -- what the program says

    async def _take(self, message: Any) -> None:
        match message:
            case p.Ping():
                self.send({"event": "pong"})
            case p.Connect():
                raise ClientError("BAD_MESSAGE", "It is connected already.")
            case p.AgentCreate():
                await self._create(message)
            case p.AgentConfigure(agent_id=name):
                agent, unused = self._made(message, self._own(name))
                self._register(agent)
                self.send({"event": "agent.configured", "agent_id": name, "unused": unused})
            case p.ChannelCommand(event=what, agent_id=name, channel=channel):
                self._own(name)
                done = {"add": "added", "configure": "configured", "remove": "removed"}[what.removeprefix("channel.")]
                self.send({"event": f"channel.{done}", "agent_id": name, "channel": channel})
            case p.ToolResults(results=results):
                for result in results:
                    answer = ToolAnswer(result.result, "", result.ephemeral, result.no_followup)
                    if not self._tools.answer(result.tool_call_id, answer):
                        unknown = f"No tool call {result.tool_call_id!r} waits for a result."
                        raise ClientError("UNKNOWN_TOOL_CALL", unknown)
            case p.LlmReady(call_id=call_id):
                self._asked.answer((call_id, "preparing"), "ready")  # one that comes too late is nobody's mistake
            case p.CallAccept(call_id=call_id):
                self._asked.answer((call_id, "ringing"), "accepted")
            case p.CallReject(call_id=call_id, reason=reason):
                self._asked.answer((call_id, "ringing"), reason)
            case p.SessionCommand():
                self._command(message)
            case p.SessionConfigure(session_id=call_id) as wanted:
                changes = wanted.model_dump(exclude={"event", "session_id"}, exclude_none=True)
                try:
                    self._call(call_id).call.update(**changes)
                except ValueError as wrong:
                    raise ClientError("BAD_MESSAGE", f"session.configure: {wrong}.") from wrong
                self.send({"event": "session.configured", "session_id": call_id})
            case p.LlmChat():
                await self._chat(message)
            case _:
                self._in_call(message, self._call(message.call_id))

    def _in_call(self, message: Any, session: Session | Chat) -> None:
        call, followed = session.call, self._calls[message.call_id]
        of = {"agent_id": followed.agent_id, "call_id": call.id}
        match message:
            case p.BotReply(text=text, message_id=message_id, add_to_history=remember):
                if turn := self._turns.get(call.id):
                    followed.answered(message_id)
                    if remember:
                        turn.put_nowait(text)
                    else:
                        call.say(text, remember=False)  # within the answer
                    turn.put_nowait(None)
                else:
                    followed.expect(text, message_id)
                    call.say(text, remember=remember)
            case p.BotReplyStream():
                self._stream(message, call, followed)
            case p.BotCancel():
                call.interrupt()
            case p.CallCommand(event="call.hangup"):
                call.hangup()
            case p.CallCommand(event="call.dtmf"):
                raise ClientError("NOT_SUPPORTED", "There are no telephone tones here.")
            case p.CallCommand(event=what):
                muted = what in ("call.mute", "call.hold")
                if what == "call.hold":
                    call.interrupt()
                call.receive(e.UserMute(type="user.mute", muted=muted))
                done = {"hold": "held", "unhold": "unheld", "mute": "muted", "unmute": "unmuted"}
                heard = {"transcript": ""} if what == "call.unmute" else {}
                self.send({"event": f"call.{done[what.removeprefix('call.')]}", **of, **heard})
            case p.CallForward(to=to, message=text):
                if text:
                    call.say(text)
                call.forward(to)
            case p.History():
                self._history(message, call, of)

    def _stream(self, message: p.BotReplyStream, call: Any, followed: p.FollowedCall) -> None:
        """Pieces of an answer as they come; what it says of its own accord is said when it is whole."""
        turn, mine = self._turns.get(call.id), message.message_id in followed.unfinished
        match message.action:
            case "start":
                if turn:
                    followed.answered(message.message_id)
                else:
                    followed.begin(message.message_id)
            case "chunk" if mine:
                followed.go_on(message.message_id, message.token)
            case "chunk" if turn and message.token:
                turn.put_nowait(message.token)
            case "end" if mine:
                if text := followed.unfinished.pop(message.message_id).strip():
                    followed.expect(text, message.message_id)
                    call.say(text)
            case "end" if turn:
                turn.put_nowait(None)
            case _:
                reason = "The caller went on, or the answer was complete."
                of = {"agent_id": followed.agent_id, "call_id": call.id, "message_id": message.message_id}
                self.send({"event": "reply.rejected", **of, "reason": reason})

    def _history(self, message: p.History, call: Any, of: Mapping[str, str]) -> None:
        history, asked = call.history, {"request_id": message.request_id}
        match message.event.removeprefix("history."):
            case "get":
                found = [{"role": m.role, "content": m.content} for m in history.entries]
                self.send({"event": "history.data", **of, **asked, "messages": found})
                return
            case "set_vars":
                call.set_variables(**message.vars)
            case "set_instructions" if message.instructions is not None:
                call.update(prompt=message.instructions)
            case "add_context" if message.context is not None:
                key = message.key or secrets.token_hex(4)
                call.receive(e.ContextSet(type="context.set", key=key, value=message.context or None))
            case "add" | "set" | "clear" as what:
                if what != "add":
                    history.entries.clear()
                for said in message.messages:
                    add = {"user": history.add_user, "assistant": history.add_agent, "system": history.add_instruction}
                    add[said.role](said.content)
            case what:
                raise ClientError("BAD_MESSAGE", f"history.{what}: says nothing of what is to be set.")
        self.send({"event": "history.updated", **of, **asked, "count": len(history.entries)})

    def _command(self, message: p.SessionCommand) -> None:
        """A person takes over, gives back, or says something."""
        for session in self._meant(message):
            what, call = message.event.removeprefix("session."), session.call
            match what:
                case "pause":
                    call.pause()
                case "resume":
                    call.resume()
                case _:
                    if message.text is None:
                        raise ClientError("BAD_MESSAGE", "session.send: text: what is to be said?")
                    call.say(message.text)
                    self.send({"event": "session.sent", "session_id": call.id})

    def _meant(self, message: p.SessionCommand) -> list[Session | Chat]:
        if message.session_id is not None:
            return [self._call(message.session_id)]
        known = [each for each in self._sessions.conversations() if each.call_id in self._calls]
        found = [each for each in known if message.contact and contact_of(each.call.metadata) == message.contact]
        if not found:
            raise ClientError("UNKNOWN_CALL", "There is no such call; it may be over.")
        return found

    async def _chat(self, message: p.LlmChat) -> None:
        """A conversation in writing that the program leads itself."""
        self._own(message.agent_id)
        if message.session_id not in self._chats:
            chat = await self._sessions.open_chat(message.agent_id, Start(self._key))
            self._chats[message.session_id] = chat, asyncio.create_task(self._tell(chat, message.session_id))
            self.send({"event": "llm.chat.started", "session_id": message.session_id, "call_id": chat.call_id})
        chat, _ = self._chats[message.session_id]
        chat.call.receive(e.TextSend(type="text.send", text=message.text))

    async def _tell(self, chat: Chat, session_id: str) -> None:
        dialect = PinecallChat(cumulative=False)

        async def send(envelope: e.Envelope) -> None:
            for each in p.chat_messages(dialect, envelope, session_id):
                self.send(each)

        await chat.serve(send, -1)
        del self._chats[session_id]

    # -- small things

    def _own(self, name: str) -> Agent:
        if name not in self._agents:
            raise ClientError("UNKNOWN_AGENT", f"This program has not created an agent {name!r}.")
        return self._agents[name]

    def _call(self, call_id: str) -> Session | Chat:
        if call_id not in self._calls:
            raise ClientError("UNKNOWN_CALL", f"There is no call {call_id!r} of this program's agents; it may be over.")
        try:
            return self._sessions.under_way(call_id)
        except ClientError as over:
            raise ClientError("UNKNOWN_CALL", over.message) from over

    async def _create(self, wanted: p.AgentCreate) -> None:
        agent, unused = self._made(wanted, Agent(wanted.agent_id, tenant=self.tenant))
        if not self._may_lead(agent.name):
            raise Refused("REGISTRATION_ERROR", f"This API key is not for the agent {agent.name!r}.")
        self._register(agent)
        for what in unused:
            log.warning("agent %s: %s", agent.name, what)
        self.send({"event": "agent.created", "agent_id": agent.name, "unused": unused})
        for each in self._sessions.conversations():
            # it was away, and its calls went on
            mine = (each.call.agent.name, each.call.agent.tenant) == (agent.name, agent.tenant)
            if mine and each.call_id not in self._calls:
                self._follow(each.call_id, agent.name)

    def _register(self, agent: Agent) -> None:
        self._programs.register(agent, self)
        self._agents[agent.name] = agent

    def _made(self, wanted: p.AgentCreate | p.AgentConfigure, before: Agent) -> tuple[Agent, list[str]]:
        def find() -> Program | None:
            return self._programs.of_tenant(wanted.agent_id, self.tenant)

        return made(wanted, before, find, self._sessions.has_voice)
