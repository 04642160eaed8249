"""What systemd is told, over a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from media_server.cli.systemd import Notifier
from media_server.errors import ConfigurationError


async def test_systemd_is_told_and_gets_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = Notifier.of_systemd()
        assert "NOTIFY_SOCKET" not in os.environ
        notifier.tell("READY=1", "STATUS=Serving")
        assert listening.recv(100) == b"READY=1\nSTATUS=Serving"
        alive = asyncio.create_task(notifier.stay_alive())
        assert await asyncio.to_thread(listening.recv, 100) == b"WATCHDOG=1"
        assert await asyncio.to_thread(listening.recv, 100) == b"WATCHDOG=1"
        alive.cancel()


def test_elsewhere_the_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with pytest.raises(ConfigurationError, match="Type=notify"):
        Notifier.of_systemd()
