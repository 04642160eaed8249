"""One call: the state machine that owns its listening, its turns and its replies."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic_core import to_jsonable_python

from media_server import agents
from media_server import events as e
from media_server.agents import Agent, TurnTaking
from media_server.call.completeness import completeness, pause_ms
from media_server.call.gate import Gate
from media_server.call.handlers import HandlerRunner
from media_server.call.hearing import Hearing, Said, outcome
from media_server.call.history import History
from media_server.call.interruption import ACKNOWLEDGEMENTS, LONGEST_DOUBT_S, Sound, weigh
from media_server.call.listen import Heard, Listener
from media_server.call.metrics import Stopwatch
from media_server.call.replies import Replies, SpokenTurn
from media_server.call.think import specs
from media_server.call.turns import (
    PartialDue,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
    TurnMachine,
    TurnSettings,
)
from media_server.engines.client import Engines
from media_server.engines.silero import VoiceActivity, VoiceActivityModel
from media_server.errors import EngineError
from media_server.rtc import Microphone, Speaker

__all__ = ["Call"]

LATELY_WORDS = 12
"""Of the agent's, that may come back as its echo."""
SETTLE_S = 2.0
"""How long a sound that made the agent pause may take to be understood."""
MOST_MESSAGES = 100
"""Of the client, that wait to be handled."""
NOTICE_S = 15.0
"""Before a call is ended for its length."""
ON_ITS_WAY_S = 0.15
"""Of sound, when a client says that the turn is over."""

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
        agent: who answers.
        latest: the version of an agent that is good now, by name; None where there is none any more.
        emit: takes the events; who does gives them back to `dispatch`, as they are on the wire.
        clock: seconds since the call began.
        metadata: what came with the offer.
        variables: that fill prompt and greeting.
    """

    def __init__(
        self,
        call_id: str,
        agent: Agent,
        latest: Callable[[str], Agent | None],
        engines: Engines,
        activity: VoiceActivityModel,
        microphone: Microphone,
        speaker: Speaker,
        emit: Callable[[e.Event], object],
        clock: Callable[[], float],
        metadata: Mapping[str, Any],
        variables: Mapping[str, str | int | float | bool],
    ) -> None:
        self.id = call_id
        self.metadata = metadata
        self.variables = variables
        self.agent = agent.filled_in(variables)
        self._version = agent
        """The agent without what belongs to this call."""
        self._latest = latest
        self._changes: dict[str, Any] = {}
        """Of `update`."""
        self.state: e.State = "connecting"
        self.history = History()
        self._engines = engines
        self._microphone = microphone
        self._speaker = speaker
        self._emit = emit
        self._clock = clock
        self._taking = agent.turn_taking
        self._turns = TurnMachine(_turn_settings(self._taking))
        self._listener = Listener(microphone, VoiceActivity(activity), self._turns)
        self._messages: asyncio.Queue[e.ClientMessage | _HangUp] = asyncio.Queue()
        self._turn = 0
        self._speech_turn = ""
        self._handlers = HandlerRunner(self, self._start)
        self._hearing = Hearing(engines, self._listener, self, self._start, emit)
        self._replies = Replies(
            self,
            self.history,
            engines,
            speaker,
            emit=emit,
            clock=clock,
            start=self._start,
            enter=self._enter_unless_caller_speaks,
            turn_ids=self._next_turn,
            said_all=self._on_said_all,
        )
        self._afterwards: Callable[[], None] | None = None
        """What is to be done when everything was said."""
        self._judging: asyncio.Task[None] | None = None
        self._pause: SpokenTurn | None = None
        """The caller's turn as it stood at the last pause."""
        self._speculation: asyncio.Task[None] | None = None
        self._doubt_since_s: float | None = None
        """Since when a sound makes the agent pause that may turn out to be no interruption."""
        self._doubtful: Sound = "noise"
        """What it seems to be so far."""
        self.speculations = 0
        """Replies begun before the turn was over …"""
        self.wasted_speculations = 0
        """… and those that nobody heard, since the caller went on."""
        self._partial: asyncio.Task[None] | None = None
        self._partial_shown = False
        self._waiting: asyncio.Task[None] | None = None
        """For the caller to say something."""
        self._prompted = False
        """Whether the caller was asked to."""
        self._group = asyncio.TaskGroup()
        self._conducting = False

    def receive(self, message: e.ClientMessage) -> None:
        """Take a message of the client; a client that floods is told so and loses the message."""
        if self._messages.qsize() < MOST_MESSAGES:
            self._messages.put_nowait(message)
        else:
            self._emit(e.Error("too_many_messages", "Messages come faster than they can be handled; one was dropped."))

    async def run(self) -> str:
        """Conduct the call to its end; why it ended."""
        async with self._group:
            self._conducting = True
            try:
                reason = await self._conduct()
            finally:
                self._conducting = False
        self._speaker.interrupt()
        return reason

    async def _conduct(self) -> str:
        self._emit(e.CallStarted(self.agent.name, self.metadata))
        self._enter("listening")
        listening = self._start(self._listen(), "listen")
        preparing = self._start(self._replies.prepare(), "prepare")
        limiting = self._start(self._end_in_time(), "limit") if self.agent.max_duration_s else None
        if self.agent.greeting:
            self._replies.say(self.agent.greeting)
        while not isinstance(message := await self._messages.get(), e.CallEnd | _HangUp):
            self._handle(message)
        self._hearing.abandon()
        self._handlers.stop()
        under_way = (self._judging, self._partial, self._replies.current, self._waiting)
        for task in (listening, preparing, limiting, *under_way):
            self._cancel(task)
        return message.reason if isinstance(message, _HangUp) else "client_hangup"

    # -- what the agent's code can do: see `agents.Call`

    @property
    def transcript(self) -> Sequence[Mapping[str, str]]:
        said = (m for m in self.history.entries if m.role != "tool" and m.content)
        return [{"role": m.role, "text": m.content} for m in said]

    def say(self, text: str, *, interrupt: bool = False) -> Awaitable[bool]:
        if interrupt:
            self._interrupt()
        if not self._conducting:
            never: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            never.set_result(False)
            return never
        return self._replies.say(text)

    def interrupt(self) -> None:
        self._interrupt()

    def hangup(self, *, after_speech: bool = False) -> None:
        self._do_when_said(lambda: self._hang_up("agent_hangup"), at_once=not after_speech)

    def forward(self, to: str) -> None:
        self._do_when_said(lambda: self._hand_over(to))

    def send(self, name: str, data: Any = None) -> None:
        self._emit(e.AgentEvent(name, to_jsonable_python(data)))

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        self._handlers.add(event, handler, once=False)

    def once(self, event: str, handler: Callable[..., Any]) -> None:
        self._handlers.add(event, handler, once=True)

    def update(self, **changes: Any) -> None:
        if fixed := changes.keys() & {"name", "handlers"}:
            raise ValueError(f"{' and '.join(sorted(fixed))} cannot be changed")
        self._become(self._version, self._changes | changes)

    def dispatch(self, event: Mapping[str, Any]) -> None:
        """Run the agent's code that waits for this event."""
        if self._conducting:
            self._handlers.dispatch(event)

    async def dispatch_last(self, event: Mapping[str, Any]) -> None:
        """Run the agent's code that waits for the call's end."""
        await self._handlers.last(event)

    def _become(self, version: Agent, changes: dict[str, Any]) -> None:
        """Go on as this version of an agent.

        Raises:
            ValueError: a change that an agent cannot have.
        """
        try:
            agent = replace(version, **changes).filled_in(self.variables)
        except TypeError as unknown:
            raise ValueError(str(unknown)) from unknown
        if agent.turn_taking != self.agent.turn_taking:
            self._taking = agent.turn_taking
            self._turns.settings = _turn_settings(self._taking)
        self.agent, self._version, self._changes = agent, version, changes

    def _refresh(self) -> None:
        """A turn begins: from here on the agent's newest version answers."""
        latest = self._latest(self._version.name)
        if latest is not None and latest is not self._version:
            self._become(latest, self._changes)

    def _do_when_said(self, what: Callable[[], None], at_once: bool = False) -> None:
        if at_once or not self._replies.busy:
            what()
        else:
            self._afterwards = what

    def _on_said_all(self) -> None:
        what, self._afterwards = self._afterwards, None
        if what:
            what()

    def _hang_up(self, reason: str) -> None:
        self._messages.put_nowait(_HangUp(reason))

    async def _end_in_time(self) -> None:
        """The call is as long as it may be."""
        limit_s = self.agent.max_duration_s
        notice_s = min(NOTICE_S, limit_s / 2)
        await asyncio.sleep(limit_s - notice_s)
        message = f"The call is limited to {limit_s:g} seconds and ends in {notice_s:g}."
        self._emit(e.Warning_("call_ending", message))
        await asyncio.sleep(notice_s)
        self._hang_up("max_duration")

    def _hand_over(self, to: str) -> None:
        agent = self._latest(to)
        self._emit(e.CallForwarded(to, agent is not None))
        if agent is None:
            self._hang_up("forwarded")
            return
        self._become(agent, {})
        if self.agent.greeting:
            self._replies.say(self.agent.greeting)

    def _handle(self, message: e.ClientMessage) -> None:
        match message:
            case e.TextSend(text=text):
                self._prompted = False
                self._interrupt()
                self._refresh()
                self._replies.answer_text(self._next_turn(), text)
            case e.AgentSay(text=text):
                self._replies.say(text)
            case e.AgentInterrupt():
                self._interrupt()
            case e.SessionUpdate() as u:
                self._taking = self._taking.changed(u.turns, u.min_pause_ms, u.max_pause_ms, u.completeness)
                self._turns.settings = _turn_settings(self._taking)
            case e.TurnEnd():
                self._start(self._end_turn(), "end-turn")
            case e.ToolResult():
                if not self._replies.tools.answered(message):
                    self._emit(e.Error("unknown_tool_call", f"No tool call {message.id!r} is waiting for a result."))
            case e.UserMute(muted=muted):
                self._microphone.muted = muted
                if muted:
                    self._abandon_utterance()
            case _:
                pass

    # -- listening

    async def _listen(self) -> None:
        async for heard in self._listener:
            self._on_heard(heard)

    def _on_heard(self, heard: Heard) -> None:
        match heard.decision:
            case SpeechStarted(at_s=at_s):
                self._speech_turn = self._next_turn()
                self._refresh()
                self._partial_shown = False
                self._prompted = False
                self._hearing.begin()
                self._emit(e.UserSpeechStarted())
                if self.state == "agent_speaking":
                    # stop at once, and see whether it is meant for an interruption
                    self._speaker.hold()
                    self._doubt_since_s, self._doubtful = at_s, "noise"
                else:
                    self._yield()
            case SpeechResumed(at_s=at_s):
                if self._pause:
                    self._hearing.resume(at_s, self._pause.watch.times["speech_ended"])
                self._cancel(self._judging)
                self._drop_speculation()
                self._emit(e.UserSpeechStarted())
                if self._doubt_since_s is None:
                    self._enter("user_speaking")
            case PartialDue(at_s=at_s):
                doubtful_s = at_s - self._doubt_since_s if self._doubt_since_s is not None else 0.0
                if doubtful_s > LONGEST_DOUBT_S and self._doubtful != "echo":
                    self._yield()
                if self._partial is None or self._partial.done():
                    self._partial = self._start(self._show_partial(self._speech_turn, heard), "partial")
            case SpeechPaused(ended_at_s=ended_s):
                # what was said until now is all there is if the caller stays silent: begin at once
                self._cancel(self._partial)
                hearing = self._hearing.pause(heard)
                self._emit(e.UserSpeechStopped())
                watch = Stopwatch()
                watch.mark("speech_ended", ended_s)
                watch.mark("paused", self._clock())
                self._pause = pause = SpokenTurn(self._speech_turn, hearing, self._partial_shown, watch)
                if self._doubt_since_s is not None:
                    self._turns.end_after(math.inf)
                    self._judging = self._start(self._settle(pause), "settle")
                else:
                    self._consider(pause)
            case TurnEnded():
                self._cancel(self._judging)
                if self._doubt_since_s is not None:
                    self._yield()  # the client said that it is a turn
                if self._pause is None:
                    return
                self._pause.watch.mark("turn_ended", self._clock())
                if self._speculation is None:
                    self._replies.answer(self._pause)
                self._speculation = None
                self._enter("thinking")
                self._pause.gate.open()

    async def _end_turn(self) -> None:
        """The client says that the caller is done."""
        await asyncio.sleep(ON_ITS_WAY_S)
        heard = self._listener.finish(self._clock())
        for each in heard:
            self._on_heard(each)
        if not heard:
            self._emit(e.Warning_("nothing_said", "The client ended a turn in which nobody had spoken."))

    def _consider(self, pause: SpokenTurn) -> None:
        """In a pause of the caller: ask whether the turn is complete, and begin the reply on trial."""
        if self._taking.completeness and not self._taking.manual:
            self._judging = self._start(self._judge(pause), "judge")
        if self.agent.speculation and self._engines.room_to_speculate:
            self.speculations += 1
            self._speculation = self._replies.answer(pause)

    def _sound(self, text: str) -> Sound:
        lately = " ".join(self._replies.heard.split()[-LATELY_WORDS:])
        words = self.agent.acknowledgements
        return weigh(text, lately, ACKNOWLEDGEMENTS if words is None else words, self.agent.interrupt_words)

    def _yield(self) -> None:
        """The caller has the floor."""
        self._doubt_since_s = None
        self._interrupt()
        self._enter("user_speaking")

    def _go_on(self) -> None:
        """It was no interruption: the agent goes on where it stopped."""
        self._doubt_since_s = None
        self._speaker.resume()

    async def _settle(self, pause: SpokenTurn) -> None:
        """A sound that made the agent pause is over: yield to it, or go on where the agent stopped."""
        await asyncio.wait([pause.hearing], timeout=SETTLE_S)
        said = pause.hearing.result() if pause.hearing.done() else None
        # where the recogniser does not answer it is better to stop than to talk over somebody
        if not isinstance(said, Said) or self._sound(said.text) == "speech":
            self._yield()
            self._turns.end_after(_turn_settings(self._taking).pause_ms)
            self._consider(pause)
        else:
            self._turns.reset()
            self._go_on()

    def _drop_speculation(self) -> None:
        """The caller went on: what was thought and made for nothing stops costing."""
        if self._speculation is not None:
            self.wasted_speculations += 1
            self._cancel(self._speculation)
            self._speculation = None
            if self._pause:
                self._pause = replace(self._pause, gate=Gate())

    async def _show_partial(self, turn_id: str, heard: Heard) -> None:
        # a partial that fails is not worth a word: the final one will tell
        with contextlib.suppress(EngineError):
            said = await self._hearing.so_far(heard)
            if said.text and turn_id == self._speech_turn:
                if self._doubt_since_s is not None:
                    self._doubtful = self._sound(said.text)
                    if self._doubtful != "speech":
                        return
                    self._yield()
                self._partial_shown = True
                self._emit(e.UserTranscript(turn_id, said.text, False, said.confidence, said.language, said.stable))

    async def _judge(self, pause: SpokenTurn) -> None:
        """Shorten the pause under way as far as the words so far seem complete."""
        said = await outcome(pause.hearing)
        if isinstance(said, EngineError):
            return
        if said.text:
            messages = self.history.messages(self.agent.prompt, self.agent.history_turns, said.text)
            try:
                probability = await self._engines.judge(self.id, messages, specs(self.agent))
            except EngineError:
                return  # the pause ends by itself, and the reply will tell
            pause.complete = completeness(said.text, probability, self._engines.complete_at, said.complete)
        self._turns.end_after(pause_ms(self._taking, pause.complete))

    def _abandon_utterance(self) -> None:
        if self._turns.state != "idle":
            self._turns.reset()
            self._go_on()
            self._hearing.abandon()
            self._cancel(self._judging)
            self._drop_speculation()
            self._cancel(self._partial)
            self._emit(e.UserSpeechStopped())
            self._enter("listening")

    def _interrupt(self) -> None:
        """Stop what the agent is thinking or saying, or was going to."""
        self._doubt_since_s = None
        self._afterwards = None
        self._drop_speculation()
        self._replies.interrupt()

    # -- small things

    def _next_turn(self) -> str:
        self._turn += 1
        return f"turn-{self._turn}"

    def _enter(self, state: e.State) -> None:
        if state != self.state:
            self.state = state
            self._turns.agent_speaking = state == "agent_speaking"
            self._emit(e.StateChanged(state))
            self._cancel(self._waiting)
            wait_s = self.agent.idle_hang_up_s if self._prompted else self.agent.idle_s
            if state == "listening" and wait_s:
                self._waiting = self._start(self._wait_for_caller(wait_s), "wait")

    def _enter_unless_caller_speaks(self, state: e.State) -> None:
        """What a reply says of the state counts for less than the caller's voice."""
        if state != "listening" or self.state in ("thinking", "agent_speaking"):
            self._enter(state)

    async def _wait_for_caller(self, seconds: float) -> None:
        """Nobody says anything: ask once whether somebody is there, then hang up."""
        await asyncio.sleep(seconds)
        if not self._prompted:
            self._prompted = True
            if self.agent.idle_prompt:
                self._replies.say(self.agent.idle_prompt)
                return  # once it is said, the silence after it is waited for
            if not self.agent.idle_hang_up_s:
                return
            await asyncio.sleep(self.agent.idle_hang_up_s)
        self._hang_up("silence")

    def _start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        return self._group.create_task(work, name=f"{self.id}-{name}")

    @staticmethod
    def _cancel(task: asyncio.Task[Any] | None) -> None:
        if task is not None and not task.cancelling():
            task.cancel()


def _turn_settings(taking: TurnTaking) -> TurnSettings:
    """With completeness asked for, a pause is the longest until the answer is there."""
    if taking.manual:
        return TurnSettings(pause_ms=math.inf)
    return TurnSettings(pause_ms=taking.max_pause_ms if taking.completeness else taking.min_pause_ms)
