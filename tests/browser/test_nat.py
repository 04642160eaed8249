"""Browsers behind a router that forwards the server's ports alone: Docker, NAT 1:1, a firewall without UDP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import CHROMIUM
from tests.browser.firefox import FIREFOX
from tests.integration.test_no_network import namespaces

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
set -e
ip link set lo up
unshare -n sleep 600 & inside=$!
unshare -n sleep 600 & outside=$!
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
for pid in $inside $outside; do
  until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
done
ip link add to-server type veth peer name eth0 netns $inside
ip link add to-callers type veth peer name eth0 netns $outside
ip addr add 10.0.1.1/24 dev to-server && ip link set to-server up
ip addr add 10.0.2.1/24 dev to-callers && ip link set to-callers up
for each in "$inside 10.0.1.2" "$outside 10.0.2.2"; do
  set -- $each
  nsenter -t $1 -n ip link set lo up
  nsenter -t $1 -n ip addr add $2/24 dev eth0
  nsenter -t $1 -n ip link set eth0 up
  nsenter -t $1 -n ip route add default via ${{2%.*}}.1
done
nsenter -t $inside -n {python} -m media_server.cli serve --host 0.0.0.0 --port 8080 > {folder}/server.log 2>&1 &
{python} -m tests.browser.nat {folder}/control > {folder}/nat.log 2>&1 &
for i in $(seq 600); do grep -q Ready {folder}/server.log && [ -S {folder}/control ] && break; sleep 0.1; done
nsenter -t $outside -n {python} -m tests.browser.behind_nat {folder} {folder}/control {browsers}
"""
AGENT = 'allowed_origins = ["http://localhost:*"]\n'


async def test_browsers_behind_a_nat_with_one_port_open(tmp_path: Path) -> None:
    if not await namespaces():
        pytest.skip("network namespaces cannot be made here (unshare -rn, iproute2)")
    browsers = [name for name, path in (("chromium", CHROMIUM), ("firefox", FIREFOX)) if path]
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "open.toml").write_text(AGENT)
    script = SCRIPT.format(python=sys.executable, folder=tmp_path, browsers=" ".join(browsers))
    environment = {
        "PYTHONPATH": str(ROOT),
        "MEDIA_SERVER_OPEN": "true",
        "MEDIA_SERVER_PUBLIC_ADDRESSES": '["10.0.2.1"]',
        "MEDIA_SERVER_AGENTS_DIR": str(tmp_path / "agents"),
        "MEDIA_SERVER_DATABASE": f"sqlite:///{tmp_path}/x.sqlite",
    }
    process = await asyncio.create_subprocess_exec(
        "unshare", "-rn", "bash", "-c", script, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, **environment},
    )  # fmt: skip
    async with asyncio.timeout(280):
        out, _ = await process.communicate()
    log = (tmp_path / "server.log").read_text()[-5000:]
    told = [json.loads(line) for line in out.decode().splitlines()]
    assert [(t["browser"], t["udp"]) for t in told] == [(b, udp) for b in browsers for udp in (True, False)], log
    for each in told:
        assert each.get("first") == "Seven plus five is twelve.", (each, log)
        assert each["second"] == "Nine times three is twenty seven.", each
        assert each["protocol"] == ("udp" if each["udp"] else "tcp"), each
        # within a second where the machine has nothing else to do
        assert each["again_ms"] < 5000, each
