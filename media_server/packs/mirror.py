"""A static mirror of whole packs: SOURCE/catalog.toml, and each pack under SOURCE/NAME/REVISION."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tomllib
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from media_server.engines.packs import PackFile, read_manifest
from media_server.errors import ConfigurationError, problems
from media_server.packs.local import PackError, disk_trouble
from media_server.packs.transfer import Bar, DownloadError, Lacking

__all__ = ["Entry", "FolderRoot", "Mirror", "copy"]


class Root(Protocol):
    """Where the files of a mirror are: a server, or a folder."""

    url: str

    def at(self, path: str) -> str: ...
    async def text(self, url: str) -> tuple[str, str]: ...
    async def bring(self, url: str, part: Path, size: int | None, bar: Bar) -> None: ...


async def copy(source: Path, part: Path, bar: Bar) -> None:
    """Make `part` a copy of a file of this machine. Raises `PackError` where it cannot be written."""
    try:
        await asyncio.to_thread(shutil.copyfile, source, part)
    except OSError as e:
        raise PackError(disk_trouble(e, part)) from e
    bar.n = part.stat().st_size
    bar.refresh()


class FolderRoot:
    """A mirror that is a folder of this machine, on a disk or a stick."""

    def __init__(self, folder: Path) -> None:
        self.url = str(folder)

    def at(self, path: str) -> str:
        return str(Path(self.url) / path)

    async def text(self, url: str) -> tuple[str, str]:
        try:
            return await asyncio.to_thread(Path(url).read_text, "utf-8"), ""
        except (OSError, UnicodeDecodeError) as e:
            raise DownloadError(f"{url} cannot be read: {e}.") from e

    async def bring(self, url: str, part: Path, size: int | None, bar: Bar) -> None:
        at = Path(url)
        if not at.is_file():
            raise Lacking(f"{url} is not there.")
        length = at.stat().st_size
        if size is not None and length != size:
            raise DownloadError(f"{url} is {'larger' if length > size else 'smaller'} than the manifest says.")
        await copy(at, part, bar)


class Entry(BaseModel):
    """A pack in a mirror's catalogue."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    revision: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")
    description: str
    manifest_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Catalog(BaseModel):
    model_config = ConfigDict(extra="forbid")

    packs: list[Entry]


class Mirror:
    """A server of packs, which pins a revision of each and the checksum of its manifest."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.label = root.url

    async def packs(self) -> dict[str, Entry]:
        """What the mirror has, by name.

        Raises:
            DownloadError: it cannot be reached, or has no valid catalogue.
        """
        url = self._root.at("catalog.toml")
        text, _ = await self._root.text(url)
        try:
            return {e.name: e for e in _Catalog.model_validate(tomllib.loads(text)).packs}
        except tomllib.TOMLDecodeError as e:
            raise DownloadError(f"{url} is not a valid catalogue: {e}.") from e
        except RecursionError as e:
            raise DownloadError(f"{url} is not a valid catalogue: its values are nested too deeply.") from e
        except ValidationError as e:
            raise DownloadError(f"{url} is not a valid catalogue: {problems(e)}.") from e

    async def manifest(self, entry: Entry) -> str:
        """The text of a pack's manifest, after checking that it is the one that the catalogue names.

        Raises:
            DownloadError: it is another one, or not valid.
        """
        url = self._root.at(f"{entry.name}/{entry.revision}/pack.toml")
        text, _ = await self._root.text(url)
        if hashlib.sha256(text.encode()).hexdigest() != entry.manifest_sha256:
            raise DownloadError(f"The manifest of {entry.name} is not the one that the catalogue names: {url}.")
        try:
            read_manifest(text, url)
        except ConfigurationError as e:
            raise DownloadError(e.message) from e
        return text

    async def bring(self, entry: Entry, file: PackFile, part: Path, bar: Bar) -> None:
        """Complete the file `part` of a pack. Raises `DownloadError`."""
        url = self._root.at(f"{entry.name}/{entry.revision}/{file.path}")
        await self._root.bring(url, part, file.size, bar)
