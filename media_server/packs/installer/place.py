"""Putting the files of a bundle into place: checked first, renamed last, and nothing of the operator's touched.

Files are unpacked beside the place where they belong, so that the rename stays on one disk. What an interrupted
installation left there is used by the next one. Only the standard library is used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from .bundle import Bundle, Entry, Progress
from .errors import BundleError

__all__ = ["Placed", "install_pack", "missing_of", "put", "sentences", "staged", "unpack"]

CHUNK = 1 << 20
LAST = "pack.toml"
"""A folder that has it is a complete pack, so it is put into place after all others."""


class Placed:
    """What an installation did: where the pack is, and how many of its files were there before."""

    def __init__(self, folder: Path, new: int, kept: int) -> None:
        self.folder = folder
        self.new = new
        self.kept = kept


def install_pack(bundle: Bundle, models_dir: Path, progress: Progress | None = None) -> Placed:
    """Check the bundle and put its pack into `models_dir`.

    Files that are there already and right are kept; so is everything that the bundle does not name.

    Raises:
        BundleError: nothing was put into place.
    """
    with sentences(models_dir):
        folder = (models_dir / bundle.contents.pack["name"]).resolve()
        missing = missing_of(bundle, folder)
        if missing:
            with staged(bundle, folder.parent) as staging:
                prefix = f"pack/{bundle.contents.pack['name']}/"
                unpack(bundle, staging, [prefix + name for name in missing], progress)
                put(staging / prefix, folder, missing)
        return Placed(folder, len(missing), len(bundle.contents.pack_files) - len(missing))


def missing_of(bundle: Bundle, folder: Path) -> list[str]:
    """The pack's files that are not in `folder` yet, the manifest of the pack last.

    Raises:
        BundleError: there is another file in the place of one.
    """
    missing = []
    for name, entry in sorted(bundle.contents.pack_files.items(), key=lambda f: (f[0] == LAST, f[0])):
        path = folder / name
        for parent in path.relative_to(folder).parents:
            if (folder / parent).exists() and not (folder / parent).is_dir():
                raise BundleError(f"{folder / parent} is in the way: the bundle has a folder there.")
        if not os.path.lexists(path):
            missing.append(name)
        elif not _is(path, entry):
            raise BundleError(
                f"{path} is another file than the one in the bundle. Nothing was changed. Move {folder} away to have "
                "the bundle's, or install into another folder (--models-dir)."
            )
    return missing


@contextlib.contextmanager
def staged(bundle: Bundle, beside: Path) -> Iterator[Path]:
    """A folder for unpacking this bundle, the same each time; removed when the block ends without an error.

    Raises:
        BundleError: another process is changing this pack.
    """
    name = bundle.contents.pack["name"]
    beside.mkdir(parents=True, exist_ok=True)
    staging = beside / f".{name}.bundle-{bundle.id[:12]}"
    if staging.is_symlink():
        raise BundleError(f"{staging} is a symbolic link; it is refused.")
    # the lock that everything takes which changes this pack
    with (beside / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise BundleError(
                f"Another process is changing the pack {name!r} in {beside}; wait until it is done."
            ) from e
        staging.mkdir(exist_ok=True)
        yield staging
        shutil.rmtree(staging)


def unpack(bundle: Bundle, staging: Path, names: list[str], progress: Progress | None = None) -> None:
    """Write these files of the bundle below `staging`, and check all others too.

    A file under its own name there is complete: an earlier run checked it. It is read again all the same.
    """
    wanted = {name for name in names if not _is(staging / name, bundle.contents.files[name])}
    _check_space(staging, sum(bundle.contents.files[name].size for name in wanted))
    for name, content in bundle.files():
        if name in wanted:
            _write(staging / name, content, lambda n, name=name: progress and progress(name, n))  # type: ignore[misc]
        else:
            for chunk in content:
                if progress:
                    progress(name, len(chunk))


def put(staging: Path, folder: Path, names: list[str]) -> None:
    """Rename these files from `staging` into `folder`, the whole folder at once where there is none yet."""
    if not os.path.lexists(folder):
        staging.rename(folder)
        return
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(folder / name):
            raise BundleError(f"{folder / name} appeared during the installation; it was not replaced.")
        (staging / name).rename(folder / name)


def _write(path: Path, content: Iterator[bytes], written: Callable[[int], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as f:
        for chunk in content:
            f.write(chunk)
            written(len(chunk))
        f.flush()
        os.fsync(f.fileno())
    part.rename(path)  # only reached when the content's SHA-256 is right


def _is(path: Path, entry: Entry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() == entry.sha256


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BundleError(f"{needed / 1e6:.0f} MB are needed in {folder.parent}, and {free / 1e6:.0f} MB are free.")


@contextlib.contextmanager
def sentences(folder: Path) -> Iterator[None]:
    """Turn the system's errors into sentences."""
    try:
        yield
    except OSError as e:
        where = e.filename or folder
        match e.errno:
            case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
                reason = "the disk is full. Make room and run the same command again; what is there already is used"
            case errno.EROFS:
                reason = "the file system is read-only"
            case errno.EACCES | errno.EPERM:
                reason = "this user may not write there"
            case _:
                reason = e.strerror or str(e)
        raise BundleError(f"Cannot install into {folder}: {where}: {reason}.") from e
