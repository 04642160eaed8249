"""What is typed at a terminal, or comes from a file or a program in its place."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_server.cli.terminal import asked, take_any_encoding, typed_lines


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """The other end of a pipe that is the standard input."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as stdin, open(writing, "wb", buffering=0) as there:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield there


async def test_lines_come_as_they_are_typed_whatever_their_bytes_are(writer: io.FileIO) -> None:
    writer.write("one\ntwo ü\n  three \xff".encode("latin-1"))
    lines = typed_lines()
    assert [await anext(lines), await anext(lines)] == ["one", "two \ufffd"]
    writer.write(b"!\n\nlast")
    writer.close()
    assert [line async for line in lines] == ["three \ufffd!", "", "last"]


def test_a_file_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lines() -> list[str]:
        return [line async for line in typed_lines()]

    (tmp_path / "lines").write_text("one\ntwo\n")
    with (tmp_path / "lines").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert asyncio.run(lines()) == ["one", "two"]


async def test_who_waits_for_a_line_that_never_comes_can_be_stopped(writer: io.FileIO) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(typed_lines())


def test_the_end_of_what_is_typed_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.StringIO("")
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert not asked("Delete it?")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_stream_that_is_closed_is_empty_or_read_by_nobody(closed: str) -> None:
    code = (
        "from media_server.cli.terminal import *; take_any_encoding(); print(1, asked('?')); print(2, file=sys.stderr)"
    )
    command = f'{sys.executable} -c "import sys; {code}; sys.stdout.flush(); sys.stdin.fileno()" {closed}'
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "" if "2>" in closed else "2\n")


def test_a_terminal_that_lacks_a_character_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
    take_any_encoding()
    sys.stdout.write("→ 1\n")
    sys.stdout.flush()
    assert shown.getvalue() == b"? 1\n"
