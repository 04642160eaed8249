"""NextEVI's published programs, as they are printed but for the address, the key and the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from media_server.audio import Samples, read_wav, write_wav
from tests.conftest import sentence_file
from tests.fetched import from_npm
from tests.integration.test_access import guarded
from tests.programs import between, text

CLIENTS = Path(__file__).parent / "clients"
RATE_HZ = 24_000
ANSWER = "Seven plus five is twelve."


def changed(program: str, url: str, key: str) -> str:
    """The address, the key and the configuration."""
    program = program.replace("wss://api.nextevi.com", url.replace("http", "ws"))
    return program.replace("oak_your_api_key", "oak_" + key.removeprefix("sk_")).replace("your_config_id", "mara")


def question(path: Path) -> None:
    sound: Samples = read_wav(sentence_file("what is seven plus five"), RATE_HZ)
    write_wav(path, np.concatenate([np.zeros(RATE_HZ // 2, np.int16), sound]), RATE_HZ)


@contextlib.asynccontextmanager
async def running(*command: str | Path, cwd: Path, **env: str) -> AsyncIterator[asyncio.StreamReader]:
    """A program that goes on until it is stopped; what it prints."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, env=os.environ | env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    try:
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def until(printed: asyncio.StreamReader, *wanted: str) -> str:
    """What a program printed until all of this was there."""
    so_far = ""
    async with asyncio.timeout(60):
        while not all(each in so_far for each in wanted):
            line = await printed.readline()
            assert line, f"it ended: {so_far}"
            so_far += line.decode()
    return so_far


async def test_the_node_program(tmp_path: Path) -> None:
    program = between(text("002"), r"const WebSocket = require\('ws'\);", r"main\(\);")
    npm = from_npm("nextevi", "ws@8.18.0", "uuid@9.0.1")
    async with guarded(tmp_path) as g:
        (tmp_path / "program.js").write_text(changed(program, g.server.url, g.key))
        question(tmp_path / "sample_audio.wav")
        env = {"NODE_PATH": str(npm / "node_modules")}
        async with running("node", "program.js", cwd=tmp_path, **env) as printed:
            told = await until(printed, "--- Response complete ---", "Audio saved to")
        assert "Connection established: conn-" in told
        assert "Transcription: what is seven plus five" in told
        assert ANSWER in told
        assert "Error" not in told
    saved = [tmp_path / name for name in os.listdir(tmp_path) if name.startswith("audio_chunk_")]
    assert saved
    assert all(len(read_wav(each, RATE_HZ)) > 0.2 * RATE_HZ for each in saved), "none without sound"


async def test_the_python_program(tmp_path: Path, python_client: Path) -> None:
    program = between(text("002"), r"import asyncio\nimport websockets", r"    asyncio\.run\(main\(\)\)")
    async with guarded(tmp_path) as g:
        (tmp_path / "program.py").write_text(changed(program, g.server.url, g.key))
        question(tmp_path / "microphone.wav")
        path = os.pathsep.join(map(str, (CLIENTS / "recorded_microphone", python_client)))
        env = {"PYTHONPATH": path, "MICROPHONE": str(tmp_path / "microphone.wav")}
        async with running(sys.executable, "-u", "program.py", cwd=tmp_path, **env) as printed:
            told = await until(printed, "--- Response complete ---", "Saved audio chunk")
        # it sends 170 ms of sound every 270 ms, and the gaps are no pauses
        assert "Transcription: what is seven plus five" in told
        assert ANSWER in told
        assert "rror" not in told
