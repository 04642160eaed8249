"""The command line: argument parsing, and calls of what does the work."""

from __future__ import annotations

import argparse
import errno
import sys
from typing import NoReturn

from media_server import __version__
from media_server.cli import database, init, models, remote, serve, specs, talk
from media_server.cli.parser import Parser
from media_server.cli.terminal import drop_output, take_any_encoding
from media_server.errors import MediaServerError
from media_server.plain import plain

__all__ = ["main", "perform"]

DESCRIPTION = """\
A voice server that needs no cloud: callers speak to it from a browser, local models answer by voice.

  media-server serve                      start it, then open http://127.0.0.1:8080
  media-server init my-agents             make a folder with an agent of your own, its settings and a test
  media-server serve my-agents/agents     start it with your own agents
  media-server models fetch small         get models that understand everyday speech
  media-server doctor                     what will run where, and what is missing
  media-server keys create NAME           make an API key: from the first one on, every call needs a key or a token
  media-server call                       talk with it by microphone and loudspeaker, or with --wav by a recording
  media-server chat                       talk with it in writing
  media-server test specs/                play conversations that are written in YAML
"""


def main(argv: list[str] | None = None) -> None:
    """Entry point of `media-server`. Exit status: 0 well, 1 not, 2 wrong usage, 130 interrupted."""
    perform(parser(), argv)


def perform(parser: Parser, argv: list[str] | None = None) -> NoReturn:
    """Do what the command line says and exit; what goes wrong is one sentence."""
    take_any_encoding()
    args = parser.parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        sys.exit(status)
    except MediaServerError as e:
        print(f"{parser.prog}: {plain(e.message)}", file=sys.stderr)
        sys.exit(2 if e.code == "bad_option" else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        drop_output()  # the reader has seen enough, as `head` has
        sys.exit(0)
    except OSError as e:
        if e.errno == errno.ENAMETOOLONG:
            print(f"{parser.prog}: No file has so long a name: {plain(str(e.filename))[:60]}…", file=sys.stderr)
            sys.exit(2)
        if e.errno != errno.ENOSPC:
            raise
        drop_output()
        print(f"{parser.prog}: {e.filename or 'The output'} cannot be written: {e.strerror}.", file=sys.stderr)
        sys.exit(1)


def parser() -> Parser:
    """All commands with their options; the reference of the documents is made from it as well."""
    root = Parser(prog="media-server", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    root.add_argument("--version", action="version", version=f"media-server {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    for each in (serve, init, models, database, talk, remote, specs):
        each.add(commands)
    return root
