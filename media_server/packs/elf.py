"""What the compiled parts of a wheel need of a system: the version of its C library, and other libraries."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

__all__ = ["glibc_of", "needed_by"]

OLD = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
OF_GLIBC = re.compile(r"(lib(c|m|dl|rt|pthread|util|gcc_s)|ld-linux.*)\.so.*")
"""Libraries that every Linux with glibc has."""
LOAD, DYNAMIC = 1, 2
"""Kinds of program headers."""
NEEDED, STRTAB = 1, 5
"""Tags of dynamic entries."""


def glibc_of(wheel: Path) -> tuple[int, int]:
    """The oldest version of glibc that a wheel runs with: by its name, or by what is in it; (0, 0) for any."""
    tags = wheel.stem.rsplit("-", 1)[1].split(".")
    named = [(int(m[1]), int(m[2])) for tag in tags if (m := re.match(r"manylinux_(\d+)_(\d+)_", tag))]
    named += [version for tag in tags for old, version in OLD.items() if tag.startswith(f"{old}_")]
    if named:
        return min(named)
    found = {(0, 0)}
    for data in _libraries(wheel).values():
        found |= {(int(m[1]), int(m[2])) for m in re.finditer(rb"\0GLIBC_(\d+)\.(\d+)[.\0]", data)}
    return max(found)


def needed_by(wheel: Path) -> frozenset[str]:
    """The shared libraries that the ones in a wheel need and neither it nor glibc has."""
    libraries = _libraries(wheel)
    inside = {name.rsplit("/", 1)[1] for name in libraries}
    needed = {library for data in libraries.values() for library in _needed(data)}
    return frozenset(name for name in needed - inside if not OF_GLIBC.fullmatch(name))


def _libraries(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as z:
        names = [n for n in z.namelist() if re.search(r"/[^/]*\.so(\.[0-9.]+)?$", n)]
        return {name: z.read(name) for name in names}


def _needed(data: bytes) -> list[str]:
    """DT_NEEDED of a shared object (ELF, 64 bits, little-endian; System V ABI, chapter 5)."""
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    loaded = [(address, at, length) for kind, _, at, address, _, length in headers if kind == LOAD]
    entries: list[tuple[int, int]] = []
    for kind, _, at, _, _, length in headers:
        if kind == DYNAMIC:
            entries += struct.iter_unpack("<qQ", data[at : at + length])
    table = next((value for tag, value in entries if tag == STRTAB), None)
    start = next((at + table - a for a, at, length in loaded if table is not None and a <= table < a + length), None)
    if start is None:
        return []
    return [data[start + v : data.index(b"\0", start + v)].decode() for tag, v in entries if tag == NEEDED]
