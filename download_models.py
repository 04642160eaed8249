#!/usr/bin/env python3
"""Get model packs, look at them, and remove them: `media-server models`, for a checkout that is not installed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from media_server.cli.models import MODELS, add_actions
from media_server.errors import MediaServerError


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=MODELS, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, metavar="DIR", help="where packs are (models)")
    parser.set_defaults(config=None)
    add_actions(parser)
    args = parser.parse_args(argv)
    try:
        sys.exit(args.run(args))
    except MediaServerError as e:
        sys.exit(f"download_models: {e.message}")
    except KeyboardInterrupt:
        sys.exit("\nStopped; run it again to go on.")


if __name__ == "__main__":
    main()
