"""The commands as people run them."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from media_server.audio import CALL_RATE_HZ, Samples, read_wav
from media_server.server import Server
from tests.conftest import sentence_file


async def run(*args: str | Path, cwd: Path | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", *map(str, args),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=cwd,
    )  # fmt: skip
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_call_prints_the_conversation_and_writes_the_answer(
    server: Server, tmp_path: Path, hear: Callable[[Samples], str]
) -> None:
    wav, out = sentence_file("what is seven plus five"), tmp_path / "out.wav"
    status, printed, err = await run("call", "--wav", wav, "--out", out, "--url", server.url)
    assert (status, err) == (0, "")
    assert 'text="what is seven plus five"' in printed
    assert 'text="Seven plus five is twelve."' in printed
    with wave.open(str(out)) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (48_000, 1, 2)
    assert "twelve" in hear(read_wav(out, CALL_RATE_HZ))


async def test_call_can_print_json(server: Server) -> None:
    status, printed, _ = await run("call", "--wav", sentence_file("hello"), "--json", "--url", server.url)
    events = [json.loads(line) for line in printed.splitlines()]
    assert status == 0
    assert events[0]["type"] == "call.started"
    assert events[-1]["type"] == "call.ended"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("call", "--wav", "no-such.wav"), "Cannot read no-such.wav"),
        (("call", "--wav", __file__), "is not an audio file"),
        (("call", "--wav", sentence_file("hello"), "--url", "http://127.0.0.1:9"), "Is the server running"),
        (("call", "--wav", sentence_file("hello"), "--url", "URL", "--agent", "nobody"), "no agent called 'nobody'"),
        (("serve", "--host", "0.0.0.0"), "--open"),
        (("serve", "--pack", "no-such"), "python -m download_models"),
        (("serve", "--config", "no-such.toml"), "no configuration file"),
        (("serve", "--port", "70000"), "port"),
        (("serve", "--port", "PORT"), "Cannot listen"),
    ],
    ids=lambda x: " ".join(map(str, x)) if isinstance(x, tuple) else None,
)
async def test_what_cannot_be_is_said_in_a_sentence(
    server: Server, args: tuple[str | Path, ...], says: str, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    given = [server.url if a == "URL" else port if a == "PORT" else a for a in args]
    status, _, err = await run(*given, cwd=tmp_path)
    assert status == 1
    assert says in err
    assert "Traceback" not in err


async def test_doctor_finds_all_well() -> None:
    status, out, _ = await run("doctor")
    assert status == 0
    assert "all checksums right" in out
    assert "All is well." in out


async def test_doctor_says_what_is_missing() -> None:
    status, out, _ = await run("doctor", "--pack", "no-such")
    assert status == 1
    assert "download_models fetch no-such" in out


@pytest.mark.parametrize("command", [(), ("serve",), ("call",), ("doctor",)])
async def test_help_helps(command: tuple[str, ...]) -> None:
    status, out, _ = await run(*command, "--help")
    assert status == 0
    assert len(out.splitlines()) > 8


async def test_settings_come_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "media_server.toml").write_text('colour = "blue"\n')
    status, _, err = await run("doctor", cwd=tmp_path)
    assert status == 1
    assert "colour" in err
