"""A server in processes of its own for a benchmark, or one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SENTENCES = Path(__file__).parents[1] / "tests" / "data"


@dataclass(frozen=True)
class Measured:
    url: str
    process: psutil.Process
    log: Path

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far: of the media worker, and of each engine with all its processes."""
        out = {"worker": _seconds(self.process)}
        for child in self.process.children():
            command = child.cmdline()
            engine = command[command.index("media_server.engines.host") + 1]
            out[engine] = out.get(engine, 0.0) + _seconds(child)
        return out

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The lines of the server's log for one type of event."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["message"] == kind]


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def measured_server(*options: str) -> AsyncIterator[Measured]:
    """A fresh server with the starter models on a free port, and a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "media_server.cli", "serve", "--port", "0", "--log-format", "json", *options,
                stdout=asyncio.subprocess.PIPE, stderr=stderr,
                env=os.environ | {"MEDIA_SERVER_DATABASE": f"sqlite:///{folder}/media_server.sqlite"},
            )  # fmt: skip
        assert process.stdout is not None
        try:
            while b"Ready" not in (line := await process.stdout.readline()):
                if not line:
                    sys.exit(f"The server did not start:\n{log.read_text()}")
            url = next(word for word in line.decode().split() if word.startswith("http://"))
            yield Measured(url, psutil.Process(process.pid), log)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
