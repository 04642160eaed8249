"""Hosts reach no network, whatever their libraries try."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from media_server.engines.offline import OFFLINE

HEAD = "import asyncio, socket; from media_server.engines.offline import stay_offline; stay_offline()\n"
ATTEMPTS = {
    "a connection": "socket.create_connection(('192.0.2.1', 80), timeout=60)",
    "a name": "socket.getaddrinfo('models.example', 443)",
    "an old way to resolve": "socket.gethostbyname('models.example')",
    "a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "IPv6": "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "asyncio": "asyncio.run(asyncio.open_connection('192.0.2.1', 80))",
    "a page": "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=60)",
    "a tokenizer": "import tokenizers; tokenizers.Tokenizer.from_pretrained('openai/whisper-tiny')",
    "a hub": "import huggingface_hub; huggingface_hub.hf_hub_download('openai/whisper-tiny', 'tokenizer.json')",
}
ALLOWED = "a, b = socket.socketpair(); a.send(b'x'); a.sendmsg([b'y']); assert b.recv(2) == b'xy'; print('fine')"


def run(code: str, offline: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {OFFLINE: offline}
    return subprocess.run(
        [sys.executable, "-c", HEAD + code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("what", ATTEMPTS)
def test_an_attempt_to_reach_the_network_is_refused_at_once(what: str) -> None:
    started = time.monotonic()
    ran = run(ATTEMPTS[what], "1")
    assert ran.returncode == 1
    assert "(offline)" in ran.stderr
    assert time.monotonic() - started < 20


def test_sockets_of_this_machine_are_allowed() -> None:
    assert run(ALLOWED, "1").stdout == "fine\n"


def test_the_guard_is_off_where_the_operator_says_so() -> None:
    ran = run("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))", "0")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_onnx_runtime_reports_nothing() -> None:
    # its telemetry is C++ and cannot be seen from here; the test of bundles has a name server that nobody may ask
    code = "import os, media_server; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "1\n"
