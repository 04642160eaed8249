"""Offline is real: a whole call, and no process of the server touches an address outside this host."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

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


STARTER = Path(__file__).parents[2] / "models" / "starter"
BROKEN = {
    "no model.bin": ("stt/model.bin", None, r"(lacks stt/model.bin|stt/model.bin is missing)"),
    "no tokenizer": ("stt/tokenizer.json", None, r"(lacks stt/tokenizer.json|stt/tokenizer.json is missing)"),
    "no vocabulary": ("stt/vocabulary.json", None, r"(lacks stt/vocabulary.json|stt/vocabulary.json is missing)"),
    "no chat model": (
        "chat/starter-chat.gguf",
        None,
        r"(lacks chat/starter-chat.gguf|chat/starter-chat.gguf is missing)",
    ),
    "no voice's settings": (
        "voice/starter-voice.onnx.json",
        None,
        r"(lacks voice/starter-voice.onnx.json|voice/starter-voice.onnx.json is missing)",
    ),
    "recogniser cut short": ("stt/model.bin", 4_000_000, "stt/model.bin has 4000000 bytes, not 5204869"),
    "chat model cut short": ("chat/starter-chat.gguf", 10, "chat/starter-chat.gguf has 10 bytes"),
    "voice cut short": ("voice/starter-voice.onnx", 0, "voice/starter-voice.onnx has 0 bytes"),
    "recogniser overwritten": ("stt/model.bin", -1, r"stt cannot be loaded: .*models verify"),
    "chat model overwritten": ("chat/starter-chat.gguf", -1, r"starter-chat.gguf cannot be loaded: .*models verify"),
    "voice overwritten": ("voice/starter-voice.onnx", -1, r"starter-voice.onnx cannot be loaded: .*models verify"),
    "tokenizer overwritten": ("stt/tokenizer.json", -1, r"stt cannot be loaded: .*models verify"),
    "voice's settings overwritten": ("voice/starter-voice.onnx.json", -1, r"onnx cannot be loaded: .*models verify"),
}


CASES = [(kind, True) for kind in BROKEN] + [(kind, False) for kind in BROKEN if BROKEN[kind][1] is None]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "listed"), CASES, ids=[f"{k}{'' if n else ', in no list'}" for k, n in CASES])
async def test_a_broken_pack_is_told_at_once_by_file_and_nothing_is_deleted(
    kind: str, listed: bool, tmp_path: Path
) -> None:
    path, size, said = BROKEN[kind]
    pack = tmp_path / "models/mine"
    shutil.copytree(STARTER, pack)
    manifest = (pack / "pack.toml").read_text().replace('name = "starter"', 'name = "mine"')
    unlisted = "files = []\n" + manifest.partition("[[files]]")[0]
    (pack / "pack.toml").write_text(manifest if listed else unlisted)
    if size is None:
        (pack / path).unlink()
    elif size >= 0:
        os.truncate(pack / path, size)
    else:
        (pack / path).write_bytes(b"\x80" * (pack / path).stat().st_size)
    before = {p: p.stat().st_mtime_ns for p in pack.rglob("*")}
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "serve", "--port", "0", "--pack", "mine", "--models-dir",
        str(tmp_path / "models"), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(STARTER.parents[1])},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 1, err.decode()
    told = err.decode().splitlines()[-1]
    assert told.startswith("media-server: ")
    assert re.search(rf"{tmp_path}/models/mine(/.*| )({said})", told), told
    assert time.monotonic() - started < 30
    assert {p: p.stat().st_mtime_ns for p in pack.rglob("*")} == before
