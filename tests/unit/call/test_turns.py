"""The turn machine: scripts of what is heard, and what is decided when."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_server.call.turns import (
    CHUNK_S,
    Decision,
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


def play(script: str, settings: TurnSettings | None = None, *, agent_speaking: bool = False) -> list[Decision]:
    """One character a chunk of 32 ms: `#` speech, `+` hardly, `.` silence, `~` in between."""
    machine = TurnMachine(settings or TurnSettings())
    machine.agent_speaking = agent_speaking
    heard = {"#": 0.9, "+": 0.6, ".": 0.05, "~": 0.42}
    decisions = [machine.hear(heard[c], i * CHUNK_S) for i, c in enumerate(script)]
    return [d for d in decisions if d is not None]


def test_a_pause_ends_with_the_nearest_chunk() -> None:
    ended = play("..######" + "." * 10, TurnSettings(pause_ms=200))[-1]
    assert isinstance(ended, TurnEnded)
    # six chunks of 32 ms are 192 ms, seven would be 224
    assert ended.at_s - ended.speech_ended_at_s == pytest.approx(0.192)


def names(decisions: list[Decision]) -> list[str]:
    return [
        type(d).__name__
        for d in decisions
        if not isinstance(d, PartialDue | SilenceStarted | SilenceEnded | SoundBegan | SoundFaded)
    ]


STARTED, PAUSED, RESUMED, ENDED = "SpeechStarted", "SpeechPaused", "SpeechResumed", "TurnEnded"


@pytest.mark.parametrize(
    ("script", "decided"),
    [
        ("....", []),
        ("..##....", []),
        ("..###", [STARTED]),
        ("..######.", [STARTED]),
        ("..######..", [STARTED, PAUSED]),
        ("..######.#.#.#", [STARTED]),
        ("..######....#....", [STARTED, PAUSED]),
        ("..######....##", [STARTED, PAUSED, RESUMED]),
        ("..######" + "." * 15, [STARTED, PAUSED]),
        ("..######" + "." * 16, [STARTED, PAUSED, ENDED]),
        ("..######....####" + "." * 16, [STARTED, PAUSED, RESUMED, PAUSED, ENDED]),
        ("..######" + "." * 16 + "...###", [STARTED, PAUSED, ENDED, STARTED]),
        ("..###~~~~~~~~~", [STARTED]),
        ("..~~~~~~~~~~~~", []),
    ],
    ids=[
        "silence", "a click", "onset", "silence too short for a pause", "a pause", "stuttering", "a click in a pause",
        "goes on", "pause not long enough", "turn over", "over after a second part", "a second turn",
        "trailing off stays speech", "murmur is no speech",
    ],
)  # fmt: skip
def test_what_is_decided(script: str, decided: list[str]) -> None:
    assert names(play(script)) == decided


def test_times_are_those_of_the_sound_not_of_the_decision() -> None:
    started, silent, paused, ended = [d for d in play("..######" + "." * 16) if not isinstance(d, PartialDue)]
    assert silent == SilenceStarted(8 * CHUNK_S)
    assert started == SpeechStarted(2 * CHUNK_S)
    assert paused == SpeechPaused(8 * CHUNK_S)
    assert isinstance(ended, TurnEnded)
    assert ended.speech_ended_at_s == pytest.approx(8 * CHUNK_S)
    assert ended.at_s == pytest.approx(24 * CHUNK_S)


def test_silence_too_short_for_a_pause_is_told_and_taken_back() -> None:
    kinds = [d for d in play("..######.##.#" + ".." + "##") if not isinstance(d, PartialDue)]
    assert [type(d) for d in kinds[1:]] == [
        *[SilenceStarted, SilenceEnded] * 2, SilenceStarted, SpeechPaused, SpeechResumed,
    ]  # fmt: skip
    assert kinds[1:3] == [SilenceStarted(8 * CHUNK_S), SilenceEnded(9 * CHUNK_S)]


def test_a_click_does_not_interrupt_the_agent() -> None:
    assert names(play("..###..", agent_speaking=True)) == []
    assert names(play("..######", agent_speaking=True)) == [STARTED]


def test_partials_are_due_at_intervals_while_the_caller_speaks() -> None:
    partials = [d.at_s for d in play("#" * 60) if isinstance(d, PartialDue)]
    assert len(partials) == 6
    assert all(0.28 < b - a < 0.34 for a, b in itertools.pairwise(partials))


def test_a_longer_pause_is_a_setting() -> None:
    assert ENDED not in names(play("######" + "." * 20, TurnSettings(pause_ms=1000)))
    assert ENDED in names(play("######" + "." * 32, TurnSettings(pause_ms=1000)))


def test_the_end_of_a_pause_is_told_while_it_lasts() -> None:
    machine = TurnMachine(TurnSettings(pause_ms=1000))
    heard = [0.9] * 6 + [0.0] * 8
    decisions = [machine.hear(p, i * CHUNK_S) for i, p in enumerate(heard)]
    assert isinstance(decisions[7], SpeechPaused)
    machine.end_after(200)
    assert isinstance(machine.hear(0.0, 14 * CHUNK_S), TurnEnded)
    # and holds for that pause only
    later = [machine.hear(p, (15 + i) * CHUNK_S) for i, p in enumerate([0.9] * 6 + [0.0] * 20)]
    assert not any(isinstance(d, TurnEnded) for d in later)


def test_reset_forgets_the_turn() -> None:
    machine = TurnMachine(TurnSettings())
    for i in range(10):
        machine.hear(0.9, i * CHUNK_S)
    machine.reset()
    later = [machine.hear(0.0, (10 + i) * CHUNK_S) for i in range(40)]
    assert set(later) == {None}


@given(st.lists(st.floats(0, 1), max_size=400), st.booleans())
def test_decisions_always_come_in_a_sensible_order(probabilities: list[float], agent_speaking: bool) -> None:
    machine = TurnMachine(TurnSettings())
    machine.agent_speaking = agent_speaking
    after: dict[type[Decision], set[type[Decision] | None]] = {
        SoundBegan: {None, TurnEnded, SoundFaded},
        SoundFaded: {SoundBegan},
        SpeechStarted: {SoundBegan} if agent_speaking else {None, TurnEnded},
        SilenceStarted: {SpeechStarted, SpeechResumed, SilenceEnded},
        SilenceEnded: {SilenceStarted},
        SpeechPaused: {SilenceStarted},
        SpeechResumed: {SpeechPaused},
        TurnEnded: {SpeechPaused},
    }
    last: type[Decision] | None = None
    for i, p in enumerate(probabilities):
        decision = machine.hear(p, i * CHUNK_S)
        if decision is None:
            continue
        if isinstance(decision, PartialDue):
            assert last in (SpeechStarted, SpeechResumed, SilenceEnded)
            continue
        assert last in after[type(decision)]
        last = type(decision)


@pytest.mark.parametrize(
    ("heard", "decided"),
    [("....", []), ("..######", [PAUSED, ENDED]), ("..######....", [ENDED])],
    ids=["nobody speaks", "in the middle of speech", "in a pause"],
)
def test_the_client_may_end_a_turn(heard: str, decided: list[str]) -> None:
    machine = TurnMachine(TurnSettings(pause_ms=math.inf))
    for i, c in enumerate(heard):
        machine.hear(0.9 if c == "#" else 0.05, i * CHUNK_S)
    assert names(machine.finish(len(heard) * CHUNK_S)) == decided
    assert machine.finish(len(heard) * CHUNK_S) == []


def test_who_speaks_on_after_the_client_ended_the_turn_begins_another() -> None:
    machine = TurnMachine(TurnSettings(pause_ms=math.inf))
    for i in range(10):
        machine.hear(0.9, i * CHUNK_S)
    machine.finish(10 * CHUNK_S)
    later = [machine.hear(0.9, i * CHUNK_S) for i in range(10, 16)]
    assert next(d for d in later if isinstance(d, SpeechStarted)).at_s == pytest.approx(10 * CHUNK_S)


def sounds(script: str) -> list[str]:
    decisions = play(script, agent_speaking=True)
    return [type(d).__name__ for d in decisions if isinstance(d, SoundBegan | SoundFaded | SpeechStarted)]


@pytest.mark.parametrize(
    ("script", "decided"),
    [
        ("..+..", []),
        ("..++..", ["SoundBegan", "SoundFaded"]),
        ("..+#..", ["SoundBegan", "SoundFaded"]),
        ("..#..", ["SoundBegan", "SoundFaded"]),
        ("..##..", ["SoundBegan", "SoundFaded"]),
        ("..###...##..", ["SoundBegan", "SoundFaded", "SoundBegan", "SoundFaded"]),
        ("..####", ["SoundBegan", "SpeechStarted"]),
        ("..####.....", ["SoundBegan", "SpeechStarted"]),
    ],
)
def test_a_sound_over_the_agent_is_told_before_it_is_speech(script: str, decided: list[str]) -> None:
    assert sounds(script) == decided


def test_a_sound_is_told_with_its_first_chunk_if_it_is_surely_speech_and_else_with_its_second() -> None:
    machine = TurnMachine(TurnSettings())
    machine.agent_speaking = True
    assert isinstance(machine.hear(0.9, 0.0), SoundBegan)
    machine.reset()
    assert machine.hear(0.6, CHUNK_S) is None
    assert isinstance(machine.hear(0.6, 2 * CHUNK_S), SoundBegan)


def stall(heard: int, silent: int, assumed: int, then: int = 0) -> list[Decision]:
    """Speech, silence that was heard, silence that was assumed, and silence that was heard again, in chunks."""
    machine = TurnMachine(TurnSettings(pause_ms=200))
    for i in range(heard):
        machine.hear(0.9, i * CHUNK_S)
    chunks = [(0.0, False)] * silent + [(0.0, True)] * assumed + [(0.0, False)] * then
    return [d for i, (p, missing) in enumerate(chunks, heard) if (d := machine.hear(p, i * CHUNK_S, missing))]


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_stall_within_speech_is_a_pause_and_ends_no_turn(silent: int) -> None:
    decisions = stall(20, silent, 40)
    assert names(decisions) == [PAUSED]
    assert isinstance(decisions[-1], SpeechPaused)
    assert decisions[-1].ended_at_s == pytest.approx(20 * CHUNK_S)


def test_sound_that_stays_away_after_a_silence_ends_the_turn() -> None:
    assert names(stall(20, 3, 10)) == [PAUSED, ENDED]


def test_a_stall_that_turns_out_to_be_silence_ends_the_turn() -> None:
    assert names(stall(20, 0, 40, 2)) == [PAUSED]
    assert names(stall(20, 0, 40, 3)) == [PAUSED, ENDED]


def test_speech_that_comes_after_a_stall_has_its_own_time() -> None:
    machine = TurnMachine(TurnSettings(pause_ms=200))
    for i in range(20):
        machine.hear(0.9, i * CHUNK_S)
    for i in range(20, 40):
        machine.hear(0.0, i * CHUNK_S, True)
    decisions = [d for i in range(20, 40) if (d := machine.hear(0.9, i * CHUNK_S))]
    assert isinstance(decisions[0], SpeechResumed)
    assert decisions[0].at_s == pytest.approx(20 * CHUNK_S)
    decisions = [d for i in range(40, 60) if (d := machine.hear(0.0, i * CHUNK_S))]
    assert isinstance(decisions[-1], TurnEnded)
    assert decisions[-1].speech_ended_at_s == pytest.approx(40 * CHUNK_S)


def test_a_held_sound_fades_in_assumed_silence_too() -> None:
    machine = TurnMachine(TurnSettings())
    machine.agent_speaking = True
    machine.hear(0.9, 0.0)
    machine.hear(0.9, CHUNK_S)
    assert not machine.at_rest
    assert isinstance(machine.hear(0.0, 2 * CHUNK_S, True), SoundFaded)
    assert machine.at_rest


def test_a_pause_is_as_long_as_its_sound_where_a_client_sends_slower_than_people_speak() -> None:
    machine = TurnMachine(TurnSettings(pause_ms=200))
    probabilities = [0.9] * 20 + [0.0] * 5 + [0.9] * 10 + [0.0] * 8
    slow = [(p, i * CHUNK_S * 1.6) for i, p in enumerate(probabilities)]
    decisions = [d for p, at_s in slow if (d := machine.hear(p, at_s))]
    assert names(decisions) == [STARTED, PAUSED, RESUMED, PAUSED, ENDED]
