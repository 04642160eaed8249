"""Check a bundle and install what is in it: a pack of models, the server and all that it needs.

  python3 box.tar.zst                 install into the folder media-server
  python3 install.py                  the same, where the bundle is unpacked
  python3 install.py box.tar.zst      the same, with an installer that was carried by itself

Everything is checked before the first file is put into place. Nothing that is there already is changed or deleted.
An installation that was interrupted is continued when the same command is run again. No network is used.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .bundle import Bundle, Contents, Progress, Verify
from .errors import BundleError
from .programs import examine, install_all

__all__ = ["describe", "main"]

SHOWN = 1_000_000
"""Bytes from which on a file is named while it is read."""


def main(beside: Path, argv: list[str] | None = None) -> None:
    """Run the installer.

    Args:
        beside: the bundle that this installer came with: the archive, or the folder it was unpacked to.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=beside, help="a bundle, or a folder with an unpacked one"
    )
    parser.add_argument("--to", type=Path, default=Path("media-server"), help="where to install (%(default)s)")
    parser.add_argument("--key", type=Path, help="PEM file with the public key that the bundle must be signed with")
    parser.add_argument("--show", action="store_true", help="say what is in the bundle, and do nothing")
    parser.add_argument("--verify", action="store_true", help="check every file of the bundle, and do nothing else")
    args = parser.parse_args(argv)
    try:
        with Bundle(args.bundle, _openssl(args.key) if args.key else None) as bundle:
            print(describe(bundle.contents, bundle.signature is not None), flush=True)
            if args.show:
                return
            if args.verify:
                bundle.check(_print_names(bundle.contents))
                print("All files are right.")
                return
            to: Path = args.to.resolve()
            placed = install_all(bundle, to, _print_names(bundle.contents))
            print(f"\n{bundle.contents.pack['name']} is in {placed.folder}. Examining this machine:", flush=True)
            status = examine(to, bundle.contents.pack["name"])
        print(f"\nStart it:  cd {to} && .venv/bin/media-server serve --pack {bundle.contents.pack['name']}")
        sys.exit(status)
    except BundleError as e:
        sys.exit(f"install: {e}")
    except OSError as e:
        sys.exit(f"install: {e.filename or ''}: {e.strerror or e}")
    except KeyboardInterrupt:
        sys.exit("\nStopped; run it again to continue.")


def describe(contents: Contents, signed: bool) -> str:
    """What is in a bundle, in a few lines."""
    pack, wheels = contents.pack, contents.wheels
    models = sum(f.size for f in contents.pack_files.values())
    lines = [
        f"Pack {pack['name']}, revision {pack['revision']}: {pack['description']}",
        f"  models    {models / 1e6:.1f} MB in {len(contents.pack_files)} files; licence: {pack['licence']}",
    ]
    if wheels:
        programs = contents.under("wheels/")
        size = sum(f.size for f in programs.values())
        lines.append(
            f"  programs  {size / 1e6:.1f} MB in {len(programs)} wheels: media-server {wheels.version} for "
            f"Python {wheels.python} on {wheels.platform}"
        )
    else:
        lines.append("  programs  none: for a machine that has the server")
    lines.append("  signed" if signed else "  not signed")
    return "\n".join(lines)


def _print_names(contents: Contents) -> Progress:
    """Say which of the larger files is being read."""
    shown: list[str] = []

    def progress(name: str, _: int) -> None:
        if shown[-1:] != [name] and contents.files[name].size >= SHOWN:
            shown.append(name)
            print(f"  {name}", flush=True)

    return progress


def _openssl(key: Path) -> Verify:
    """Check signatures with the OpenSSL of this machine: Python's standard library has no Ed25519."""
    program = shutil.which("openssl")
    if program is None:
        raise BundleError("There is no openssl here to check the signature with. Install it, or leave --key out.")
    if not key.is_file():
        raise BundleError(f"There is no key {key}.")

    def verify(message: bytes, signature: bytes) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            told, signed = Path(folder, "message"), Path(folder, "signature")
            told.write_bytes(message)
            signed.write_bytes(signature)
            command = [program, "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin"]
            command += ["-in", str(told), "-sigfile", str(signed)]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

    return verify
