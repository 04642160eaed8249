"""What callers' networks and clients do to the sound, in whole calls: the question is heard and answered anyway."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from media_server.audio import Samples
from media_server.caller import Caller
from media_server.rtc.rtp import is_rtcp, parse_rtp, write_rtp
from media_server.server import Server
from tests.conftest import no_sessions

Say = Callable[[str], Samples]
Send = Callable[[bytes], Awaitable[None]]
QUESTION, ANSWER = "what is seven plus five", "Seven plus five is twelve."


class Line:
    """Stands between a caller and the network; `pass_on` decides what becomes of each packet of sound."""

    def __init__(self, caller: Caller) -> None:
        transport: Any = caller.pc.getSenders()[0].transport
        self.send: Send = transport._send_rtp
        self.numbers = 0
        """Of packets that were put in between: those after them count on."""
        self.held: list[bytes] | None = None
        """What is held up, where the network stands still."""
        self.count = 0
        self.drops: Callable[[int], bool] = lambda n: False
        transport._send_rtp = self.take

    async def take(self, data: bytes) -> None:
        packet = parse_rtp(data)
        if is_rtcp(data) or packet is None:
            await self.send(data)
            return
        self.newest = packet
        self.count += 1
        data = write_rtp(packet._replace(number=packet.number + self.numbers & 0xFFFF))
        if self.held is not None:
            self.held.append(data)
        elif not self.drops(self.count):
            await self.send(data)

    async def stall(self, seconds: float) -> None:
        """Hold everything up, then let it go at once."""
        self.held = []
        await asyncio.sleep(seconds)
        held, self.held = self.held, None
        for data in held:
            await self.send(data)

    async def insert(self, payload: bytes, padding: int = 0) -> None:
        """A packet of its own, with the next number."""
        self.numbers += 1
        data = write_rtp(
            self.newest._replace(number=self.newest.number + self.numbers & 0xFFFF, payload=payload, marker=False)
        )
        if padding:
            data = bytes([data[0] | 0x20]) + data[1:] + bytes(padding - 1) + bytes([padding])
        await self.send(data)

    async def say_goodbye(self) -> None:
        await self.send(struct.pack("!BBHI", 0x81, 203, 1, self.newest.ssrc))


@pytest.fixture
async def line(server: Server) -> AsyncIterator[tuple[Caller, Line]]:
    async with Caller(server.url) as caller:
        line = Line(caller)
        await caller.wait_for("state.changed", lambda e: e["state"] == "listening")
        async with asyncio.timeout(5):
            while not line.count:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)
        yield caller, line
    await no_sessions(server)


async def ask(caller: Caller, sentence: Say) -> None:
    """The question, and its answer to the end."""
    since = len(caller.events)
    caller.speak(sentence(QUESTION))
    stopped = await caller.wait_for("agent.speech_stopped", since=since)
    assert stopped["heard"] == ANSWER
    said = [e["text"] for e in caller.events[since:] if e["type"] == "user.transcript" and e["final"]]
    assert said == [QUESTION]


async def test_a_goodbye_and_packets_without_sound_make_nobody_deaf(line: tuple[Caller, Line], sentence: Say) -> None:
    caller, network = line
    await network.say_goodbye()
    await network.insert(b"")
    await network.insert(b"", padding=20)
    await network.insert(b"\x0b", padding=4)
    await ask(caller, sentence)


async def test_a_tenth_of_the_packets_lost_leaves_the_question(line: tuple[Caller, Line], sentence: Say) -> None:
    caller, network = line
    network.drops = lambda n: n % 10 == 3
    await ask(caller, sentence)


@pytest.mark.parametrize("stall_s", [0.4, 1.2])
async def test_a_stall_within_a_question_splits_it_not(
    line: tuple[Caller, Line], sentence: Say, stall_s: float
) -> None:
    caller, network = line
    since = len(caller.events)
    asking = asyncio.create_task(ask(caller, sentence))
    await caller.wait_for("user.speech_started", since=since)
    await network.stall(stall_s)
    await asking
    assert len(caller.of("turn.ended")) == 1
    assert not caller.of("turn.continued")


async def test_what_is_said_within_a_stall_is_heard(line: tuple[Caller, Line], sentence: Say) -> None:
    caller, network = line
    asking = asyncio.create_task(ask(caller, sentence))
    await network.stall(len(sentence(QUESTION)) / 48_000 + 0.3)
    await asking


async def test_packets_that_stop_behind_a_question_end_it(line: tuple[Caller, Line], sentence: Say) -> None:
    """As with a button to talk, a muted sender, a telephone call on the other line."""
    caller, network = line
    said = caller.speak(sentence(QUESTION))
    await said.finished.wait()
    network.drops = lambda n: True
    await caller.wait_for("turn.ended", timeout_s=10)
    stopped = await caller.wait_for("agent.speech_stopped")
    assert stopped["heard"] == ANSWER
    network.drops = lambda n: False
    await ask(caller, sentence)
