"""Where files of models are looked for: hubs, folders, static mirrors of packs, and Python indexes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiohttp

from media_server.packs.catalogue import Model, PinnedFile
from media_server.packs.index import IndexSource, index_addresses
from media_server.packs.local import sha256_of
from media_server.packs.mirror import FolderRoot, Mirror, copy
from media_server.packs.transfer import Bar, DownloadError, HttpRoot, Lacking

__all__ = ["SOURCE_VARIABLE", "Source", "chosen_sources"]

SOURCE_VARIABLE = "MEDIA_SERVER_MODELS_SOURCE"
HELP = (
    f"Say where from: --source (hub=URL, mirror=URL, index, or a folder), or set {SOURCE_VARIABLE}, "
    "or HF_ENDPOINT to the address of a model hub. No address is built in."
)
_ADDRESS = re.compile(r"https?://[^/\s]+[^\s]*$")


class Source(Protocol):
    """Somewhere that may have the files of models of the catalogue."""

    label: str

    async def bring(self, model: Model, file: PinnedFile, part: Path, bar: Bar) -> None:
        """Complete the file `part`. Raises `DownloadError`, `Lacking` where it is not there."""
        ...


class Hub:
    """A server laid out as BASE/REPO/resolve/REVISION/PATH."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._root = HttpRoot(http, url, {"Authorization": f"Bearer {token}"} if token else None)
        self.label = self._root.url

    async def bring(self, model: Model, file: PinnedFile, part: Path, bar: Bar) -> None:
        if model.repo is None:
            raise Lacking(f"{model.id} is in no repository of a hub.")
        url = self._root.at(f"{model.repo}/resolve/{model.revision}/{file.path}")
        await self._root.bring(url, part, file.size, bar)


class Folder:
    """A folder on this machine with files of models, as a hub lays them out, as its cache does, or by name alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.label = str(folder)

    async def bring(self, model: Model, file: PinnedFile, part: Path, bar: Bar) -> None:
        for at in self._places(model, file):
            if at.is_file() and at.stat().st_size == file.size and await asyncio.to_thread(_is_it, at, file):
                await copy(at, part, bar)
                return
        raise Lacking(f"{self.label} has no {file.path} of {model.id}, or another version of it.")

    def _places(self, model: Model, file: PinnedFile) -> list[Path]:
        name = file.path.rpartition("/")[2]
        places = [Path(model.id) / name, Path(name)]
        if model.repo is not None and model.revision is not None:
            cache = Path("models--" + model.repo.replace("/", "--")) / "snapshots" / model.revision / file.path
            inside = Path(model.repo, "resolve", model.revision, file.path), Path(model.repo, file.path)
            places = [*inside, cache, "hub" / cache, *places]
        return [self._folder / p for p in places]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a command may fetch from, in order: packs from mirrors, files of models from the others."""

    mirrors: Sequence[Mirror]
    files: Sequence[Source]


def chosen_sources(
    specs: Sequence[str], http: aiohttp.ClientSession, environment: Mapping[str, str] = os.environ
) -> Sources:
    """The sources that are named, or else those that the environment names.

    Raises:
        DownloadError: there is none, or one is not an address.
    """
    named = [s for s in specs if s] or environment.get(SOURCE_VARIABLE, "").replace(",", " ").split()
    if not named and environment.get("HF_ENDPOINT"):
        named = ["hub"]
    if not named:
        raise DownloadError(HELP)
    mirrors: list[Mirror] = []
    files: list[Source] = []
    for spec in named:
        kind, value = _read(spec)
        if kind == "mirror":
            mirrors.append(Mirror(HttpRoot(http, _address(value))))
        elif kind == "hub":
            url = value or environment.get("HF_ENDPOINT", "")
            if not url:
                raise DownloadError("Which hub? Set HF_ENDPOINT to its address, or say --source hub=URL.")
            token = environment.get("HF_TOKEN", "").strip()
            if not token.isascii() or not token.isprintable():
                raise DownloadError("HF_TOKEN is not a token: it has characters that none has.")
            files.append(Hub(http, _address(url), token))
        elif kind == "index":
            files.append(IndexSource(http, [value] if value else index_addresses(environment)))
        else:
            folder = _folder(value)
            if (folder / "catalog.toml").is_file():
                mirrors.append(Mirror(FolderRoot(folder)))
            files.append(Folder(folder))
    return Sources(mirrors, files)


def _read(spec: str) -> tuple[str, str]:
    """What kind of source this is, and its address."""
    kind, equals, value = spec.partition("=")
    if kind in ("hub", "index", "mirror", "folder") and (equals or kind in ("hub", "index")):
        return kind, value
    if spec.startswith("file:"):
        return "folder", spec
    if _ADDRESS.match(spec):
        return "mirror", spec
    if Path(spec).expanduser().is_dir():
        return "folder", spec
    raise DownloadError(
        f"{spec} is not an address or a folder; a source looks like http://models.example/packs, "
        "hub=https://hub.example, index, or /media/stick/models."
    )


def _address(url: str) -> str:
    if not _ADDRESS.match(url):
        raise DownloadError(f"{url or 'Nothing'} is not an address; one looks like https://hub.example.")
    return url


def _folder(spec: str) -> Path:
    path = spec
    if spec.startswith("file:"):
        parts = urlsplit(spec)
        if parts.netloc not in ("", "localhost"):
            raise DownloadError(f"{spec} names another machine; a folder looks like file:///media/stick/models.")
        path = unquote(parts.path)
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DownloadError(f"There is no folder {folder}. Is the disk or stick there?")
    return folder


def _is_it(at: Path, file: PinnedFile) -> bool:
    return file.sha256 is None or sha256_of(at) == file.sha256
