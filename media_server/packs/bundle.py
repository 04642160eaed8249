"""Making a bundle: one archive with a pack, and if wanted the programs, for a machine without a network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from media_server.engines.packs import Pack, problems_of
from media_server.packs import installer
from media_server.packs.installer import MANIFEST, SIGNATURE, Progress, Wheels
from media_server.packs.licences import documents_of, licence_files, licence_text
from media_server.packs.local import PackError, check_space, sha256_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Plan", "plan", "write"]

SUFFIXES = (".tar.zst", ".tar")
STORED = 1 << 17
"""Bytes of a stored block; Zstandard's largest."""
FRAME = b"\x28\xb5\x2f\xfd" + bytes([0x00, 0x38])
"""Magic number and header of a frame with a window of 128 KiB (RFC 8878, section 3.1.1)."""
SKIPPABLE = 0x184D2A50
CHUNK = 1 << 20

README = """\
{title}

{description}
Licence of the models: {licence}

On a machine that has the server:

    media-server models bundle install {file}
    media-server serve --pack {name}
{programs}
Every file is named in manifest.json with its size and SHA-256, and is checked before anything is put into place.
Licences are in LICENCES.txt.
"""
PROGRAMS = """\

On a machine with nothing but Linux ({platform}, glibc {glibc} or newer) and Python {python}:

    python3 {file}                         # the file itself is a program
    cd media-server && .venv/bin/media-server serve --pack {name}

or, where this file lies beside the other files of the unpacked bundle:

    python3 install.py

Neither uses a network. Besides Python these libraries of the system are needed, which nearly every system has:
{libraries}.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a bundle under way: on the disk, or made for it."""

    path: str
    source: Path | bytes
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle that is ready to be written."""

    output: Path
    parts: tuple[Part, ...]
    runner: bytes
    """The installer as a program, which stands behind the archive."""

    @property
    def size(self) -> int:
        """Bytes of the archive; a little more in Zstandard's frames."""
        padded = sum(tarfile.BLOCKSIZE + p.size + -p.size % tarfile.BLOCKSIZE for p in self.parts)
        size = padded + 2 * tarfile.BLOCKSIZE + len(self.runner)
        return size + (3 * (size // STORED + 1) + 14 if self.output.name.endswith(".zst") else 0)


def plan(
    pack: Pack,
    output: Path,
    wheels: Wheels | None = None,
    folder: Path | None = None,
    key: Ed25519PrivateKey | None = None,
) -> Plan:
    """Check the pack and settle what goes into the bundle.

    Args:
        wheels, folder: the programs, and the folder that they are in.
        key: to sign it with.

    Raises:
        PackError: the pack is damaged, or the output cannot be there.
    """
    if not output.name.endswith(SUFFIXES) or output.name in SUFFIXES:
        raise PackError(f"{output} has to end in .tar.zst or .tar.")
    if output.exists():
        raise PackError(f"{output} is there already. Move it away, or choose another name with -o.")
    if problems := problems_of(pack):
        raise PackError(f"The pack in {pack.folder} is damaged: {'; '.join(problems)}.")
    manifest = pack.manifest
    programs = sorted(folder.glob("*.whl")) if folder else []
    names = sorted([*(f.path for f in manifest.files), *documents_of(pack)])
    texts = {
        "README.txt": _readme(pack, output.name, wheels).encode(),
        "LICENCES.txt": licence_text(pack, programs).encode(),
        "install.py": installer_files()["__main__.py"],
        **{name: text for name, text in installer_files().items() if name != "__main__.py"},
        **{f"licences/{name}": text for name, text in sorted(licence_files(programs).items())},
    }
    parts = [Part(n, t, len(t), hashlib.sha256(t).hexdigest()) for n, t in texts.items()]
    parts += [_part(f"wheels/{w.name}", w) for w in programs]
    # last in the archive as on the disk: a folder that has it is a complete pack
    parts += [_part(f"pack/{manifest.name}/{name}", pack.folder / name) for name in [*names, "pack.toml"]]
    runner = _runner()
    told = {
        "format": 1,
        "pack": {key: getattr(manifest, key) for key in ("name", "revision", "description", "licence")},
        "wheels": wheels and {name: getattr(wheels, name) for name in Wheels.__slots__},
        "runner": {"size": len(runner), "sha256": hashlib.sha256(runner).hexdigest()},
        "files": [{"path": p.path, "size": p.size, "sha256": p.sha256} for p in parts],
    }
    text = json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n"
    installer.read_contents(text)  # what cannot be installed must not be carried anywhere
    first = [Part(MANIFEST, text, len(text), hashlib.sha256(text).hexdigest())]
    if key:
        signature = key.sign(text)
        first.append(Part(SIGNATURE, signature, len(signature), hashlib.sha256(signature).hexdigest()))
    return Plan(output, (*first, *parts), runner)


def write(planned: Plan, progress: Progress | None = None) -> str:
    """Write the bundle: under another name, renamed when it is complete. Returns the SHA-256 of the file.

    Raises:
        PackError: it could not be written; nothing is left of it.
    """
    check_space(planned.output.parent, planned.size, f"The bundle {planned.output.name}")
    with _new_file(planned.output) as file:
        out = _Zstandard(file) if planned.output.name.endswith(".zst") else _Plain(file)
        for part in planned.parts:
            out.write(_header(part))
            digest = hashlib.sha256()
            for chunk in _chunks(part):
                digest.update(chunk)
                out.write(chunk)
                if progress:
                    progress(part.path, len(chunk))
            if digest.hexdigest() != part.sha256:
                raise PackError(f"{part.path} was changed while the bundle was being written; it was given up.")
            out.write(bytes(-part.size % tarfile.BLOCKSIZE))
        out.write(bytes(2 * tarfile.BLOCKSIZE))
        out.end(planned.runner)
    return sha256_of(planned.output)


def installer_files() -> dict[str, bytes]:
    """The installer's modules as they stand in a bundle; `__main__.py` starts it."""
    folder = Path(installer.__file__).parent
    modules = {f"installer/{p.name}": p.read_bytes() for p in sorted(folder.glob("*.py"))}
    return {"__main__.py": modules.pop("installer/install.py"), **modules}


def _runner() -> bytes:
    """The installer as a zip, which Python runs wherever it ends a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as z:
        for name, text in installer_files().items():
            z.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def _readme(pack: Pack, file: str, wheels: Wheels | None) -> str:
    name = pack.manifest.name
    title = f"Models for media-server: the pack {name}, revision {pack.manifest.revision}"
    programs = ""
    if wheels:
        values = {"platform": wheels.platform, "glibc": wheels.glibc, "python": wheels.python}
        programs = PROGRAMS.format(file=file, name=name, libraries=", ".join(wheels.libraries), **values)
    described = {"description": pack.manifest.description, "licence": pack.manifest.licence}
    return README.format(title=f"{title}\n{'=' * len(title)}", file=file, name=name, programs=programs, **described)


def _part(path: str, source: Path) -> Part:
    return Part(path, source, source.stat().st_size, sha256_of(source))


def _chunks(part: Part) -> Iterator[bytes]:
    if isinstance(part.source, bytes):
        yield part.source
        return
    with part.source.open("rb") as f:
        left = part.size
        while chunk := f.read(min(CHUNK, left)):
            left -= len(chunk)
            yield chunk
    if left:
        raise PackError(f"{part.source} was cut short while the bundle was being written; it was given up.")


def _header(part: Part) -> bytes:
    info = tarfile.TarInfo(part.path)
    info.size, info.mode = part.size, 0o644  # no time, no owner: the same content makes the same bytes
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError:  # from 8 GiB on, and for very long names
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as e:
        raise PackError(f"Cannot write {path}: {e.strerror or e}.") from e
    finally:
        with suppress(OSError):
            part.unlink()


class _Plain:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def end(self, runner: bytes) -> None:
        self._file.write(runner)


class _Zstandard:
    """Writes a frame of stored blocks (RFC 8878, section 3.1.1.2).

    Weights and wheels do not get smaller, and a bare machine has nothing that decompresses; stored blocks can be
    read with Python alone, and by every program that knows Zstandard.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._buffer = bytearray()
        file.write(FRAME)

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > STORED:
            self._block(bytes(self._buffer[:STORED]), last=False)
            del self._buffer[:STORED]

    def end(self, runner: bytes) -> None:
        self._block(bytes(self._buffer), last=True)
        self._file.write(SKIPPABLE.to_bytes(4, "little") + len(runner).to_bytes(4, "little") + runner)

    def _block(self, data: bytes, *, last: bool) -> None:
        self._file.write((len(data) << 3 | last).to_bytes(3, "little") + data)
