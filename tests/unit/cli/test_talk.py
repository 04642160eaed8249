"""Calls from the command line, where their server is gone."""

from __future__ import annotations

import argparse
import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from media_server.caller import Caller
from media_server.cli.talk import _hang_up
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
