"""Packs on this machine: finding and removing them, and putting a new one in place all at once."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from media_server.engines.packs import Pack, read_manifest
from media_server.errors import MediaServerError
from media_server.paths import BUNDLED_MODELS

__all__ = [
    "PackError",
    "Staging",
    "check_name",
    "check_space",
    "disk_trouble",
    "local_packs",
    "place",
    "removable",
    "remove_pack",
    "sha256_of",
    "size_text",
    "staging",
]

SPARE = 64 << 20
"""Bytes that stay free on the disk."""


class PackError(MediaServerError):
    """A pack could not be changed; the message says why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("pack", message)


def local_packs(models_dir: Path) -> dict[str, Path]:
    """The folders of the packs in `models_dir`, and of those that came with this package, by name."""
    folders = [p.parent for root in (BUNDLED_MODELS, models_dir) for p in sorted(root.glob("*/pack.toml"))]
    return {f.name: f for f in folders if not f.name.startswith(".")}


def removable(name: str, models_dir: Path) -> Path:
    """The folder of a pack that may be deleted.

    Raises:
        PackError: there is none, or it came with this package.
    """
    folder = models_dir / name
    if name not in local_packs(models_dir) or not _is_name(name):
        raise PackError(f"There is no pack {name!r} in {models_dir.resolve()}; media-server models list shows all.")
    starter = BUNDLED_MODELS / "starter"
    if name == starter.name and (not folder.exists() or folder.samefile(starter)):
        raise PackError("The pack 'starter' came with this package, which needs it; it stays.")
    if not folder.exists():
        raise PackError(f"The pack {name!r} is not in {models_dir.resolve()} but in {local_packs(models_dir)[name]}.")
    return folder


def remove_pack(name: str, models_dir: Path) -> int:
    """Delete a pack in `models_dir`. Returns the bytes of its files.

    Raises:
        PackError: as `removable`.
    """
    folder = removable(name, models_dir)
    with locked(models_dir, name):
        if folder.is_symlink():
            folder.unlink()
            return 0
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        # a folder that is only half deleted is no pack any more
        (folder / "pack.toml").unlink()
        shutil.rmtree(folder)
        return size


class Staging:
    """A folder beside a pack's own in which its next version is put together.

    Attributes:
        folder: where files are put, at the paths of the manifest. What an earlier try left is still there.
        current: the folder of the pack as it is now, which may not exist.
    """

    def __init__(self, models_dir: Path, name: str) -> None:
        self.current = models_dir / name
        self.folder = models_dir / f".{name}.incoming"
        self._outgoing = models_dir / f".{name}.outgoing"

    def has(self, path: str, size: int, sha256: str) -> bool:
        """Whether a file is in place. One that the current version has is taken from there."""
        to = self.folder / path
        for at in (to, self.current / path):
            if at.is_file() and at.stat().st_size == size and sha256_of(at) == sha256:
                if at is not to:
                    place(at, to)
                return True
        return False

    def commit(self, manifest: str) -> Path:
        """Make what is in the folder the pack; the version before it is deleted. Returns the pack's folder.

        Raises:
            PackError: a file of the manifest is missing or has another size; nothing has changed.
        """
        pack = Pack(self.folder, read_manifest(manifest, "the new manifest"))
        wanted = {file.path: file.size for file in pack.manifest.files}
        for path, size in wanted.items():
            at = self.folder / path
            if not at.is_file() or at.stat().st_size != size:
                raise PackError(f"{path} is missing or not complete; the pack stays as it was.")
        for left in [p for p in self.folder.rglob("*") if p.is_file()]:
            if left.relative_to(self.folder).as_posix() not in wanted:
                left.unlink()
        _write(self.folder / "pack.toml", manifest)
        self._outgoing_is_gone()
        if self.current.exists() or self.current.is_symlink():
            self.current.rename(self._outgoing)
        self.folder.rename(self.current)
        self._outgoing_is_gone()
        return self.current

    def recover(self) -> None:
        """Mend what a stop in the middle of `commit` left."""
        if self._outgoing.exists() and not self.current.exists():
            self._outgoing.rename(self.current)
        self._outgoing_is_gone()

    def _outgoing_is_gone(self) -> None:
        if self._outgoing.is_symlink():
            self._outgoing.unlink()
        elif self._outgoing.exists():
            shutil.rmtree(self._outgoing)


@contextmanager
def staging(models_dir: Path, name: str) -> Iterator[Staging]:
    """The place where the next version of a pack is put together; one process at a time.

    Raises:
        PackError: another process is at it, or the disk is full, or nothing can be written there.
    """
    check_name(name)
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        if (models_dir / name).is_file():
            raise PackError(f"{models_dir / name} is a file, in whose place the pack would be. Move it away.")
        with locked(models_dir, name):
            place = Staging(models_dir, name)
            place.recover()
            place.folder.mkdir(exist_ok=True)
            try:
                yield place
            finally:
                if place.folder.is_dir() and not any(p.is_file() for p in place.folder.rglob("*")):
                    shutil.rmtree(place.folder)
    except OSError as e:
        raise PackError(disk_trouble(e, models_dir)) from e


@contextmanager
def locked(models_dir: Path, name: str) -> Iterator[None]:
    """Be the only process that changes a pack.

    Raises:
        PackError: another one is at it.
    """
    with (models_dir / f".{name}.lock").open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PackError(f"Another process is changing the pack {name!r}; wait until it is done.") from None
        yield


def place(source: Path, to: Path) -> None:
    """Put a file at another path too: as a hard link, or as a copy where that cannot be."""
    to.parent.mkdir(parents=True, exist_ok=True)
    to.unlink(missing_ok=True)
    real = source.resolve()
    try:
        os.link(real, to)
    except OSError:
        beginning = to.with_name(to.name + ".copy")
        shutil.copyfile(real, beginning)
        beginning.replace(to)


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raise `PackError` if the disk of `folder` has not enough room for `needed` more bytes."""
    at = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    free = shutil.disk_usage(at).free
    if needed + SPARE > free:
        raise PackError(
            f"{what} needs {size_text(needed)} more on the disk of {folder.resolve()}, which has {size_text(free)} "
            "free. Make room, or choose another disk with --models-dir."
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def size_text(size: float) -> str:
    """A number of bytes as people read it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.{2 if unit == 'GB' else 1}f} {unit}"
    return f"{size:.0f} bytes"


def check_name(name: str) -> None:
    """Raise `PackError` if a pack cannot be called this."""
    if not _is_name(name):
        raise PackError(f"{name!r} cannot be the name of a pack: letters, digits, - and _ only, 64 at most.")
    if name == "starter":
        raise PackError("The pack 'starter' comes with this package; choose another --name.")


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())


def disk_trouble(error: OSError, path: Path) -> str:
    """A sentence for what went wrong when `path` was written."""
    at = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full: {at} could not be written. What was there before is as it was. "
            "Make room, then run it again: it goes on from there."
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        right = "file" if error.errno == errno.EISDIR else "folder"
        return f"{at} is in the way: a {right} belongs there. Move it away."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{at} cannot be written ({error.strerror}). Choose another folder with --models-dir."
    return f"{at}: {error.strerror or error}."
