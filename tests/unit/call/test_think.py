"""A reply's words from the engine's pieces: what is said while the model thinks, and where a limit cuts it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from media_server.agents import Agent
from media_server.call import rounds, think
from media_server.call.history import History
from media_server.call.say_queue import SayQueue
from media_server.call.think import Question, Reply
from media_server.engines import messages as m
from media_server.events import AgentText, Event
from tests.clock import in_no_time
from tests.unit.call.stages import PlainStage, scripted, written

Piece = m.TextChunk | m.Thinking | m.CalledTool | m.Finished | m.Withdrawn


class Scripted:
    """Engines whose model writes these pieces; a number is a pause in seconds."""

    def __init__(self, *script: Piece | float) -> None:
        self._script = script

    def language(self, voice: str) -> str:
        return "en-us"

    @contextlib.asynccontextmanager
    async def generate(self, *_: Any, **__: Any) -> AsyncIterator[AsyncIterator[Piece]]:
        async with contextlib.aclosing(written(self._script)) as stream:
            yield stream


async def said(*script: Piece | float, over: bool = True, **agent: Any) -> tuple[list[str], list[Event], Reply]:
    """The clauses of a reply, its events, and the reply."""
    events: list[Event] = []
    done = asyncio.Event()
    if over:
        done.set()
    call = SimpleNamespace(id="c", agent=Agent(name="a", **agent))
    unused: Any = None
    question = Question("t", (m.ChatMessage("user", "hello"),), "hello")
    services, stage = scripted(cast(Any, Scripted(*script))), PlainStage(done, events)
    reply = Reply(question, cast(Any, call), services, unused, SayQueue(), stage)
    clauses = []
    async for clause in reply.clauses():
        clause.read = True
        clauses.append(clause.text)
    return clauses, events, reply


def text(*words: str) -> list[Piece | float]:
    return [m.TextChunk(1, w) for w in words]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "THINKING_S", 0.05)
    monkeypatch.setattr(rounds, "THINKING_AGAIN_S", 0.2)


@pytest.mark.usefixtures("hasty")
@in_no_time
async def test_a_word_is_said_while_the_model_thinks_and_not_remembered() -> None:
    clauses, events, reply = await said(m.Thinking(1), 0.12, *text("It is twelve."))
    assert clauses == ["One moment.", "It is twelve."]
    assert [e.text for e in events if isinstance(e, AgentText)] == ["It is twelve."]
    history = History()
    reply.remember(history)
    assert [e.content for e in history.entries] == ["It is twelve."]


@in_no_time
async def test_what_is_withdrawn_is_neither_told_nor_remembered() -> None:
    clauses, events, reply = await said(
        *text("I should greet them. Then"), m.Withdrawn(1), *text("Good morning."), over=True
    )
    assert clauses[-1] == "Good morning."
    assert "Then" not in clauses
    assert [e.text for e in events if isinstance(e, AgentText)] == ["Good morning."]
    history = History()
    reply.remember(history)
    assert [e.content for e in history.entries] == ["Good morning."]


@pytest.mark.usefixtures("hasty")
@in_no_time
async def test_who_thinks_for_long_says_so_again() -> None:
    clauses, _, _ = await said(m.Thinking(1), 0.35, *text("Yes."), thinking_filler="Let me think.")
    assert clauses == ["Let me think.", "Let me think.", "Yes."]


@pytest.mark.parametrize("over", [True, False])
@in_no_time
async def test_a_model_that_is_slow_to_begin_is_spoken_over(over: bool) -> None:
    clauses, _, _ = await said(
        0.7, *text("It is"), 0.7, *text(" twelve."), over=over, comfort="Still here.", comfort_s=0.5
    )
    assert clauses == (["Still here.", "It is twelve."] if over else ["It is twelve."])


@in_no_time
async def test_words_that_come_slowly_are_spoken_before_their_sentence_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PlainStage, "dry", lambda _: True)
    whole = "You can have it in red green or blue or yellow"
    clauses, _, _ = await said(*(piece for word in re.findall(r"\S+ ?", whole) for piece in (*text(word), 0.4)))
    assert len(clauses) > 1
    assert " ".join(clauses) == whole


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("script", "how"),
    [
        ([0.15, *text("Yes.")], {}),
        ([m.Thinking(1), 0.01, *text("Yes.")], {}),
        ([m.Thinking(1), 0.15, *text("Yes.")], {"thinking_filler": ""}),
        ([m.Thinking(1), 0.15, *text("Yes.")], {"over": False}),
    ],
    ids=["slow", "short", "nothing-to-say", "the-caller-may-go-on"],
)
@in_no_time
async def test_nothing_is_said_without_need(script: list[Piece | float], how: dict[str, Any]) -> None:
    clauses, _, _ = await said(*script, **how)
    assert clauses == ["Yes."]


@pytest.mark.parametrize(
    ("written", "clauses"),
    [
        ("The first is red. The second is gre", ["The first is red."]),
        ("The first is red. The second one is green, I think, and the thi", ["The first is red."]),
        ("The first is red. The second is green.", ["The first is red.", "The second is green."]),
        ("The only sentence that there is goes on", ["The only sentence that there is goes on"]),
    ],
    ids=["cut", "cut-behind-commas", "whole", "only-one"],
)
@in_no_time
async def test_a_sentence_that_the_limit_cuts_is_not_said_if_one_before_it_is_whole(
    written: str, clauses: list[str]
) -> None:
    pieces = text(*(f"{w} " for w in written.split(" ")))
    heard, events, _ = await said(*pieces, m.Finished(1, "length"))
    assert " ".join(heard).startswith(" ".join(clauses))
    assert not any(c in " ".join(heard) for c in ("gre ", "thi"))
    (told,) = (e.text for e in events if isinstance(e, AgentText))
    assert told == " ".join(clauses)


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (1, "The first is red."),
        (4, "The first is red."),
        (5, "The first is red. The second is 3.5 times as big."),
        (40, "The first is red. The second is 3.5 times as big. That is all."),
    ],
)
@in_no_time
async def test_a_reply_as_long_as_it_may_be_ends_with_its_sentence(limit: int, told: str) -> None:
    words = ["The", "first", "is", "red.", "The", "second", "is", "3.5", "times", "as", "big.", "That", "is", "all."]
    heard, events, _ = await said(*text(words[0], *(f" {w}" for w in words[1:])), max_reply_tokens=limit)
    assert " ".join(heard) == told
    assert [e.text for e in events if isinstance(e, AgentText)] == [told]


@in_no_time
async def test_a_reply_without_spaces_ends_with_its_sentence() -> None:
    heard, _, _ = await said(*text("我们", "九点", "开门。", "周日", "休息。"), max_reply_tokens=2)
    assert "".join(heard) == "我们九点开门。"


def test_ids_of_calls_are_such_as_all_templates_take() -> None:
    ids = {think._tool_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in ids)
