"""The files of a bundle, one after the other: out of a tar, plain or in Zstandard's frames, or out of a folder.

Everything here is written for archives that come from a stranger. Only the standard library is used.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any

from .errors import BundleError

__all__ = ["Member", "check_name", "from_archive", "from_folder"]

TAIL_LIMIT = 1 << 20
"""Maximum bytes behind the end of the tar: padding, and the copy of the installer that makes a bundle runnable."""
HEADER_LIMIT = 1 << 16
BLOCK = 512
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!~ -]*(/[A-Za-z0-9_][A-Za-z0-9_.+!~ -]*)*")
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a named pipe"}


def check_name(name: Any) -> None:
    """Raise `BundleError` for a name that could leave the folder that it is unpacked in."""
    if not isinstance(name, str) or len(name) > 250 or not NAME.fullmatch(name):
        shown = repr(name)[:120]
        if isinstance(name, str) and name.startswith(("/", "\\")):
            raise BundleError(f"The bundle has a file with an absolute path, {shown}; it is refused.")
        if isinstance(name, str) and ".." in name.split("/"):
            raise BundleError(f"The bundle has a file that would leave its folder, {shown}; it is refused.")
        raise BundleError(f"The bundle has a file with a name that is not allowed, {shown}; it is refused.")


Member = tuple[str, int, Callable[[int], bytes]]
"""Name, size, and a function that reads exactly that many of the next bytes. The last one has no name."""


def from_folder(folder: Path, name: str) -> Member:
    """A file of a bundle that was unpacked."""
    path = folder / name
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path} is not a regular file; it is refused.")
    file = path.open("rb")

    def read(n: int) -> bytes:
        data = file.read(n)
        if len(data) < n:
            raise BundleError(f"{path} ends before its time.")
        if file.tell() == status.st_size:
            file.close()
        return data

    return name, status.st_size, read


def from_archive(path: Path) -> Generator[Member, None, None]:
    """The files of a tar. Anything in it that is no regular file is refused, except folders, which are ignored."""
    with contextlib.closing(_Stream(path)) as stream:
        yield from _members(path, stream)


def _members(path: Path, stream: _Stream) -> Generator[Member, None, None]:
    long_name = ""
    long_size = -1
    while True:
        header = stream.exactly(BLOCK, "a header")
        if not header.strip(b"\0"):
            yield "", 0, lambda _: stream.rest()
            return
        stored = int(header[148:156].strip(b" \0") or b"0", 8) if _octal(header[148:156]) else -1
        if stored != sum(header[:148]) + 256 + sum(header[156:]):
            where = f"is damaged behind {stream.where}" if stream.where else "is not a bundle, or it is damaged"
            raise BundleError(f"{path} {where}: there is no valid header. Copy it again.")
        size = _tar_size(header[124:136], path)
        kind = header[156:157]
        name = long_name or _tar_name(header)
        if kind in (b"x", b"L"):
            if size > HEADER_LIMIT:
                raise BundleError(f"{path} has a header of {size} bytes, more than a bundle needs; it is refused.")
            data = stream.padded(size, "a header")
            long_name, long_size = (data.rstrip(b"\0").decode(errors="replace"), -1) if kind == b"L" else _pax(data)
            continue
        size = long_size if long_size >= 0 else size
        long_name, long_size = "", -1
        if kind == b"5" and size == 0:
            continue
        check_name(name)
        if kind not in (b"0", b"\0"):
            what = KINDS.get(kind, "something else than a file")
            raise BundleError(f"The bundle has {what} in it, {name!r}; it is refused.")
        stream.where = name
        end = stream.position + size
        yield name, size, lambda n, name=name: stream.exactly(n, name)  # type: ignore[misc]
        if stream.position != end:
            stream.exactly(end - stream.position, name)
        stream.exactly(-size % BLOCK, name)


def _octal(field: bytes) -> bool:
    return re.fullmatch(rb"[ ]*[0-7]*[ \0]*", field) is not None


def _tar_size(field: bytes, path: Path) -> int:
    if field[0] == 0x80:  # base 256, for sizes from 8 GiB on
        return int.from_bytes(field[1:], "big")
    if not _octal(field):
        raise BundleError(f"{path} is damaged: a tar header has no valid size.")
    return int(field.strip(b" \0") or b"0", 8)


def _tar_name(header: bytes) -> str:
    name, prefix = (part.split(b"\0", 1)[0].decode(errors="replace") for part in (header[:100], header[345:500]))
    is_posix = header[257:263] == b"ustar\0"
    return (f"{prefix}/{name}" if prefix and is_posix else name).removeprefix("./")


def _pax(data: bytes) -> tuple[str, int]:
    """Name and size out of an extended header, where it has them."""
    name, size = "", -1
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or not len(length) + 3 <= int(length) <= len(data):
            raise BundleError("The bundle has an extended header that is not valid; it is refused.")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            name = value.decode(errors="replace")
        elif key == b"size" and value.isdigit() and len(value) < 20:
            size = int(value)
        data = data[int(length) :]
    return name, size


class _Stream:
    """The bytes of a tar, out of the file or out of Zstandard's frames."""

    def __init__(self, path: Path) -> None:
        self.position = 0
        self.where = ""
        """Name of the last file."""
        self._path = path
        self._file: IO[bytes] = path.open("rb")
        self._left = 0
        """Bytes left of the stored block under way."""
        self._last = False
        self._tail = b""
        self._process: subprocess.Popen[bytes] | None = None
        magic = self._file.read(4)
        self._file.seek(0)
        self._stored = magic == ZSTD and _is_stored(self._file)
        if self._stored:
            _skip_frame_header(self._file)
        elif magic == ZSTD:
            self._file.close()
            self._file, self._process = _decompressor(path)
        elif magic[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7", b"PK"):
            raise BundleError(f"{path} is no bundle: bundles are .tar or .tar.zst files.")

    def close(self) -> None:
        self._file.close()
        if self._process:
            self._process.kill()
            self._process.wait()

    def read(self, n: int) -> bytes:
        """Read at most `n` bytes; none at the end."""
        if self._stored:
            while not self._left:
                if self._last:
                    self._tail = self._tail or _skippable(self._file)
                    return b""
                header = self._file.read(3)
                if len(header) < 3:
                    return b""
                value = int.from_bytes(header, "little")
                self._last, self._left = bool(value & 1), value >> 3
            n = min(n, self._left)
        data = self._file.read(n)
        if self._stored:
            self._left -= len(data)
        self.position += len(data)
        return data

    def exactly(self, n: int, name: str) -> bytes:
        parts: list[bytes] = []
        while n:
            part = self.read(n)
            if not part:
                raise BundleError(
                    f"{self._path} ends in the middle of {name}: it is truncated or damaged. Copy it again."
                )
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def padded(self, size: int, name: str) -> bytes:
        return self.exactly(size + -size % BLOCK, name)[:size]

    def rest(self) -> bytes:
        """What stands behind the end of the tar, without padding."""
        out = b""
        while part := self.read(TAIL_LIMIT):
            out += part
            if len(out) > TAIL_LIMIT:
                raise BundleError(f"{self._path} goes on behind its end; it is refused.")
        return out.lstrip(b"\0") + self._tail


def _skip_frame_header(f: IO[bytes]) -> None:
    f.seek(4)
    descriptor = f.read(1)[0]
    single = descriptor >> 5 & 1
    sizes = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    f.seek((0, 1, 2, 4)[descriptor & 3] + sizes + (not single), os.SEEK_CUR)


def _is_stored(f: IO[bytes]) -> bool:
    """Whether the first frame of Zstandard has stored blocks only, which this installer reads by itself."""
    length = f.seek(0, os.SEEK_END)
    f.seek(4)
    if length < 9 or f.read(1)[0] & 0x0C:  # a checksum, or a reserved bit: not written by `bundle create`
        return False
    _skip_frame_header(f)
    while len(header := f.read(3)) == 3:
        value = int.from_bytes(header, "little")
        if value >> 1 & 3:
            f.seek(0)
            return False
        f.seek(value >> 3, os.SEEK_CUR)
        if value & 1:
            break
    f.seek(0)
    return True


def _skippable(f: IO[bytes]) -> bytes:
    """The content of the skippable frame that ends the file."""
    header = f.read(8)
    if not header:
        return b""
    size = int.from_bytes(header[4:], "little")
    if int.from_bytes(header[:4], "little") not in ZSTD_SKIPPABLE or size > TAIL_LIMIT:
        raise BundleError("The bundle goes on behind its end; it is refused.")
    return f.read(size) + f.read(1)  # a byte too many, if there is one, makes it another content


def _decompressor(path: Path) -> tuple[IO[bytes], subprocess.Popen[bytes]]:
    """Reads archives that were compressed again by another program."""
    program = shutil.which("zstd")
    if program is None:
        raise BundleError(
            f"{path} was compressed again by another program, or it is damaged; there is no zstd here to tell. "
            f"Run `zstd -d {path.name}` where there is one, and carry the .tar file."
        )
    process = subprocess.Popen([program, "-dcq", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    return process.stdout, process
