"""Barge-in: scripts of what the agent plays and what is heard, and what the agent does about it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.call.bargein import AgentState, BargeIn, Decision, Left, is_clear
from media_server.call.interruption import TimedWord, spread

MENU = "do you want a small pizza with cheese or a large pizza with ham and onions"
SUMS = "i can do sums switch lights set timers take a pizza order and connect you to sales"
RATE = 0.3
"""Seconds for a word of the agent's."""
FAR = Left(seconds=8.0, whole=False)


def played(text: str) -> list[TimedWord]:
    """Words of the agent's, from 0 s on."""
    return [TimedWord(w, i * RATE) for i, w in enumerate(text.split())]


@dataclass
class Sound:
    """What a caller says over the agent, or a sound: its words, when it begins, and its pace."""

    text: str
    at_s: float
    rate: float = 0.35
    partial_s: tuple[float, ...] = ()
    """When words so far were understood, after the onset."""

    def words(self, until_s: float = 1e9) -> list[TimedWord]:
        tokens = [w for each in self.text.split() for w in spread(each, 0, 1)]
        return [t for i, w in enumerate(tokens) if (t := TimedWord(w.text, self.at_s + i * self.rate)).at_s <= until_s]

    @property
    def end_s(self) -> float:
        return self.at_s + max(1, len(self.text.split())) * self.rate


def heard_over(
    said: str, sound: Sound, *, agent: AgentState = "speaking", left: Left = FAR, machine: BargeIn | None = None,
    understood: bool = True, plays_on: bool = False, **settings: Any,
) -> list[Decision]:  # fmt: skip
    """The decisions in the course of one sound."""
    it = machine or BargeIn(**settings)
    it.agent = agent
    words = [w for w in played(said) if plays_on or w.at_s <= sound.at_s + 0.15]
    made = [it.sound_began(sound.at_s), it.speech_began(sound.at_s)]
    for after in sound.partial_s:
        now = sound.at_s + after
        text = " ".join(w.text for w in sound.words(now - 0.2))
        made.append(it.words_so_far(spread(text, sound.at_s, now), words, now))
    made.append(it.speech_over(sound.words() if understood else None, words, left, sound.end_s))
    return [m for m in made if m]


HOLD, GO_ON, YIELD = Decision.HOLD, Decision.GO_ON, Decision.YIELD
FEW = Left(seconds=0.8)
QUESTION = Left(seconds=1.3, question=True)
BACKCHANNELS = (
    "okay", "yes", "mhm", "uh huh", "yeah", "right", "i see", "got it", "sure", "all right", "um", "hmm", "okay okay",
    "ja", "genau", "sí", "claro", "oui", "d'accord", "certo", "sim", "oké", "evet", "tamam", "嗯", "はい",
)  # fmt: skip
INTERRUPTIONS = (
    "stop", "no", "wait", "what", "goodbye", "okay stop", "no thanks", "yes but not today", "hold on", "excuse me",
    "what is nine times three", "that is wrong", "i want something else", "nein", "espera", "arrête", "basta", "dur",
    "不要", "一番", "how much is it", "can you repeat that", "talk to a person", "uh no", "um what about the price",
)  # fmt: skip


@pytest.mark.parametrize("text", BACKCHANNELS)
def test_a_backchannel_does_not_interrupt(text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.3, 0.6))) == [HOLD, GO_ON]


@pytest.mark.parametrize("text", BACKCHANNELS)
@pytest.mark.parametrize(("left", "answers"), [(FEW, True), (QUESTION, True), (Left(1.3), False), (Left(3.0), False)])
def test_a_yes_over_the_end_is_the_answer(text: str, left: Left, answers: bool) -> None:
    assert heard_over(SUMS, Sound(text, 4.5), left=left)[-1] == (YIELD if answers else GO_ON)


@pytest.mark.parametrize("left", [Left(0.5, whole=False), Left(0.5, whole=False, question=True)])
def test_a_pause_between_two_sentences_is_no_end(left: Left) -> None:
    assert heard_over(SUMS, Sound("okay", 4.5), left=left) == [HOLD, GO_ON]


def test_what_comes_behind_the_agents_own_voice_is_in_doubt_from_there_on() -> None:
    machine = BargeIn()
    machine.agent = "speaking"
    assert machine.speech_began(1.0) is HOLD
    for at_s in (1.3, 1.6, 1.9, 2.2):
        machine.own_voice(at_s)
        assert machine.speech_lasts(at_s + 0.1) is None
    assert machine.words_so_far([TimedWord("stop", 2.4)], [], 2.6) is YIELD


def test_another_voice_over_the_agents_own_holds_the_agent_until_it_is_understood() -> None:
    machine = BargeIn()
    machine.agent = "speaking"
    assert machine.speech_began(1.0) is HOLD
    assert machine.own_voice_over(1.5) is GO_ON
    assert machine.speech_began(2.0) is None, "the line echoes"
    machine.own_voice(2.3)
    assert machine.other_voice(2.6) is HOLD
    assert machine.other_voice(2.9) is None, "it holds already"
    assert machine.speech_over([TimedWord("stop", 2.7)], [], Left(3.0), 3.4) is YIELD


def test_another_voice_that_says_nothing_holds_the_agent_twice_at_most() -> None:
    machine, decisions = BargeIn(), []
    machine.agent = "speaking"
    for at_s in (1.0, 3.0, 5.0):
        machine.speech_began(at_s)
        machine.own_voice(at_s + 0.3)
        decisions.append(machine.other_voice(at_s + 0.6))
        machine.speech_over([], [], Left(9.0), at_s + 0.9)
    assert decisions[-2:] == [HOLD, None]


def test_a_sound_of_which_nothing_is_known_is_no_other_voice() -> None:
    machine = BargeIn()
    machine.agent = "speaking"
    assert machine.other_voice(1.0) is None
    machine.speech_began(1.0)
    assert machine.other_voice(1.3) is None, "it holds since the sound began"


def test_the_agents_own_voice_makes_the_line_known() -> None:
    machine = BargeIn()
    machine.agent = "speaking"
    assert machine.speech_began(1.0) is HOLD
    assert machine.own_voice_over(1.5) is GO_ON
    assert machine.sound_began(2.0) is None
    assert machine.speech_began(2.0) is None


def test_a_third_noise_stops_the_agent_no_more() -> None:
    machine = BargeIn()
    machine.agent = "speaking"
    for began_s, decision in ((1.0, HOLD), (3.0, HOLD), (5.0, None), (14.0, HOLD)):
        assert machine.speech_began(began_s) is decision
        machine.speech_over([], [], Left(5.0), began_s + 0.5)


def test_a_question_heard_to_its_end_is_answered_though_more_may_come() -> None:
    assert heard_over(SUMS, Sound("okay", 4.5), left=Left(0.0, whole=False, question=True)) == [HOLD, YIELD]
    assert heard_over(SUMS, Sound("okay", 4.5), left=Left(0.0, whole=False)) == [HOLD, GO_ON]


@pytest.mark.parametrize("text", INTERRUPTIONS)
@pytest.mark.parametrize("agent", ["speaking", "thinking"])
def test_words_that_mean_something_interrupt(text: str, agent: AgentState) -> None:
    made = heard_over(SUMS, Sound(text, 2.0), agent=agent)
    assert made == [HOLD, YIELD]


@pytest.mark.parametrize("text", ["stop talking now", "what is nine times three", "no i want something else"])
def test_they_do_so_as_soon_as_they_are_understood(text: str) -> None:
    it = BargeIn()
    it.agent = "speaking"
    assert it.sound_began(2.0) is HOLD
    assert it.speech_began(2.0) is None, "it holds already"
    said = played(SUMS)[:7]
    assert it.words_so_far(spread(text[:9], 2.0, 2.4), said, 2.4) is YIELD
    assert not it.in_doubt


PHRASES = ["of course", "thank you", "exactly", "makes sense", "por supuesto", "bien sûr", "is goed", "tabii ki"]


@pytest.mark.parametrize("text", PHRASES)
def test_an_acknowledgement_of_several_words_does_not_interrupt(text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.3, 0.6))) == [HOLD, GO_ON]


@pytest.mark.parametrize("text", ["of the large ones two", "you", "thank you but stop", "course not", "is that all"])
def test_a_part_of_one_with_other_words_does(text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0))[-1] is YIELD


@pytest.mark.parametrize("text", ["", "[unclear]", "(music)", "*cough*"])
@pytest.mark.parametrize("agent", ["speaking", "thinking"])
def test_a_sound_without_words_does_not(text: str, agent: AgentState) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.3,)), agent=agent) == [HOLD, GO_ON]


@pytest.mark.parametrize("text", [*BACKCHANNELS[:12], "", "[noise]"])
def test_what_the_agent_works_at_is_not_cancelled_by_it(text: str) -> None:
    assert heard_over("", Sound(text, 2.0, partial_s=(0.3, 1.2)), agent="thinking", left=Left())[-1] is GO_ON


def test_a_click_is_over_before_it_is_speech() -> None:
    it = BargeIn()
    it.agent = "speaking"
    assert [it.sound_began(1.0), it.sound_faded(), it.sound_faded()] == [HOLD, GO_ON, None]


@pytest.mark.parametrize("delay_s", [0.1, 0.2, 0.4, 0.8])
@pytest.mark.parametrize(("first", "last"), [(0, 4), (3, 9), (6, 8), (8, 14)])
def test_echo_does_not_interrupt_whatever_its_delay(delay_s: float, first: int, last: int) -> None:
    said = SUMS.split()
    echo = Sound(" ".join(said[first:last]), first * RATE + delay_s, RATE, partial_s=(0.3, 0.6, 0.9))
    it = BargeIn()
    it.agent = "speaking"
    words = played(SUMS)
    made = [it.sound_began(echo.at_s), it.speech_began(echo.at_s)]
    for after in echo.partial_s:
        now = echo.at_s + after
        text = " ".join(w.text for w in echo.words(now - 0.2))
        made.append(it.words_so_far(spread(text, echo.at_s, now), [w for w in words if w.at_s < now], now))
    made.append(it.speech_over(echo.words(), words, FAR, echo.end_s))
    assert [m for m in made if m] == [HOLD, GO_ON]


@pytest.mark.parametrize(
    "misheard", ["switch light", "six lights set timers", "switch lights said timers", "sums witch lights set"]
)
def test_echo_that_is_misheard_is_echo(misheard: str) -> None:
    start = 3 if misheard.startswith("sums") else 4
    assert heard_over(SUMS, Sound(misheard, start * RATE + 0.3, RATE), plays_on=True)[-1] is GO_ON


@pytest.mark.parametrize(
    ("said", "text", "at_s"),
    [
        (MENU, "a small pizza with cheese", 3.6),
        (MENU, "a large pizza", 5.6),
        (MENU, "small", 3.5),
        (MENU, "the small pizza", 4.0),
        ("shall i come today or tomorrow at nine", "tomorrow at nine", 3.3),
        ("shall i stop the music", "stop the music", 2.6),
        ("please say yes or no to go on with the order now", "no", 3.2),
        ("is it the red one or the blue one that you have", "the red one", 3.2),
    ],
)
def test_an_answer_in_the_agents_own_words_is_heard(said: str, text: str, at_s: float) -> None:
    assert heard_over(said, Sound(text, at_s), left=Left(2.0, question=True))[-1] is YIELD


def test_a_line_that_is_far_behind_is_known_too() -> None:
    it = BargeIn()
    over = [("switch lights", 4 * RATE + 1.98), ("set timer", 6 * RATE + 1.8)]
    made = [heard_over(SUMS, Sound(text, at_s, RATE), machine=it, plays_on=True) for text, at_s in over]
    assert made == [[HOLD, GO_ON], [GO_ON]]


@pytest.mark.parametrize(("delay_s", "rate", "echo"), [(1.6, RATE, True), (1.6, RATE * 1.6, False), (3.0, RATE, False)])
def test_a_line_that_is_far_behind_is_told_by_the_agents_pace(delay_s: float, rate: float, echo: bool) -> None:
    made = heard_over(SUMS, Sound("switch lights", 4 * RATE + delay_s, rate))
    assert made[-1] is (GO_ON if echo else YIELD)


@pytest.mark.parametrize("text", ["no", "tomorrow", "red"])
def test_one_word_of_the_agents_over_its_last_ones_is_an_answer(text: str) -> None:
    said = f"do you want it or {text}"
    assert heard_over(said, Sound(text, 1.65), left=Left(0.1, question=True))[-1] is YIELD


def test_a_line_that_echoes_is_known_after_one_echo() -> None:
    it = BargeIn()

    def over(text: str, at_s: float) -> list[Decision]:
        return heard_over(SUMS, Sound(text, at_s, RATE), machine=it, plays_on=True)

    assert over("switch lights set timers", 4 * RATE + 0.4) == [HOLD, GO_ON]
    # from then on the agent does not stutter at each of its own words …
    assert over("set timers", 6 * RATE + 0.4) == [GO_ON]
    # … half of which may be misheard, and callers are still heard
    assert over("six timers", 6 * RATE + 0.4) == [GO_ON]
    assert over("please stop now", 6 * RATE + 0.4) == [YIELD]
    assert over("switch lights", 4 * RATE + 1.4) == [YIELD], "another delay"
    assert over("stop", 100.0) == [HOLD, YIELD], "known for a while"


@pytest.mark.parametrize("agent", ["announcing"])
@pytest.mark.parametrize("text", ["stop", "okay", "", *INTERRUPTIONS[:6]])
def test_an_announcement_is_heard_to_its_end(agent: AgentState, text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.3, 1.2)), agent=agent) == []


@pytest.mark.parametrize(
    ("then", "text", "decided"),
    [
        ("speaking", "what is nine times three", [HOLD, YIELD]),
        ("speaking", "okay", [HOLD, GO_ON]),
        ("speaking", "", [HOLD, GO_ON]),
        ("thinking", "what is nine times three", [HOLD, YIELD]),
        ("thinking", "um", [HOLD, GO_ON]),
        ("announcing", "what is nine times three", []),
        ("silent", "what is nine times three", []),
    ],
)
def test_speech_from_over_an_announcement_stops_what_comes_after_it(
    then: AgentState, text: str, decided: list[Decision]
) -> None:
    it = BargeIn()
    it.agent = "announcing"
    words = Sound(text, 1.0).words()
    made = [it.sound_began(1.0), it.speech_began(1.0), it.speech_lasts(1.3)]
    it.agent = then
    made += [it.speech_lasts(1.6), it.speech_lasts(1.9), it.speech_over(words, [], FAR, 2.2)]
    assert [m for m in made if m] == decided


def test_a_caller_has_the_floor_while_the_agent_is_silent() -> None:
    assert heard_over("", Sound("hello", 2.0), agent="silent") == [YIELD]


@pytest.mark.parametrize("agent", ["speaking", "thinking"])
def test_what_cannot_be_understood_is_yielded_to(agent: AgentState) -> None:
    assert heard_over(SUMS, Sound("", 2.0), agent=agent, understood=False) == [HOLD, YIELD]


@pytest.mark.parametrize(
    ("agent", "text", "lasts_s", "yields"),
    [
        ("speaking", "mm", 0.8, False),
        ("speaking", "mm", 1.0, True),
        ("speaking", "", 1.0, True),
        ("speaking", "switch lights", 1.0, False),
        ("thinking", "mm", 1.0, False),
        ("thinking", "", 2.5, False),
    ],
)
def test_who_speaks_for_long_means_it_unless_it_is_echo(
    agent: AgentState, text: str, lasts_s: float, yields: bool
) -> None:
    it = BargeIn()
    it.agent = agent
    onset_s = 4 * RATE + 0.2
    it.speech_began(onset_s)
    now = onset_s + lasts_s
    decision = it.words_so_far(spread(text, onset_s, onset_s + 0.6), played(SUMS)[:9], now)
    assert (decision is YIELD) == yields


@pytest.mark.parametrize(
    ("agent", "after_s", "yields"), [("speaking", 1.9, False), ("speaking", 2.1, True), ("thinking", 9, False)]
)
def test_nobody_is_talked_over_while_the_recogniser_is_slow(agent: AgentState, after_s: float, yields: bool) -> None:
    it = BargeIn()
    it.agent = agent
    it.speech_began(1.0)
    assert (it.speech_lasts(1.0 + after_s) is YIELD) == yields


@pytest.mark.parametrize(
    ("words", "text", "yields"),
    [(2, "goodbye", False), (2, "goodbye then", True), (2, "不要", True), (3, "不要", False)],
)
def test_more_words_can_be_asked_for(words: int, text: str, yields: bool) -> None:
    made = heard_over(SUMS, Sound(text, 2.0), interrupt_words=words)
    assert made == [HOLD, YIELD if yields else GO_ON]


def test_an_agent_has_acknowledgements_of_its_own() -> None:
    assert heard_over(SUMS, Sound("roger", 2.0), acknowledgements=frozenset({"roger"})) == [HOLD, GO_ON]
    assert heard_over(SUMS, Sound("okay", 2.0), acknowledgements=frozenset({"roger"})) == [HOLD, YIELD]


def test_after_the_client_interrupts_nothing_is_in_doubt() -> None:
    it = BargeIn()
    it.agent = "speaking"
    it.speech_began(1.0)
    it.forget()
    assert it.speech_over([], [], Left(), 2.0) is None
    assert it.words_so_far([], [], 2.0) is None


KINDS = ("sound", "fade", "begin", "words", "over", "lasts", "forget")
TEXTS = ("", "okay", "stop", "switch lights")
STATES = ("speaking", "thinking", "silent", "announcing")
EVENTS = st.lists(st.tuples(*map(st.sampled_from, (KINDS, TEXTS, STATES))), max_size=30)


@given(EVENTS)
def test_whatever_happens_what_is_held_is_released(events: list[Any]) -> None:
    it, held = BargeIn(), False
    for (kind, text, agent), now in zip(events, itertools.count(), strict=False):
        it.agent = agent
        said = played(SUMS)
        match kind:
            case "sound":
                made = it.sound_began(now)
            case "fade":
                made = it.sound_faded()
            case "begin":
                made = it.speech_began(now)
            case "words":
                made = it.words_so_far(spread(text, now, now + 0.5), said, now)
            case "over":
                made = it.speech_over(spread(text, now, now + 0.5), said, FAR, now)
            case "lasts":
                made = it.speech_lasts(now)
            case _:
                it.forget()
                made, held = None, False
        assert not (made is HOLD and held), "held twice"
        held = made is HOLD or (held and made is None)
        if kind == "over":
            assert not it.in_doubt
            assert not held or made is None


@pytest.mark.parametrize("text", ["oh okay i see", "yes yes okay got it", "ja ja alles klar", "va bene ho capito"])
def test_an_acknowledgement_of_several_words_may_last(text: str) -> None:
    it = BargeIn()
    it.agent = "speaking"
    assert it.speech_began(2.0) == HOLD
    assert it.words_so_far(spread(text, 2.0, 3.3), played(SUMS), 3.3) is None
    assert it.speech_over(spread(text, 2.0, 3.4), played(SUMS), FAR, 3.5) == GO_ON


@pytest.mark.parametrize("text", ["can you repeat that", "stop", "what is nine times three"])
@pytest.mark.parametrize(
    ("louder_db", "left", "decided"),
    [(-14.0, FAR, GO_ON), (-6.0, FAR, YIELD), (3.0, FAR, YIELD), (-14.0, QUESTION, YIELD)],
)
def test_words_far_quieter_than_the_callers_turns_are_for_somebody_else(
    text: str, louder_db: float, left: Left, decided: Decision
) -> None:
    it = BargeIn()
    it.agent = "speaking"
    it.speech_began(2.0)
    words, said = Sound(text, 2.0).words(), played(SUMS)[:7]
    if louder_db < -10:
        assert it.words_so_far(words, said, 2.6, louder_db) is None
    assert it.speech_over(words, said, left, 3.5, louder_db) is decided


def test_somebody_who_goes_on_quietly_is_heard() -> None:
    it = BargeIn()
    it.agent = "speaking"
    it.speech_began(2.0)
    assert it.words_so_far(Sound("i would like", 2.0).words(), [], 3.0, -14.0) is None
    assert it.speech_lasts(4.1) is YIELD


@pytest.mark.parametrize(
    ("confidence", "lasted_s", "left", "decision"),
    [
        (0.5, 0.3, FAR, Decision.GO_ON),
        (0.36, 0.25, FAR, Decision.GO_ON),
        (0.9, 0.3, FAR, Decision.YIELD),
        (0.5, 0.6, FAR, Decision.YIELD),
        (0.5, 0.3, Left(0.4, True, True), Decision.YIELD),
    ],
)
def test_a_short_sound_that_is_hardly_understood_stops_the_agent_only_at_its_end(
    confidence: float, lasted_s: float, left: Left, decision: Decision
) -> None:
    it = BargeIn()
    it.agent = "speaking"
    clear = is_clear(lasted_s, confidence)
    assert it.speech_began(2.0) is Decision.HOLD
    assert clear or it.words_so_far([TimedWord("have", 2.1)], played(SUMS), 2.0 + lasted_s, clear=clear) is None
    said = [TimedWord("i", 2.0), TimedWord("have", 2.1)]
    assert it.speech_over(said, played("we are open"), left, 2.0 + lasted_s, clear=clear) is decision


@pytest.mark.parametrize(
    "said",
    [
        *("oh really", "true", "that's correct", "very nice", "amazing", "brilliant", "oh that's true"),
        *("ach wirklich", "sehr schön", "wunderbar", "qué bueno", "estupendo", "ah bon", "c'est vrai", "capisco"),
        *("che bello", "que bom", "é verdade", "ah zo", "ja dat klopt", "leuk", "tabi", "çok güzel", "i c"),
    ],
)
def test_who_is_pleased_stops_nobody(said: str) -> None:
    assert heard_over(SUMS, Sound(said, 2.0))[-1] is Decision.GO_ON


@pytest.mark.parametrize(
    "said", ["that's correct but", "sure and the price", "true or false", "really why", "schön und wann", "ah bon mais"]
)
def test_who_is_pleased_and_goes_on_is_heard(said: str) -> None:
    assert Decision.YIELD in heard_over(SUMS, Sound(said, 2.0))


SHORT_S, UNSURE, SURE = 0.3, 0.4, 0.9
STOPS = (
    *("stop", "wait", "hold on", "quiet", "okay stop", "no wait", "stopp", "warte", "moment", "einen moment"),
    *("espera", "basta", "un momento", "arrête", "attendez", "chut", "aspetta", "un attimo", "espere", "peraí"),
    *("wacht", "wacht even", "genoeg", "dur", "bekleyin", "bir dakika", "停", "等"),
)


def short(text: str, *, confidence: float = UNSURE, over: str = SUMS, at_s: float = 2.0, agent: AgentState = "speaking",
          left: Left = FAR, louder_db: float = 0.0, partial: bool = True) -> list[Decision]:  # fmt: skip
    """The decisions at a sound of three tenths of a second."""
    it = BargeIn()
    it.agent = agent
    said, end_s = [w for w in played(over) if w.at_s <= at_s + 0.15], at_s + SHORT_S
    clear = is_clear(SHORT_S, confidence)
    words = [w for each in text.split() for w in spread(each, at_s, end_s)]
    made = [it.speech_began(at_s)]
    if partial:
        made.append(it.words_so_far(words, said, end_s - 0.05, louder_db, clear))
    return [m for m in [*made, it.speech_over(words, said, left, end_s, louder_db, clear)] if m]


@pytest.mark.parametrize("text", STOPS)
@pytest.mark.parametrize("partial", [True, False])
def test_a_word_that_asks_for_silence_stops_the_agent_however_short(text: str, partial: bool) -> None:
    assert short(text, partial=partial) == [HOLD, YIELD]


@pytest.mark.parametrize("text", ["i have", "up have", "add have", "of have", "can", "ham", "i c", "have", "no"])
def test_what_recognisers_make_of_mhm_does_not(text: str) -> None:
    assert short(text) == [HOLD, GO_ON]


@pytest.mark.parametrize(
    ("settings", "decided"),
    [
        ({"text": "stop", "louder_db": -14.0}, GO_ON),
        ({"text": "stop", "agent": "thinking"}, YIELD),
        ({"text": "wait", "agent": "thinking"}, YIELD),
        ({"text": "stop", "over": "press the red key and then stop to end", "at_s": 2.0}, GO_ON),
        ({"text": "no", "confidence": SURE}, YIELD),
        ({"text": "no", "left": QUESTION}, YIELD),
        ({"text": "stop it", "confidence": SURE}, YIELD),
    ],
    ids=str,
)
def test_where_and_how_a_short_word_is_said_matters(settings: dict[str, Any], decided: Decision) -> None:
    assert short(**settings)[-1] is decided


def test_two_callers_the_louder_one_is_heard() -> None:
    it = BargeIn()
    it.agent = "speaking"
    assert it.speech_began(2.0) is HOLD
    assert it.words_so_far(Sound("turn the television down", 2.0).words(), [], 2.6, -14.0) is None
    assert it.words_so_far(Sound("turn the television down what is the price", 2.0).words(), [], 3.2, -2.0) is YIELD


@pytest.mark.parametrize(
    "text",
    [
        *("um", "uh", "erm", "well", "er um", "äh", "ähm", "öhm", "tja", "na ja", "eh", "pues", "euh", "ben", "bah"),
        *("ehm", "beh", "boh", "hum", "nou", "tja ja", "şey", "yani"),
    ],
)
@pytest.mark.parametrize("agent", ["speaking", "thinking"])
def test_who_hesitates_has_not_begun_to_say_anything(text: str, agent: AgentState) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.3,)), agent=agent) == [HOLD, GO_ON]


@pytest.mark.parametrize(
    "text", ["um wait", "äh nein", "euh non", "ehm scusi", "well i want two", "pues no", "şey dur"]
)
def test_who_goes_on_behind_it_has(text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0))[-1] is YIELD


@pytest.mark.parametrize(
    "text",
    [
        *("yeah yeah sure", "uh huh okay", "ja genau", "mhm ja", "ach so okay", "sí sí claro", "vale vale", "oui oui"),
        *("d'accord d'accord", "ok très bien", "sì sì certo", "va bene va bene", "sim sim", "tá bom", "ok perfeito"),
        *("ja ja", "oké prima", "ja precies", "evet evet", "tamam tamam", "tamam anladım", "mhm mhm mhm"),
    ],
)
def test_backchannels_of_two_words_in_eight_languages(text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.3, 0.6))) == [HOLD, GO_ON]
    assert heard_over(SUMS, Sound(text, 4.5), left=FEW)[-1] is YIELD


@pytest.mark.parametrize(
    "text",
    [
        *("nein moment", "warten sie bitte", "no espera", "un momento por favor", "non attendez", "no aspetti"),
        *("não espera", "nee wacht", "hayır bir dakika", "sorry what was that", "who is this", "wrong number"),
    ],
)
def test_who_says_no_in_eight_languages_is_listened_to(text: str) -> None:
    assert heard_over(SUMS, Sound(text, 2.0, partial_s=(0.5,))) == [HOLD, YIELD]


@pytest.mark.parametrize("delay_s", [0.04, 0.1, 0.25, 0.4, 0.6])
def test_an_echo_is_told_at_every_delay_and_who_speaks_over_it_too(delay_s: float) -> None:
    it = BargeIn()

    def over(text: str, words: int = 4) -> Decision:
        return heard_over(SUMS, Sound(text, words * RATE + delay_s, RATE), machine=it, plays_on=True)[-1]

    assert over("switch lights set timers") is GO_ON
    assert over("switch lights please stop") is YIELD, "of the words half are the agent's"
    assert over("switch lights set timers") is GO_ON
    assert over("lights wait", 5) is YIELD


def test_two_noises_hide_no_stop() -> None:
    it = BargeIn()
    for at_s in (1.0, 3.0):
        assert heard_over(SUMS, Sound("", at_s), machine=it) == [HOLD, GO_ON]
    assert heard_over(SUMS, Sound("stop", 5.0), machine=it) == [YIELD]
