"""One call: the state machine that owns its listening, its turns and its replies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from media_server import events as e
from media_server.agents import Agent, TurnTaking
from media_server.call.completeness import completeness, pause_ms
from media_server.call.gate import Gate
from media_server.call.hearing import Hearing, Said, outcome
from media_server.call.history import History
from media_server.call.interruption import ACKNOWLEDGEMENTS, LONGEST_DOUBT_S, Sound, weigh
from media_server.call.listen import Heard, Listener
from media_server.call.metrics import Stopwatch
from media_server.call.speak import Utterance
from media_server.call.speakable import speakable
from media_server.call.think import reply_clauses
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
from media_server.engines.messages import ChatMessage
from media_server.engines.silero import VoiceActivity, VoiceActivityModel
from media_server.errors import EngineError, EngineLost, EngineSlow
from media_server.rtc import Microphone, Speaker

__all__ = ["Call"]

log = logging.getLogger(__name__)

LATELY_WORDS = 12
"""Of the agent's, that may come back as its echo."""
RESTART_S = 60.0
"""How long a turn waits for an engine that is being restarted."""
ON_ITS_WAY_S = 0.15
"""Of sound, when a client says that the turn is over."""

T = TypeVar("T")


class _HangUp:
    """Among the client's messages: the call itself has had enough."""


class Call:
    """Owns everything that happens between the first and the last word.

    `run` is its life: it ends when the caller hangs up by message or is silent for too long, and is cancelled when the
    connection is gone.
    `receive` takes the client's messages. Both, and all callbacks, belong to one event loop.
    """

    def __init__(
        self,
        call_id: str,
        agent: Agent,
        engines: Engines,
        activity: VoiceActivityModel,
        microphone: Microphone,
        speaker: Speaker,
        emit: Callable[[e.Event], None],
        clock: Callable[[], float],
        metadata: Mapping[str, Any],
    ) -> None:
        self.id = call_id
        self._metadata = metadata
        self.agent = agent
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
        self._messages: asyncio.Queue[e.ClientMessage | _HangUp] = asyncio.Queue(100)
        self._turn = 0
        self._speech_turn = ""
        self._hearing = Hearing(engines, self._listener, agent, self._start, self._with_retry)
        self._judging: asyncio.Task[None] | None = None
        self._complete = 1.0
        self._gate = Gate()
        self._watch = Stopwatch()
        self._speculation: asyncio.Task[None] | None = None
        self._doubt_since_s: float | None = None
        """Since when a sound makes the agent pause that may turn out to be no interruption."""
        self._doubtful: Sound = "noise"
        """What it seems to be so far."""
        self._utterance: Utterance | None = None
        self.speculations = 0
        """Replies begun before the turn was over …"""
        self.wasted_speculations = 0
        """… and those that nobody heard, since the caller went on."""
        self._partial: asyncio.Task[None] | None = None
        self._partial_shown = False
        self._reply: asyncio.Task[None] | None = None
        self._to_say: list[str] = []
        self._waiting: asyncio.Task[None] | None = None
        """For the caller to say something."""
        self._prompted = False
        """Whether the caller was asked to."""
        self._group = asyncio.TaskGroup()

    def receive(self, message: e.ClientMessage) -> None:
        """Take a message of the client; a client that floods is told so and loses the message."""
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self._emit(e.Error("too_many_messages", "Messages come faster than they can be handled; one was dropped."))

    async def run(self) -> str:
        """Conduct the call to its end; why it ended."""
        self._emit(e.CallStarted(self.agent.name, self._metadata))
        async with self._group:
            self._enter("listening")
            listening = self._start(self._listen(), "listen")
            preparing = self._start(self._prepare(), "prepare")
            if self.agent.greeting:
                self._say(self.agent.greeting)
            while not isinstance(message := await self._messages.get(), e.CallEnd | _HangUp):
                self._handle(message)
            self._hearing.abandon()
            for task in (listening, preparing, self._judging, self._partial, self._reply, self._waiting):
                self._cancel(task)
        self._speaker.interrupt()
        return "silence" if isinstance(message, _HangUp) else "client_hangup"

    async def _prepare(self) -> None:
        """Have the apology ready for when nothing else works."""
        with contextlib.suppress(EngineError):
            await self._engines.prepare(speakable(self.agent.apology, self._engines.english))

    def _handle(self, message: e.ClientMessage) -> None:
        match message:
            case e.TextSend(text=text):
                self._prompted = False
                self._interrupt()
                turn_id = self._next_turn()
                self._begin_reply(lambda: self._answer_text(turn_id, text))
            case e.AgentSay(text=text):
                self._say(text)
            case e.AgentInterrupt():
                self._interrupt()
            case e.SessionUpdate() as u:
                self._taking = self._taking.changed(u.turns, u.min_pause_ms, u.max_pause_ms, u.completeness)
                self._turns.settings = _turn_settings(self._taking)
            case e.TurnEnd():
                self._start(self._end_turn(), "end-turn")
            case e.ToolResult(id=tool_id):
                self._emit(e.Error("unknown_tool_call", f"No tool call {tool_id!r} is waiting for a result."))
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
                self._partial_shown = False
                self._prompted = False
                self._hearing.begin()
                self._emit(e.UserSpeechStarted())
                if self._turns.agent_speaking:
                    # stop at once, and see whether it is meant for an interruption
                    self._speaker.hold()
                    self._doubt_since_s, self._doubtful = at_s, "noise"
                else:
                    self._yield()
            case SpeechResumed(at_s=at_s):
                self._hearing.resume(at_s, self._watch.times["speech_ended"])
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
                self._gate, self._watch = Gate(), Stopwatch()
                self._watch.mark("speech_ended", ended_s)
                self._watch.mark("paused", self._clock())
                if self._doubt_since_s is not None:
                    self._turns.end_after(math.inf)
                    self._judging = self._start(self._settle(hearing), "settle")
                else:
                    self._consider(hearing)
            case TurnEnded():
                self._cancel(self._judging)
                if self._doubt_since_s is not None:
                    self._yield()  # the client said that it is a turn
                self._watch.mark("turn_ended", self._clock())
                if self._speculation is None and self._hearing.finished:
                    self._answer_turn(self._hearing.finished)
                self._speculation = None
                self._enter("thinking")
                self._gate.open()

    async def _end_turn(self) -> None:
        """The client says that the caller is done."""
        await asyncio.sleep(ON_ITS_WAY_S)
        heard = self._listener.finish(self._clock())
        for each in heard:
            self._on_heard(each)
        if not heard:
            self._emit(e.Warning_("nothing_said", "The client ended a turn in which nobody had spoken."))

    def _consider(self, hearing: asyncio.Task[Said | EngineError]) -> None:
        """In a pause of the caller: ask whether the turn is complete, and begin the reply on trial."""
        self._complete = 1.0
        if self._taking.completeness and not self._taking.manual:
            self._judging = self._start(self._judge(hearing), "judge")
        if self.agent.speculation and self._engines.room_to_speculate:
            self.speculations += 1
            self._answer_turn(hearing)
            self._speculation = self._reply

    def _sound(self, text: str) -> Sound:
        said = self._utterance.heard if self._utterance else ""
        lately = " ".join(said.split()[-LATELY_WORDS:])
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

    async def _settle(self, hearing: asyncio.Task[Said | EngineError]) -> None:
        """A sound that made the agent pause is over: yield to it, or go on where the agent stopped."""
        said = await outcome(hearing)
        if not isinstance(said, EngineError) and self._sound(said.text) == "speech":
            self._yield()
            self._turns.end_after(_turn_settings(self._taking).pause_ms)
            self._consider(hearing)
        else:
            self._turns.reset()
            self._go_on()

    def _answer_turn(self, hearing: asyncio.Task[Said | EngineError]) -> None:
        turn_id, gate, watch = self._speech_turn, self._gate, self._watch
        self._begin_reply(lambda: self._answer(turn_id, hearing, gate, watch))

    def _drop_speculation(self) -> None:
        """The caller went on: what was thought and made for nothing stops costing."""
        if self._speculation is not None:
            self.wasted_speculations += 1
            self._cancel(self._speculation)
            self._speculation = None
            self._gate = Gate()

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

    async def _judge(self, hearing: asyncio.Task[Said | EngineError]) -> None:
        """Shorten the pause under way as far as the words so far seem complete."""
        said = await outcome(hearing)
        if isinstance(said, EngineError):
            return
        if said.text:
            messages = self.history.messages(self.agent.prompt, self.agent.history_turns, said.text)
            try:
                probability = await self._engines.judge(self.id, messages)
            except EngineError:
                return  # the pause ends by itself, and the reply will tell
            self._complete = completeness(said.text, probability, self._engines.complete_at, said.complete)
        self._turns.end_after(pause_ms(self._taking, self._complete))

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

    # -- replying

    async def _answer(
        self, turn_id: str, hearing: asyncio.Task[Said | EngineError], gate: Gate, watch: Stopwatch
    ) -> None:
        """Answer what was said; what the world sees of it waits for the gate."""
        async with self._in_time(gate) as heard_something:
            said = await outcome(hearing)
            if isinstance(said, EngineError):
                await gate.opened.wait()
                raise said
            watch.mark("transcript", self._clock())
            self._cancel(self._partial)
            text = said.text
            final = e.UserTranscript(turn_id, text, True, said.confidence, said.language, words=said.words)
            if not text:
                # a cough, a door: nobody said anything
                await gate.opened.wait()
                if self._partial_shown:
                    self._emit(final)
                return
            messages = self.history.messages(self.agent.prompt, self.agent.history_turns, text)

            def over() -> None:
                self._emit(final)
                self._emit(e.TurnEnded(turn_id, self._complete))
                self.history.add_user(text)

            gate.do(over)
            try:
                await self._think_and_speak(turn_id, messages, gate, watch, heard_something)
            except EngineError:
                await gate.opened.wait()
                raise

    async def _answer_text(self, turn_id: str, text: str) -> None:
        watch, gate = Stopwatch(), Gate()
        watch.mark("speech_ended", self._clock())
        self._enter("thinking")
        gate.open()
        self._emit(e.UserTranscript(turn_id, text, True))
        self._emit(e.TurnEnded(turn_id, 1.0))
        self.history.add_user(text)
        messages = self.history.messages(self.agent.prompt, self.agent.history_turns)
        async with self._in_time(gate) as heard_something:
            await self._think_and_speak(turn_id, messages, gate, watch, heard_something)

    @contextlib.asynccontextmanager
    async def _in_time(self, gate: Gate) -> AsyncIterator[Callable[[], None]]:
        """Give the work inside up if nothing is heard of it in time once the gate is open.

        Yields what to call when it is.

        Raises:
            EngineSlow: it was given up.
        """
        inside = True
        try:
            async with asyncio.timeout(None) as deadline:

                def begin() -> None:
                    if inside:
                        deadline.reschedule(asyncio.get_running_loop().time() + self.agent.answer_timeout_s)

                gate.do(begin)
                try:
                    yield lambda: deadline.reschedule(None)
                finally:
                    inside = False
        except TimeoutError as late:
            if not deadline.expired():
                raise
            self._hearing.abandon()
            raise EngineSlow(self.agent.answer_timeout_s) from late

    async def _think_and_speak(
        self,
        turn_id: str,
        messages: tuple[ChatMessage, ...],
        gate: Gate,
        watch: Stopwatch,
        heard_something: Callable[[], None],
    ) -> None:
        def clauses() -> AsyncGenerator[str, None]:
            return reply_clauses(
                turn_id,
                self._engines,
                self.id,
                messages,
                self.agent.max_reply_tokens,
                lambda event: gate.do(lambda: self._emit(event)),
                lambda: watch.mark("first_token", self._clock()),
            )

        await self._speak(turn_id, clauses, watch, gate.opened, heard_something)

    def _say(self, text: str) -> None:
        """Say `text` after what is being said now."""
        self._to_say.append(text)
        if self._reply is None or self._reply.done():
            self._begin_reply(self._say_queued)

    async def _say_queued(self) -> None:
        while self._to_say:
            text, turn_id = self._to_say.pop(0), self._next_turn()

            async def clauses(text: str = text, turn_id: str = turn_id) -> AsyncGenerator[str, None]:
                self._emit(e.AgentText(turn_id, text))
                yield text

            await self._speak(turn_id, clauses, None)

    async def _speak(
        self,
        turn_id: str,
        clauses: Callable[[], AsyncGenerator[str, None]],
        watch: Stopwatch | None,
        ready: asyncio.Event | None = None,
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        """Speak what `clauses` gives; called again for a second try if an engine dies before anything was heard."""

        def started() -> None:
            on_started()
            self._turns.agent_speaking = True
            self._enter("agent_speaking")
            if watch:
                watch.mark("on_wire", self._clock())
                self._emit(watch.metrics(turn_id))

        async def timed(stream: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
            async for clause in stream:
                if watch:
                    watch.mark("first_clause", self._clock())
                yield clause

        utterance: Utterance | None = None

        async def once() -> None:
            nonlocal utterance
            self._speaker.interrupt()  # of a first try there may be speech that has not begun
            self._utterance = utterance = Utterance(
                turn_id,
                self._engines,
                self._speaker,
                self._emit,
                on_synthesised=lambda: watch.mark("first_audio", self._clock()) if watch else None,
                on_started=started,
                ready=ready,
            )
            async with contextlib.aclosing(clauses()) as stream, contextlib.aclosing(timed(stream)) as timed_stream:
                await utterance.speak(timed_stream)

        completed = False
        try:
            await self._with_retry(once, lambda: not (utterance and utterance.started))
            completed = True
        finally:
            # also when cancelled: history and the caller's screen hold what was heard, and nothing else
            self._speaker.interrupt()
            self._turns.agent_speaking = False
            heard = utterance.heard if utterance else ""
            self.history.add_agent(heard)
            if utterance and utterance.started:
                self._emit(e.AgentSpeechStopped(turn_id, "completed" if completed else "interrupted", heard))

    async def _with_retry(self, work: Callable[[], Awaitable[T]], again: Callable[[], bool] = lambda: True) -> T:
        """Do `work`, once more if an engine dies under it; the caller is told."""
        try:
            return await _unwrapped(work())
        except EngineLost as lost:
            self._emit(e.Warning_(lost.code, lost.message))
            if not again():
                raise
        log.info("call %s waits for an engine", self.id)
        try:
            async with asyncio.timeout(RESTART_S):
                for engine in self._engines.all:
                    await engine.ready.wait()
        except TimeoutError as late:
            raise EngineError("engine_unavailable", "An engine stopped and did not come back in time.") from late
        return await _unwrapped(work())

    def _begin_reply(self, work: Callable[[], Awaitable[None]]) -> None:
        self._cancel(self._reply)
        self._reply = self._start(self._replying(work, self._reply), "reply")

    async def _replying(self, work: Callable[[], Awaitable[None]], before: asyncio.Task[None] | None) -> None:
        if before:
            # it may still be cleaning up after its cancellation
            await asyncio.wait([before])
        try:
            await self._or_apologise(work)
            await self._say_queued()
        except EngineError as failed:
            self._emit(e.Error(failed.code, failed.message))
        finally:
            # unless the caller's voice is what ended it
            if self.state in ("thinking", "agent_speaking"):
                self._enter("listening")

    async def _or_apologise(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`; where an engine fails or takes too long, say so to the program and, more kindly, to the caller."""
        try:
            await work()
        except EngineSlow as slow:
            self._emit(e.Warning_(slow.code, slow.message))
            self._to_say.insert(0, self.agent.apology)
        except EngineError as failed:
            self._emit(e.Error(failed.code, failed.message))
            self._to_say.insert(0, self.agent.apology)

    def _interrupt(self) -> None:
        """Stop what the agent is thinking or saying, or was going to."""
        self._to_say.clear()
        self._doubt_since_s = None
        self._drop_speculation()
        self._speaker.interrupt()
        self._cancel(self._reply)

    # -- small things

    @property
    def _turn_id(self) -> str:
        return f"turn-{self._turn}"

    def _next_turn(self) -> str:
        self._turn += 1
        return self._turn_id

    def _enter(self, state: e.State) -> None:
        if state != self.state:
            self.state = state
            self._emit(e.StateChanged(state))
            self._cancel(self._waiting)
            wait_s = self.agent.idle_hang_up_s if self._prompted else self.agent.idle_s
            if state == "listening" and wait_s:
                self._waiting = self._start(self._wait_for_caller(wait_s), "wait")

    async def _wait_for_caller(self, seconds: float) -> None:
        """Nobody says anything: ask once whether somebody is there, then hang up."""
        await asyncio.sleep(seconds)
        if self._prompted:
            await self._messages.put(_HangUp())
        else:
            self._prompted = True
            self._say(self.agent.idle_prompt)

    def _start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        return self._group.create_task(work, name=f"{self.id}-{name}")

    @staticmethod
    def _cancel(task: asyncio.Task[Any] | None) -> None:
        if task is not None:
            task.cancel()


def _turn_settings(taking: TurnTaking) -> TurnSettings:
    """With completeness asked for, a pause is the longest until the answer is there."""
    if taking.manual:
        return TurnSettings(pause_ms=math.inf)
    return TurnSettings(pause_ms=taking.max_pause_ms if taking.completeness else taking.min_pause_ms)


async def _unwrapped(work: Awaitable[T]) -> T:
    """A task group raises groups; a turn has one cause."""
    try:
        return await work
    except BaseExceptionGroup as group:
        lost, _ = group.split(EngineError)
        if lost:
            raise lost.exceptions[0] from group
        raise
