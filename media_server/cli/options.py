"""What commands share: their form, and the options of settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from media_server.config import Settings, load_settings

__all__ = ["command", "database_options", "offline_option", "settings", "settings_options"]


def command(commands: Any, name: str, short: str, long: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=short, description=long, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def offline_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fetch nothing, and say which file is missing and where it belongs",
    )


def settings_options(parser: argparse.ArgumentParser) -> None:
    offline_option(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (media_server.toml)")
    parser.add_argument("--pack", help="model pack (starter)")
    parser.add_argument("--models-dir", type=Path, metavar="DIR", help="where packs are (models)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="auto: CUDA where a library can use it")
    parser.add_argument("--threads", type=int, help="per engine; 0 takes the number of cores")


def database_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that work on the database alone, also while a server uses it."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (media_server.toml)")
    parser.add_argument("--database", metavar="URL", help="(sqlite:///media_server.sqlite)")


def settings(args: argparse.Namespace) -> Settings:
    options = {k: v for k, v in vars(args).items() if k in Settings.model_fields}
    return load_settings(args.config, **options)
