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
        (("serve", "--pack", "no-such"), "media-server models fetch no-such"),
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
    assert "media-server models fetch no-such" in out


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


async def test_the_other_commands_talk_to_a_running_server(server: Server) -> None:
    status, printed, err = await run("agents", "--url", server.url)
    assert (status, err) == (0, "")
    assert {"assistant", "desk", "home"} <= set(printed.split())

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "chat", "--agent", "desk", "--url", server.url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, _ = await process.communicate(b"my name is olivia\nwhere is my order four two seven\nwhat is my name\n")
    assert out.decode().splitlines() == [
        "Nice to meet you, Olivia! How can I help you?",
        '  [get_order_status {"order_id": "427"}]',
        "The status is shipped.",
        "Your name is Olivia.",
        "  [client_hangup]",
    ]

    async with asyncio.timeout(10):
        while "active" in (printed := (await run("calls", "--url", server.url, "--agent", "desk", "--limit", "1"))[1]):
            pass
    call_id = printed.split()[0]
    assert call_id.startswith("chat-")
    status, printed, _ = await run("calls", call_id, "--url", server.url)
    assert "client_hangup" in printed
    assert "caller where is my order four two seven" in printed
    assert "agent  The status is shipped." in printed
    assert 'tool   get_order_status {"order_id": "427"} → {"status": "shipped"}' in printed

    status, printed, _ = await run("tokens", "desk", "--url", server.url, "--metadata", '{"customer": 7}')
    assert (status, printed[:5]) == (0, "wrtc_")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("calls", "nothing"), "There is no record of such a call."),
        (("tokens", "nobody"), "There is no agent called 'nobody'."),
        (("tokens", "desk", "--metadata", "{"), "--metadata is not valid JSON"),
        (("chat", "--agent", "nobody"), "answered with status 404"),
    ],
)
async def test_commands_say_what_is_wrong(server: Server, args: tuple[str, ...], said: str) -> None:
    status, printed, err = await run(*args, "--url", server.url)
    assert (status, printed) == (1, "")
    assert said in err


async def test_commands_say_that_nobody_answers() -> None:
    status, _, err = await run("agents", "--url", "http://127.0.0.1:9")
    assert status == 1
    assert "Nobody answers at http://127.0.0.1:9" in err


async def test_serve_says_what_its_models_are_good_for() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "serve", "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            while b"Ready" not in await process.stdout.readline():
                pass
            notice = (await process.stdout.readline()).decode()
    finally:
        process.terminate()
        await process.wait()
    assert "a few topics only" in notice
    assert "media-server models fetch small" in notice
