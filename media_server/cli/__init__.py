"""The command line: argument parsing, and calls of what does the work."""

from __future__ import annotations

import argparse
import sys

from media_server import __version__
from media_server.cli import database, models, remote, serve
from media_server.errors import MediaServerError

__all__ = ["main"]

DESCRIPTION = """\
A voice server that needs no cloud: callers speak to it from a browser, local models answer by voice.

  media-server serve                                start it, then open http://127.0.0.1:8080
  media-server serve agents/                        with your own agents: docs/agents.md
  media-server models fetch small                   get models that understand everyday speech
  media-server doctor                               what will run where, and what is missing
  media-server keys create NAME                     from the first key on nobody gets in without
  media-server call --wav in.wav --out out.wav      call it without a browser
  media-server chat --agent NAME                    talk with an agent in writing
"""


def main(argv: list[str] | None = None) -> None:
    """Entry point of `media-server`. Exit status: 0 well, 1 not, 2 wrong usage."""
    args = _parser().parse_args(argv)
    try:
        sys.exit(args.run(args))
    except MediaServerError as e:
        sys.exit(f"media-server: {e.message}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="media-server", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"media-server {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for each in (serve, models, database, remote):
        each.add(commands)
    return parser
