"""The host's loop with an engine of the test's own: batches, order, cancellation before the next step."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

import pytest

from media_server.engines import host
from media_server.engines import messages as m


class Counter:
    """Counts down from `max_tokens`, one number per step for each request."""

    info = "counter"

    def __init__(self) -> None:
        self.left: dict[int, int] = {}
        self.steps = 0

    @property
    def busy(self) -> bool:
        return bool(self.left)

    def submit(self, request: m.Generate) -> None:
        self.left[request.id] = request.max_tokens

    def cancel(self, request_id: int) -> None:
        self.left.pop(request_id, None)

    def step(self) -> Iterable[m.Result]:
        self.steps += 1
        for i in list(self.left):
            self.left[i] -= 1
            yield m.TextChunk(i, str(self.left[i]))
            if not self.left[i]:
                del self.left[i]
                yield m.Finished(i)


def send(sock: socket.socket, message: m.ToHost) -> None:
    body = m.encode(message)
    sock.sendall(m.HEADER.pack(len(body)) + body)


def receive(sock: socket.socket) -> m.FromHost:
    (length,) = m.HEADER.unpack(sock.recv(m.HEADER.size, socket.MSG_WAITALL))
    return m.decode_from_host(sock.recv(length, socket.MSG_WAITALL))


def test_requests_are_worked_on_together_and_cancelled_ones_not_at_all() -> None:
    engine = Counter()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=host.serve, args=(engine, theirs))
        thread.start()
        assert receive(ours) == m.Ready("counter")
        send(ours, m.Generate(1, "a", (), 1_000_000))
        assert isinstance(receive(ours), m.TextChunk)
        send(ours, m.Generate(2, "b", (), 3))
        seen: list[m.FromHost] = []
        while not (seen and isinstance(seen[-1], m.Finished)):
            seen.append(receive(ours))
        assert seen[-1] == m.Finished(2)
        assert {r.id for r in seen} == {1, 2}
        send(ours, m.Cancel(1))
        send(ours, m.Generate(3, "c", (), 1))
        while receive(ours) != m.Finished(3):
            pass
        assert engine.left == {}
        ours.shutdown(socket.SHUT_WR)
        thread.join(5)
        assert not thread.is_alive()


def test_messages_survive_the_wire() -> None:
    request = m.Generate(7, "call", (m.ChatMessage("user", "größe 👍"),), 5)
    assert m.decode_to_host(m.encode(request)) == request
    chunk = m.AudioChunk(7, b"\x00\x01", (m.Word("a", 0.0, 0.5),))
    assert m.decode_from_host(m.encode(chunk)) == chunk


@pytest.mark.parametrize("sent", [0, 2, 4, 10, 30])
def test_a_host_leaves_with_its_server_even_in_the_middle_of_a_message(sent: int) -> None:
    body = m.encode(m.Generate(1, "a", (m.ChatMessage("user", "hello"),), 10))
    whole = m.HEADER.pack(len(body)) + body
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with theirs:
        thread = threading.Thread(target=host.serve, args=(Counter(), theirs, gone.set), daemon=True)
        thread.start()
        with ours:
            assert receive(ours) == m.Ready("counter")
            ours.sendall(whole[:sent])
        thread.join(5)
        assert not thread.is_alive()
        assert gone.is_set()
