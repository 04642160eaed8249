#!/usr/bin/env python3
"""Get model packs, look at them, and remove them: `media-server models`, for a checkout that is not installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from media_server.cli import perform
from media_server.cli.models import MODELS, add_actions
from media_server.cli.parser import Parser


def main(argv: list[str] | None = None) -> None:
    parser = Parser(description=MODELS, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, metavar="DIR", help="where packs are (models)")
    parser.set_defaults(config=None)
    add_actions(parser)
    perform(parser, argv)


if __name__ == "__main__":
    main()
