"""Flow's own packages, from PyPI and npm, unmodified, against this server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from media_server.audio import read_wav, write_wav
from tests.conftest import no_sessions, sentence_file
from tests.integration.test_access import guarded

CLIENTS = Path(__file__).parent / "clients"


async def run(*command: str | Path, cwd: Path, **env: str) -> list[dict[str, Any]]:
    """What a program printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, env=os.environ | env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]


def of(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [m for m in messages if m["message"] == kind]


def spoken(messages: list[dict[str, Any]], kind: str) -> str:
    """A reply as its responses tell it: on a busy machine the voice makes a sentence in several pieces."""
    return " ".join(m["content"] for m in of(messages, kind))


def question(folder: Path, text: str) -> Path:
    path = folder / "question.wav"
    write_wav(path, read_wav(sentence_file(text), 16000), 16000)
    return path


async def test_the_python_package_holds_a_conversation_with_a_tool(tmp_path: Path, python_client: Path) -> None:
    async with guarded(tmp_path) as g:
        wav = question(tmp_path, "where is my order four two seven")
        path = os.pathsep.join(map(str, (python_client, CLIENTS / "no_sound_card")))
        url = g.server.url.replace("http", "ws") + "/v1/flow"
        program = CLIENTS / "flow_client.py"
        env = {"PYTHONPATH": path, "SM_MANAGEMENT_PLATFORM_URL": g.server.url}
        told = await run(sys.executable, program, url, g.key, wav, cwd=tmp_path, **env)
        assert told[0]["message"] == "ConversationStarted"
        assert of(told, "AddTranscript")[0]["metadata"]["transcript"] == "where is my order four two seven "
        assert of(told, "ToolInvoke")[0]["function"] == {"name": "get_order_status", "arguments": {"order_id": "427"}}
        assert spoken(told, "ResponseStarted") == spoken(told, "ResponseCompleted") == "Shipped."
        assert of(told, "ConversationEnded")
        assert of(told, "AudioReceivedInAll")[0]["bytes"] > 16000 * 2 * 0.3, "it was said aloud"
        await no_sessions(g.server)


async def test_the_node_package_holds_a_conversation(tmp_path: Path, node_client: Path) -> None:
    async with guarded(tmp_path) as g:
        wav = question(tmp_path, "what is seven plus five")
        url = g.server.url.replace("http", "ws")
        told = await run("node", CLIENTS / "flow_client.mjs", url, g.key, wav, cwd=node_client)
        assert told[0]["message"] == "ConversationStarted"
        assert of(told, "AddTranscript")[0]["metadata"]["transcript"] == "what is seven plus five "
        assert not of(told, "ResponseInterrupted")
        assert spoken(told, "ResponseStarted") == spoken(told, "ResponseCompleted") == "Seven plus five is twelve."
        assert of(told, "AudioReceivedInAll")[0]["bytes"] > 16000 * 2
        await no_sessions(g.server)
