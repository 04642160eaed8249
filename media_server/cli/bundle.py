"""`models bundle`: carrying packs and programs to machines without a network."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media_server.cli.options import command, offline_option, settings
from media_server.cli.parser import path
from media_server.counted import counted
from media_server.errors import MediaServerError

if TYPE_CHECKING:
    from media_server.packs.installer import Bundle, Progress

__all__ = ["add"]

BUNDLE = """\
Put a pack into one file, carry it to a machine without a network, and install it there.

  media-server models bundle create small --wheels -o box.tar.zst     models, the server and all that it needs
  python3 box.tar.zst                                                 on a machine with nothing but Python
  media-server models bundle install box.tar.zst                      on one that has the server
"""
CREATE = """\
Write a bundle: the files of a pack, checked first, with a manifest of sizes and checksums, licences and an installer.

With --wheels also the server and everything it needs, for machines with nothing but Linux and Python. That asks the
Python registry; without it nothing is fetched. A bundle has its name only when it is complete.
"""
INSTALL = """\
Check a bundle and put its pack into the folder of models.

Every file is checked before the first one is put into place. What is there already is neither changed nor deleted.
An installation that was interrupted is continued when the same command is run again.
"""


def add(actions: Any) -> None:
    bundle = command(actions, "bundle", "carry packs to machines without a network", BUNDLE)
    steps = bundle.add_subparsers(title="steps", metavar="STEP")
    _add_create(steps)
    install = command(steps, "install", "check a bundle and install its pack", INSTALL)
    _settings(install)
    install.set_defaults(run=_install)
    verify = command(
        steps, "verify", "check every file of a bundle", "Check every file of a bundle, and do nothing else."
    )
    verify.set_defaults(run=_verify)
    show = command(steps, "show", "what is in a bundle", "Show what is in a bundle, without checking its files.")
    show.add_argument("--files", action="store_true", help="every file with its size and SHA-256")
    show.set_defaults(run=_show)
    for each in (install, verify, show):
        each.add_argument("bundle", type=path, help="a .tar.zst or .tar file, or the folder that one was unpacked to")
        each.add_argument("--key", type=path, metavar="PEM", help="public key that the bundle must be signed with")


def _add_create(steps: Any) -> None:
    create = command(steps, "create", "write a bundle", CREATE)
    create.add_argument("pack", help="its name")
    create.add_argument("-o", "--output", type=path, metavar="FILE", help=".tar.zst or .tar (PACK.tar.zst)")
    create.add_argument("--wheels", action="store_true", help="with the server and all that it needs")
    create.add_argument("--python", metavar="3.N", help="version of Python on the machine it is for (this one's)")
    create.add_argument("--platform", help="kind of the machine it is for, as in manylinux_2_28_x86_64 (this one's)")
    create.add_argument(
        "--portable",
        action="store_true",
        help="compile llama.cpp for any processor (5 to 10 minutes, once), not for one like this machine's",
    )
    create.add_argument(
        "--wheel", type=path, action="append", default=[], metavar="FILE", help="add one built elsewhere"
    )
    create.add_argument(
        "--extra",
        action="append",
        default=[],
        choices=["cuda", "postgresql", "tracing"],
        help="with what this needs too",
    )
    create.add_argument("--sign", type=path, metavar="PEM", help="Ed25519 private key to sign the bundle with")
    offline_option(create)
    _settings(create)
    create.set_defaults(run=_create)


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=path, metavar="FILE", default=argparse.SUPPRESS, help="settings")
    parser.add_argument(
        "--models-dir", type=path, metavar="DIR", default=argparse.SUPPRESS, help="where packs are (models)"
    )


def _create(args: argparse.Namespace) -> int:
    from media_server.engines.packs import load_pack
    from media_server.packs.bundle import plan, write
    from media_server.packs.local import PackError, size_text
    from media_server.packs.signing import signer

    only_with_wheels = (args.python, args.platform, args.portable, args.wheel, args.extra)
    if any(only_with_wheels) and not args.wheels:
        raise PackError("--python, --platform, --portable, --wheel and --extra say which programs; they need --wheels.")
    chosen = settings(args)
    pack = load_pack(args.pack, chosen.models_dir)
    if args.wheels and chosen.forbids_fetching:
        raise PackError(
            "--wheels asks the Python registry, and nothing may be fetched (offline). --no-offline allows it."
        )
    output: Path = args.output or Path(f"{pack.manifest.name}.tar.zst")
    if not output.parent.is_dir():
        raise PackError(f"There is no folder {output.parent} to write the bundle to.")
    key = signer(args.sign) if args.sign else None
    with tempfile.TemporaryDirectory(prefix=".media-server-wheels-", dir=output.parent) as folder:
        wheels = _wheels(args, Path(folder)) if args.wheels else None
        print(f"Checking the pack {pack.manifest.name} in {pack.folder} …", flush=True)
        planned = plan(pack, output, wheels, Path(folder, "wheels") if wheels else None, key)
        print(f"{output} will have {size_text(planned.size)}: {counted(len(planned.parts), 'file')}.", flush=True)
        with _progress(planned.size) as progress:
            digest = write(planned, progress)
    print(f"{output} is complete. SHA-256: {digest}")
    if wheels and wheels.cpu and not args.portable:
        print(f"llama.cpp in it needs a processor with {', '.join(wheels.cpu)}, as here; --portable needs less.")
    if wheels:
        print(f"On a bare machine:  python3 {output.name}")
    print(f"Where the server is:  media-server models bundle install {output.name}")
    return 0


def _wheels(args: argparse.Namespace, folder: Path) -> Any:
    from media_server.packs.wheels import Target, gather, here

    machine = here()
    target = Target(args.python or machine.python, args.platform or machine.platform)
    compiled = " and compiling llama.cpp, if it is the first time" if args.portable else ""
    print(f"Fetching the programs for Python {target.python} on {target.platform}{compiled} …", flush=True)
    return gather(folder, target, extras=args.extra, given=args.wheel, portable=args.portable)


def _install(args: argparse.Namespace) -> int:
    from media_server.packs.installer import install_pack

    models_dir = settings(args).models_dir
    with _opened(args) as bundle, _progress(bundle.contents.size) as progress:
        placed = install_pack(bundle, models_dir, progress)
        name = bundle.contents.pack["name"]
    if not placed.new:
        print(f"{name} is in {placed.folder} already, all files as in the bundle. Nothing was changed.")
        return 0
    kept = f" ({counted(placed.kept, 'file was', 'files were')} there already)" if placed.kept else ""
    print(f"{name} is in {placed.folder}{kept}. Start with it: media-server serve --pack {name}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    with _opened(args) as bundle:
        with _progress(bundle.contents.size) as progress:
            bundle.check(progress)
        signature = "the signature is right" if args.key else "the signature was not checked (--key)"
        print(f"{args.bundle}: all files are right; {signature if bundle.signature else 'it is not signed'}.")
    return 0


def _show(args: argparse.Namespace) -> int:
    from media_server.packs.installer import describe

    with _opened(args) as bundle:
        print(describe(bundle.contents, bundle.signature is not None))
        if args.files:
            for name, entry in bundle.contents.files.items():
                print(f"  {entry.size:>13}  {entry.sha256}  {name}")
    return 0


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[Bundle]:
    """The bundle that is named, its errors as the command line prints them."""
    from media_server.packs.installer import Bundle, BundleError
    from media_server.packs.signing import verifier

    try:
        with Bundle(args.bundle, verifier(args.key) if args.key else None) as bundle:
            yield bundle
    except BundleError as e:
        raise MediaServerError("bad_bundle", str(e)) from e
    except OSError as e:
        raise MediaServerError("bad_bundle", f"{e.filename or args.bundle}: {e.strerror or e}.") from e


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def progress(name: str, count: int) -> None:
            bar.set_description(name[-40:], refresh=False)
            bar.update(count)

        yield progress
