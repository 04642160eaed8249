"""Options that commands share: settings, the database, and the server that a command talks to."""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit

from media_server.cli.parser import command, number, path
from media_server.config import Settings, load_settings

__all__ = ["command", "database_options", "offline_option", "server_options", "settings", "settings_options"]

URL = "http://127.0.0.1:8080"


def offline_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fetch nothing, and say which file is missing and where it belongs",
    )


def settings_options(parser: argparse.ArgumentParser) -> None:
    offline_option(parser)
    parser.add_argument("--pack", help="model pack (starter)")
    parser.add_argument("--models-dir", type=path, metavar="DIR", help="where packs are (models)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="auto: CUDA where a library can use it")
    parser.add_argument(
        "--threads",
        type=number("the count of threads", 0, 256),
        metavar="N",
        help="per engine; 0 takes the number of cores",
    )
    database_options(parser)


def database_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that work on the database alone, also while a server uses it."""
    parser.add_argument("--config", type=path, metavar="FILE", help="settings (media_server.toml)")
    parser.add_argument(
        "--database", metavar="URL", help="where calls and keys are kept (sqlite:///media_server.sqlite)"
    )


def server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that talk to a running server; the environment has their defaults."""
    url = os.environ.get("MEDIA_SERVER_URL") or URL
    parser.add_argument(
        "--url", type=_address, default=url, help=f"address of the server (MEDIA_SERVER_URL, else {URL})"
    )
    parser.add_argument(
        "--key",
        type=_secret,
        default=os.environ.get("MEDIA_SERVER_KEY", ""),
        help="an API key or a token, where the server asks for one (MEDIA_SERVER_KEY)",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="accept any certificate, also one that the server made itself"
    )


def _address(text: str) -> str:
    """The address of a server."""
    url = text.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in url
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(
            f"the address of a server looks like {URL}, not {text!r}{_origin(text, 'MEDIA_SERVER_URL')}."
        )
    return url


def _secret(text: str) -> str:
    """A key or a token, without the line's end that comes from a file."""
    secret = text.strip()
    if not (secret.isascii() and secret.isprintable()):
        where = _origin(text, "MEDIA_SERVER_KEY")
        raise argparse.ArgumentTypeError(
            f"a key has letters, digits, - and _, like sk_…; this one{where} has other characters."
        )
    return secret


def _origin(text: str, variable: str) -> str:
    return f" (from {variable})" if text == os.environ.get(variable) else ""


def settings(args: argparse.Namespace) -> Settings:
    options = {k: v for k, v in vars(args).items() if k in Settings.model_fields}
    return load_settings(args.config, **options)
