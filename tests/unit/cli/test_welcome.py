"""What `serve` prints when it is ready."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from media_server.agents import AgentRegistry, Problem
from media_server.cli.welcome import addresses, qr_code, welcome
from media_server.config import Settings
from media_server.engines.engines import Engines
from media_server.server import Server
from media_server.switchboard import Switchboard


@pytest.mark.parametrize(
    ("host", "here", "elsewhere"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", []),
        ("0.0.0.0", "http://localhost:80", ["http://192.168.1.7:80", "http://10.0.0.2:80"]),
        ("192.168.1.7", "", ["http://192.168.1.7:80"]),
    ],
)
def test_addresses_are_ones_that_can_be_opened(host: str, here: str, elsewhere: list[str]) -> None:
    assert addresses(f"http://{host}:80", host, ["192.168.1.7", "10.0.0.2"]) == (here, elsewhere)


def server(url: str, *problems: Problem) -> Server:
    return Server(url, cast(Engines, None), cast(Switchboard, None), AgentRegistry(), problems=problems)


def test_broken_agent_files_come_last() -> None:
    problem = Problem(Path("mara.py"), 3, "promt: unknown setting (did you mean prompt?)")
    lines = welcome(server("http://127.0.0.1:80", problem), Settings(), 1.0, terminal=True).splitlines()
    assert lines[-2:] == ["But 1 agent file is not in use as written:", f"  {problem}"]


def test_other_machines_are_told_of_https_and_phones_of_a_code() -> None:
    plain = welcome(server("http://192.0.2.7:80"), Settings(host="192.0.2.7"), 1.0, terminal=True)
    assert "microphone over HTTPS only" in plain
    assert "▄" not in plain
    safe = welcome(server("https://192.0.2.7:80"), Settings(host="192.0.2.7", tls="auto"), 1.0, terminal=True)
    assert qr_code("https://192.0.2.7:80") in safe
    assert "▄" not in welcome(
        server("https://192.0.2.7:80"), Settings(host="192.0.2.7", tls="auto"), 1.0, terminal=False
    )
