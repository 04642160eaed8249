from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from media_server.call import hurry
from media_server.call.hurry import HurriedCutter, with_pauses
from tests.clock import in_no_time

TEXT = "Sorry did you mean the swimming class"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hurry, "HURRY_S", 0.1)
    monkeypatch.setattr(hurry, "LOOK_AGAIN_S", 0.02)


async def spoken(pieces: list[str], every_s: float, dry: bool = True) -> list[tuple[str, int]]:
    """Clauses, and how many pieces had come by then."""
    cutter = HurriedCutter(lambda: dry)
    out: list[tuple[str, int]] = []
    came = 0

    async def coming() -> AsyncGenerator[str, None]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(every_s)

    async for piece in with_pauses(coming(), lambda: cutter.wait_s):
        came += piece is not None
        out += [(c, came) for c in (cutter.overdue() if piece is None else cutter.push(piece))]
    return out + [(c, len(pieces)) for c in cutter.flush()]


@in_no_time
async def test_slow_words_are_spoken_before_their_sentence_ends() -> None:
    words = [f" {word}" for word in TEXT.split()]
    clauses = await spoken(words, 0.06)
    assert len(clauses) > 1
    first, came = clauses[0]
    assert came < len(words)
    assert TEXT.startswith(first)
    assert len(first.split()) >= 3
    assert " ".join(c for c, _ in clauses) == TEXT


@in_no_time
async def test_words_that_come_and_then_stop_are_spoken_while_nothing_comes() -> None:
    clauses = await spoken(["Sorry did you mean ", "this. "], 0.4)
    assert clauses == [("Sorry did you mean", 1), ("this.", 2)]


@in_no_time
async def test_words_wait_for_their_clause_while_there_is_something_to_hear() -> None:
    assert await spoken([f" {word}" for word in TEXT.split()], 0.06, dry=False) == [(TEXT, len(TEXT.split()))]


@in_no_time
async def test_fast_words_are_not_cut() -> None:
    assert [c for c, _ in await spoken(list(TEXT), 0.0)] == [TEXT]


@in_no_time
async def test_leaving_cancels_what_is_waited_for() -> None:
    ended = asyncio.Event()

    async def never() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            ended.set()

    items = with_pauses(never(), lambda: 0.01)
    assert [await anext(items), await anext(items)] == ["a", None]
    await items.aclose()
    assert ended.is_set()


@in_no_time
async def test_a_failure_comes_through() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        yield "a"
        raise ValueError("no")

    items = with_pauses(failing(), lambda: None)
    assert await anext(items) == "a"
    with pytest.raises(ValueError, match="no"):
        await anext(items)


@pytest.mark.parametrize("text", ["Let me check that.", "Just a moment!", "Is that so?", "Your total is 18.", "Sure."])
@in_no_time
async def test_a_sentence_that_seems_whole_is_spoken_as_one_though_nothing_comes_behind_it(text: str) -> None:
    assert await spoken([text, " It is here."], 0.4) == [(text, 1), ("It is here.", 2)]


@pytest.mark.parametrize("text", ["Ask for Mr.", "There are some, e.g."])
@in_no_time
async def test_an_abbreviation_is_no_end_of_a_sentence(text: str) -> None:
    clauses = await spoken([text, " Smith. "], 0.4)
    assert text not in [c for c, _ in clauses]
