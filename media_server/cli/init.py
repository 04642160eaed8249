"""`init`: a folder with an agent, the server's settings and a test, to begin from."""

from __future__ import annotations

import argparse
import contextlib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from media_server.cli.options import command
from media_server.cli.parser import path
from media_server.errors import MediaServerError

__all__ = ["add"]

INIT = """\
Make a folder to begin from: an agent with a tool (agents/desk.py), settings (media_server.toml) and a test.

  media-server init my-agents
  cd my-agents
  media-server serve --reload

Files that are there already are not changed.
"""
FILES = ("agents/desk.py", "media_server.toml", "tests/test_desk.py", "pytest.ini")
IGNORE = ".gitignore"
"""Where a folder has one already, it stays as it is."""


def add(commands: Any) -> None:
    init = command(commands, "init", "make a folder with an agent, settings and a test", INIT)
    init.add_argument("folder", type=path, nargs="?", default=Path(), help="which one (this one)")
    init.set_defaults(run=_init)


def _init(args: argparse.Namespace) -> int:
    folder: Path = args.folder
    template = resources.files("media_server.cli") / "template"
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise MediaServerError("exists", f"{folder / there[0]} is there already, and init changes no file.")
    made: list[Path] = []
    for name in FILES if (folder / IGNORE).exists() else (*FILES, IGNORE):
        made.append(folder / name)
        try:
            _copy(template / name.removeprefix("."), made[-1])
        except OSError as e:
            for each in made:  # half of them would keep the next attempt from making any
                with contextlib.suppress(OSError):
                    each.unlink()
            raise MediaServerError("not_written", f"{made[-1]} cannot be written: {e.strerror}.") from e
    print(*made, sep="\n")
    enter = "" if folder == Path() else f"cd {folder} && "
    print(f"Start it: {enter}media-server serve --reload")
    print("Test it:  pip install pytest pytest-asyncio && pytest")
    return 0


def _copy(source: Traversable, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(source.read_bytes())
