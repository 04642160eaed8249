"""The events channel: what does not fit is said, the newest counts, nothing fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media_server.rtc.channel import BACKLOG, EventsChannel


class Channel:
    """An open data channel as aiortc has it."""

    def __init__(self, label: str = "events", limit: int = 0) -> None:
        self.label, self.readyState, self.bufferedAmount = label, "open", 0
        self.limit = limit
        self.sent: list[dict[str, Any]] = []

    def on(self, _: str, take: Any) -> None:
        self.take = take

    def send(self, text: str) -> None:
        if self.readyState != "open" or (self.limit and len(text.encode()) > self.limit):
            raise ValueError
        self.sent.append(json.loads(text))


def channel() -> Any:
    return EventsChannel(lambda _: None, lambda: None)


@pytest.mark.parametrize("opened", ["before", "after"])
def test_an_event_that_is_too_large_is_left_out_and_said(opened: str, caplog: pytest.LogCaptureFixture) -> None:
    events, theirs = channel(), Channel(limit=16_384)
    events.max_message_size = 16_384
    if opened == "before":
        events.attach(theirs)
    events.send({"type": "call.started", "call_id": "c", "seq": 0, "time": 0.1, "metadata": "ü" * 10_000})
    events.send({"type": "state.changed", "call_id": "c", "seq": 1, "time": 0.2})
    if opened == "after":
        events.attach(theirs)
    first, second = theirs.sent
    assert (first["type"], first["code"], first["seq"], first["call_id"]) == ("error", "event_too_large", 0, "c")
    assert "call.started" in first["message"]
    assert second["seq"] == 1
    assert "call.started has 20" in caplog.text


def test_a_client_that_takes_hardly_anything_is_sent_what_fits() -> None:
    events, theirs = channel(), Channel(limit=20)
    events.max_message_size = 20
    events.attach(theirs)
    events.send({"type": "state.changed", "seq": 1})
    events.send({"type": "x"})
    assert theirs.sent == [{"type": "x"}]


def test_the_newest_channel_of_the_label_counts() -> None:
    events, first, other, second = channel(), Channel(), Channel("files"), Channel()
    events.attach(first)
    events.send({"n": 1})
    events.attach(other)
    events.send({"n": 2})
    first.readyState = "closed"
    events.send({"n": 3})
    events.attach(second)
    events.send({"n": 4})
    assert first.sent == [{"n": 1}, {"n": 2}]
    assert other.sent == []
    assert second.sent == [{"n": 3}, {"n": 4}]


def test_a_channel_that_is_closed_gives_way_to_an_older_one_that_is_open() -> None:
    events, first, second, third = channel(), Channel(), Channel(), Channel()
    events.attach(first)
    events.attach(second)
    events.send({"n": 1})
    second.readyState = "closing"
    events.send({"n": 2})
    events.attach(third)
    events.send({"n": 3})
    third.readyState = first.readyState = "closed"
    events.send({"n": 4})
    events.attach(Channel())
    assert (first.sent, second.sent, third.sent) == ([{"n": 2}], [{"n": 1}], [{"n": 3}])


def test_a_client_without_a_channel_costs_no_more_than_the_last_events() -> None:
    events, late = channel(), Channel()
    for n in range(BACKLOG + 5):
        events.send({"n": n})
    events.attach(late)
    assert [each["n"] for each in late.sent] == list(range(5, BACKLOG + 5))
