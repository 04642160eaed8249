"""Connections of clients: how many are held, for each address and in all, for how long, and how fast they are read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler

from media_server.addresses import subscriber_of
from media_server.errors import ClientError
from media_server.http.errors import of_framework

__all__ = ["Connections", "Limits", "serving"]

log = logging.getLogger(__name__)

HEAD_S = 15.0
"""Seconds for the TLS handshake, and for the first request's head to come."""
IDLE_S = 75.0
"""Seconds between two requests of a connection: longer than proxies keep theirs, so that they close first."""
UNREAD_S = 60.0
"""Seconds after which a client that takes nothing of what it is sent is gone."""
BACKLOG = 512
SLICE = 4 * 1024
"""Bytes of a connection that are parsed before others have their turn."""
MOST = 10_000
"""Maximum connections held, however many descriptors there are."""
RESERVED = 192
"""Descriptors kept for files, the database and the engines …"""
RESERVED_PER_CALL = 6
"""… and for each call's own sockets."""
EACH = 256
"""Maximum connections of one address, unless more calls than a quarter of them may come through one proxy."""
GOODBYE_S = 2.0
"""Seconds for a client to end TLS properly."""
AFTER_TROUBLE_S = 0.2
WHY = b'{"error": {"code": "too_many_connections", "message": "There are too many connections; try again later."}}'
REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\n%s" % (len(WHY), WHY)
)


class Limits:
    """How many connections may be held, by the descriptors that the machine gives this process."""

    def __init__(self, max_calls: int, each: int = 0) -> None:
        descriptors = _raise_descriptors()
        self.all = max(32, min(MOST, descriptors - RESERVED - RESERVED_PER_CALL * max_calls))
        self.each = min(each or max(EACH, 4 * max_calls), max(16, self.all // 2))


def _raise_descriptors() -> int:
    """Raise the limit of open files as far as this user may; the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MOST * 2 if soft == resource.RLIM_INFINITY else soft


class _Connection(RequestHandler):
    """One connection to a client: parsed a slice at a time, so that none holds up the event loop.

    `tests/unit/http/test_connections.py` pins the private names of aiohttp that this leans on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gone = asyncio.Event()
        """Set when the client has gone, or was sent away."""
        self._rest: deque[bytes] = deque()
        """What came and is not parsed yet; while there is any, nothing more is read."""
        self._feeding = False

    @property
    def waiting(self) -> bool:
        """Whether no request is being answered, or one whose body has not come: nothing is lost by closing it."""
        request = self._current_request
        return request is None or not request.content.is_eof()

    @property
    def silent(self) -> bool:
        """Whether no request has come yet."""
        return self._request_count == 0

    def data_received(self, data: bytes) -> None:
        if not data or (len(data) <= SLICE and not self._rest):
            super().data_received(data)
            return
        self._rest.extend(data[at : at + SLICE] for at in range(0, len(data), SLICE))
        self._pause_transport_reading()
        self._feed_soon()

    def _feed_soon(self) -> None:
        if self._rest and not self._feeding:
            self._feeding = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        self._feeding = False
        if self._reading_paused or not self._rest or self.transport is None:
            return  # `resume_reading` goes on
        super().data_received(self._rest.popleft())
        if self._rest:
            self._feed_soon()
        elif not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()

    def _resume_transport_reading(self) -> None:
        if not self._rest:
            super()._resume_transport_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        super().resume_reading(resume_parser)
        self._feed_soon()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._rest.clear()
        super().connection_lost(exc)
        self._data_received_cb = None  # else a WebSocket and this, in a circle, wait for the garbage collector
        self.gone.set()

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        failed = kwargs.get("exc_info")
        if isinstance(failed, HttpProcessingError | ConnectionError):
            # what a client sends, and that it goes away, is no fault of the server
            self.logger.debug("%s", type(failed).__name__)
            return
        super().log_exception(*args, **kwargs)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Refuse what is no request; what came is not told back, since it may hold a token."""
        refused = super().handle_error(request, status, exc, message)
        if not isinstance(exc, HttpProcessingError):
            return refused
        long = isinstance(exc, LineTooLong)
        sentence = "The address or a header is too long." if long else "This is no HTTP request that can be read."
        answer = web.json_response(ClientError("bad_request", sentence).body(), status=status)
        answer.force_close()
        return answer


async def _handle(handler: Callable[[Any], Awaitable[web.StreamResponse]], request: web.Request) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refused:  # before any middleware, of an expectation that is not known
        return of_framework(request, refused)


class _Server(web.Server):
    """aiohttp's server, with connections of the above kind."""

    def __init__(self, of: web.Server, kwargs: dict[str, Any]) -> None:
        super().__init__(
            partial(_handle, of.request_handler), request_factory=of.request_factory, loop=of._loop, **kwargs
        )

    def __call__(self) -> _Connection:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._kwargs)


class _Held:
    """A connection that was accepted; its protocol is there after the TLS handshake."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.protocol: _Connection | None = None

    @property
    def waiting(self) -> bool:
        return self.protocol is None or self.protocol.waiting

    def close(self) -> None:
        if self.protocol is None:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            transport = self.protocol.transport
            self.protocol.force_close()
            if transport is not None:
                transport.abort()


class Connections:
    """Accepts connections within limits. Where an address has too many, its oldest that waits makes room."""

    def __init__(self, server: web.Server, limits: Limits, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._limits = limits
        self._context = context
        self._held: dict[str, dict[_Held, None]] = {}
        """Connections by address, the oldest first."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    async def accept(self, listening: socket.socket, group: asyncio.TaskGroup) -> None:
        """Take connections, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as failed:
                # most likely there are no descriptors left; those who wait to be accepted go on waiting
                log.warning("cannot accept connections at the moment: %s", failed.strerror or failed)
                await asyncio.sleep(AFTER_TROUBLE_S)
                continue
            origin = subscriber_of(address[0])
            if self._make_room(origin):
                group.create_task(self._keep(connection, origin))
            else:
                _refuse(connection)
            # a thousand that come at once must not hold up what else goes on
            await asyncio.sleep(0)

    def _make_room(self, origin: str) -> bool:
        mine = self._held.get(origin, {})
        if len(mine) >= self._limits.each:
            return _close_one(mine)
        if self._count >= self._limits.all:
            most = max(self._held.values(), key=len)
            return len(most) > len(mine) and _close_one(most)
        return True

    async def _keep(self, connection: socket.socket, origin: str) -> None:
        """Hold a connection until it is over."""
        held = _Held(connection)
        self._held.setdefault(origin, {})[held] = None
        self._count += 1
        try:
            await self._serve(held)
        except OSError:  # among them ssl.SSLError: it was no handshake, or the client went away
            connection.close()
        except Exception:  # one connection's defect must not end the others
            log.exception("failed to handle a connection")
            connection.close()
        finally:
            self._count -= 1
            mine = self._held[origin]
            del mine[held]
            if not mine:
                del self._held[origin]

    async def _serve(self, held: _Held) -> None:
        _set_options(held.connection)
        tls: dict[str, Any] = {}
        if self._context:
            tls = {"ssl": self._context, "ssl_handshake_timeout": HEAD_S, "ssl_shutdown_timeout": GOODBYE_S}
        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_accepted_socket(self._server, held.connection, **tls)
        assert isinstance(protocol, _Connection)
        held.protocol = protocol
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_S):
                await protocol.gone.wait()
        if protocol.silent:
            held.close()
        await protocol.gone.wait()


def _close_one(held: dict[_Held, None]) -> bool:
    """Close the oldest that waits; whether there was one."""
    for each in held:
        if each.waiting:
            # it is counted until it is gone, which takes a moment; the next one must not close it once more
            del held[each]
            held[each] = None
            each.close()
            return True
    return False


def _refuse(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.send(REFUSED)
    connection.close()


def _set_options(connection: socket.socket) -> None:
    connection.setblocking(False)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_S * 1000))


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of this host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listening: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            one = socket.socket(family, socket.SOCK_STREAM)
            listening.append(one)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # where any port will do, the same for all addresses
            chosen = listening[0].getsockname()[1] if len(listening) > 1 else address[1]
            one.bind((address[0], chosen, *address[2:]))
            one.listen(BACKLOG)
    except OSError:
        for one in listening:
            one.close()
        raise
    return listening


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, context: ssl.SSLContext | None, limits: Limits
) -> AsyncIterator[tuple[Connections, int]]:
    """Serve an application while the block runs; the connections, and the port.

    Raises:
        OSError: the address cannot be listened on.
    """
    runner = _Runner(
        app,
        access_log=None,
        # compressed bodies are refused: a few bytes of them are hours of work
        auto_decompress=False,
        # nothing more is read of a body that was refused
        lingering_time=0,
        keepalive_timeout=IDLE_S,
        shutdown_timeout=2,
    )
    listening = await _listen(host, port)
    try:
        async with asyncio.TaskGroup() as group:
            await runner.setup()
            try:
                assert runner.server is not None
                connections = Connections(runner.server, limits, context)
                accepting = [group.create_task(connections.accept(one, group), name="accept") for one in listening]
                try:
                    yield connections, listening[0].getsockname()[1]
                finally:
                    for task in accepting:
                        task.cancel()
                    await asyncio.wait(accepting)
            finally:
                await runner.cleanup()
    finally:
        for one in listening:
            one.close()
