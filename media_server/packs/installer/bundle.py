"""A bundle and its manifest: reading one, and checking every byte of it.

Only the standard library is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archive import Member, check_name, from_archive, from_folder
from .errors import BundleError

__all__ = ["MANIFEST", "SIGNATURE", "Bundle", "Contents", "Entry", "Progress", "Verify", "Wheels", "read_contents"]

FORMAT = 1
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
MANIFEST_LIMIT = 16 << 20
SIGNATURE_LENGTH = 64
CHUNK = 1 << 20
PACK_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Progress = Callable[[str, int], None]
"""Called with the name of a file and the number of its bytes that were read since the last call."""
Verify = Callable[[bytes, bytes], bool]
"""Whether the second argument is the signature of the first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a bundle."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Wheels:
    """The programs in a bundle, and what a machine needs to run them."""

    version: str
    """Version of the server."""
    python: str
    """Major and minor version, as in `3.11`."""
    platform: str
    """The platform as in `manylinux_2_28_x86_64`."""
    glibc: str
    """Oldest version that will do, as in `2.28`."""
    cpu: tuple[str, ...]
    """Features of the processor, by the names that Linux gives them."""
    libraries: tuple[str, ...]
    """Shared libraries that the system has to have."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The manifest of a bundle."""

    pack: dict[str, str]
    """`name`, `revision`, `description` and `licence`."""
    wheels: Wheels | None
    runner: Entry | None
    """The copy of the installer behind the archive."""
    files: dict[str, Entry]

    @property
    def size(self) -> int:
        return sum(f.size for f in self.files.values())

    def under(self, folder: str) -> dict[str, Entry]:
        """The files of a folder, by their path in it."""
        return {name.removeprefix(folder): f for name, f in self.files.items() if name.startswith(folder)}

    @property
    def pack_files(self) -> dict[str, Entry]:
        return self.under(f"pack/{self.pack['name']}/")


def read_contents(text: bytes) -> Contents:
    """Parse a manifest. Every name in it is safe to use as a path below a folder."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise BundleError(f"This bundle has format {data['format']!r}; this installer reads format {FORMAT} only.")
        pack = {key: _text(data["pack"][key]) for key in ("name", "revision", "description", "licence")}
        runner = _entry(data["runner"]) if data.get("runner") else None
        wheels = _wheels(data["wheels"]) if data.get("wheels") else None
        files: dict[str, Entry] = {}
        for each in data["files"]:
            name = each["path"]
            check_name(name)
            if name in files:
                raise BundleError(f"The manifest names {name} twice.")
            files[name] = _entry(each)
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise BundleError(f"{MANIFEST} is not a bundle's manifest, or it is damaged.") from e
    if not PACK_NAME.fullmatch(pack["name"]):
        raise BundleError(f"The manifest gives the pack the name {pack['name']!r}, which no pack can have.")
    folders = {"/".join(parts[:i]) for parts in (name.split("/") for name in files) for i in range(1, len(parts))}
    for name in files:
        if name in folders or name in (MANIFEST, SIGNATURE):
            raise BundleError(f"The manifest names {name}, which cannot be a file there.")
        inside = name.startswith((f"pack/{pack['name']}/", "wheels/", "licences/", "installer/"))
        if not inside and name not in ("README.txt", "LICENCES.txt", "install.py"):
            raise BundleError(f"The manifest names {name}, which has no place in a bundle.")
    contents = Contents(pack, wheels, runner, files)
    if "pack.toml" not in contents.pack_files:
        raise BundleError(f"The manifest does not name pack/{pack['name']}/pack.toml.")
    return contents


def _text(value: Any) -> str:
    # what is printed on somebody's terminal must not steer it
    if not isinstance(value, str) or not value.isprintable() or len(value) > 4000:
        raise ValueError("text")
    return value


def _wheels(data: dict[str, Any]) -> Wheels:
    named = {key: _text(data[key]) for key in ("version", "python", "platform", "glibc")}
    libraries, cpu = tuple(map(_text, data["libraries"])), tuple(map(_text, data["cpu"]))
    if not all(re.fullmatch(r"lib[A-Za-z0-9_+-]+\.so(\.[0-9]+)*", library) for library in libraries):
        raise ValueError("libraries")
    if not re.fullmatch(r"3\.[0-9]+", named["python"]) or not re.fullmatch(r"([0-9]+\.[0-9]+)?", named["glibc"]):
        raise ValueError("versions")
    return Wheels(**named, cpu=cpu, libraries=libraries)


def _entry(data: Any) -> Entry:
    size, sha256 = data["size"], data["sha256"]
    if type(size) is not int or not 0 <= size < 1 << 50 or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("size or SHA-256")
    return Entry(size, sha256)


class Bundle:
    """A bundle: an archive, or the folder that one was unpacked to. Read it once, from its beginning to its end."""

    def __init__(self, path: Path, verify: Verify | None = None) -> None:
        """Open it and read its manifest.

        Args:
            verify: checks the signature; without it a signature is not looked at.
        """
        self.path = path
        if not path.exists():
            raise BundleError(f"There is no bundle {path}.")
        self._members = _unpacked(path) if path.is_dir() else from_archive(path)
        name, size, read = next(self._members)
        if name != MANIFEST:
            raise BundleError(f"{path} is not a bundle: {MANIFEST} is not the first file in it.")
        if size > MANIFEST_LIMIT:
            raise BundleError(f"{MANIFEST} has {size} bytes, more than a bundle's manifest can have.")
        self.manifest = read(size)
        self.contents = read_contents(self.manifest)
        self.signature: bytes | None = None
        self._ahead = next(self._members, None)
        if self._ahead and self._ahead[0] == SIGNATURE:
            _, size, read = self._ahead
            if size != SIGNATURE_LENGTH:
                raise BundleError(f"{SIGNATURE} is not an Ed25519 signature.")
            self.signature = read(size)
            self._ahead = next(self._members, None)
        if verify and self.signature is None:
            raise BundleError(f"{path} is not signed, so it cannot be checked with a key.")
        if verify and self.signature and not verify(self.manifest, self.signature):
            raise BundleError(f"The signature of {path} was not made with this key, or {MANIFEST} was changed.")

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self._members.close()

    @property
    def id(self) -> str:
        """SHA-256 of the manifest, which stands for all that is in the bundle."""
        return hashlib.sha256(self.manifest).hexdigest()

    def files(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Every file with its content, checked while it is read: each content has to be read to its end."""
        seen: set[str] = set()
        while self._ahead:
            name, size, read = self._ahead
            if name == "":  # the end of the archive, and what is behind it
                self._check_runner(read(size))
                break
            entry = self.contents.files.get(name)
            if name in seen or name in (MANIFEST, SIGNATURE):
                raise BundleError(f"{self.path} has {name} twice; it is refused.")
            if entry is None:
                raise BundleError(f"{self.path} has {name}, which its manifest does not name; it is refused.")
            if size != entry.size:
                raise BundleError(f"{name} has {size} bytes in {self.path}, not {entry.size}: it is damaged.")
            seen.add(name)
            yield name, self._content(name, entry, read)
            self._ahead = next(self._members, None)
        if missing := [name for name in self.contents.files if name not in seen]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise BundleError(f"{self.path} is incomplete: {', '.join(missing[:3])}{more} missing.")

    def check(self, progress: Progress | None = None) -> None:
        """Read everything, and raise `BundleError` for what is not as the manifest says."""
        for name, content in self.files():
            for chunk in content:
                if progress:
                    progress(name, len(chunk))

    def _content(self, name: str, entry: Entry, read: Callable[[int], bytes]) -> Iterator[bytes]:
        digest, left = hashlib.sha256(), entry.size
        while left:
            chunk = read(min(CHUNK, left))
            left -= len(chunk)
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != entry.sha256:
            raise BundleError(f"{name} in {self.path} is damaged: its SHA-256 is not the one in the manifest.")

    def _check_runner(self, tail: bytes) -> None:
        expected = self.contents.runner
        if tail and (expected is None or hashlib.sha256(tail).hexdigest() != expected.sha256):
            raise BundleError(f"What stands behind the end of {self.path} is not what the manifest names.")


def _unpacked(folder: Path) -> Generator[Member, None, None]:
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"{folder} is not an unpacked bundle: there is no {MANIFEST} in it.")
    yield from_folder(folder, MANIFEST)
    if os.path.lexists(folder / SIGNATURE):
        yield from_folder(folder, SIGNATURE)
    for name in read_contents((folder / MANIFEST).read_bytes()).files:
        if os.path.lexists(folder / name):
            yield from_folder(folder, name)
