"""The commands as people run them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from media_server.audio import CALL_RATE_HZ, Samples, read_wav
from media_server.client import ask
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
    said = [line.split("  (")[0].strip() for line in printed.splitlines()]
    assert said[:2] == ["you  what is seven plus five", "assistant  Seven plus five is twelve."]
    assert re.search(r"twelve\.  \(\d+\.\d s\)$", printed, re.MULTILINE)
    assert "you hung up" in said[-1]
    with wave.open(str(out)) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (48_000, 1, 2)
    assert "twelve" in hear(read_wav(out, CALL_RATE_HZ))


async def test_call_can_print_json(server: Server) -> None:
    status, printed, _ = await run("call", "--wav", sentence_file("hello"), "--json", "--url", server.url)
    events = [json.loads(line) for line in printed.splitlines()]
    assert status == 0
    assert events[0]["type"] == "call.started"
    assert events[-1]["type"] == "call.ended"


async def test_call_lets_the_agent_greet_first(server: Server) -> None:
    wav = sentence_file("hello")
    status, printed, _ = await run("call", "--wav", wav, "--agent", "notice", "--events", "--url", server.url)
    assert status == 0
    greeted, heard = printed.index("agent.speech_stopped"), printed.index("user.speech_started")
    assert greeted < heard
    assert 'heard="This call is recorded for training purposes."' in printed[:heard]


async def _answer_json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b'{"error": "not found"}'
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    writer.write(body)
    await writer.drain()
    writer.close()


async def _say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("call", "--wav", "no-such.wav"), "Cannot read no-such.wav"),
        (("call", "--wav", __file__), "is not an audio file"),
        (("call", "--wav", sentence_file("hello"), "--url", "http://127.0.0.1:9"), "Is the server running"),
        (("call", "--wav", sentence_file("hello"), "--url", "URL", "--agent", "nobody"), "no agent called 'nobody'"),
        (("serve", "--host", "0.0.0.0"), "--open"),
        (("serve", "--pack", "no-such"), "media-server models fetch no-such"),
        (("serve", "--pack", "/no/such"), "a pack is a folder with a pack.toml in it"),
        (("keys", "create", " "), "in 1 to 100 characters"),
        (("serve", "--config", "no-such.toml"), "no configuration file"),
        (("serve", "--port", "PORT"), "is already in use. Stop the other program, or choose another: --port N."),
        (("serve", "--host", "192.0.2.1", "--open"), "This machine has no address 192.0.2.1"),
        (("agents", "--url", "TLS"), "does not speak HTTPS. Try http://"),
        (("call", "--wav", sentence_file("hello"), "--url", "OTHER"), "does not look like a media server"),
        (("chat", "--url", "OTHER"), "does not look like a media server"),
        (("agents", "--url", "API"), "does not look like a media server"),
        (("call", "--wav", sentence_file("hello"), "--url", "API"), "does not look like a media server"),
        (
            ("call", "--wav", sentence_file("hello"), "--out", "no/out.wav"),
            "--out: no/out.wav cannot be written: No such",
        ),
    ],
    ids=lambda x: " ".join(map(str, x)) if isinstance(x, tuple) else None,
)
async def test_what_cannot_be_is_said_in_a_sentence(
    server: Server, args: tuple[str | Path, ...], says: str, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    stranger = await asyncio.start_server(_say_hello, "127.0.0.1", 0)
    other = f"http://127.0.0.1:{stranger.sockets[0].getsockname()[1]}"
    api = await asyncio.start_server(_answer_json, "127.0.0.1", 0)
    words = {"URL": server.url, "PORT": port, "TLS": server.url.replace("http:", "https:"), "OTHER": other}
    words["API"] = f"http://127.0.0.1:{api.sockets[0].getsockname()[1]}"
    async with stranger, api:
        status, _, err = await run(*(words.get(str(a), a) for a in args), cwd=tmp_path)
    assert status in (1, 2)
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
    async with asyncio.timeout(60):
        out, _ = await process.communicate(b"my name is olivia\nwhere is my order four two seven\nwhat is my name\n")
    assert re.sub(r"after \d+ s", "after 0 s", out.decode()).splitlines() == [
        " you  my name is olivia",
        "desk  Nice to meet you, Olivia! How can I help you?",
        " you  where is my order four two seven",
        '      get_order_status(order_id="427")',
        '      → {"status": "shipped"}',
        "desk  The status is shipped.",
        " you  what is my name",
        "desk  Your name is Olivia.",
        "The call ended after 0 s: you hung up.",
    ]

    async with asyncio.timeout(60):
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


async def test_a_chat_at_a_terminal_ends_with_the_call_though_a_line_is_waited_for(server: Server) -> None:
    here, there = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "chat", "--agent", "desk", "--url", server.url,
        stdin=there, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            await process.stdout.readuntil(b"you: ")
            active = await ask(server.url, "GET", "/v1/calls", params={"status": "active", "agent": "desk"})
            await ask(server.url, "POST", f"/v1/calls/{active['calls'][0]['id']}/end", json={})
            assert b"The call ended" in await process.stdout.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        os.close(here)
        os.close(there)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("calls", "nothing"), "There is no record of such a call."),
        (("tokens", "nobody"), "There is no agent called 'nobody'."),
        (("chat", "--agent", "nobody"), "There is no agent called 'nobody'. There are: "),
    ],
)
async def test_commands_say_what_is_wrong(server: Server, args: tuple[str, ...], said: str) -> None:
    status, printed, err = await run(*args, "--url", server.url)
    assert (status, printed) == (1, "")
    assert said in err


async def test_commands_say_that_nobody_answers() -> None:
    status, _, err = await run("agents", "--url", "http://127.0.0.1:9")
    assert status == 1
    assert "Cannot reach http://127.0.0.1:9" in err


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


async def test_the_server_and_the_key_come_from_the_environment(server: Server) -> None:
    environment = os.environ | {"MEDIA_SERVER_URL": server.url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media_server.cli", "agents", stdout=asyncio.subprocess.PIPE, env=environment
    )
    out, _ = await process.communicate()
    assert b"assistant" in out.split()


async def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'import time; from media_server.cli import main; time.sleep(1); main([\"doctor\"])'"
    process = await asyncio.create_subprocess_shell(
        f"{command} | head -c 0", stderr=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    _, err = await process.communicate()
    assert err == b""


async def test_init_changes_no_file(tmp_path: Path) -> None:
    status, printed, _ = await run("init", "mine", cwd=tmp_path)
    assert status == 0
    assert printed.splitlines()[0] == "mine/agents/desk.py"
    assert "media_server.sqlite*" in (tmp_path / "mine" / ".gitignore").read_text()
    status, _, err = await run("init", "mine", cwd=tmp_path)
    assert (status, err) == (1, "media-server: mine/agents/desk.py is there already, and init changes no file.\n")


async def test_init_leaves_a_repositorys_list_of_what_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    assert (await run("init", cwd=tmp_path))[0] == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


async def test_conversations_in_yaml_are_played(server: Server, tmp_path: Path) -> None:
    spec = tmp_path / "sum.spec.yaml"
    spec.write_text("agent: assistant\nworkflow: Say hello.\ndescription: A greeting\njudge: {maxTurns: 1}\n")
    status, printed, err = await run("test", tmp_path, "--url", server.url, "--json")
    told = json.loads(printed)
    assert (status, err, told["failed"]) == (1, "", 1)
    (result,) = told["results"]
    assert result["summary"] == "There was no verdict after 1 turns.", "the starter model judges nothing"
    assert [t["role"] for t in result["turns"]] == ["customer", "agent"]
    assert result["turns"][1]["text"]
    assert await run("test", spec, "--list") == (0, f"{spec}  assistant  A greeting\n", "")
    (tmp_path / "lost.spec.yaml").write_text("agent: nobody\nworkflow: Say hello.\n")
    status, printed, err = await run("test", tmp_path, "--url", server.url)
    assert (status, err, "nobody" in printed) == (1, "", True), "one that cannot be played does not end the others"
    assert "0 passed, 2 failed" in printed


async def test_conversations_in_yaml_are_played_over_a_call(server: Server, tmp_path: Path) -> None:
    spec = tmp_path / "sum.spec.yaml"
    spec.write_text(
        "agent: assistant\nworkflow: Ask.\nmode: voice\ngreeting: What is one plus two?\njudge: {maxTurns: 1}\n"
    )
    status, printed, err = await run("test", spec, "--url", server.url, "--json")
    assert (status, err) == (1, "")
    (result,) = json.loads(printed)["results"]
    assert result["summary"] == "There was no verdict after 1 turns.", "the starter model judges nothing"
    assert result["turns"][0] == {"role": "customer", "text": "What is one plus two?"}
    assert result["turns"][1]["role"] == "agent", "what it answered aloud was heard"
