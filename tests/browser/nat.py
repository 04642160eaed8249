"""A router with one UDP and two TCP ports forwarded, between a namespace with the server and one with a browser.

It is told over a Unix socket to give its callers other ports (`rebind`), and to carry no UDP (`block`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

OUTSIDE, INSIDE, SERVER = "10.0.2.1", "10.0.1.1", "10.0.1.2"
HTTP, MEDIA = 8080, 8081


class Upstream(asyncio.DatagramProtocol):
    """One caller's port on the server's side."""

    def __init__(self, nat: Nat, caller: tuple[str, int]) -> None:
        self._nat, self._caller = nat, caller

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._nat.carries_udp:
            self._nat.outside.sendto(data, self._caller)


class Nat(asyncio.DatagramProtocol):
    """The forwarded UDP port."""

    outside: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.carries_udp = True
        self.ports: dict[tuple[str, int], asyncio.Task[asyncio.DatagramTransport]] = {}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.outside = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.carries_udp:
            return
        if addr not in self.ports:
            self.ports[addr] = asyncio.create_task(self._open(addr))
        self.ports[addr].add_done_callback(lambda opened: opened.result().sendto(data))

    async def _open(self, caller: tuple[str, int]) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Upstream(self, caller), local_addr=(INSIDE, 0), remote_addr=(SERVER, MEDIA)
        )
        return transport

    def told(self, word: str) -> None:
        """Do what the test says."""
        self.carries_udp = word != "block"
        for port in self.ports.values():
            port.result().close()
        self.ports.clear()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One TCP connection, to the port of the same number."""
    port = writer.get_extra_info("sockname")[1]
    theirs, ours = await asyncio.open_connection(SERVER, port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, ours), pump(theirs, writer))


async def main(control: Path) -> None:
    nat = Nat()
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: nat, local_addr=(OUTSIDE, MEDIA))

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nat.told((await reader.readline()).decode().strip())
        writer.write(b"done\n")
        await writer.drain()
        writer.close()

    servers = [await asyncio.start_server(forward, OUTSIDE, port) for port in (HTTP, MEDIA)]
    servers.append(await asyncio.start_unix_server(obey, control))
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
