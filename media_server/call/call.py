"""One call: the state machine that owns its listening, its turns and its replies."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from media_server import agents
from media_server import events as e
from media_server.agents import Agent
from media_server.call.emotions import Emotions
from media_server.call.event_log import EventLog
from media_server.call.floor import Audio, Floor, MutedBy
from media_server.call.handlers import HandlerRunner
from media_server.call.history import History
from media_server.call.idle import Idle
from media_server.call.keypad import Keypad
from media_server.call.persona import Persona
from media_server.call.replies import Replies
from media_server.call.services import Services
from media_server.errors import ClientError
from media_server.jsonable import jsonable, sound
from media_server.tasks import cancel
from media_server.terms import Terms

__all__ = ["Call"]

MAX_MESSAGES = 100
"""Maximum client messages queued for handling, answering or speaking."""
NOTICE_S = 15.0
"""How long before a call is ended for its length it is told."""
FINISH_S = 3.0
"""Seconds at the end for what was said to be understood."""
RING_S = 5.0
"""How long the agent's code may think about taking a call; then it is taken."""
LAST_S = 10.0
"""How long it may take at the call's end."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _HangUp:
    """Among the client's messages: the call itself has had enough."""

    reason: str


class Call(agents.Call):
    """Owns everything that happens between the first and the last word.

    `run` is its life: it ends when the caller hangs up by message or is silent for too long, and is cancelled when the
    connection is gone.
    `receive` takes the client's messages. Both, and all callbacks, belong to one event loop.

    Args:
        agent: the agent that answers.
        terms: what is agreed on for this call.
        services: what it uses and other calls too.
        event_log: numbers and times the events, and gives them back to `dispatch`.
        audio: what is spoken and heard; None for a conversation in writing.
    """

    def __init__(
        self, agent: Agent, terms: Terms, services: Services, event_log: EventLog, audio: Audio | None
    ) -> None:
        self.id = event_log.call_id
        self._held_by: set[object] = set()
        """Who has taken over from the agent."""
        self._limits = terms.limits
        self._refused = ""
        """Why the agent does not take the call."""
        self._ending = False
        self.metadata: Mapping[str, Any] = terms.metadata
        self.client_metadata: Mapping[str, Any] = terms.client_metadata
        self.sealed_metadata: Mapping[str, Any] = terms.sealed_metadata
        self._persona = Persona(agent, terms, services)
        self._event_log = event_log
        self.state: e.State = "connecting"
        self.history = History()
        self._messages: asyncio.Queue[e.ClientMessage | _HangUp] = asyncio.Queue()
        self._turn = 0
        self._handlers = HandlerRunner(self, self.start)
        emotions = Emotions(self, services.engines, self.emit, self.start)
        self._replies = Replies(self, services, audio.speaker if audio else None, emotions)
        self.transport: e.Transport = audio.transport if audio else "chat"
        self.floor: Floor | None = None
        """None where nobody is heard: in a chat."""
        if audio:
            self.floor = Floor(self, self._replies, services, audio.microphone, audio.speaker)
        self._keypad = Keypad(self._answer_keys)
        self._afterwards: deque[Callable[[], None]] = deque()
        """What is to be done when everything was said, one thing after the other."""
        self._idle = Idle(self, self._replies, lambda: self._hang_up("silence"))
        self._away = False
        """The caller is: nothing is waited for."""
        self._group = asyncio.TaskGroup()
        self._conducting = False

    def receive(self, message: e.ClientMessage) -> None:
        """Take a message of the client; a client that floods is told so and loses the message."""
        waiting = self._messages.qsize()
        if isinstance(message, e.AgentSay) or (isinstance(message, e.TextSend) and not message.interrupt):
            waiting += len(self._afterwards) + self._replies.waiting
        # one place more for the end: who floods can still hang up
        if waiting < MAX_MESSAGES + isinstance(message, e.CallEnd):
            self._messages.put_nowait(message)
        else:
            self.emit(e.Error("too_many_messages", "Messages come faster than they can be handled; one was dropped."))

    async def run(self) -> str:
        """Conduct the call to its end; why it ended."""
        async with self._group:
            self._conducting = True
            try:
                reason = await self._conduct()
            finally:
                self._conducting = False
                self._keypad.clear()
        self._replies.silence()
        return reason

    def press(self, digit: str) -> None:
        """The caller pressed a key of the telephone."""
        if not self._conducting:
            return
        self.emit(e.UserDtmf(digit))
        self.note_presence()
        if self.agent.dtmf != "turn" or self.paused:
            self._wait_if_listening()
            return
        if not self._replies.protected:
            self._interrupt()
        self._keypad.press(digit)
        self._wait_if_listening()

    def _answer_keys(self, keys: str) -> None:
        if self._conducting and not self.paused:
            self._do_when_said(
                lambda: self._replies.answer_text(self.begin_turn(), keys), at_once=not self._replies.protected
            )

    def wait(self) -> None:
        """The caller's connection is lost: until `go_on` nobody can say anything."""
        self._away = True
        self._idle.stop()

    def go_on(self) -> None:
        """The caller is back."""
        self._away = False
        self._wait_if_listening()

    async def settled(self) -> None:
        """End the turn under way, and wait until it is understood."""
        if self.floor:
            await self.floor.settled()

    @property
    def speculations(self) -> int:
        """Number of replies begun before a turn was over."""
        return self.floor.speculations if self.floor else 0

    @property
    def wasted_speculations(self) -> int:
        """Number of those that were dropped because the caller went on."""
        return self.floor.wasted_speculations if self.floor else 0

    async def _conduct(self) -> str:
        self.emit(e.CallStarted(self.agent.name, self.metadata, self.transport, self._limits))
        self.enter("listening")
        listening = self.start(self.floor.run(), "listen") if self.floor else None
        preparing = self.start(self._replies.prepare(), "prepare")
        limiting = self.start(self._end_in_time(), "limit") if self.floor and self.agent.max_duration_s else None
        if self.agent.greeting and (self.floor or self.agent.greeting_in_chat):
            self._replies.say(self.agent.greeting, interruptible=self.agent.greeting_interruptible)
        while not isinstance(message := await self._messages.get(), e.CallEnd | _HangUp):
            self._handle(message)
        if isinstance(message, e.CallEnd) and message.finish:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINISH_S):
                    await self.settled()
        if self.floor:
            self.floor.stop()
        self._handlers.stop()
        self._replies.stop()
        self._idle.stop()
        for task in (listening, preparing, limiting):
            cancel(task)
        return message.reason if isinstance(message, _HangUp) else "client_hangup"

    # -- what the agent's code can do: see `agents.Call`

    @property
    def agent(self) -> Agent:
        return self._persona.agent

    @property
    def variables(self) -> Mapping[str, str | int | float | bool]:
        return self._persona.variables

    @property
    def transcript(self) -> Sequence[Mapping[str, str]]:
        said = (m for m in self.history.entries if m.role in ("user", "assistant") and m.content)
        return [{"role": m.role, "text": m.content} for m in said]

    @property
    def unanswered(self) -> Sequence[str]:
        return tuple(self.history.unanswered)

    def say(
        self, text: str, *, interrupt: bool = False, remember: bool = True, interruptible: bool = True
    ) -> asyncio.Future[bool]:
        if interrupt:
            self._interrupt()
        if not self._conducting:
            never: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            never.set_result(False)
            return never
        return self._replies.say(sound(str(text)), remember, interruptible, self._caller_speaks)

    def withdraw(self, said: asyncio.Future[bool]) -> None:
        """Say something no more that `say` was told; what else is to be said stays."""
        self._replies.withdraw(said)

    @property
    def _caller_speaks(self) -> bool:  # what is to be said waits until the caller is done and answered
        return self.state == "user_speaking"

    def interrupt(self) -> None:
        self._require_begun()
        self._interrupt()

    def reject(self, reason: Literal["rejected", "busy"] = "rejected") -> None:
        self._refused = reason

    def hangup(self, *, after_speech: bool = False) -> None:
        self._require_begun()
        self._tell_ending("agent_hangup")
        self._do_when_said(lambda: self._hang_up("agent_hangup"), at_once=not after_speech)

    def forward(self, to: str) -> None:
        self._require_begun()
        self._do_when_said(lambda: self._hand_over(to))

    @property
    def loaded_skills(self) -> Sequence[str]:
        return self._persona.skills

    def load_skill(self, name: str, *, by: Literal["manual", "model"] = "manual") -> None:
        if self._persona.load(name):
            self.emit(e.SkillLoaded(name, by))

    def unload_skill(self, name: str, *, by: Literal["manual", "model"] = "manual") -> None:
        if self._persona.unload(name):
            self.emit(e.SkillUnloaded(name, by))

    def send(self, name: str, data: Any = None) -> None:
        self._require_begun()
        self.emit(e.AgentEvent(str(name), jsonable(data, strict=True)))

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        self._handlers.add(event, handler, once=False)

    def once(self, event: str, handler: Callable[..., Any]) -> None:
        self._handlers.add(event, handler, once=True)

    def set_variables(self, **variables: str | int | float | bool) -> None:
        self._persona.set_variables(variables)

    def update(self, **changes: Any) -> None:
        self._persona.change(changes)
        self._follow_agent()

    def dispatch(self, envelope: e.Envelope) -> None:
        """Run the agent's code that waits for this event."""
        if self._conducting:
            self._handlers.dispatch(envelope.event.type, lambda: envelope.wire)

    async def dispatch_last(self, envelope: e.Envelope) -> None:
        """Run the agent's code that waits for the call's end."""
        await self._handlers.finished(envelope.event.type, envelope.wire, LAST_S)

    async def ring(self) -> None:
        """Ask the agent's code whether to take the call, before there is one.

        Raises:
            ClientError: it does not: 403 `call_rejected`, 409 `busy`.
        """
        await self._finished("call.ringing", RING_S)
        if self._refused == "busy":
            raise ClientError("busy", "The agent is busy; try again later.", status=409, headers={"Retry-After": "10"})
        if self._refused:
            raise ClientError("call_rejected", "The agent does not take this call.", status=403)

    async def prepare(self) -> None:
        """Let the agent's code put things right before the model is asked."""
        await self._finished("call.preparing", self.agent.handlers.prepare_s)

    async def _finished(self, kind: str, within_s: float) -> None:
        await self._handlers.finished(kind, {"type": kind, "call_id": self.id}, within_s)

    def _require_begun(self) -> None:
        if self.state == "connecting":
            raise RuntimeError("the call has not begun: it can be rejected or changed, nothing else")

    def _follow_agent(self) -> None:
        """The agent may have become another: turns are taken as it has them."""
        if self.floor:
            self.floor.follow_agent()

    def begin_turn(self) -> str:
        """A turn of the caller: from here on the agent's newest version answers. The turn's id."""
        self._persona.renew()
        self._follow_agent()
        return self.next_turn()

    def _do_when_said(self, what: Callable[[], None], at_once: bool = False) -> None:
        if at_once or not (self._replies.busy or self._caller_speaks):
            what()
        else:
            self._afterwards.append(what)

    def said_all(self) -> None:
        if self._afterwards:
            self._afterwards.popleft()()

    @property
    def paused(self) -> bool:
        return bool(self._held_by)

    def pause(self, by: object = "operator") -> None:
        is_first = not self._held_by
        self._held_by.add(by)
        if is_first:
            self._idle.stop()
            self._interrupt()
            self.emit(e.CallPaused())
            if self.agent.person_notice and self._conducting:
                self._replies.say(self.agent.person_notice, remembered=False, patient=self._caller_speaks)

    def resume(self, by: object = None) -> None:
        was_paused = self.paused
        self._held_by -= self._held_by if by is None else {by}
        if was_paused and not self.paused:
            self.emit(e.CallResumed())
            self._wait_if_listening()

    def mute(self, muted: bool, by: MutedBy = "caller") -> None:
        """Stop listening to the caller, or go on."""
        if self.floor:
            self.floor.mute(muted, by)
            self._wait_if_listening()

    def _tell_ending(self, reason: str) -> None:
        if not self._ending:
            self._ending = True
            self.emit(e.CallEnding(reason))

    def _hang_up(self, reason: str) -> None:
        self._tell_ending(reason)
        self._messages.put_nowait(_HangUp(reason))

    async def _end_in_time(self) -> None:
        """The call is as long as it may be."""
        limit_s = self.agent.max_duration_s
        notice_s = min(NOTICE_S, limit_s / 2)
        await asyncio.sleep(limit_s - notice_s)
        self.warn_of_end(notice_s, f"The call is limited to {limit_s:g} seconds", "max_duration")
        await asyncio.sleep(notice_s)
        self._hang_up("max_duration")

    def warn_of_end(self, left_s: float, why: str, reason: str) -> None:
        """Tell the client that the call ends soon."""
        self.emit(e.CallWarning("call_ending", f"{why} and ends in {left_s:g}.", left_s, reason))

    def end(self, reason: str) -> None:
        """End the call as soon as it can be."""
        self._hang_up(reason)

    def _hand_over(self, to: str) -> None:
        stays = self._persona.hand_over(to)
        self.emit(e.CallForwarded(to, stays))
        if not stays:
            self._hang_up("forwarded")
            return
        self._follow_agent()
        if self.agent.greeting:
            self._replies.say(self.agent.greeting, interruptible=self.agent.greeting_interruptible)

    def _handle(self, message: e.ClientMessage) -> None:
        match message:
            case e.TextSend(role="system", immediate=False, text=text):
                self.history.add_instruction(text)
            case e.TextSend(role=role, text=text, interrupt=interrupt):
                if interrupt and not self._replies.protected:
                    self._interrupt()
                self._do_when_said(
                    lambda: self._replies.answer_text(self.begin_turn(), text, role == "system"), at_once=interrupt
                )
            case e.AgentSay(text=text, interruptible=interruptible):
                self._replies.say(text, interruptible=interruptible, patient=self._caller_speaks)
            case e.AgentInterrupt():
                self._interrupt()
            case e.ContextSet(key=key, value=value):
                try:
                    self._persona.set_context(key, value)
                except ValueError as too_much:
                    self.emit(e.Error("too_much_context", f"context.set: {too_much}."))
            case e.ToolResult():
                if not self._replies.tools.answered(message):
                    self.emit(e.Error("unknown_tool_call", f"No tool call {message.id!r} is waiting for a result."))
            case e.SessionUpdate() as u if self.floor or u.language or u.voice:
                self._change_for_client(u)
            case e.DtmfSend(digits=digits):
                for digit in digits:
                    self.press(digit)
            case e.TurnEnd() if self.floor:
                self.start(self.floor.end_turn(), "end-turn")
            case e.UserMute(muted=muted) if self.floor:
                self.mute(muted)
            case e.SessionUpdate() | e.TurnEnd() | e.UserMute():
                self.emit(e.Error("no_audio", f"There is no sound in a chat: {message.type} does nothing."))
            case _:
                pass

    def _change_for_client(self, u: e.SessionUpdate) -> None:
        if wrong := self._persona.change_for_client(u.model_dump(include={"language", "voice"}, exclude_none=True)):
            self.emit(e.Error("bad_setting", f"Not all settings were changed: {'; '.join(wrong)}."))
        if floor := self.floor:
            floor.taking = floor.taking.changed(u.turns, u.min_pause_ms, u.max_pause_ms, u.completeness)

    def _interrupt(self, by_caller: bool = False) -> None:
        """Stop what the agent is thinking or saying, or was going to."""
        self._afterwards.clear()
        if self.floor:
            self.floor.forget()
        self._replies.interrupt(by_caller)

    def interrupt_agent(self) -> None:
        """The caller speaks: the agent stops, but a person who has taken over is not cut off."""
        if self.floor and self.paused and not self._replies.busy:
            self.floor.forget()
        else:
            self._interrupt(by_caller=True)

    # -- what its parts ask of it: see `Conversation`

    def emit(self, event: e.Event) -> None:
        self._event_log.emit(event)

    def clock(self) -> float:
        return self._event_log.clock()

    @property
    def then(self) -> Literal["", "more", "goodbye"]:
        return ("goodbye" if self._ending else "more") if self._afterwards else ""

    def note_presence(self) -> None:
        self._idle.note_presence()

    def next_turn(self) -> str:
        self._turn += 1
        return f"turn-{self._turn}"

    def enter(self, state: e.State) -> None:
        if state != self.state:
            self.state = state
            if self.floor:
                self.floor.note_state(state)
            self.emit(e.StateChanged(state))
            if state == "listening":
                self._replies.say_waiting()
            self._wait_if_listening()

    def _wait_if_listening(self) -> None:
        """Wait for the caller to say something, from now on, where nothing else is to be waited for."""
        someone_is_heard = self.floor is not None and not self.floor.muted and not self.paused and not self._away
        if self.state == "listening" and someone_is_heard and self._conducting:
            self._idle.wait()
        elif self.state in ("user_speaking", "thinking") and someone_is_heard:
            self._idle.suspend()
        else:
            self._idle.stop()

    def enter_unless_caller_speaks(self, state: e.State) -> None:
        """What a reply says of the state counts for less than the caller's voice."""
        if state != "listening" or self.state in ("thinking", "agent_speaking"):
            self.enter(state)

    def start(self, work: Coroutine[Any, Any, T], name: str, /) -> asyncio.Task[T]:
        return self._group.create_task(work, name=f"{self.id}-{name}")
