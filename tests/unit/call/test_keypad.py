"""Keys that follow each other are one text."""

from __future__ import annotations

import asyncio

import pytest

from media_server.call import keypad
from media_server.call.keypad import Keypad


@pytest.mark.parametrize(
    ("pressed", "entered"),
    [("427#", ["427"]), ("#", ["#"]), ("1#2#", ["1", "2"]), ("*9", []), ("7" * 70, ["7" * 64])],
)
async def test_what_is_entered_at_once(pressed: str, entered: list[str]) -> None:
    taken: list[str] = []
    keys = Keypad(taken.append)
    for digit in pressed:
        keys.press(digit)
    assert taken == entered
    keys.clear()


async def test_a_pause_ends_what_is_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypad, "PAUSE_S", 0.05)
    entered: asyncio.Queue[str] = asyncio.Queue()
    keys = Keypad(entered.put_nowait)
    for digit in "*9":
        keys.press(digit)
    async with asyncio.timeout(5):
        assert await entered.get() == "*9"


async def test_what_was_forgotten_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypad, "PAUSE_S", 0.01)
    taken: list[str] = []
    keys = Keypad(taken.append)
    keys.press("1")
    keys.clear()
    await asyncio.sleep(0.05)
    assert taken == []
