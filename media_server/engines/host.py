"""The process that one engine lives in: takes requests from a socket, works in batches, streams results back.

Run as `python -m media_server.engines.host KIND FD JSON [background]`. The main thread runs the engine; a reader
thread collects what arrives meanwhile, so that a cancellation is seen before the next step of work. No request ends the
process: an exception is the failure of the request that caused it.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from media_server.engines import messages as m
from media_server.engines.offline import stay_offline
from media_server.engines.registry import USUAL, engine_class
from media_server.priority import end_with_parent, step_behind, wait_for_the_rest

__all__ = ["Engine", "serve"]

log = logging.getLogger(__name__)

LEAVE_S = 2.0
MAX_REASON = 300
"""Characters of a library's own words in a failure."""


class Engine(Protocol):
    """A model, loaded. Plain and synchronous: knows nothing of sockets or calls.

    An engine may have an attribute `at_work`: the ids of the requests that the step under way is about. The cause of an
    exception in a step is looked for among these only. It may have an attribute `on_cpu`: it computes on the cores that
    the other engines want too. It may have a method `notice(message)`, which is called in the
    reader's thread as soon as a message has come, so that a step can be cut short for it.
    """

    info: str

    @property
    def busy(self) -> bool:
        """Whether `step` has something to do."""
        ...

    def submit(self, request: Any) -> None:
        """Take up a request; its results come from `step`."""
        ...

    def cancel(self, request_id: int) -> None:
        """Drop a request, if it is still there."""
        ...

    def step(self) -> Iterable[m.Result]:
        """One bounded piece of work for everything that is pending, and what came of it."""
        ...


class _Turns:
    """Runs an engine's steps; what fails in one is the failure of the request that caused it, and of no other.

    Where a step was about several requests, those that have no result yet are taken out of the engine and tried again
    one at a time, so that the one that fails is known.
    """

    def __init__(self, engine: Engine, send: Callable[[bytes], None]) -> None:
        self._engine = engine
        self._send = send
        self._inside: dict[int, m.Request] = {}
        """Requests that the engine has."""
        self._begun: set[int] = set()
        """Those that have results already, which therefore cannot be done again."""
        self._suspects: collections.deque[m.Request] = collections.deque()
        """Requests to be tried again, one at a time."""
        self._new: collections.deque[m.Request] = collections.deque()
        """Requests that came meanwhile."""
        self._alone: int | None = None

    @property
    def busy(self) -> bool:
        return bool(self._inside or self._suspects or self._new)

    def submit(self, request: m.Request) -> None:
        self._new.append(request)

    def cancel(self, request_id: int) -> None:
        self._new = collections.deque(r for r in self._new if r.id != request_id)
        self._suspects = collections.deque(r for r in self._suspects if r.id != request_id)
        self._drop(request_id)

    def step(self) -> None:
        """One step of the engine, and its results to the server."""
        self._hand_over()
        failed = None
        try:
            if self._engine.busy:
                for result in self._engine.step():
                    self._answer(result)
        except _ServerGone:
            raise
        except Exception as error:  # noqa: BLE001 - what one request does to a library must not be felt by others
            failed = error
        if failed is not None:
            self._part(failed)
        elif not self._engine.busy:
            for request_id in list(self._inside):
                self._fail(request_id, "no_result", "The engine ended without a result.")

    def _hand_over(self) -> None:
        """Give the engine what it may take: everything, or the next suspect."""
        if self._alone is not None and (self._alone not in self._inside or self._alone in self._begun):
            self._alone = None
        if self._suspects and self._alone is None:
            request = self._suspects.popleft()
            self._alone = request.id
            self._take(request)
        while self._new and not self._suspects and self._alone is None:
            self._take(self._new.popleft())

    def _take(self, request: m.Request) -> None:
        self._inside[request.id] = request
        try:
            self._engine.submit(request)
        except Exception as error:  # noqa: BLE001 - told and logged as this request's failure
            self._fail(request.id, *_reason(error))

    def _answer(self, result: m.Result) -> None:
        if result.id not in self._inside:
            return
        try:
            body = m.encode(result)
        except (ValueError, TypeError, OverflowError) as error:
            # a text that cannot be sent, half of a surrogate pair for instance
            self._fail(result.id, *_reason(error))
            return
        if isinstance(result, m.Finished | m.Failed):
            self._forget(result.id)
        else:
            self._begun.add(result.id)
        self._send(body)

    def _part(self, error: Exception) -> None:
        """A step failed: fail the request that did it, or find out which one it was."""
        about = set(getattr(self._engine, "at_work", None) or self._inside) & self._inside.keys()
        fresh = [i for i in about if i not in self._begun]
        if self._alone is not None and self._alone in fresh:
            self._fail(self._alone, *_reason(error))
        elif len(about) == 1:
            self._fail(about.pop(), *_reason(error))
        elif fresh:
            log.warning("a step for %d requests failed; retrying them one by one", len(about), exc_info=error)
            for request_id in fresh:
                self._suspects.append(self._inside[request_id])
                self._drop(request_id)
        else:
            for request_id in about or set(self._inside):
                self._fail(request_id, *_reason(error))

    def _fail(self, request_id: int, code: str, message: str) -> None:
        self._drop(request_id)
        self._send(m.encode(m.Failed(request_id, code, message)))

    def _drop(self, request_id: int) -> None:
        if request_id in self._inside:
            self._forget(request_id)
            try:
                self._engine.cancel(request_id)
            except Exception:
                log.exception("failed to cancel request %d", request_id)

    def _forget(self, request_id: int) -> None:
        del self._inside[request_id]
        self._begun.discard(request_id)


def _reason(error: Exception) -> tuple[str, str]:
    """Code and sentence of a failure that no engine foresaw."""
    log.error("a request failed", exc_info=error)
    return "engine_failed", f"The engine could not do this: {type(error).__name__}: {error}"[:MAX_REASON]


def serve(engine: Engine, sock: socket.socket, on_gone: Callable[[], None] = lambda: None) -> None:
    """Serve until the other side closes the socket; `on_gone` is called at once then, in another thread."""
    inbox: queue.SimpleQueue[m.ToHost | m.Failed | None] = queue.SimpleQueue()
    notice = getattr(engine, "notice", lambda message: None)
    threading.Thread(target=_read, args=(sock, inbox, notice, on_gone), daemon=True).start()
    turns = _Turns(engine, lambda body: _send(sock, body))
    try:
        _send(sock, m.encode(m.Ready(engine.info, getattr(engine, "on_cpu", False))))
        while True:
            while not (turns.busy and inbox.empty()):
                message = inbox.get()
                if message is None:
                    return
                if isinstance(message, m.Cancel):
                    turns.cancel(message.id)
                elif isinstance(message, m.Failed):
                    _send(sock, m.encode(message))
                else:
                    turns.submit(message)
            turns.step()
    except _ServerGone:
        return


def _read(
    sock: socket.socket,
    inbox: queue.SimpleQueue[m.ToHost | m.Failed | None],
    notice: Callable[[m.ToHost | m.Failed], None],
    on_gone: Callable[[], None],
) -> None:
    # a server that is killed may leave half a message behind: whatever ends this, the host has to leave
    try:
        with sock.makefile("rb") as stream:
            while len(header := stream.read(m.HEADER.size)) == m.HEADER.size:
                (length,) = m.HEADER.unpack(header)
                if len(body := stream.read(length)) < length:
                    return
                message = _message(body)
                inbox.put(message)
                notice(message)
    except ConnectionResetError:
        return
    finally:
        inbox.put(None)
        on_gone()


def _message(body: bytes) -> m.ToHost | m.Failed:
    """What the server sent; the failure of a request that cannot be read."""
    try:
        return m.decode_to_host(body)
    except msgspec.ValidationError as error:
        request_id = msgspec.msgpack.decode(body)["id"]
        return m.Failed(request_id, "bad_request", f"The engine cannot read the request: {error}.")


class _ServerGone(Exception):
    """Nobody is left to send results to."""


def _send(sock: socket.socket, body: bytes) -> None:
    try:
        sock.sendall(m.HEADER.pack(len(body)) + body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _ServerGone from error


def _leave_soon() -> None:
    """The server is gone; a step that takes long must not keep this process."""
    timer = threading.Timer(LEAVE_S, os._exit, args=(0,))
    timer.daemon = True
    timer.start()


def _load(kind: str, options: dict[str, Any]) -> Engine:
    engine: Engine = engine_class(options.pop("engine", USUAL.get(kind, kind))).load(**options)
    return engine


def main() -> None:
    kind, fd, options, *background = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes the socket
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=f"{kind}: %(message)s")
    stay_offline()
    step_behind()
    if background:
        end_with_parent()
        wait_for_the_rest()
    with socket.socket(fileno=int(fd)) as sock:
        try:
            engine = _load(kind, json.loads(options))
        except Exception as e:
            log.exception("failed to load the model")
            _send(sock, m.encode(m.Fatal(f"{type(e).__name__}: {e}")))
            return
        serve(engine, sock, _leave_soon)
    # some libraries' threads would wait for each other at a normal exit
    os._exit(0)


if __name__ == "__main__":
    main()
