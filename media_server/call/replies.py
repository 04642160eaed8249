"""The agent's side of a call: what it answers and what it is told to say, one thing at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from media_server import events as e
from media_server.audio import Samples
from media_server.call.bargein import Left
from media_server.call.comfort import fill_silence
from media_server.call.conversation import Conversation
from media_server.call.emotions import Emotions, Feeling
from media_server.call.gate import Gate
from media_server.call.interruption import TimedWord
from media_server.call.lookup import specs
from media_server.call.metrics import Stopwatch
from media_server.call.retry import with_retry
from media_server.call.say_queue import SayQueue
from media_server.call.services import Services
from media_server.call.speak import Clause, Utterance, Written
from media_server.call.staging import Patience, TimedListener, TimedStage
from media_server.call.think import Question, Reply
from media_server.call.tools import ToolRunner
from media_server.call.transcription import TurnText, await_transcript
from media_server.engines.messages import ChatMessage
from media_server.errors import EngineError, EngineSlow
from media_server.plain import plain
from media_server.rtc import Speaker
from media_server.spoken import clauses_of, speakable
from media_server.tasks import cancel, is_cancelled

__all__ = ["Replies", "SpokenTurn"]


LATE_S = 10.0
"""How long the words of a turn that is over are waited for although its answer was given up."""
PLAYED = 60
"""Words of the agent that may come back as its echo."""


@dataclass(slots=True, eq=False)
class SpokenTurn:
    """A turn of the caller as it stands at a pause: to be answered, on trial until the gate opens."""

    id: str
    hearing: asyncio.Task[TurnText | EngineError]
    shown: bool
    """Whether the client has seen words of it."""
    watch: Stopwatch
    sound: Samples
    """Its last seconds, shape [n] at 16 kHz."""
    gate: Gate = field(default_factory=Gate)
    complete: float = 1.0
    """The probability that it is over, as far as anybody was asked."""
    cause: Literal["silence", "semantic", "client"] = "silence"
    """Why it is over."""
    told: asyncio.Event = field(default_factory=asyncio.Event)
    """What was said in it is told, or cannot be."""
    feeling: Feeling | None = None
    """What the caller seems to feel, where somebody wants to know."""


@dataclass(slots=True, eq=False)
class _TypedTurn:
    """What the caller typed, or the client wants done."""

    id: str
    text: str
    instruction: bool


class Replies:
    """`answer`, `answer_text` and `say`; each reply replaces the one before, `interrupt` ends it.

    Args:
        call: the call whose agent answers.
        speaker: None in a chat, where what was sent counts as heard.
        emotions: looks for them in what the caller says.
    """

    def __init__(self, call: Conversation, services: Services, speaker: Speaker | None, emotions: Emotions) -> None:
        self.current: asyncio.Task[None] | None = None
        self.tools = ToolRunner(call)
        self._call = call
        self._history = call.history
        self._services = services
        self._engines = services.engines
        self._speaker = speaker
        self._emit = call.emit
        self._clock = call.clock
        self._emotions = emotions
        self._utterance: Utterance | Written | None = None
        self._to_say = SayQueue()
        self.played: deque[TimedWord] = deque(maxlen=PLAYED)
        """The agent's last words, at the times at which their sound went out."""
        self._under_way: asyncio.Task[None] | None = None
        self._protected = False
        self._one_at_a_time = asyncio.Lock()
        """Held by the reply under way until it has cleaned up; the others wait in order."""
        self._untold: deque[SpokenTurn | _TypedTurn] = deque()
        """Turns that are over and not in the history yet: whatever becomes of their answers, they get there."""

    @property
    def left(self) -> Left:
        """What of the agent's words is still to be heard."""
        it = self._utterance
        if not isinstance(it, Utterance) or self._speaker is None:
            return Left()
        # where a tool works behind it, the question was not meant for an answer
        asks = it.asks and not self.tools.working
        whole = it.whole and not len(self._to_say) and not self._call.then
        return Left(self._speaker.ahead_s, whole, asks)

    @property
    def protected(self) -> bool:
        """Whether the caller cannot stop what is being said: an announcement, or any reply of such an agent."""
        if self._protected or not isinstance(self._utterance, Utterance):
            return self._protected
        return self._utterance.protected or not self._call.agent.interruptible

    async def prepare(self) -> None:
        """Have the model read the prompt before the caller has said anything, and the apology ready for when nothing
        else works.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_prompt())
            group.create_task(self._prepare_apology())

    async def _read_prompt(self) -> None:
        agent = self._call.agent
        if agent.handlers.turn or not self._engines.can_speculate:
            return
        with contextlib.suppress(EngineError):
            # what is common to this and the first turn stays in the model's cache: on a CPU it may take half a minute
            messages = self._history.messages(agent.prompt, agent.history_turns, "Hello.")
            await self._engines.judge(self._call.id, messages, specs(agent))

    async def _prepare_apology(self) -> None:
        if self._speaker is None:
            return
        with contextlib.suppress(EngineError):
            agent = self._call.agent
            language = self._engines.language(agent.voice)
            clauses = [speakable(clause, language) for clause in clauses_of(agent.apology, language)]
            await self._engines.prepare(clauses, (agent.voice, agent.voice_speed))

    def answer(self, turn: SpokenTurn) -> asyncio.Task[None]:
        """Answer what was said; what the world sees of it waits for the turn's gate."""
        turn.gate.do(lambda: self._untold.append(turn))
        return self._begin(lambda: self._answer(turn), turn)

    def answer_text(self, turn_id: str, text: str, instruction: bool = False) -> None:
        """Answer what was typed, or do what the client wants."""
        self._untold.append(_TypedTurn(turn_id, text, instruction))
        self._begin(lambda: self._answer_text(turn_id, text))

    @property
    def busy(self) -> bool:
        """Whether something is being said or about to be."""
        return self.current is not None and not self.current.done() and not is_cancelled(self.current)

    @property
    def waiting(self) -> int:
        """How much is still to be said."""
        return len(self._to_say)

    def say(
        self, text: str, remembered: bool = True, interruptible: bool = True, patient: bool = False
    ) -> asyncio.Future[bool]:
        """Say `text`, word for word, after what is being said now, or while a tool works. Whether it was heard.

        Args:
            interruptible: a caller who speaks over it stops it.
            patient: the caller speaks; it is said when his turn is over and answered.
        """
        heard = self._to_say.add(plain(text), False, remembered, interruptible, patient)
        if not patient:
            self.say_waiting()
        return heard

    def say_waiting(self) -> None:
        """Say what is to be said, if nothing else is under way."""
        if len(self._to_say) and not self.busy:
            self._begin(self._say_queued)

    def interrupt(self, by_caller: bool = False) -> None:
        """Stop what the agent is thinking or saying, or was going to.

        Args:
            by_caller: what waits for the end of his turn goes on waiting.
        """
        self._to_say.drop(patient=not by_caller)
        self.silence()
        self.stop()

    def withdraw(self, said: asyncio.Future[bool]) -> None:
        """Say this no more, be it waiting or being said; what else waits is said."""
        if self._to_say.withdraw(said) or said.done():
            return
        self.silence()
        self.stop()
        self.say_waiting()

    def stop(self) -> None:
        """Give up the reply under way; what the caller said before it is remembered."""
        cancel(self.current)
        cancel(self._under_way)
        if self._untold:
            self._call.start(self._tell_rest(), "tell")

    def silence(self) -> None:
        """Nothing more is to be heard."""
        if self._speaker:
            self._speaker.interrupt()

    def _begin(self, work: Callable[[], Awaitable[None]], turn: SpokenTurn | None = None) -> asyncio.Task[None]:
        if not (self.protected and self.current is self._under_way):
            cancel(self.current)
        self.current = self._call.start(self._reply(work, turn), "reply")
        return self.current

    async def _reply(self, work: Callable[[], Awaitable[None]], turn: SpokenTurn | None) -> None:
        async with self._one_at_a_time:
            self._under_way = asyncio.current_task()
            try:
                await self._tell_untold(turn)
                await self._with_apology(work)
                await self._say_queued()
                self._call.said_all()
                await self._say_queued()  # what that made to be said
            except EngineError as failed:
                self._emit(e.Error(failed.code, failed.message, failed.engine or None))
            finally:
                self._call.enter_unless_caller_speaks("listening")

    async def _tell_rest(self) -> None:
        async with self._one_at_a_time:
            await self._tell_untold(None)

    async def _tell_untold(self, current: SpokenTurn | None) -> None:
        """Emit and remember the turns whose answers were given up before that, except the one that is answered now."""
        while self._untold and (turn := self._untold[0]) is not current:
            if isinstance(turn, _TypedTurn):
                self._tell_typed(turn)
            elif not turn.told.is_set():
                await asyncio.wait([turn.hearing], timeout=LATE_S)
                said = turn.hearing.result() if turn.hearing.done() and not turn.hearing.cancelled() else None
                if isinstance(said, TurnText) and said.text:
                    self._tell_spoken(turn, said)
                turn.told.set()
            if self._untold and self._untold[0] is turn:
                self._untold.popleft()
            await asyncio.sleep(0)  # some clients send hundreds at once

    def _tell_typed(self, turn: _TypedTurn) -> None:
        if turn.instruction:
            self._history.add_instruction(turn.text)
            return
        self._call.note_presence()
        self._emit(e.UserTranscript(turn.id, turn.text, True))
        self._emotions.tell(self._emotions.look(turn.id, turn.text))
        self._emit(e.TurnEnded(turn.id, 1.0, turn.text, "client"))
        self._history.add_user(turn.text)

    def _tell_spoken(self, turn: SpokenTurn, said: TurnText) -> None:
        self._call.note_presence()
        self._emit(_final(turn, said))
        self._emotions.tell(turn.feeling)
        self._emit(e.TurnEnded(turn.id, turn.complete, said.text, turn.cause))
        self._history.add_user(said.text)
        turn.told.set()
        if turn in self._untold:
            self._untold.remove(turn)

    async def _with_apology(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`; where an engine fails or takes too long, tell the client and, more kindly, the caller."""
        try:
            await work()
        except EngineError as failed:
            event = e.CallWarning if isinstance(failed, EngineSlow) else e.Error
            self._emit(event(failed.code, failed.message, engine=failed.engine or None))
            if self._call.agent.apology:
                self._to_say.add(self._call.agent.apology, first=True)

    async def _answer(self, turn: SpokenTurn) -> None:
        try:
            await self._reply_to_turn(turn)
            turn.told.set()
        except EngineError as failed:
            if isinstance(failed, EngineSlow):
                turn.hearing.cancel()
            turn.told.set()
            raise
        finally:
            if not turn.gate.opened.is_set():
                cancel(turn.feeling)

    async def _reply_to_turn(self, turn: SpokenTurn) -> None:
        async with self._in_time(turn.gate) as patience:
            said = await await_transcript(turn.hearing)
            if isinstance(said, EngineError):
                await turn.gate.opened.wait()
                raise said
            turn.watch.mark("transcript", self._clock())
            if not said.text:
                # a cough, a door: nobody said anything
                await turn.gate.opened.wait()
                if turn.shown:
                    self._emit(_final(turn, said))
                return
            if not self._call.paused:
                await self._call.prepare()
            messages = self._history.messages(self._call.agent.prompt, self._call.agent.history_turns, said.text)

            turn.feeling = self._emotions.look(turn.id, said.text, turn.sound)
            turn.gate.do(lambda: self._tell_spoken(turn, said))
            if self._call.paused:
                await turn.gate.opened.wait()
                return
            try:
                await self._think_and_speak(turn.id, messages, said.text, turn.gate, turn.watch, patience)
            except EngineError:
                await turn.gate.opened.wait()
                raise

    async def _answer_text(self, turn_id: str, text: str) -> None:
        watch, gate = Stopwatch(), Gate()
        watch.mark("speech_ended", self._clock())
        self._call.enter_unless_caller_speaks("thinking")
        gate.open()
        if self._call.paused:
            return
        await self._call.prepare()
        messages = self._history.messages(self._call.agent.prompt, self._call.agent.history_turns)
        async with self._in_time(gate) as patience:
            await self._think_and_speak(turn_id, messages, text, gate, watch, patience)

    @contextlib.asynccontextmanager
    async def _in_time(self, gate: Gate) -> AsyncIterator[Patience]:
        """Give the work inside up if nothing is heard of it in time once the gate is open.

        Raises:
            EngineSlow: it was given up.
        """
        seconds = self._call.agent.answer_timeout_s
        try:
            async with asyncio.timeout(None) as deadline:
                patience = Patience(seconds, deadline)
                gate.do(patience.begin)
                try:
                    yield patience
                finally:
                    patience.satisfied()
        except TimeoutError as late:
            if not deadline.expired():
                raise
            raise EngineSlow(seconds) from late

    async def _think_and_speak(
        self,
        turn_id: str,
        messages: tuple[ChatMessage, ...],
        words: str,
        gate: Gate,
        watch: Stopwatch,
        patience: Patience,
    ) -> None:
        question = Question(turn_id, messages, words)
        stage = TimedStage(self._call, self._speaker, gate, watch, patience)
        reply = Reply(question, self._call, self._services, self.tools, self._to_say, stage)
        filling = self._call.start(fill_silence(self._call.agent, self._speaker, gate.opened), "comfort")
        try:
            await self._speak(turn_id, reply.clauses, watch, gate.opened, patience.satisfied)
        finally:
            filling.cancel()
            # also when cancelled: history holds what was done and heard, and nothing else
            reply.remember(self._history)
            reply.drop()

    async def _say_queued(self) -> None:
        while said := self._to_say.take():
            turn_id = self._call.next_turn()
            self._emit(e.AgentText(turn_id, said.text))

            # whoever waits for it finds it in the history when it is told
            clause = Clause(said.text, remembered=said.remembered)

            async def clauses(clause: Clause = clause) -> AsyncGenerator[Clause, None]:
                yield clause

            heard_all = False
            self._protected = not said.interruptible
            try:
                await self._speak(turn_id, clauses, None)
                heard_all = True
            finally:
                self._protected = False
                self._history.add_agent(clause.kept)
                said.settle(heard_all)

    async def _speak(
        self,
        turn_id: str,
        clauses: Callable[[], AsyncGenerator[Clause, None]],
        watch: Stopwatch | None,
        ready: asyncio.Event | None = None,
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        """Speak what `clauses` gives; called again for a second try if an engine dies before anything was heard."""

        def started() -> None:
            on_started()
            if self._speaker is None:
                return
            self._call.enter_unless_caller_speaks("agent_speaking")
            if watch:
                watch.mark("on_wire", self._clock())
                self._emit(watch.metrics(turn_id))

        async def marked(stream: AsyncGenerator[Clause, None]) -> AsyncGenerator[Clause, None]:
            async for clause in stream:
                if watch:
                    watch.mark("first_clause", self._clock())
                yield clause

        def begun(speaker: Speaker | None) -> Utterance | Written:
            if speaker is None:
                return Written(started)
            agent = self._call.agent
            listener = TimedListener(self._call, watch, ready, started, self.played)
            return Utterance(turn_id, self._engines, (agent.voice, agent.voice_speed), speaker, listener)

        utterance: Utterance | Written | None = None

        async def once() -> None:
            nonlocal utterance
            self.silence()  # of a first try there may be speech that has not begun
            self._utterance = utterance = begun(self._speaker)
            async with contextlib.aclosing(clauses()) as stream, contextlib.aclosing(marked(stream)) as marked_stream:
                await utterance.speak(marked_stream)

        completed = False
        try:
            await with_retry(self._engines, self._emit, once, lambda: not (utterance and utterance.started))
            completed = True
        finally:
            self.silence()
            if self._speaker and utterance and utterance.started:
                self._emit(e.AgentSpeechStopped(turn_id, "completed" if completed else "interrupted", utterance.heard))


def _final(turn: SpokenTurn, said: TurnText) -> e.UserTranscript:
    return e.UserTranscript(turn.id, said.text, True, said.confidence, said.language, words=said.words)
