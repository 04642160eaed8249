"""Whether one more call can be taken: by the server, by an agent, by a key."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from media_server import events as e
from media_server.agents import Agent
from media_server.errors import ClientError
from media_server.store import Key
from media_server.switchboard import CallGrant
from media_server.switchboard.admission import Admission

DESK = Agent("desk", max_duration_s=600)
KEY = Key("key-1", "", "site", ("call",), None, None, None, None, max_calls=2, created_at=0.0, revoked_at=None)


def admission(max_calls: int = 4, ready: bool = True) -> Admission:
    engines: Any = SimpleNamespace(ready=ready)
    return Admission(engines, max_calls)


def a_call(number: int, agent: Agent = DESK, waiting: bool = False) -> Any:
    return SimpleNamespace(id=f"session-{number}", call=SimpleNamespace(agent=agent), waiting=waiting)


def refused(lines: Admission, agent: Agent = DESK, key: Key | None = None) -> str:
    try:
        lines.check(agent, key)
    except ClientError as why:
        return f"{why.status} {why.code}"
    return ""


def test_lines_are_taken_by_calls_under_way_and_by_those_about_to_begin() -> None:
    lines = admission(max_calls=2)
    lines.began(a_call(1), CallGrant())
    with lines.taking(DESK, CallGrant()):
        assert refused(lines) == "503 too_many_calls"
    assert refused(lines) == ""
    lines.began(a_call(2), CallGrant())
    assert refused(lines) == "503 too_many_calls"
    lines.ended(a_call(1))
    assert refused(lines) == ""


def test_chats_that_wait_for_their_client_take_no_line_until_there_are_many() -> None:
    lines, mine = admission(max_calls=1), CallGrant(KEY)
    chats = [a_call(number, Agent("shy", max_calls=1), waiting=True) for number in range(9)]
    for chat in chats[:8]:
        lines.began(chat, mine)
    assert (refused(lines, chats[0].call.agent, KEY), lines.limits(DESK, KEY).calls) == ("", 1)
    chats[0].waiting = False  # its client has written again
    assert refused(lines) == "503 too_many_calls"
    chats[0].waiting = True
    lines.began(chats[8], mine)
    assert refused(lines) == "503 too_many_calls"


def test_a_beginning_that_fails_gives_its_line_back() -> None:
    lines = admission(max_calls=1)
    with pytest.raises(LookupError), lines.taking(DESK, CallGrant()):
        raise LookupError
    assert refused(lines) == ""


def test_an_agent_and_a_key_have_limits_of_their_own() -> None:
    lines, shy = admission(), Agent("shy", max_calls=1)
    lines.began(a_call(1, shy), CallGrant(KEY))
    assert (refused(lines, shy), refused(lines)) == ("503 too_many_calls", "")
    with lines.taking(DESK, CallGrant(KEY)):
        assert refused(lines, DESK, KEY) == "429 too_many_calls_of_key"
    assert refused(lines, DESK, KEY) == ""


@pytest.mark.parametrize(("draining", "ready", "why"), [(True, True, "503 draining"), (False, False, "503 not_ready")])
def test_a_server_that_stops_or_still_loads_takes_none(draining: bool, ready: bool, why: str) -> None:
    lines = admission(ready=ready)
    lines.draining = draining
    assert refused(lines) == why


def test_the_limits_that_a_client_is_told_are_those_of_its_key() -> None:
    lines = admission()
    lines.began(a_call(1), CallGrant(KEY))
    lines.began(a_call(2), CallGrant())
    assert lines.limits(DESK, KEY) == e.Limits(600, 2, 2)
    assert lines.limits(DESK, None) == e.Limits(600, 3, 4)


def test_the_operator_is_warned_once_that_few_lines_are_left(caplog: pytest.LogCaptureFixture) -> None:
    lines = admission(max_calls=5)
    for number in range(5):
        lines.began(a_call(number), CallGrant())
    assert [r.getMessage() for r in caplog.records] == ["4 of 5 call slots in use (max_calls)"]
