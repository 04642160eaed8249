"""Into a building with no internet: a bundle is made, carried into a namespace without a route, and called there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import sentence_file
from tests.integration.test_offline import AUDIT

ROOT = Path(__file__).parents[2]
BARE = getattr(sys, "_base_executable", sys.executable)
"""Python without this environment's packages."""

# port 53 of this machine is the only name server there: whoever asks it, by whatever library, is written down
RESOLVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
while True:
    print(s.recvfrom(4096)[0], flush=True)
"""

SCRIPT = """
set -eu
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
ip link set lo up
mkdir state
mount -t tmpfs tmpfs state
echo nameserver 127.0.0.1 > state/resolv.conf
mount --bind state/resolv.conf /etc/resolv.conf
{bare} -I resolver.py > state/queries.log &

env -i PATH=/usr/bin:/bin {bare} -I box.tar.zst --to inst
test "$(env -i PATH=/usr/bin:/bin {bare} -I box.tar.zst --to inst | grep -c Installing)" = 0

# nothing can be written from here on but what lies in the folder state
for point in $(printf '/\n%s\n' "$(stat -c %m .)" | sort -u); do mount -o remount,bind,ro "$point"; done
! touch inst/models/written 2> /dev/null
cp sitecustomize.py state
cd state
export PYTHONPATH=$PWD SOCKET_LOG=$PWD/sockets.log PYTHONDONTWRITEBYTECODE=1 HOME=/nonexistent
../inst/.venv/bin/media-server serve --pack starter --models-dir ../inst/models > server.log 2>&1 &
server=$!
for i in $(seq 600); do grep -q Ready server.log && break; sleep 0.1; done
status=0
../inst/.venv/bin/media-server call --wav {wav} --out out.wav || status=$?
kill $server
wait $server || true
echo SERVER; cat server.log
echo QUERIES; cat queries.log
echo SOCKETS; cat sockets.log
echo INTERFACES; cat /proc/net/dev
exit $status
"""


def _namespaces() -> bool:
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    probe = "ip link set lo up && mount -t tmpfs tmpfs /mnt"
    return subprocess.run(["unshare", "-rnm", "bash", "-c", probe], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the starter pack with all programs, made by the command line."""
    folder = tmp_path_factory.mktemp("carried")
    command = [sys.executable, "-m", "media_server.cli", "models", "bundle", "create", "starter", "--wheels"]
    made = subprocess.run(
        [*command, "-o", str(folder / "box.tar.zst")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "box.tar.zst"


@pytest.mark.slow
async def test_from_a_bare_machine_to_a_call_without_a_network(box: Path) -> None:
    if not _namespaces():
        pytest.skip("namespaces of network and mounts cannot be made here (unshare -rnm, iproute2)")
    (box.parent / "resolver.py").write_text(RESOLVER)
    (box.parent / "sitecustomize.py").write_text(AUDIT)
    script = SCRIPT.format(bare=BARE, wav=sentence_file("what is seven plus five"))
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("MEDIA_SERVER_", "PIP_", "HF_", "ORT_", "CI"))
    }
    process = await asyncio.create_subprocess_exec(
        "unshare", "-rnm", "bash", "-c", script,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=box.parent, env=environment,
    )  # fmt: skip
    async with asyncio.timeout(420):
        raw, _ = await process.communicate()
    out = raw.decode()
    assert process.returncode == 0, out
    assert "Seven plus five is twelve." in out
    _, server, queries, sockets, interfaces = re.split(
        r"^(?:SERVER|QUERIES|SOCKETS|INTERFACES)$", out, flags=re.MULTILINE
    )
    assert "Ready after" in server
    # there is no interface but loopback, so no packet can have left; and nobody asked for a name
    assert re.findall(r"^ *(\w+):", interfaces, re.MULTILINE) == ["lo"]
    assert queries.strip() == ""
    assert "socket.connect" in sockets, "nothing was watched"
    assert {a for a in re.findall(r"\('([^']+)', \d+", sockets)} <= {"127.0.0.1", "::1"}


@pytest.mark.slow
def test_every_licence_is_in_the_bundle(box: Path, tmp_path: Path) -> None:
    from media_server.packs.installer import Bundle

    with Bundle(box) as bundle:
        texts = {
            name: b"".join(content).decode(errors="replace") if name == "LICENCES.txt" else b"".join(content)
            for name, content in bundle.files()
        }
    listed = texts["LICENCES.txt"]
    assert isinstance(listed, str)
    wheels = {name.split("/")[1].split("-")[0] for name in texts if name.startswith("wheels/")}
    assert {"media_server", "llama_cpp_python", "piper_tts", "pip"} <= wheels
    for wheel in wheels:
        line = re.search(rf"^  {wheel.replace('_', '[-_.]')}==\S+ +(\S.*)$", listed, re.MULTILINE | re.IGNORECASE)
        assert line, wheel
        assert line[1] != "see its files" or any(n.lower().startswith(f"licences/{wheel}") for n in texts), wheel
    assert re.search(r"Under the GPL: piper-tts==", listed)
    assert "Apache-2.0" in listed.splitlines()[4]
