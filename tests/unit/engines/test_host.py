"""The host's loop with an engine of the test's own: batches, order, cancellation before the next step."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator

import msgspec
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


class Fragile(Counter):
    """Raises in a step that is about a request whose call is called bad."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: dict[int, m.Generate] = {}

    def submit(self, request: m.Generate) -> None:
        if request.call_id == "refused":
            raise KeyError("no such thing")
        self.requests[request.id] = request
        super().submit(request)

    def step(self) -> Iterable[m.Result]:
        self.steps += 1
        for i in list(self.left):
            if self.requests[i].call_id == "bad":
                raise RecursionError("too deep")
            if self.requests[i].call_id == "mute":
                del self.left[i]
                continue
            if self.requests[i].call_id == "unsendable":
                yield m.TextChunk(i, "\ud800")
        yield from super().step()


@pytest.fixture
def fragile() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        thread = threading.Thread(target=host.serve, args=(Fragile(), theirs), daemon=True)
        thread.start()
        assert receive(ours) == m.Ready("counter")
        yield ours
        # it still serves
        send(ours, m.Generate(999, "good", (), 1))
        while receive(ours) != m.Finished(999):
            pass
        ours.shutdown(socket.SHUT_WR)
        thread.join(5)
        assert not thread.is_alive()


def outcomes(sock: socket.socket, count: int) -> dict[int, str]:
    """How each of so many requests ended: the text that came, or the code of its failure."""
    text: dict[int, str] = {}
    ended: dict[int, str] = {}
    while len(ended) < count:
        match receive(sock):
            case m.TextChunk(i, piece):
                text[i] = text.get(i, "") + piece
            case m.Finished(i):
                assert i not in ended
                ended[i] = text.get(i, "")
            case m.Failed(i, code):
                assert i not in ended
                ended[i] = f"!{code}"
    return ended


@pytest.mark.parametrize("bad", [{1}, {4}, {2, 3}, {1, 2, 3, 4, 5}])
def test_an_exception_in_a_step_fails_the_requests_that_caused_it_and_no_other(
    fragile: socket.socket, bad: set[int]
) -> None:
    # one message on the socket, so that all of them are in one step
    requests = [m.encode(m.Generate(i, "bad" if i in bad else "good", (), 3)) for i in range(1, 6)]
    fragile.sendall(b"".join(m.HEADER.pack(len(r)) + r for r in requests))
    assert outcomes(fragile, 5) == {i: "!engine_failed" if i in bad else "210" for i in range(1, 6)}


def test_a_reply_under_way_goes_on_when_a_new_request_fails(fragile: socket.socket) -> None:
    send(fragile, m.Generate(1, "good", (), 2000))
    assert receive(fragile) == m.TextChunk(1, "1999")
    for i in range(2, 6):
        send(fragile, m.Generate(i, "bad", (), 3))
    ended = outcomes(fragile, 5)
    assert ended[1].endswith("543210")
    assert {ended[i] for i in range(2, 6)} == {"!engine_failed"}


@pytest.mark.parametrize(
    ("call_id", "code"),
    [("refused", "engine_failed"), ("mute", "no_result"), ("unsendable", "engine_failed"), ("bad", "engine_failed")],
)
def test_a_request_that_cannot_be_done_is_answered(fragile: socket.socket, call_id: str, code: str) -> None:
    send(fragile, m.Generate(1, call_id, (), 3))
    send(fragile, m.Generate(2, "good", (), 3))
    assert outcomes(fragile, 2) == {1: f"!{code}", 2: "210"}


def test_a_request_that_cannot_be_read_is_answered(fragile: socket.socket) -> None:
    body = msgspec.msgpack.encode({"type": "generate", "id": 7, "call_id": None})
    fragile.sendall(m.HEADER.pack(len(body)) + body)
    assert outcomes(fragile, 1) == {7: "!bad_request"}
