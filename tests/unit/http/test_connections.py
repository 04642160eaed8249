"""Connections are bounded, parsed in slices, and closed when nothing comes of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import logging
import os
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, WSCloseCode, WSMsgType, web
from aiohttp.web_protocol import RequestHandler

from media_server.complexity import MAX_VALUES
from media_server.http import bodies, connections
from media_server.http.bodies import bounded_bodies, plain_bodies
from media_server.http.connections import Connections, Limits, serving
from media_server.http.errors import errors_as_json
from media_server.http.sockets import PacedSocket, new_socket


class Small(Limits):
    def __init__(self, each: int = 4, everything: int = 8) -> None:
        self.each, self.all = each, everything


async def _echo(request: web.Request) -> web.Response:
    return web.json_response({"bytes": len(await request.read())})


async def _refuse(_: web.Request) -> web.Response:
    raise web.HTTPUnauthorized


async def _socket(request: web.Request) -> web.StreamResponse:
    socket = new_socket(request, 4096)
    await socket.prepare(request)
    count = 0
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(str(count) if message.data != "half" else "\ud83d and \ud83d\ude00")
        count += 1
    return socket


@contextlib.asynccontextmanager
async def small_server(limits: Limits) -> AsyncIterator[tuple[Connections, int]]:
    app = web.Application(middlewares=[bounded_bodies, errors_as_json, plain_bodies], client_max_size=64 * 1024)
    app.router.add_post("/echo", _echo)
    app.router.add_post("/refuse", _refuse)
    app.router.add_get("/socket", _socket)
    async with serving(app, "127.0.0.1", 0, None, limits) as (held, port):
        yield held, port


async def _ask(port: int) -> int:
    async with ClientSession() as http, http.post(f"http://127.0.0.1:{port}/echo", data=b"hello") as answer:
        assert (await answer.json()) == {"bytes": 5}
        return answer.status


def test_the_private_names_of_aiohttp_are_there() -> None:
    names = (
        "_data_received_cb",
        "_current_request",
        "_request_count",
        "_reading_paused",
        "_buffer_paused",
        "_resume_transport_reading",
    )
    assert hasattr(web.WebSocketResponse, "_on_data_received")
    slots = {name for kind in RequestHandler.__mro__ for name in getattr(kind, "__slots__", ())}
    assert all(name in slots or hasattr(RequestHandler, name) for name in (*names, "_pause_transport_reading"))


async def test_an_address_with_too_many_silent_connections_is_served_all_the_same() -> None:
    async with small_server(Small()) as (held, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        assert await _ask(port) == 200
        assert len(held) <= 5
        for _, writer in silent:
            writer.close()


async def test_a_half_of_a_body_makes_room_as_well() -> None:
    async with small_server(Small()) as (_, port):
        for _ in range(10):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
            await writer.drain()
        assert await _ask(port) == 200


@pytest.mark.parametrize(
    ("request_line", "sentence"),
    [
        ("GET /echo?token=secret" + "x" * 9000 + " HTTP/1.1", "The address or a header is too long."),
        ("GET /echo?token=secret HTTP/9", "This is no HTTP request that can be read."),
        ("token=secret", "This is no HTTP request that can be read."),
    ],
    ids=["too long", "another version", "nonsense"],
)
async def test_what_is_no_request_is_neither_told_back_nor_an_error_of_the_server(
    request_line: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_server(Small()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(5):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.split(b" ")[1] == b"400"
    assert json.loads(body)["error"] == {"code": "bad_request", "message": sentence}
    assert b"secret" not in body
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    async with small_server(Small()) as (held, port):
        for said in (b"", b"GET /echo HTTP/1.1\r\nHo"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()
        async with asyncio.timeout(5):
            while len(held):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.2)
    async with small_server(Small()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"body_too_slow" in answer
        writer.close()


async def test_a_compressed_body_is_refused_and_not_inflated() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    async with small_server(Small()) as (_, port):
        began = time.process_time()
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
            writer.write(head + bomb)
            assert (await reader.readline()).startswith(b"HTTP/1.1 415")
            writer.close()
        assert time.process_time() - began < 0.3


@pytest.mark.parametrize(("path", "status"), [("/echo", 413), ("/refuse", 401)])
async def test_a_body_that_is_refused_is_not_read_on(path: str, status: int) -> None:
    async with small_server(Small()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" % path.encode())
        sent = 0
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while sent < 100_000_000:
                    writer.write(bytes(65536))
                    await writer.drain()
                    sent += 65536
        assert sent < 20_000_000
        with contextlib.suppress(ConnectionError):
            assert (await reader.readline()).startswith(b"HTTP/1.1 %d" % status)
        writer.close()


async def test_a_client_reads_why_its_body_was_refused_and_a_small_one_goes_on() -> None:
    async with small_server(Small()) as (_, port), ClientSession() as http:
        for _ in range(3):
            async with http.post(f"http://127.0.0.1:{port}/refuse", data=os.urandom(2000)) as answer:
                assert answer.status == 401
                assert answer.headers.get("Connection") != "close"
        async with http.post(f"http://127.0.0.1:{port}/echo", data=os.urandom(300_000)) as answer:
            assert answer.status == 413


async def _longest_turn(longest: list[float]) -> None:
    """Of the event loop, in seconds of its thread's own time."""
    while True:
        at = time.thread_time()
        await asyncio.sleep(0)
        longest[0] = max(longest[0], time.thread_time() - at)


OPENING = (
    b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FRAME = b"%c\x80\x00\x00\x00\x00"
TINY = b"%c\x82\x00\x00\x00\x00ab"


@pytest.mark.parametrize(
    "frame", [FRAME % 0x82, FRAME % 0x81, FRAME % 0x89, FRAME % 0x8A, TINY % 0x82, TINY % 0x89],
    ids=["empty sound", "empty text", "pings", "pongs", "sound", "long pings"],
)  # fmt: skip
async def test_a_flood_over_a_websocket_ends_with_its_connection_and_holds_up_nobody(frame: bytes) -> None:
    async with small_server(Small()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OPENING)
        await reader.readuntil(b"\r\n\r\n")
        longest = [0.0]
        gc.collect()
        gc.freeze()  # as the server does once it is ready
        watching = asyncio.create_task(_longest_turn(longest))
        flood = frame * 20_000
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                while not reader.at_eof():
                    writer.write(flood)
                    await writer.drain()
                    await asyncio.sleep(0)
        watching.cancel()
        gc.unfreeze()
        writer.close()
        assert longest[0] < 0.1
        assert await _ask(port) == 200
        del flood
        await _sockets_are_gone()


async def _sockets_are_gone() -> None:
    """Wait until no socket is in memory, without help of the garbage collection, and for less than a heartbeat."""
    gc.disable()
    try:
        async with asyncio.timeout(5):
            while any(isinstance(each, PacedSocket) for each in gc.get_objects()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        gc.enable()


async def test_a_client_that_goes_away_while_it_is_sent_away_leaves_nothing_in_memory() -> None:
    gc.collect()
    async with small_server(Small()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OPENING)
        await reader.readuntil(b"\r\n\r\n")
        large = b"\x81\xfe" + (MAX_VALUES + 1).to_bytes(2, "big") + bytes(4) + b"[" * (MAX_VALUES + 1)
        writer.write(large + FRAME % 0x81)
        await reader.readexactly(4)  # why it is sent away, which is not answered
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await _sockets_are_gone()


@pytest.mark.parametrize("text", [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"half of it \xe2\x82"])
async def test_text_that_is_not_utf8_closes_its_connection_and_no_other(text: bytes) -> None:
    async with small_server(Small()) as (_, port), ClientSession() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OPENING)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
        closing = await reader.readexactly(4)
        assert (closing[0], int.from_bytes(closing[2:])) == (0x88, 1007)
        writer.transport.abort()
        async with http.ws_connect(f"http://127.0.0.1:{port}/socket") as socket:
            await socket.send_str("é and \U0001f600")
            assert await socket.receive_str(timeout=5) == "0"


async def test_sound_in_tiny_pieces_and_a_burst_after_a_pause_are_taken() -> None:
    async with small_server(Small()) as (_, port), ClientSession() as http:
        socket = await http.ws_connect(f"http://127.0.0.1:{port}/socket")
        for _ in range(2500):
            await socket.send_bytes(b"ab")
        await socket.send_str("how many?")
        assert await socket.receive_str(timeout=5) == "2500"
        await socket.close()


async def test_compression_is_not_spoken() -> None:
    async with small_server(Small()) as (_, port), ClientSession() as http:
        socket = await http.ws_connect(f"http://127.0.0.1:{port}/socket", compress=15)
        assert socket.compress == 0
        await socket.close()


async def test_a_message_of_very_many_values_ends_its_connection_before_it_is_parsed() -> None:
    async with small_server(Small()) as (_, port), ClientSession() as http:
        socket = await http.ws_connect(f"http://127.0.0.1:{port}/socket")
        await socket.send_str("[" + "0," * 100 + "0]")
        assert await socket.receive_str(timeout=5) == "0"
        await socket.send_str("[" * (MAX_VALUES + 1))
        assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
        assert socket.close_code == WSCloseCode.MESSAGE_TOO_BIG
        await socket.close()


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "bad_request",
        ),
        (b"\x00\xff\r\n\r\n", 400, "bad_request"),
        (b"GET /echo HTTP/1.1\r\nX: %s\r\n\r\n" % (b"a" * 9000), 400, "bad_request"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n", 417, "unknown_expectation"),
    ],
    ids=["two lengths", "no HTTP", "a long line", "an expectation"],
)
async def test_what_is_refused_before_any_handler_has_the_form_of_all_errors(
    head: bytes, status: int, code: str
) -> None:
    async with small_server(Small()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        async with asyncio.timeout(5):
            answered = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            length = next(int(line.split()[1]) for line in answered if line.lower().startswith(b"content-length"))
            body = json.loads(await reader.readexactly(length))
        writer.close()
        assert b" %d " % status in answered[0]
        assert body["error"]["code"] == code
        assert body["error"]["message"].endswith(".")


async def test_half_a_surrogate_does_not_end_a_connection() -> None:
    async with small_server(Small()) as (_, port), ClientSession() as http:
        socket = await http.ws_connect(f"http://127.0.0.1:{port}/socket")
        await socket.send_str("half")
        assert await socket.receive_str(timeout=5) == "? and \U0001f600"
        await socket.close()
