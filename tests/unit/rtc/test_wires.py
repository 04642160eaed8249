"""How often the socket that all calls share is read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from media_server.rtc import wires
from media_server.rtc.wires import Address, Udp, Wire


class Reader:
    """A socket of the server's, and one that sends to it."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.turns = 0
        """Turns of the event loop in which something came."""
        self._is_marked = False
        self.udp = Udp("127.0.0.1", 0, self._take)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, data: bytes) -> None:
        self.sender.sendto(data, ("127.0.0.1", self.udp.port))

    def close(self) -> None:
        self.udp.close()
        self.sender.close()

    def _take(self, wire: Wire, data: bytes, address: Address) -> None:
        self.came.append(data)
        if not self._is_marked:
            self._is_marked = True
            self.turns += 1
            asyncio.get_running_loop().call_soon(self._unmark)

    def _unmark(self) -> None:
        self._is_marked = False


@pytest.fixture
async def reader(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    monkeypatch.setattr(wires, "COUNT_S", 0.05)
    reader = Reader()
    yield reader
    reader.close()


async def test_where_many_packets_come_they_are_read_several_at_once_and_few_as_they_come(reader: Reader) -> None:
    sent = [n.to_bytes(2, "big") for n in range(300)]
    for data in sent:
        reader.send(data)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert reader.came == sent, "all, in their order"
    assert reader.turns < 150
    # it is quiet for a moment: the next one is read at once
    await asyncio.sleep(0.1)
    turns = reader.turns
    for data in sent[:5]:
        reader.send(data)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert reader.came[-1] == data
        await asyncio.sleep(0.02)
    assert reader.turns == turns + 5


async def test_a_socket_that_is_closed_while_packets_gather_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "COUNT_S", 0.05)
    reader = Reader()
    for _ in range(100):
        reader.send(b"x")
        await asyncio.sleep(0.001)
    reader.send(b"last")
    reader.close()
    await asyncio.sleep(0.02)
    assert b"last" not in reader.came
