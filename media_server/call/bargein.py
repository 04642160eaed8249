"""Does the agent yield to a sound of the caller's? A pure machine: sounds and words with times in, decisions out.

    agent       what is heard                                            decision
    speaking    a sound, `SOUND_S` long (turns.py)                       Hold, unless the line is known to echo, or
                                                                         such sounds were nothing just before
    speaking    it fades before it is speech                             GoOn
    speaking    speech begins                                            Hold, and doubt
    speaking    words so far mean something                              Yield
    speaking    speech for MAX_DOUBT_S, whatever it says, no echo    Yield
    speaking    speech is over: echo, noise, or "uh-huh"                 GoOn
    speaking    … or short and far quieter than the caller's turns      GoOn: it is said to somebody else
    speaking    … or short, and hardly understood                       GoOn: it is a "mhm", more often than not
    speaking    … but a word by which one asks for silence              Yield, however short: "stop", "wait"
    speaking    … but little was left of what the agent says, or
                nothing of a question behind which more may come         Yield: it is the answer
    speaking    speech is over and nobody can tell what it was           Yield
    thinking    speech begins                                            Hold, and doubt
    thinking    words mean something                                     Yield
    thinking    speech is over: echo, noise, or "uh-huh"                 GoOn: work under way goes on
    announcing  anything                                                 none: a turn, which is answered afterwards
    speaking    speech that began over an announcement goes on           Hold, and doubt
    silent      speech begins                                            Yield

`Hold` silences the agent at once; it keeps its place. `GoOn` has it speak on from there, and drops what was heard.
`Yield` gives the caller the floor, with what was heard so far as the beginning of his turn. What echo is stands in
`interruption.py`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from media_server.call.interruption import (
    ACKNOWLEDGEMENTS,
    FAREWELLS,
    Sound,
    TimedWord,
    Weighed,
    asks_for_silence,
    weigh,
)

__all__ = ["BARGE_IN_TIMEOUT_S", "AgentState", "BargeIn", "Decision", "Left", "is_clear"]

AgentState = Literal["silent", "thinking", "speaking", "announcing"]

MAX_DOUBT_S = 0.9
"""Seconds of speech that always interrupt, whatever is understood of it, unless it is echo …"""
BARGE_IN_TIMEOUT_S = 2.0
"""… or for this long where nothing was understood yet; how long the words of a sound are waited for."""
WORD_S = 0.45
"""… or for this long for each word of an acknowledgement of several."""
ANSWER_S = 1.0
"""With less than this left of what the agent says, "yes" is an answer …"""
QUESTION_S = 1.5
"""… and with less than this of a question."""
QUIET_DB = 10.0
"""How much quieter than the caller's turns words are that are said to somebody else, if they are few."""
CLEAR, SHORT_S = 0.6, 0.4
"""How sure the recogniser is, at least, of words in a sound of less than so many seconds that stop the agent."""
ECHO_FOR_S = 30.0
"""Seconds after an echo for which the line is known to echo."""


MOST_IN_VAIN, IN_VAIN_FOR_S = 2, 10.0
"""After so many sounds that were nothing, within so many seconds, the agent speaks on until one is understood."""


class Decision(Enum):
    HOLD = "hold"
    GO_ON = "go on"
    YIELD = "yield"


@dataclass(frozen=True, slots=True)
class Left:
    """What of the agent's words is still to be heard.

    Args:
        seconds: of sound that is made.
        whole: no more will be made.
        question: it ends with a question, as far as it is known.
    """

    seconds: float = 0.0
    whole: bool = True
    question: bool = False


class BargeIn:
    """Tell it what happens, in order; what it returns is to be done at once. None: nothing changes.

    Args:
        acknowledgements: words that do not interrupt; the usual ones where none are given.
        interrupt_words: the number of other words from which on a sound is an interruption.
    """

    def __init__(self, acknowledgements: Collection[str] | None = None, interrupt_words: int = 1) -> None:
        self.agent: AgentState = "silent"
        self.acknowledgements = acknowledgements
        self.interrupt_words = interrupt_words
        self.farewells = False
        """Whether "goodbye" says no more than "okay": the agent hangs up when all was said."""
        self._since_s: float | None = None
        """When the sound began that is in doubt."""
        self._announced_s: float | None = None
        """When the speech began that is under way since an announcement."""
        self._held = False
        self.sound: Sound = "noise"
        """What the sound under way seems to be so far, or what the last one was."""
        self._noises_s: deque[float] = deque(maxlen=MOST_IN_VAIN)
        """When the last sounds were over that were nothing."""
        self._delay_s: float | None = None
        self._echoed_s = -math.inf
        """When the agent's own voice last came back, and how much later than it went out."""

    @property
    def in_doubt(self) -> bool:
        """Whether speech is under way that may turn out to be no interruption."""
        return self._since_s is not None

    def sound_began(self, at_s: float) -> Decision | None:
        """There is a sound; it is not sure that it is speech."""
        return self._hold() if self.agent == "speaking" and self._stops_at(at_s) else None

    def sound_faded(self) -> Decision | None:
        """It was none."""
        return None if self.in_doubt else self._release()

    def speech_began(self, at_s: float) -> Decision | None:
        """The caller seems to speak, since `at_s`."""
        self._announced_s = None
        if self.agent == "silent":
            return self._yield()
        if self.agent == "announcing":
            self._announced_s = at_s
            return None
        self._since_s, self.sound = at_s, "noise"
        return self._hold() if self._stops_at(at_s) else None

    def speech_lasts(self, at_s: float) -> Decision | None:
        """It goes on; nothing new is understood of it."""
        if self._announced_s is not None and self.agent != "announcing":
            began_s, self._announced_s = self._announced_s, None
            # the agent is silent by now, or goes on with what may be interrupted
            return self.speech_began(began_s) if self.agent != "silent" else None
        long = self._lasted_s(at_s) > BARGE_IN_TIMEOUT_S and self.sound != "echo" and self.agent != "thinking"
        return self._yield() if self.in_doubt and long else None

    def words_so_far(
        self,
        heard: Sequence[TimedWord],
        played: Sequence[TimedWord],
        at_s: float,
        louder_db: float = 0.0,
        clear: bool = True,
    ) -> Decision | None:
        """Part of it is understood: `heard`, by guessed times, up to `at_s`.

        Args:
            played: the agent's last words.
            louder_db: how much louder the sound is than the caller's turns.
            clear: it is long enough, or well enough understood; see `is_clear`.
        """
        if not self.in_doubt or louder_db < -QUIET_DB or not (clear or asks_for_silence(heard)):
            return None
        self.sound = self._weigh(heard, played, at_s, guessed=True).sound
        # "oh okay, I see, got it" is long, and means no more than "okay"
        doubt_s = max(MAX_DOUBT_S, len(heard) * WORD_S) if self.sound == "acknowledgement" else MAX_DOUBT_S
        long = self._lasted_s(at_s) > doubt_s and self.sound != "echo" and self.agent != "thinking"
        return self._yield() if long or self.sound == "speech" else None

    def speech_over(
        self,
        heard: Sequence[TimedWord] | None,
        played: Sequence[TimedWord],
        left: Left,
        at_s: float,
        louder_db: float = 0.0,
        clear: bool = True,
    ) -> Decision | None:
        """The sound is over at `at_s`, and all of it understood; None where nobody can tell what was said.

        Args:
            clear: it was long enough, or well enough understood; see `is_clear`.
        """
        if not self.in_doubt:
            return None
        if heard is None:
            return self._yield()
        it = self._weigh(heard, played, at_s, asked=left.question)
        self.sound = it.sound
        if it.sound == "echo" and (it.echoed > 1 or self.echoes(at_s)):
            self._delay_s, self._echoed_s = it.delay_s, at_s
            return self._release()
        # one word of the agent's on a line that has not echoed yet may be an answer as well as "yes" is
        may_answer = it.sound in ("acknowledgement", "echo") and self.agent != "thinking"
        at_the_end = left.seconds <= _answer_s(left)
        clear = clear or asks_for_silence(heard)
        meant = it.sound == "speech" and (at_the_end or (louder_db >= -QUIET_DB and clear))
        if meant or (may_answer and at_the_end):
            return self._yield()
        if it.sound == "noise":
            self._noises_s.append(at_s)
        return self._release()

    def own_voice(self, at_s: float) -> None:
        """What sounds at `at_s` is the agent's own voice, which comes back."""
        self.sound, self._echoed_s = "echo", at_s
        if self._since_s is not None:
            self._since_s = at_s  # what comes from here on is in doubt

    def other_voice(self, at_s: float) -> Decision | None:
        """What sounds at `at_s`, on a line that echoes, is more than the agent's own voice: it is to be understood."""
        if not self.in_doubt:
            return None
        self.sound = "noise" if self.sound == "echo" else self.sound
        # while it speaks on, its echo hides the end of what the caller says
        return self._hold() if self.agent == "speaking" and not self._is_in_vain(at_s) else None

    def own_voice_over(self, at_s: float) -> Decision | None:
        """The sound was nothing else, and is over."""
        self.own_voice(at_s)
        return self._release()

    def forget(self) -> None:
        """The agent was interrupted, or the caller's sound is not to be heard: there is nothing in doubt."""
        self._since_s, self._announced_s, self._held = None, None, False

    def _weigh(
        self,
        heard: Sequence[TimedWord],
        played: Sequence[TimedWord],
        at_s: float,
        *,
        guessed: bool = False,
        asked: bool = False,
    ) -> Weighed:
        words = ACKNOWLEDGEMENTS if self.acknowledgements is None else self.acknowledgements
        if self.farewells:
            words = frozenset(words) | FAREWELLS
        delay_s = self._delay_s if self.echoes(at_s) else None
        options: dict[str, Any] = {"delay_s": delay_s, "guessed": guessed, "asked": asked}
        return weigh(heard, played, words, self.interrupt_words, **options)

    def echoes(self, at_s: float) -> bool:
        """Whether the agent's own voice came back a short while ago."""
        return at_s - self._echoed_s < ECHO_FOR_S

    def _stops_at(self, at_s: float) -> bool:
        """Whether the agent holds at a sound before it is understood: not where it stopped for nothing before."""
        return not self.echoes(at_s) and not self._is_in_vain(at_s)

    def _is_in_vain(self, at_s: float) -> bool:
        return len([s for s in self._noises_s if at_s - s < IN_VAIN_FOR_S]) >= MOST_IN_VAIN

    def _lasted_s(self, at_s: float) -> float:
        return 0.0 if self._since_s is None else at_s - self._since_s

    def _hold(self) -> Decision | None:
        held, self._held = self._held, True
        return None if held else Decision.HOLD

    def _yield(self) -> Decision:
        self.forget()
        return Decision.YIELD

    def _release(self) -> Decision | None:
        doubted = self.in_doubt or self._held
        self.forget()
        return Decision.GO_ON if doubted else None


def is_clear(lasted_s: float, confidence: float) -> bool:
    """Whether words may stop the agent: those of a short sound, only if the recogniser is sure of them.

    A "mhm" has no letters of its own: recognisers write other words for it, and know that they guess.
    """
    return confidence >= CLEAR or lasted_s >= SHORT_S


def _answer_s(left: Left) -> float:
    """How much may be left for the caller to answer already."""
    if not left.whole:
        # more is to come, if only behind a silence; a question that was heard to its end can be answered
        return 0.0 if left.question else -1.0
    return QUESTION_S if left.question else ANSWER_S
