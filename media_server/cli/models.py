"""`models`: getting model packs, looking at them, and removing them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from media_server.cli import bundle, models_shown
from media_server.cli.models_fetch import add_fetch, add_source
from media_server.cli.models_import import add_import
from media_server.cli.options import command, offline_option, settings
from media_server.cli.parser import path
from media_server.cli.terminal import asked
from media_server.errors import ConfigurationError, MediaServerError

__all__ = ["MODELS", "add", "add_actions"]

MODELS = """\
A pack is a folder with the models of an assistant: a recogniser, a language model, and voices.

  media-server models list --available        packs and models that can be fetched
  media-server models fetch small             fetch one, after showing licences and size
  media-server serve --pack small             start with it
  media-server models bundle create small     put one into a file, for a machine without a network
"""


def add(commands: Any) -> None:
    models = command(commands, "models", "get model packs, look at them, remove them", MODELS)
    models.set_defaults(models_dir=None, config=None)
    add_actions(models)


def add_actions(parser: argparse.ArgumentParser) -> None:
    """What can be done with packs, as commands of `parser`."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    for each in (_add_list, _add_show, add_fetch, add_import, _add_verify, _add_remove):
        action = each(actions)
        action.add_argument("--config", type=path, metavar="FILE", default=argparse.SUPPRESS, help="settings")
        action.add_argument(
            "--models-dir", type=path, metavar="DIR", default=argparse.SUPPRESS, help="where packs are (models)"
        )
    bundle.add(actions)


def _add_list(actions: Any) -> argparse.ArgumentParser:
    listing = command(actions, "list", "packs on this machine, and what can be fetched", "List packs and models.")
    listing.add_argument("--available", action="store_true", help="also the models of the built-in catalogue")
    listing.add_argument("--language", metavar="CODE", help="voices of this language only, like de or en_GB")
    add_source(listing)
    offline_option(listing)
    listing.set_defaults(run=_list)
    return listing


def _add_show(actions: Any) -> argparse.ArgumentParser:
    show = command(
        actions,
        "show",
        "what is in a pack, or what is known of a model",
        "Show a pack on this machine, a pack of the catalogue, or one of its models: licence, size, memory, settings.",
    )
    show.add_argument("name", help="a pack, or a model's id")
    show.set_defaults(run=_show)
    return show


def _add_verify(actions: Any) -> argparse.ArgumentParser:
    verify = command(actions, "verify", "check all files of a pack", "Check every file by its size and SHA-256.")
    verify.add_argument("name", nargs="?", help="a pack; all of them where none is given")
    verify.set_defaults(run=_verify)
    return verify


def _add_remove(actions: Any) -> argparse.ArgumentParser:
    remove = command(actions, "remove", "delete a pack", "Delete a pack and its files, after asking.")
    remove.add_argument("name", help="of the pack")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.set_defaults(run=_remove)
    return remove


def _models_dir(args: argparse.Namespace) -> Path:
    """The folder to look into."""
    folder = settings(args).models_dir
    if args.models_dir is not None and not folder.is_dir():
        raise MediaServerError("bad_option", f"--models-dir: there is no folder {folder}.")
    return folder


def _list(args: argparse.Namespace) -> int:
    chosen, models_dir = settings(args), _models_dir(args)
    models_shown.on_this_machine(models_dir)
    if args.source:
        asyncio.run(models_shown.at_mirrors(args.source, models_dir, chosen.forbids_fetching))
    elif args.available or args.language:
        models_shown.available(args.language)
    else:
        print("\nmedia-server models list --available shows what can be fetched.")
    return 0


def _show(args: argparse.Namespace) -> int:
    models_shown.shown(args.name, _models_dir(args))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from media_server.engines.packs import load_pack, problems_of
    from media_server.packs.local import local_packs

    models_dir = _models_dir(args)
    damaged = []
    for name in [args.name] if args.name else list(local_packs(models_dir)):
        try:
            problems = problems_of(load_pack(name, models_dir))
        except ConfigurationError as e:
            damaged.append(e.message)
            continue
        if problems:
            damaged.append(f"{name} is damaged: {'; '.join(problems)}. Fetch or import it again.")
        else:
            print(f"{name}: all files are right.")
    if damaged:
        raise MediaServerError("damaged_pack", " ".join(damaged))
    return 0


def _remove(args: argparse.Namespace) -> int:
    from media_server.packs.local import removable, remove_pack, size_text

    removable(args.name, _models_dir(args))
    if not args.yes and not sys.stdin.isatty():
        raise MediaServerError("nobody_to_ask", "There is no terminal to ask at whether this is meant; say --yes.")
    if not args.yes and not asked(f"Delete the pack {args.name!r} and its files?"):
        print("Nothing was deleted.")
        return 1
    size = remove_pack(args.name, _models_dir(args))
    print(f"{args.name} is deleted ({size_text(size)}).")
    return 0
