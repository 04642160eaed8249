"""Offline is real: a whole call, and no process of the server touches an address outside this host."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from media_server.audio import Samples
from media_server.caller import Caller

AUDIT = """
import os, sys
log = open(os.environ["SOCKET_LOG"], "a", buffering=1)
def hook(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        log.write(f"{event} {args[1]!r}\\n")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        log.write(f"{event} {args[0]!r}\\n")
sys.addaudithook(hook)
"""


def _own_addresses() -> set[str]:
    return {a.address.split("%")[0] for addresses in psutil.net_if_addrs().values() for a in addresses}


async def test_a_call_touches_no_address_outside_the_host(tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    log = tmp_path / "sockets.log"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SOCKET_LOG": str(log)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "serve", "--port", "0", "--log-format", "json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"Ready" not in (line := await process.stdout.readline()):
                assert line, "the server ended"
        url = next(word for word in line.decode().split() if word.startswith("http://"))
        remote: set[str] = set()
        async with Caller(url) as caller:
            caller.speak(sentence("what is seven plus five"))
            stopped = asyncio.create_task(caller.wait_for("agent.speech_stopped"))
            while not stopped.done():
                tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                assert len(tree) == 4  # the server and its three engines
                for p in tree:
                    remote |= {c.raddr.ip for c in p.net_connections(kind="inet") if c.raddr}
                await asyncio.wait([stopped], timeout=0.05)
            await stopped
    finally:
        process.terminate()
        await process.wait()

    touched = set(remote)
    for line_ in log.read_text().splitlines():
        _, _, address = line_.partition(" ")
        if address.startswith("("):
            touched.add(address.split("'")[1])
        elif address not in ("None", "''") and not address.startswith(("'127.", "'localhost")):
            touched.add(address.strip("'"))
    outside = {a for a in touched if not _is_ours(a)}
    assert touched, "the log is empty: nothing was watched"
    assert outside == set()


def _is_ours(address: str) -> bool:
    address = address.split("%")[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_unspecified or address in _own_addresses()
