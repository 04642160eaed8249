"""Who has the floor: the caller's sound to turns, when they are over, and whether a sound stops the agent."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from media_server import events as e
from media_server.agents import TurnTaking
from media_server.agents.numbers import described_numbers, known_numbers, number_patterns
from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.call.bargein import BARGE_IN_TIMEOUT_S, AgentState, BargeIn, Decision, is_clear
from media_server.call.completeness import completeness, pause_ms, told_by_words
from media_server.call.conversation import Conversation
from media_server.call.echo import LEAD_S, MOST_S, OwnVoice
from media_server.call.gate import Gate
from media_server.call.interruption import TimedWord, spread, timed
from media_server.call.listen import Heard, Listener
from media_server.call.lookup import specs
from media_server.call.loudness import UsualLoudness
from media_server.call.metrics import Stopwatch
from media_server.call.overhearing import Overhearing
from media_server.call.replies import Replies, SpokenTurn
from media_server.call.services import Services
from media_server.call.transcription import TurnText, TurnTranscription, await_transcript
from media_server.call.turns import (
    PartialDue,
    SilenceEnded,
    SilenceStarted,
    SoundBegan,
    SoundFaded,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
    TurnMachine,
    TurnSettings,
)
from media_server.engines.messages import ChatMessage
from media_server.engines.silero import VoiceActivity
from media_server.errors import EngineError
from media_server.rtc import Microphone, Speaker
from media_server.tasks import cancel

__all__ = ["Audio", "Floor", "MutedBy"]

MutedBy = Literal["caller", "hold", "program"]
"""Who has the microphone muted: what is said is for a program that has, and for nobody else."""
ON_ITS_WAY_S = 0.15
"""Seconds of sound that may still be on its way when a client says that the turn is over."""
AT_THE_EDGE_S = 0.15
"""Seconds of a word that may lie before the end of another voice."""
BAD_LINE_MS = 300
"""How much longer pauses are on a bad line: what is missing of a word sounds like its end."""


@dataclass(frozen=True, slots=True)
class Audio:
    """The sound of a spoken call."""

    microphone: Microphone
    speaker: Speaker
    transport: e.Transport


class Floor:
    """`run` listens until it is cancelled; `stop` gives up what it began.

    Args:
        call: the call whose floor it is.
    """

    def __init__(
        self, call: Conversation, replies: Replies, services: Services, microphone: Microphone, speaker: Speaker
    ) -> None:
        self.speculations = 0
        """Replies begun before the turn was over …"""
        self.wasted_speculations = 0
        """… and those that nobody heard, since the caller went on."""
        self._call = call
        self._history = call.history
        self._replies = replies
        self._engines = services.engines
        self._activity = services.activity
        self._microphone = microphone
        self._muted_by: set[MutedBy] = set()
        self.overhearing: Overhearing | None = None
        """Writes down what is said while a program has the microphone muted."""
        self._speaker = speaker
        self._emit = call.emit
        self._clock = call.clock
        self._taking = self._agents_taking = call.agent.turn_taking
        self._line_is_bad = False
        self._turns = TurnMachine(_turn_settings(self._taking))
        self._listener = Listener(microphone, VoiceActivity(services.activity), self._turns)
        self._hearing = TurnTranscription(services.engines, self._listener, call, call.start, call.emit)
        self._speech_turn = ""
        self._onset_s = 0.0
        self._continues: e.TurnContinued | None = None
        """To be emitted if the speech under way turns out to go on from the turn that the agent is thinking of."""
        self._state: e.State = "listening"
        self._barge_in = BargeIn(call.agent.acknowledgements, call.agent.interrupt_words)
        self._loudness = UsualLoudness()
        self._own_voice = OwnVoice(call.clock)
        self._own_until_s = -math.inf
        """Up to when the speech under way was the agent's voice, which the caller's microphone brings."""
        self._judging: asyncio.Task[None] | None = None
        self._pause: SpokenTurn | None = None
        """The caller's turn as it stood at the last pause."""
        self._silence: tuple[asyncio.Task[TurnText | EngineError], float] | None = None
        """What is said up to a silence that is no pause yet, and since when somebody finds out."""
        self._speculation: asyncio.Task[None] | None = None
        self._partial: asyncio.Task[None] | None = None
        self._partial_shown = False

    @property
    def taking(self) -> TurnTaking:
        """How turns are taken; may be changed at any time."""
        return self._taking

    @taking.setter
    def taking(self, taking: TurnTaking) -> None:
        self._taking = taking
        self._turns.settings = _turn_settings(self._patience)

    def follow_agent(self) -> None:
        """Take turns as the agent has it, where that is not as it was: a client's own choice outlasts other changes."""
        if self._call.agent.turn_taking != self._agents_taking:
            self.taking = self._agents_taking = self._call.agent.turn_taking

    @property
    def _patience(self) -> TurnTaking:
        """How turns are taken on the line as it is."""
        taking = self._taking
        if not self._line_is_bad:
            return taking
        shortest, longest = taking.min_pause_ms + BAD_LINE_MS, taking.max_pause_ms + BAD_LINE_MS
        return replace(taking, min_pause_ms=shortest, max_pause_ms=longest)

    @property
    def line_is_bad(self) -> bool:
        """Whether sound of the caller's is lost on its way; pauses are longer then."""
        return self._line_is_bad

    @line_is_bad.setter
    def line_is_bad(self, bad: bool) -> None:
        if bad != self._line_is_bad:
            self._line_is_bad = bad
            self._turns.settings = _turn_settings(self._patience)

    @property
    def speech(self) -> float:
        """The probability that what is heard now is speech."""
        return self._listener.probability

    def note_state(self, state: e.State) -> None:
        """While the agent thinks or speaks, a sound is weighed before it is an interruption."""
        self._state = state
        if state == "agent_speaking":
            self._own_voice.follow(self._speaker)
        self._turns.agent_speaking = state == "agent_speaking"

    @property
    def muted(self) -> bool:
        """Whether nobody listens to the caller."""
        return self._microphone.muted

    def mute(self, muted: bool, by: MutedBy = "caller") -> None:
        """Stop listening, and forget what is being said; listen again when all who muted have unmuted."""
        (self._muted_by.add if muted else self._muted_by.discard)(by)
        self._microphone.muted = bool(self._muted_by)
        if "program" not in self._muted_by:
            self.overhearing = None
        elif self.overhearing is None:
            activity = VoiceActivity(self._activity)
            self.overhearing = Overhearing(self._engines, activity, self._call.start, self._call.agent.language)
        by_program_alone = self._muted_by == {"program"}
        self._microphone.aside = self.overhearing.take if self.overhearing and by_program_alone else None
        if muted:
            self._abandon_utterance()

    def stop(self) -> None:
        """The call is over."""
        self._hearing.abandon()
        for task in (self._judging, self._partial):
            cancel(task)

    async def run(self) -> None:
        async for heard in self._listener:
            self._on_heard(heard)

    def _weighing(self) -> BargeIn:
        """The machine that weighs the caller's sounds, with what it has to know."""
        machine, agent = self._barge_in, self._call.agent
        # who holds a button to say "yes" means it
        machine.acknowledgements = frozenset() if self._taking.manual else agent.acknowledgements
        machine.farewells = self._call.then == "goodbye"
        machine.interrupt_words = agent.interrupt_words
        machine.agent = self._agent_state
        return machine

    @property
    def _agent_state(self) -> AgentState:
        if self._replies.protected:
            return "announcing"
        if self._state == "agent_speaking":
            return "speaking"
        return "thinking" if self._state == "thinking" else "silent"

    def _perform(self, decision: Decision | None) -> None:
        match decision:
            case Decision.HOLD:
                self._speaker.hold()
            case Decision.GO_ON:
                self._speaker.resume()
            case Decision.YIELD:
                if self._continues:
                    self._emit(self._continues)
                self._continues = None
                self._yield_floor()

    def _on_heard(self, heard: Heard) -> None:
        match heard.decision:
            case SoundBegan(at_s=at_s):
                self._perform(self._weighing().sound_began(at_s))
            case SoundFaded():
                self._perform(self._weighing().sound_faded())
            case SpeechStarted(at_s=at_s):
                self._begin_speech(at_s)
            case SpeechResumed(at_s=at_s):
                self._resume_speech(at_s)
            case PartialDue(at_s=at_s):
                self._tell_so_far(heard, at_s)
            case SilenceStarted():
                # what was said until now is all there is if the caller stays silent: begin at once
                if self._hearing.can_transcribe_early:
                    self._silence = self._listen_to(heard)
            case SilenceEnded():
                self._end_silence()
            case SpeechPaused(ended_at_s=ended_s):
                self._pause_speech(heard, ended_s)
            case TurnEnded():
                self._end_speech()

    def _begin_speech(self, at_s: float) -> None:
        going_on = self._state == "thinking" and self._pause
        self._continues = e.TurnContinued(going_on.id, self._hearing.text) if going_on else None
        self._speech_turn = self._call.begin_turn()
        self._onset_s, self._own_until_s = at_s, -math.inf
        self._partial_shown = False
        self._hearing.begin()
        self._emit(e.UserSpeechStarted(self._speech_turn))
        self._perform(self._weighing().speech_began(at_s))

    def _resume_speech(self, at_s: float) -> None:
        """The pause was not the end of the turn."""
        said = self._hearing.text  # as it was told at the pause
        if self._pause:
            self._hearing.resume(at_s, self._pause.watch.times["speech_ended"])
        cancel(self._judging)
        self._drop_speculation()
        self._emit(e.TurnResumed(self._speech_turn, said))
        self._emit(e.UserSpeechStarted(self._speech_turn))
        if not self._barge_in.in_doubt and not self._replies.protected:
            self._call.enter("user_speaking")

    def _tell_so_far(self, heard: Heard, at_s: float) -> None:
        """Speech lasts: find out what was said so far, unless it is the agent's own voice."""
        if self._barge_in.in_doubt:
            last = self._last(heard, MOST_S)
            if self._own_voice.is_all_of(*last):
                self._barge_in.own_voice(at_s)
                self._own_until_s = at_s
                return
            if self._barge_in.echoes(at_s) and self._own_voice.is_other(*last):
                self._perform(self._weighing().other_voice(at_s))
        self._perform(self._weighing().speech_lasts(at_s))
        if (self._partial is None or self._partial.done()) and self._hearing.room_for_partial:
            self._partial = self._call.start(self._show_partial(self._speech_turn, heard, at_s), "partial")

    def _pause_speech(self, heard: Heard, ended_s: float) -> None:
        """The caller is silent: the turn may be over, and what interrupted the agent can be weighed."""
        cancel(self._partial)
        hearing, began_s = self._silence or self._listen_to(heard)
        self._silence = None
        self._emit(e.UserSpeechStopped(self._speech_turn))
        watch = Stopwatch()
        watch.mark("speech_ended", ended_s)
        watch.mark("paused", began_s)
        self._pause = pause = SpokenTurn(self._speech_turn, hearing, self._partial_shown, watch, heard.turn)
        if self._own_voice.is_all_of(*self._last(heard, math.inf)):
            self._drop_own_voice(pause)
        elif self._barge_in.in_doubt:
            self._turns.end_after(math.inf)
            self._judging = self._call.start(self._resolve_barge_in(pause), "settle")
        else:
            self._speculate_and_judge(pause)

    def _end_speech(self) -> None:
        """The turn is over: it is answered, if the answer has not begun on trial."""
        cancel(self._judging)
        if self._barge_in.in_doubt:
            self._perform(Decision.YIELD)  # the client said that it is a turn
        if self._pause is None:
            return
        self._pause.watch.mark("turn_ended", self._clock())
        self._loudness.add(self._pause.sound)
        if self._speculation is None:
            self._replies.answer(self._pause)
        self._speculation = None
        if not self._replies.protected:
            self._call.enter("thinking")
        self._pause.gate.open()

    async def end_turn(self) -> None:
        """The client says that the caller is done."""
        await asyncio.sleep(ON_ITS_WAY_S)
        heard = self._listener.finish(self._clock())
        for each in heard:
            if isinstance(each.decision, TurnEnded) and self._pause:
                self._pause.cause = "client"
            self._on_heard(each)
        if not heard:
            self._emit(e.CallWarning("nothing_said", "The client ended a turn in which nobody had spoken."))

    async def settled(self) -> None:
        """Take what was said so far for a turn, and wait until it is understood and told."""
        for each in self._listener.finish(self._clock()):
            self._on_heard(each)
        if self._pause:
            await self._pause.told.wait()

    def _listen_to(self, heard: Heard) -> tuple[asyncio.Task[TurnText | EngineError], float]:
        """Find out what is said in a turn up to this silence: who will know it, and when that began."""
        return self._hearing.pause(heard), self._clock()

    def _end_silence(self) -> None:
        """It was no pause."""
        if self._silence:
            self._hearing.abandon()
            self._silence = None

    def _last(self, heard: Heard, most_s: float) -> tuple[Samples, float]:
        """What was heard since the speech began, or the last seconds of it, and when that was captured."""
        end_s = heard.start_s + len(heard.utterance) / MODEL_RATE_HZ
        seconds = min(end_s - self._onset_s + LEAD_S, most_s)
        samples = heard.utterance[-max(1, int(seconds * MODEL_RATE_HZ)) :]
        return samples, end_s - len(samples) / MODEL_RATE_HZ

    def _drop_own_voice(self, pause: SpokenTurn) -> None:
        """The speech under way was nothing but the agent's voice: it is no turn, and the agent goes on."""
        self._perform(self._weighing().own_voice_over(self._clock()))
        self._hearing.abandon()
        pause.told.set()
        self._pause = None
        self._turns.reset()
        if self._state == "user_speaking":
            self._call.enter("listening")

    def _speculate_and_judge(self, pause: SpokenTurn) -> None:
        """Ask in a pause of the caller whether the turn is complete, and begin the reply on trial."""
        if self._taking.completeness and not self._taking.manual:
            self._judging = self._call.start(self._judge(pause), "judge")
        if self._call.agent.speculation and self._engines.can_speculate:
            self.speculations += 1
            self._speculation = self._replies.answer(pause)

    def _yield_floor(self) -> None:
        """The caller has the floor."""
        self._call.interrupt_agent()
        self._call.enter("user_speaking")

    def forget(self) -> None:
        """The agent was interrupted: nothing is on trial any more, and no sound in doubt."""
        self._barge_in.forget()
        self._drop_speculation()

    async def _resolve_barge_in(self, pause: SpokenTurn) -> None:
        """A sound that made the agent pause is over: yield to it, or go on where the agent stopped."""
        await asyncio.wait([pause.hearing], timeout=BARGE_IN_TIMEOUT_S)
        said = pause.hearing.result() if pause.hearing.done() else None
        heard = self._words(said, pause) if isinstance(said, TurnText) else None
        louder_db = self._loudness.louder_db(pause.sound)
        lasted_s = pause.watch.times["speech_ended"] - self._onset_s
        clear = not isinstance(said, TurnText) or is_clear(lasted_s, said.confidence)
        replies, now = self._replies, self._clock()
        decision = self._weighing().speech_over(heard, replies.played, replies.left, now, louder_db, clear)
        self._perform(decision)
        if decision is Decision.GO_ON:
            if self._barge_in.sound == "acknowledgement":
                self._call.note_presence()
            pause.told.set()
            self._turns.reset()
        else:
            self._turns.end_after(_turn_settings(self._patience).pause_ms)
            self._speculate_and_judge(pause)

    def _words(self, said: TurnText, pause: SpokenTurn) -> list[TimedWord]:
        if said.words:
            words = [word for each in said.words for word in timed(each.text, each.start_s)]
        else:
            words = spread(said.text, self._onset_s, pause.watch.times["speech_ended"])
        return self._others(words)

    def _others(self, words: list[TimedWord]) -> list[TimedWord]:
        """The words that came after what was the agent's voice alone."""
        return [word for word in words if word.at_s >= self._own_until_s - AT_THE_EDGE_S]

    def _drop_speculation(self) -> None:
        """The caller went on: what was thought and made for nothing stops costing."""
        if self._speculation is not None:
            self.wasted_speculations += 1
            cancel(self._speculation)
            self._speculation = None
            if self._pause:
                self._pause = replace(self._pause, gate=Gate())

    async def _show_partial(self, turn_id: str, heard: Heard, at_s: float) -> None:
        # a partial that fails is not worth a word: the final one will tell
        with contextlib.suppress(EngineError):
            said = await self._hearing.so_far(heard)
            if turn_id != self._speech_turn:
                return
            words = self._others(spread(said.text, self._onset_s, at_s))
            louder_db = self._loudness.louder_db(heard.turn)
            clear = is_clear(at_s - self._onset_s, said.confidence)
            weighing, played = self._weighing(), self._replies.played
            self._perform(weighing.words_so_far(words, played, at_s, louder_db, clear))
            if said.text and not self._barge_in.in_doubt:
                self._partial_shown = True
                self._emit(e.UserTranscript(turn_id, said.text, False, said.confidence, said.language, said.stable))

    async def _judge(self, pause: SpokenTurn) -> None:
        """Shorten the pause under way as far as the words so far seem complete."""
        said = await await_transcript(pause.hearing)
        if isinstance(said, EngineError):
            return
        if said.text:
            agent = self._call.agent
            messages = self._history.messages(agent.prompt, agent.history_turns, said.text)
            numbers, known = self._numbers(messages)
            told = told_by_words(said.text, numbers, known, said.language)
            if told is None:
                try:
                    probability = await self._engines.judge(self._call.id, messages, specs(agent))
                except EngineError:
                    return  # the pause ends by itself, and the reply will tell
                at = self._engines.complete_at
                told = completeness(said.text, probability, at, said.complete, numbers, known, said.language)
            pause.complete = told
            pause.cause = "semantic"
            self._emit(e.TurnPaused(pause.id, said.text, pause.complete))
            if self._speculation:
                self._emit(e.TurnEager(pause.id, said.text, pause.complete))
        self._turns.end_after(pause_ms(self._patience, pause.complete))

    def _numbers(self, messages: Sequence[ChatMessage]) -> tuple[Collection[str], Collection[str]]:
        """The forms of the numbers that the caller may read out now, and those that were told or said before."""
        agent = self._call.agent
        # the newest words tell best which number is asked for
        asked = [*described_numbers(messages[-2].content)] if messages[-2].role == "assistant" else []
        forms = (*number_patterns(tool.parameters for tool in agent.tools), *described_numbers(agent.prompt))
        return asked or (*agent.numbers, *forms), known_numbers(message.content for message in messages[:-1])

    def _abandon_utterance(self) -> None:
        self._barge_in.forget()
        self._speaker.resume()
        self._listener.forget()
        if self._turns.state != "idle":
            self._turns.reset()
            self._end_silence()
            self._hearing.abandon()
            cancel(self._judging)
            self._drop_speculation()
            cancel(self._partial)
            if self._pause:
                self._pause.told.set()
            self._emit(e.UserSpeechStopped(self._speech_turn))
            if self._state == "user_speaking":
                self._call.enter("listening")


def _turn_settings(taking: TurnTaking) -> TurnSettings:
    """With completeness asked for, a pause is the longest until the answer is there."""
    if taking.manual:
        return TurnSettings(pause_ms=math.inf)
    return TurnSettings(pause_ms=taking.max_pause_ms if taking.completeness else taking.min_pause_ms)
