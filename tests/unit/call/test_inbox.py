"""Messages of clients are looked at as far as that can be borne."""

from __future__ import annotations

import pytest

from media_server import events as e
from media_server.call.inbox import RateLimitedInbox
from media_server.complexity import MAX_VALUES


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _inbox(clock: Clock) -> tuple[RateLimitedInbox, list[e.Event], list[object]]:
    told: list[e.Event] = []
    taken: list[object] = []
    return RateLimitedInbox(told.append, clock, taken.append), told, taken


@pytest.mark.parametrize("value", ["[],", "{},", '{"a":1},', "0,", '"",'])
def test_a_message_of_very_many_values_is_refused_before_it_is_parsed(value: str) -> None:
    inbox, told, taken = _inbox(Clock())
    parsed: list[str | bytes] = []

    def incoming(text: str | bytes) -> list[e.ClientMessage]:
        parsed.append(text)
        return []

    inbox.receive(f'{{"type": "x", "a": [{value * MAX_VALUES}0]}}', incoming)
    assert not parsed
    assert not taken
    assert isinstance(told[0], e.Error)
    assert told[0].code == "bad_message"


def test_values_count_towards_what_is_looked_at() -> None:
    clock = Clock()
    inbox, told, _ = _inbox(clock)
    looked_at = 0

    def incoming(text: str | bytes) -> list[e.ClientMessage]:
        nonlocal looked_at
        looked_at += 1
        return []

    for _ in range(50):
        inbox.receive("[" + "[]," * 8000 + "0]", incoming)
    assert 5 <= looked_at < 10
    assert told
    assert isinstance(told[0], e.Error)
    assert told[0].code == "too_many_messages"
    clock.now += 2
    inbox.receive("[]", incoming)
    assert looked_at < 12
