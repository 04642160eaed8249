"""The terminal, or what stands in its place: any encoding, lines as they are typed, questions."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator

__all__ = ["asked", "drop_output", "take_any_encoding", "typed_lines"]

READ_BYTES = 64 * 1024


def take_any_encoding() -> None:
    """Show a character that the terminal lacks as a question mark, and read bytes that are no text likewise.

    A stream that was closed before the program began is as one that is empty, or that nobody reads.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the program
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Let nothing more be written; Python would complain once more when it flushes at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def asked(question: str) -> bool:
    """Whether a person at the terminal says yes. False where there is none, and at the end of what is typed."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


async def typed_lines() -> AsyncIterator[str]:
    """Lines of the standard input without their ends, until it ends; a task that waits for one can be cancelled."""
    rest = b""
    while chunk := await _read():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _text(line)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.decode(sys.stdin.encoding or "utf-8", "replace").strip()


async def _read() -> bytes:
    """Return what has come; a thread would have to be waited for, even where the conversation is over."""
    loop, fd = asyncio.get_running_loop(), sys.stdin.fileno()
    there = asyncio.Event()
    try:
        loop.add_reader(fd, there.set)
    except PermissionError:  # a file on the disk, which is always there
        return os.read(fd, READ_BYTES)
    try:
        await there.wait()
    finally:
        loop.remove_reader(fd)
    return os.read(fd, READ_BYTES)
