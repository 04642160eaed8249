"""A machine without any network: a namespace with nothing but loopback."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import sentence_file

SCRIPT = """
ip link set lo up
{python} -m media_server.cli serve --port 8080 > {folder}/server.log 2>&1 &
server=$!
for i in $(seq 300); do grep -q Ready {folder}/server.log && break; sleep 0.1; done
{python} -m media_server.cli call --wav {wav} --out {folder}/out.wav
status=$?
kill $server
wait $server
exit $status
"""


async def namespaces() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    probe = await asyncio.create_subprocess_exec("unshare", "-rn", "ip", "link", "set", "lo", "up", stderr=-3)
    return await probe.wait() == 0


async def test_a_call_on_a_machine_without_a_network(tmp_path: Path) -> None:
    if not await namespaces():
        pytest.skip("network namespaces cannot be made here (unshare -rn, iproute2)")
    script = SCRIPT.format(python=sys.executable, folder=tmp_path, wav=sentence_file("what is seven plus five"))
    process = await asyncio.create_subprocess_exec(
        "unshare", "-rn", "bash", "-c", script, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    assert process.returncode == 0, (out.decode(), (tmp_path / "server.log").read_text())
    assert "Seven plus five is twelve." in out.decode()
