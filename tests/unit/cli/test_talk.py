"""Calls from the command line: how they begin, and end before their time."""

from __future__ import annotations

import argparse
import asyncio
from types import SimpleNamespace
from typing import Any, Self

import pytest

from media_server.caller import Caller
from media_server.cli.talk import _calling, _hang_up
from media_server.errors import MediaServerError


async def test_a_lost_connection_is_said_in_a_sentence() -> None:
    caller: Any = SimpleNamespace(of=lambda _: [], lost=True)
    with pytest.raises(MediaServerError, match="The connection to http://box was lost"):
        await _hang_up(argparse.Namespace(url="http://box", json=True, events=False), caller)


async def test_a_call_is_over_when_its_connection_is_lost() -> None:
    caller = Caller("http://127.0.0.1:9")
    channel: Any = SimpleNamespace(readyState="open")
    caller._channel = channel
    waiting = asyncio.create_task(caller.over())
    await asyncio.sleep(0)
    channel.readyState = "closed"
    caller._changed.set()
    async with asyncio.timeout(1):
        await waiting
    assert caller.lost


class _Line:
    """A caller whose server answers at once."""

    def __init__(self, *_: object, **__: object) -> None:
        _Line.made = self
        self.connections, self.sent, self.lost, self.ended = 0, list[dict[str, str]](), False, False

    made: _Line
    on_event: Any

    async def __aenter__(self) -> Self:
        self.connections += 1
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def wait_for(self, kind: str, **_: object) -> None:
        self.ended = self.ended or kind == "call.ended"

    def of(self, kind: str) -> list[dict[str, str]]:
        return [{"type": kind}] if self.ended else []

    def send(self, **message: str) -> None:
        self.sent.append(message)


OPTIONS = argparse.Namespace(url="http://box", agent="assistant", key="", insecure=False, json=True, events=False)


async def test_a_call_connects_once_and_is_hung_up_when_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_server.caller.Caller", _Line)

    async def talk() -> None:
        async with _calling(OPTIONS):
            await asyncio.sleep(60)

    talking = asyncio.create_task(talk())
    await asyncio.sleep(0.01)
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    assert (_Line.made.connections, _Line.made.sent) == (1, [{"type": "call.end"}])


async def test_a_call_whose_output_nobody_reads_any_more_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_server.caller.Caller", _Line)

    def gone(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("media_server.cli.talk.print_json", gone)

    async def talk() -> None:
        async with _calling(OPTIONS) as caller:
            caller.on_event({"type": "call.started"})
            await asyncio.sleep(60)

    with pytest.raises(BrokenPipeError):
        await talk()
    assert _Line.made.sent == [{"type": "call.end"}]
