"""The process that one engine lives in: takes requests from a socket, works in batches, streams results back.

Run as `python -m media_server.engines.host KIND FD JSON`. The main thread runs the engine; a reader thread collects
what arrives meanwhile, so that a cancellation is seen before the next step of work.
"""

from __future__ import annotations

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

from media_server.engines import messages as m

__all__ = ["Engine", "serve"]

log = logging.getLogger(__name__)

LEAVE_S = 2.0


class Engine(Protocol):
    """A model, loaded. Plain and synchronous: knows nothing of sockets or calls."""

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


def serve(engine: Engine, sock: socket.socket, on_gone: Callable[[], None] = lambda: None) -> None:
    """Serve until the other side closes the socket; `on_gone` is called at once then, in another thread."""
    inbox: queue.SimpleQueue[m.ToHost | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sock, inbox, on_gone), daemon=True).start()
    try:
        _send(sock, m.Ready(engine.info))
        while True:
            while not (engine.busy and inbox.empty()):
                message = inbox.get()
                if message is None:
                    return
                if isinstance(message, m.Cancel):
                    engine.cancel(message.id)
                else:
                    engine.submit(message)
            for result in engine.step():
                _send(sock, result)
    except (BrokenPipeError, ConnectionResetError):
        return


def _read(sock: socket.socket, inbox: queue.SimpleQueue[m.ToHost | None], on_gone: Callable[[], None]) -> None:
    # a server that is killed may leave half a message behind: whatever ends this, the host has to leave
    try:
        with sock.makefile("rb") as stream:
            while len(header := stream.read(m.HEADER.size)) == m.HEADER.size:
                (length,) = m.HEADER.unpack(header)
                if len(body := stream.read(length)) < length:
                    return
                inbox.put(m.decode_to_host(body))
    except ConnectionResetError:
        return
    finally:
        inbox.put(None)
        on_gone()


def _send(sock: socket.socket, message: m.FromHost) -> None:
    body = m.encode(message)
    sock.sendall(m.HEADER.pack(len(body)) + body)


def _leave_soon() -> None:
    """The server is gone; a step that takes long must not keep this process."""
    timer = threading.Timer(LEAVE_S, os._exit, args=(0,))
    timer.daemon = True
    timer.start()


def _load(kind: str, options: dict[str, Any]) -> Engine:
    # imported here so that each host pays for its own library only
    match kind:
        case "stt":
            from media_server.engines.whisper import WhisperEngine

            return WhisperEngine.load(**options)
        case "llm":
            from media_server.engines.llama import LlamaEngine

            return LlamaEngine.load(**options)
        case "tts":
            from media_server.engines.piper import PiperEngine

            return PiperEngine.load(**options)
        case "embedding":
            from media_server.engines.embedding import EmbeddingEngine

            return EmbeddingEngine.load(**options)
        case "emotion":
            from media_server.engines.emotion import EmotionEngine

            return EmotionEngine.load(**options)
    raise ValueError(f"no engine is called {kind!r}")


def main() -> None:
    kind, fd, options = sys.argv[1:4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes the socket
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=f"{kind}: %(message)s")
    with socket.socket(fileno=int(fd)) as sock:
        try:
            engine = _load(kind, json.loads(options))
        except Exception as e:
            log.exception("cannot load the model")
            _send(sock, m.Fatal(f"{type(e).__name__}: {e}"))
            return
        serve(engine, sock, _leave_soon)
    # some libraries' threads would wait for each other at a normal exit
    os._exit(0)


if __name__ == "__main__":
    main()
